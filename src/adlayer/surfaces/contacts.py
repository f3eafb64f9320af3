"""How near atoms are: pairs, bonds, and distances that are too short."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from vesin import NeighborList


def pairs(atoms: Atoms, cutoff: float, both: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs ``i, j, vector`` closer than ``cutoff`` (Å), images along the periodic axes included; once or both ways."""
    cell = np.array(atoms.cell)
    rows = cell[atoms.pbc]
    if not atoms.pbc.all():  # axes that do not repeat have no meaning
        cell[~atoms.pbc] = np.linalg.svd(rows)[2][len(rows) :] if len(rows) else np.eye(3)
    search = NeighborList(cutoff=float(cutoff), full_list=both, n_threads=1)
    i, j, D = search.compute(np.ascontiguousarray(atoms.positions), cell, atoms.pbc, "ijD")
    return i.astype(int), j.astype(int), D


def bonds(atoms: Atoms, factor: float = 1.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bonds ``i, j, vector``, in both directions: closer than ``factor`` times the sum of the covalent radii."""
    radii = factor * covalent_radii[atoms.numbers]
    i, j, D = pairs(atoms, 2 * radii.max())
    near = np.linalg.norm(D, axis=1) < radii[i] + radii[j]
    return i[near], j[near], D[near]


def coordination(atoms: Atoms, factor: float = 1.2) -> np.ndarray:
    """Bonds of each atom."""
    return np.bincount(bonds(atoms, factor)[0], minlength=len(atoms))


def contact_radii(numbers: np.ndarray) -> np.ndarray:
    """Van der Waals radii, Å: S. Alvarez, Dalton Trans. 42, 8617 (2013); 2.5 Å where none is known."""
    return np.nan_to_num(np.asarray(vdw_radii)[numbers], nan=2.5)


def atomic_number(symbol: str) -> int:
    """Of a chemical symbol; an error if it is none."""
    if symbol not in atomic_numbers or symbol == "X":
        from ..config import nearest

        raise ValueError(f"{symbol!r} is not a chemical symbol{nearest(symbol, atomic_numbers)}")
    return atomic_numbers[symbol]
