"""Supercells by Wood's notation: p(2x2), c(4x2), (√3x√3)R30."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.constraints import FixAtoms

Cell = str | Sequence[Sequence[int]]

_NUMBER = r"(\d*)(?:(?:√|sqrt)\(?(\d+)\)?)?"
_NOTATION = re.compile(rf"([pc]?)\(?{_NUMBER}[x×]{_NUMBER}\)?(?:R(-?\d+(?:\.\d+)?)°?)?")


def supercell(atoms: Atoms, cell: Cell) -> Atoms:
    """A slab in a larger cell, its frozen atoms frozen.

    Args:
        atoms: a slab, best in its smallest cell, to which the notation refers.
        cell: in Wood's notation, or two rows of two whole numbers: the new vectors in terms of the old.
    """
    if atoms.pbc.sum() != 2 or atoms.pbc[2]:
        raise ValueError("a surface cell is of a slab that is periodic along its first two vectors only")
    P = np.eye(3, dtype=int)
    P[:2, :2] = matrix(atoms, cell)
    fixed = np.zeros(len(atoms), dtype=int)
    for constraint in atoms.constraints:
        fixed[constraint.get_indices()] = 1
    atoms = atoms.copy()
    atoms.set_constraint()
    atoms.set_array("fixed", fixed)
    wide = make_supercell(atoms, P)
    wide.info = dict(atoms.info)
    fixed = wide.arrays.pop("fixed")
    if fixed.any():
        wide.set_constraint(FixAtoms(mask=fixed == 1))
    wide.rotate(-np.degrees(np.arctan2(wide.cell[0, 1], wide.cell[0, 0])), "z", rotate_cell=True)
    return wide


def matrix(atoms: Atoms, cell: Cell) -> np.ndarray:
    """The whole numbers [2, 2] that make the cell's vectors from those of the slab."""
    if not isinstance(cell, str):
        P = np.asarray(cell)
        if P.shape != (2, 2) or not np.issubdtype(P.dtype, np.integer) or round(np.linalg.det(P)) == 0:
            raise ValueError(f"a surface cell is two rows of two whole numbers, not in line, or a name; got {cell}")
        return P if np.linalg.det(P) > 0 else P[::-1]
    match = _NOTATION.fullmatch(cell.replace(" ", ""))
    if not match:
        raise ValueError(f"{cell!r} is no surface cell in Wood's notation, such as p(2x2), c(4x2) or (√3x√3)R30")
    centered, m, root_m, n, root_n, angle = match.groups()
    a, b = np.asarray(atoms.cell)[:2, :2]
    long = [float(k or 1) * np.sqrt(float(root or 1)) for k, root in ((m, root_m), (n, root_n))]
    t = np.radians(float(angle or 0))
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    vectors = np.array([long[0] * a @ turn, long[1] * b @ turn])
    if centered == "c":
        vectors = np.array([[1, 1], [-1, 1]]) / 2 @ vectors
    exact = vectors @ np.linalg.inv([a, b])
    P = np.round(exact).astype(int)
    if np.abs((exact - P) @ [a, b]).max() > 0.02 * np.linalg.norm(a) or not round(np.linalg.det(P)):
        raise ValueError(f"{cell} does not fit the lattice of this surface, whose cell is {_spell(a, b)}")
    return P


def _spell(a: np.ndarray, b: np.ndarray) -> str:
    angle = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    return f"{np.linalg.norm(a):.2f} x {np.linalg.norm(b):.2f} Å at {angle:.0f} degrees"
