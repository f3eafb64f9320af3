"""Data sets in the formats of other packages, as ASE atoms with their labels under plain names.

Each function gives the frames and, where the format or the file says so, the units they are in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..units import HARTREE, KCAL_PER_MOL

if TYPE_CHECKING:
    from ase import Atoms

Frames = tuple[list["Atoms"], "str | Mapping[str, str] | None"]


def read_npz(path: Path) -> Frames:
    """MD17, rMD17 and their kin: arrays of numbers, positions, energies and forces, the frames along the first axis.

    Takes ``z``, ``R``, ``E``, ``F`` (MD17, sGDML), ``nuclear_charges``, ``coords``, ``energies``, ``forces`` (rMD17),
    also with ``symbols``, ``cell`` or ``lattice``; and ``R_train``, ``R_test`` ..., whose suffix becomes
    ``info["group"]``.
    Other arrays with one entry per frame (``old_energies``, ``E_md17_train``) stay in ``info`` under their own names.

    Units are those the file states (``e_unit``, ``r_unit``), kcal/mol for rMD17's names, or what the energies
    themselves tell where they are all-electron ones (``all_electron_unit``); else eV and Å.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {k: file[k] for k in file.files if file[k].dtype != object}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as npz: {error}") from None
    for old, new in {"nuclear_charges": "z", "coords": "R", "energies": "E", "forces": "F", "lattice": "cell"}.items():
        data.update({new: data[old]} if old in data and new not in data else {})
    symbols = data.get("z", data.get("symbols"))
    sets = [k[1:] for k in data if k == "R" or k.startswith("R_")]
    if symbols is None or not sets:
        raise ValueError(
            f"{path} has no {'positions R or coords' if not sets else 'numbers z'}; it has {', '.join(data)}"
        )
    frames = [atoms for suffix in sets for atoms in _npz_frames(data, symbols, suffix, str(path))]
    if "e_unit" in data or "r_unit" in data:
        said = {"energy": str(data.get("e_unit", "eV")), "length": str(data.get("r_unit", "angstrom"))}
        return frames, said
    if "coords" in data and "nuclear_charges" in data:
        return frames, "real"
    known = [a for a in frames[:20] if "energy" in a.info]
    unit = {all_electron_unit(a.numbers, float(a.info["energy"])) for a in known}
    return frames, {"energy": unit.pop()} if len(unit) == 1 and None not in unit else None


def _npz_frames(data: dict[str, np.ndarray], symbols: np.ndarray, suffix: str, path: str) -> Iterator[Atoms]:
    from ase import Atoms

    R = data["R" + suffix]
    if R.ndim != 3 or R.shape[1:] != (symbols.shape[-1], 3):
        raise ValueError(f"{path}: R{suffix} has shape {R.shape}; expected (frames, {symbols.shape[-1]}, 3)")
    cell = data.get("cell" + suffix, data.get("cell"))
    extra = {
        k.removesuffix(suffix): v for k, v in data.items() if k.endswith(suffix) and len(v.shape) and len(v) == len(R)
    }
    names = {"E": "energy", "F": "forces"}
    for k in range(len(R)):
        atoms = Atoms(symbols if symbols.ndim == 1 else symbols[k], positions=R[k].astype(float))
        if cell is not None:
            atoms.set_cell(cell[k] if cell.ndim == 3 else cell)
            atoms.pbc = True
        for name, values in extra.items():
            if name in ("R", "z", "cell", "symbols", "energies", "forces", "coords", "nuclear_charges", "lattice"):
                continue
            if values[k].ndim and values[k].size == R[k].size:
                atoms.arrays[names.get(name, name)] = values[k].astype(float)
            elif values[k].size == 1:
                atoms.info[names.get(name, name)] = values[k].item()
        if suffix:
            atoms.info["group"] = suffix.strip("_")
        yield atoms


def all_electron_unit(numbers: np.ndarray, energy: float) -> str | None:
    """The unit in which this is an all-electron total energy (that of free atoms, to 3 %), or None.

    Free atoms by the Thomas-Fermi series with Scott and Schwinger terms, Hartree,
    ``E(Z) = -0.768745 Z^(7/3) + Z^2 / 2 - 0.2699 Z^(5/3)`` (Schwinger, Phys. Rev. A 24, 2353 (1981)).
    Within 1 % from carbon on.

    >>> all_electron_unit(np.array([6, 6, 8, 1, 1, 1, 1, 1, 1]), -97197.6)  # ethanol
    'kcal/mol'
    """
    Z = np.asarray(numbers, dtype=float)
    atoms = float((-0.768745 * Z ** (7 / 3) + Z**2 / 2 - 0.2699 * Z ** (5 / 3)).sum())
    for unit, factor in {"hartree": 1.0, "eV": HARTREE, "kcal/mol": HARTREE / KCAL_PER_MOL}.items():
        if abs(energy / (atoms * factor) - 1) < 0.03:
            return unit
    return None


def read_n2p2(path: Path) -> Frames:
    """RuNNer and n2p2 ``input.data``; Bohr and Hartree unless told otherwise."""
    from ase import Atoms

    frames, rows, cell, info = [], [], [], {}
    inside = False
    lines = _text(path).splitlines()
    for number, line in enumerate(lines, 1):
        word, *rest = line.split() or [""]
        place = f"{path}, frame {len(frames)}, line {number}"
        if word == "begin":
            if inside:
                raise ValueError(f"{place}: 'begin' before the 'end' of the frame")
            inside, rows, cell, info = True, [], [], {}
        elif word == "end":
            table = np.array([[*r[:3], *r[4:9]] for r in rows], dtype=float).reshape(len(rows), 8)
            try:
                atoms = Atoms([r[3] for r in rows], positions=table[:, :3])
            except KeyError as error:
                raise ValueError(f"{place}: {error.args[0]!r} is not a chemical symbol") from None
            if cell:
                atoms.set_cell(cell)
                atoms.pbc = True
            atoms.info.update(info)
            atoms.arrays["forces"] = table[:, 5:8]
            if table[:, 3].any():
                atoms.arrays["charges"] = table[:, 3]
            frames.append(atoms)
            inside = False
        elif not inside or not word:
            continue
        else:
            try:
                if word == "atom":
                    if len(rest) < 9:
                        raise ValueError(f"an atom line has 9 values, got {len(rest)}")
                    [float(x) for x in rest[:3] + rest[4:9]]
                    rows.append(rest)
                elif word == "lattice":
                    cell.append([float(x) for x in rest[:3]])
                elif word in ("energy", "charge"):
                    info[word] = float(rest[0])
                elif word == "comment":
                    info["comment"] = " ".join(rest)
            except (ValueError, IndexError) as error:
                raise ValueError(f"{place}: {error}") from None
    if inside:
        raise ValueError(f"{path} is truncated: frame {len(frames)} has no 'end'")
    return frames, "atomic"


def read_deepmd(path: Path) -> Frames:
    """A DeePMD folder of npy files: ``type.raw``, ``type_map.raw``, ``set.*/coord.npy`` ...; eV and Å."""
    from ase import Atoms

    kinds = np.loadtxt(path / "type.raw", dtype=int, ndmin=1)
    if not (path / "type_map.raw").exists():
        raise ValueError(
            f"{path} has no type_map.raw, which says which element each type is; write one symbol per line"
        )
    symbols = np.array((path / "type_map.raw").read_text().split())
    files = {"energy": "energy", "force": "forces", "virial": "virial", "dipole": "dipole", "atom_ener": "energies"}
    frames = []
    folders = sorted(path.glob("set.*"))
    if not folders:
        raise ValueError(f"{path} has type.raw but no set.* folders with coord.npy")
    for folder in folders:
        data = {f.stem: _load_npy(f) for f in folder.glob("*.npy")}
        if "coord" not in data:
            raise ValueError(f"{folder} has no coord.npy")
        n = len(data["coord"])
        for name, values in data.items():
            if len(values) != n:
                raise ValueError(f"{folder}: {name}.npy has {len(values)} frames, coord.npy {n}")
        types = data.get("real_atom_types", np.broadcast_to(kinds, (n, len(kinds)))).astype(int)
        periodic = "box" in data and not (path / "nopbc").exists()
        for k in range(n):
            atoms = Atoms(symbols[types[k]], positions=data["coord"][k].reshape(-1, 3).astype(float), pbc=periodic)
            if periodic:
                atoms.set_cell(data["box"][k].reshape(3, 3).astype(float))
            for name, label in files.items():
                if name in data:
                    x = np.squeeze(data[name][k].astype(float))
                    (atoms.arrays if name in ("force", "atom_ener") else atoms.info)[label] = (
                        x.reshape(-1, 3) if name == "force" else x
                    )
            frames.append(atoms)
    return frames, None


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _text(path: Path) -> str:
    import gzip

    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
            return file.read()
    except EOFError:
        raise ValueError(f"{path} is truncated: the compressed stream ends early") from None
    except (gzip.BadGzipFile, UnicodeDecodeError):
        raise ValueError(f"{path} is not text (or not gzip, though named so)") from None
