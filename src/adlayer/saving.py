"""Potentials on disk: one zip file of what was chosen (JSON), what was learned (npz) and who made it. No pickle."""

from __future__ import annotations

import io
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import __version__
from .config import build, describe

_FORMAT = 1


def about(**facts: Any) -> dict[str, Any]:
    """Versions of what computes, together with whatever else made the result: recipe, seed, data."""
    import ase
    import scipy

    versions = {
        "adlayer": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "ase": ase.__version__,
    }
    return {"versions": versions, **facts}


def save(path: str | os.PathLike, thing: Any, **facts: Any) -> Path:
    """Write a potential (or anything that is a part and a module) to one file, whole or not at all.

    Args:
        path: the file to write.
        thing: a potential, an ensemble, a descriptor.
        facts: whatever else should be known of it later: ``recipe=...``, ``seed=...``, ``metrics=...``.
    """
    path = Path(path)
    state = {name: x.detach().cpu().numpy() for name, x in thing.state_dict().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **state)
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("potential.json", json.dumps({"format": _FORMAT, "potential": describe(thing)}, indent=1))
        archive.writestr("state.npz", buffer.getvalue())
        archive.writestr("about.json", json.dumps(about(**facts), indent=1, default=str))
    return path


def load(path: str | os.PathLike, device: str | torch.device = "cpu") -> Any:
    """Read what ``save`` wrote."""
    with _open(path) as archive:
        try:
            config = json.loads(archive.read("potential.json"))
            state = np.load(io.BytesIO(archive.read("state.npz")), allow_pickle=False)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged or was not written by adlayer: {error}") from None
    if config["format"] > _FORMAT:
        raise ValueError(f"{path} was written by a newer adlayer (format {config['format']}); this one reads {_FORMAT}")
    thing = build(config["potential"])
    learned = {name: torch.from_numpy(np.array(state[name])) for name in state.files}
    for name, x in thing.state_dict().items():
        if name in learned and learned[name].is_floating_point():
            _set_dtype(thing, name, learned[name].dtype, x.dtype)
    thing.load_state_dict(learned)
    return thing.to(device).eval()


def read_about(path: str | os.PathLike) -> dict[str, Any]:
    """What made a saved potential: versions, recipe, seed."""
    with _open(path) as archive:
        return json.loads(archive.read("about.json"))


def is_saved_potential(path: str | os.PathLike) -> bool:
    """Whether a file is one that ``save`` wrote."""
    if not Path(path).is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "potential.json" in archive.namelist()


def _open(path: str | os.PathLike) -> zipfile.ZipFile:
    path = Path(path)
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*.adl")) if path.parent.is_dir() else []
        raise FileNotFoundError(f"no file {path}" + (f"; there are {', '.join(near)}" if near else ""))
    if not is_saved_potential(path):
        raise ValueError(
            f"{path} is not a potential saved by adlayer; foreign formats are read by adlayer.read_potential"
        )
    return zipfile.ZipFile(path)


def _set_dtype(module: torch.nn.Module, name: str, saved: torch.dtype, built: torch.dtype) -> None:
    """Give a parameter or buffer the floating-point type it was saved in."""
    if saved == built:
        return
    owner, _, leaf = name.rpartition(".")
    owner = module.get_submodule(owner)
    if leaf in owner._parameters:
        owner._parameters[leaf].data = owner._parameters[leaf].data.to(saved)
    else:
        owner._buffers[leaf] = owner._buffers[leaf].to(saved)


class atomic:
    """Write a file whole or not at all: ``with atomic(path) as temporary`` renames when the block ends well."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind, value, traceback) -> None:
        if kind is not None:
            self.temporary.unlink(missing_ok=True)
            return
        with open(self.temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(self.temporary, 0o644)
        os.replace(self.temporary, self.path)


def write_json(path: str | os.PathLike, data: Mapping[str, Any] | list) -> None:
    """Write JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
