"""Crystals: ideal ones in cells of any orientation, and strained ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from .cutting import layers_of, oriented, stack
from .generator import Generator, Made, crystal, take


@dataclass(frozen=True)
class Bulk(Generator):
    """A crystal, in its conventional cell or in one that fits a slab.

    With ``miller`` the cell is that of the slab with the same ``repeat``, periodic in the third direction after
    ``layers`` layers: for methods that sample one k-point only, energies compare between such cells.

    Args:
        of: formula, file, or name of an earlier crystal.
        repeat: how often the cell is repeated: along three vectors, or with ``miller`` along the two in the plane.
        miller: plane that the first two vectors span.
        layers: how many layers the cell has along its third vector; default: one repeat of the stacking.
        a: lattice constant, Å; default: the experimental one.
        structure: crystal structure of a formula, as ASE names it.
    """

    of: str
    repeat: list[int] = (1, 1, 1)
    miller: list[int] | None = None
    layers: int | None = None
    a: float | None = None
    structure: str | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        cell = crystal(self.of, made, self.structure, self.a)
        if self.miller is None:
            return [cell.repeat(tuple(self.repeat))]
        return [layered(cell, self.miller, self.layers).repeat((*self.repeat[:2], 1))]


def layered(bulk: Atoms, miller: Sequence[int], layers: int | None = None) -> Atoms:
    """The crystal in a cell of ``layers`` layers of the plane ``miller``, upright where it can be."""
    cell = oriented(bulk, miller)
    n = int(layers_of(cell)[1].max()) + 1
    layers = n if layers is None else layers
    if layers % n:
        raise ValueError(f"layers must be a multiple of {n}, after which the stacking repeats, got {layers}")
    atoms = stack(cell, layers)
    c = np.asarray(cell.cell[2]) * (layers // n)
    plane = np.asarray(cell.cell)[:2]
    atoms.cell[2] = c - np.round(c[:2] @ np.linalg.inv(plane[:, :2])) @ plane
    atoms.pbc = True
    atoms.set_tags(None)
    atoms.wrap()
    return atoms


@dataclass(frozen=True)
class Strained(Generator):
    """Strained copies: evenly spaced in the measure of the periodic axes, each with a random shear besides.

    Copy ``k`` has the strain ``e_k 1 + d`` with ``e_k`` from ``-amount`` to ``amount`` and the elements of the
    symmetric, traceless ``d`` of normal distribution with standard deviation ``amount / 2``; slabs are strained in
    their plane.

    Args:
        of: formula, file, or names of earlier structures.
        n: how many, of each structure.
        amount: largest relative change of length.
    """

    of: str | list[str]
    n: int = 8
    amount: float = 0.04

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        frames = [crystal(self.of, made)] if isinstance(self.of, str) and self.of not in made else take(self.of, made)
        return [
            strained(atoms, e, 0.5 * self.amount, rng)
            for atoms in frames
            for e in (np.linspace(-self.amount, self.amount, self.n) if self.n > 1 else [0.0])
        ]


def strained(atoms: Atoms, amount: float, shear: float, rng: np.random.Generator) -> Atoms:
    """``atoms`` under an even strain ``amount`` and a random one of width ``shear``, along its periodic axes."""
    d = rng.normal(0.0, shear, (3, 3))
    d = (d + d.T) / 2
    rows = np.asarray(atoms.cell) * atoms.pbc[:, None]
    P = np.linalg.pinv(rows) @ rows  # projects on the periodic directions
    n = atoms.pbc.sum()
    if not n:
        raise ValueError("a cluster has no periodic direction to strain")
    d = P @ d @ P
    strain = (amount - np.trace(d) / n) * P + d
    changed = atoms.copy()
    changed.set_cell(np.asarray(atoms.cell) @ (np.eye(3) + strain))
    changed.set_positions(atoms.positions @ (np.eye(3) + strain), apply_constraint=False)
    return changed
