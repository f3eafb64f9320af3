"""Extended XYZ, read with errors that name the frame and written to the last digit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

_COLUMNS = {"species": "symbols", "pos": "positions", "Z": "numbers", "mass": "masses", "charge": "initial_charges"}


def read_extxyz(path: Path) -> Iterator[Atoms]:
    """Frames of an extended XYZ file, plain or gzipped; everything it holds is in ``info`` and ``arrays``."""
    frame = 0
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as lines:
        try:
            while (head := lines.readline()) != "":
                if not head.strip() and frame and _only_blanks_left(lines, path, frame):
                    return
                yield _read_frame(head, lines, f"{path}, frame {frame}")
                frame += 1
        except EOFError:
            raise ValueError(f"{path} is truncated after {frame} frames: the compressed stream ends early") from None
        except gzip.BadGzipFile:
            raise ValueError(f"{path} is not a gzip file, though it is named .gz") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text, so not an extended XYZ file") from None


def _only_blanks_left(lines: TextIO, path: Path, frame: int) -> bool:
    if any(line.strip() for line in lines):
        raise ValueError(f"{path}: an empty line after frame {frame - 1} where the number of atoms should be")
    return True


def _read_frame(head: str, lines: TextIO, place: str) -> Atoms:
    from ase import Atoms
    from ase.constraints import FixAtoms
    from ase.io.extxyz import key_val_str_to_dict

    try:
        n = int(head)
    except ValueError:
        raise ValueError(f"{place}: expected the number of atoms, got {head.strip()[:40]!r}") from None
    try:
        info = key_val_str_to_dict(lines.readline().strip())
    except (ValueError, IndexError) as error:
        raise ValueError(f"{place}: cannot read the comment line: {error}") from None
    cell = info.pop("Lattice", None)
    if cell is not None and np.shape(cell) != (3, 3):
        raise ValueError(f"{place}: Lattice should be nine numbers, got {cell!r}")
    pbc = info.pop("pbc", cell is not None)
    rows = [lines.readline().split() for _ in range(n)]
    if rows and not rows[-1]:
        raise ValueError(f"{place} is truncated: {sum(map(bool, rows))} of {n} atoms are there")
    arrays = _columns(rows, str(info.pop("Properties", "species:S:1:pos:R:3")), place)
    species = arrays.pop("symbols", None)
    numbers = arrays.pop("numbers", None)
    if numbers is None:
        numbers = _atomic_numbers(species, place)
    positions = arrays.pop("positions", None)
    if positions is None or numbers is None:
        raise ValueError(f"{place}: Properties names no {'pos' if positions is None else 'species'} column")
    cell = None if cell is None else np.asarray(cell, dtype=float).T  # ASE's parser gives columns
    atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc, info=info)
    mask = arrays.pop("move_mask", None)
    if mask is not None:
        atoms.set_constraint(FixAtoms(mask=~mask.reshape(n, -1).astype(bool).any(1)))
    for name, column in arrays.items():
        atoms.arrays[name] = column
    return atoms


def _columns(rows: list[list[str]], properties: str, place: str) -> dict[str, np.ndarray]:
    fields = properties.split(":")
    try:
        spec = [(fields[k], fields[k + 1], int(fields[k + 2])) for k in range(0, len(fields), 3)]
    except (IndexError, ValueError):
        raise ValueError(f"{place}: Properties should be name:type:columns triplets, got {properties!r}") from None
    width = sum(columns for *_, columns in spec)
    for k, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"{place}: atom {k} has {len(row)} columns, Properties names {width}")
    table = np.array(rows, dtype=object).reshape(len(rows), width)
    arrays, start = {}, 0
    for name, kind, columns in spec:
        part = table[:, start : start + columns]
        start += columns
        try:
            if kind == "R":
                part = part.astype(float)
            elif kind == "I":
                part = part.astype(int)
            elif kind == "L":
                part = np.isin(part, ["T", "True", "true", "1"])
            else:
                part = part.astype(str)
        except ValueError as error:
            raise ValueError(f"{place}: column {name} should be numbers: {error}") from None
        arrays[_COLUMNS.get(name, name)] = part[:, 0] if columns == 1 else part
    return arrays


def _atomic_numbers(species: np.ndarray | None, place: str) -> np.ndarray | None:
    from ase.data import atomic_numbers

    if species is None:
        return None
    try:
        return np.array([int(s) if s.isdigit() else atomic_numbers[s.capitalize()] for s in species.tolist()])
    except KeyError as error:
        raise ValueError(f"{place}: {error.args[0]!r} is not a chemical symbol") from None


def format_extxyz(atoms: Atoms) -> str:
    """One frame as text; floats with all their digits, so that reading gives the same numbers."""
    from ase.io.extxyz import key_val_dict_to_str

    columns = {"species": np.array(atoms.get_chemical_symbols()), "pos": atoms.positions}
    columns |= {n: x for n, x in atoms.arrays.items() if n not in ("numbers", "positions")}
    info = {n: v for n, v in atoms.info.items() if v is not None}
    info = {
        n: f"_JSON {json.dumps(v, default=np.ndarray.tolist)}" if isinstance(v, dict | list) else v
        for n, v in info.items()
    }
    for name, value in (atoms.calc.results if atoms.calc is not None else {}).items():
        if name in ("forces", "energies", "charges"):
            columns[name] = np.asarray(value)
        elif name == "stress":
            info[name] = np.asarray(value)[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)
        else:
            info[name] = value
    if atoms.constraints:
        from ase.constraints import FixAtoms

        fixed = [c.index for c in atoms.constraints if isinstance(c, FixAtoms)]
        columns["move_mask"] = ~np.isin(np.arange(len(atoms)), np.concatenate([*fixed, []]))
    kinds = {"f": "R", "i": "I", "u": "I", "b": "L"}
    flat = {n: np.asarray(x).reshape(len(atoms), -1) for n, x in columns.items()}
    properties = ":".join(f"{n}:{kinds.get(x.dtype.kind, 'S')}:{x.shape[1]}" for n, x in flat.items())
    cell = " ".join(repr(float(x)) for x in np.asarray(atoms.cell).ravel())
    lattice = f'Lattice="{cell}" ' if atoms.cell.any() else ""
    comment = f"{lattice}Properties={properties} {key_val_dict_to_str({'pbc': atoms.pbc, **info})}"
    rows = zip(
        *(
            ["T" if v else "F" for v in c] if c.dtype == bool else map(str, c.tolist())
            for x in flat.values()
            for c in x.T
        )
    )
    return f"{len(atoms)}\n{comment}\n" + "".join(" ".join(row) + "\n" for row in rows)
