"""What the serialized models of DeePMD-kit are made of: nested tables and arrays in YAML or HDF5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

YAML, HDF5 = (".yaml", ".yml"), (".dp",)


def load(path: Path) -> dict:
    """Read a model, with arrays where there is something that stands for them."""
    if path.suffix in YAML:
        try:
            import yaml
        except ImportError:
            raise ImportError(f"{path} needs PyYAML: pip install pyyaml") from None
        with path.open() as file:
            tree = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        tree = _with_arrays(tree, lambda x: np.asarray(x["value"], x["dtype"]))
    else:
        h5py = _h5py(path)
        try:
            with h5py.File(path, "r") as file:
                tree = _with_arrays(json.loads(file.attrs["json"]), lambda x: file[x][()], True)
        except (OSError, KeyError):
            raise ValueError(f"{path} is not a model that DeePMD-kit serialized") from None
    if not isinstance(tree, dict) or "model" not in tree:
        raise ValueError(f"{path} is not a model that DeePMD-kit serialized")
    return tree


def _h5py(path: Path):
    try:
        import h5py
    except ImportError:
        raise ImportError(f"{path} needs h5py: pip install h5py") from None
    return h5py


def _with_arrays(x: Any, array: Any, named: bool = False, variable: bool = False) -> Any:
    """Puts arrays in the places of what stands for them: tables, or where ``named`` all strings in ``@variables``."""
    if isinstance(x, dict):
        if x.get("@class") == "np.ndarray":
            return array(x)
        return {k: _with_arrays(v, array, named, variable or k == "@variables") for k, v in x.items()}
    if isinstance(x, list):
        return [_with_arrays(v, array, named, variable) for v in x]
    return array(x) if named and variable and x is not None else x


def save(path: Path, tree: dict) -> None:
    """Write a model."""
    if path.suffix in YAML:
        import yaml

        def table(x: np.ndarray) -> dict:
            head = {"@class": "np.ndarray", "@is_variable": True, "@version": 1}
            return {**head, "dtype": x.dtype.name, "value": x.tolist()}

        path.write_text(yaml.dump(_without_arrays(tree, table), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
        return
    h5py = _h5py(path)
    with h5py.File(path, "w") as file:
        tree = _without_arrays(tree, lambda x: file.create_dataset(f"variable_{len(file):04d}", data=x).name)
        file.attrs["json"] = json.dumps(tree, separators=(",", ":"))


def _without_arrays(x: Any, replace: Any) -> Any:
    if isinstance(x, dict):
        return {k: _without_arrays(v, replace) for k, v in x.items()}
    if isinstance(x, list):
        return [_without_arrays(v, replace) for v in x]
    return replace(x) if isinstance(x, np.ndarray) else x
