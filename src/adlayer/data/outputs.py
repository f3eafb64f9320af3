"""Outputs of electronic-structure codes and databases, read by ASE and dpdata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from .sources import Frames

if TYPE_CHECKING:
    from ase import Atoms


def read_dpdata(path: Path, format: str) -> Frames:
    """Anything ``dpdata`` reads (``cp2k/output``, ``qe/cp/traj``, ``abacus/scf`` ...), as labeled frames."""
    try:
        import dpdata
    except ImportError:
        raise ImportError(f"reading {path} as {format} needs dpdata: pip install 'adlayer[formats]'") from None
    from ase import Atoms

    try:
        data = dpdata.LabeledSystem(str(path), fmt=format).data
    except Exception as error:  # readers raise anything on a file they do not like
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: dpdata cannot read it as {format}: {said}") from error
    if not len(data["coords"]):
        raise ValueError(f"{path}: dpdata finds no labeled frame in it as {format}: did the calculation converge?")
    names = [re.sub(r"[\d_].*", "", name) for name in data["atom_names"]]  # kinds such as Fe1 and Fe2
    if unknown := [name for name in names if name not in atomic_numbers]:
        raise ValueError(f"{path}: {unknown[0]!r} is not a chemical symbol")
    symbols = np.array(names)[data["atom_types"]]
    frames = []
    for k in range(len(data["coords"])):
        atoms = Atoms(symbols, positions=data["coords"][k], cell=data["cells"][k], pbc=not data.get("nopbc", False))
        atoms.info["energy"] = float(data["energies"][k])
        atoms.arrays["forces"] = np.asarray(data["forces"][k])
        if "virials" in data:
            atoms.info["virial"] = np.asarray(data["virials"][k])
        frames.append(atoms)
    return frames, None


def read_ase(path: Path, format: str | None) -> Frames:
    """Anything ASE reads: VASP, QE, GPAW, CASTEP outputs, trajectories, databases."""
    from ase.io import iread
    from ase.io.formats import UnknownFileTypeError

    frames = []
    try:
        found = _database_rows(path) if format == "db" else iread(str(path), index=":", format=format)
        for atoms in found:
            frames.append(atoms)
    except UnknownFileTypeError:
        raise ValueError(f"{path} is of no format that is known; name one with format=..., such as 'extxyz'") from None
    except ImportError as error:
        raise ImportError(f"reading {path} needs another package: pip install {error.name}") from None
    except Exception as error:  # readers of ASE raise anything on a file they do not like
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: cannot read frame {len(frames)} ({format or 'format found by ASE'}): {said}"
        ) from error
    return frames, None


def _database_rows(path: Path) -> Iterator[Atoms]:
    """Rows of an ASE database with their key-value pairs and data as ``info`` or, where per atom, ``arrays``."""
    from ase.db import connect

    with connect(path) as db:
        for row in db.select():
            atoms = row.toatoms()
            for name, value in {**row.key_value_pairs, **row.data}.items():
                x = np.asarray(value)
                per_atom = x.ndim and len(x) == len(atoms) and x.dtype.kind in "fib" and name not in atoms.arrays
                if per_atom:
                    atoms.arrays[name] = x
                else:
                    atoms.info[name] = value
            yield atoms
