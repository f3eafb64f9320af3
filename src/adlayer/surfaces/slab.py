"""Slabs: a crystal cut along a plane, so many layers thick, with what saturates and what holds its bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.data import atomic_numbers, covalent_radii

from .cutting import bonded, layers_of, oriented, stack
from .generator import Generator, Made, crystal


@dataclass(frozen=True)
class Slab(Generator):
    """A slab of a crystal: periodic in its plane, and exactly not across it.

    Args:
        of: formula, file, or name of an earlier crystal.
        miller: indices of its plane, in the cell of the crystal (the cubic one, for a cubic formula).
        layers: how many layers of atoms.
        repeat: how often the smallest surface cell is repeated along its two vectors.
        vacuum: on either side, Å.
        termination: which layer of the crystal is the top one.
        passivate: element that saturates the bonds that were cut, such as "H"; none by default.
        sides: which sides are passivated.
        bond: length of the bonds to the passivating atoms, Å; default: the sum of the covalent radii.
        frozen: so many layers hold still, counted from the bottom, and the passivating atoms below with them; default:
            one where the bottom is passivated, else none.
        a: lattice constant, Å; default: the experimental one.
        structure: crystal structure of a formula, as ASE names it; default: what it knows of an element.
    """

    of: str
    miller: list[int]
    layers: int = 6
    repeat: list[int] = (1, 1)
    vacuum: float = 10.0
    termination: int = 0
    passivate: str | None = None
    sides: Literal["bottom", "both"] = "bottom"
    bond: float | None = None
    frozen: int | None = None
    a: float | None = None
    structure: str | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {name: getattr(self, name) for name in ("layers", "repeat", "vacuum", "termination", "passivate")}
        settings |= {name: getattr(self, name) for name in ("sides", "bond", "frozen")}
        return [slab(crystal(self.of, made, self.structure, self.a), self.miller, **settings)]


def slab(
    bulk: Atoms,
    miller: Sequence[int],
    layers: int = 6,
    repeat: Sequence[int] = (1, 1),
    vacuum: float = 10.0,
    termination: int = 0,
    passivate: str | None = None,
    sides: str = "bottom",
    bond: float | None = None,
    frozen: int | None = None,
) -> Atoms:
    """A slab of ``bulk``; see ``Slab`` for the arguments. Tags number its layers from the top, 1, 2, ..."""
    frozen = int(passivate is not None) if frozen is None else frozen
    if layers < 1 or not 0 <= frozen <= layers:
        raise ValueError(f"a slab needs one layer or more and 0 to {layers} frozen ones, got {layers} and {frozen}")
    cell = oriented(bulk, miller)
    atoms = stack(cell, layers, termination)
    if passivate is not None:
        atoms += _caps(cell, layers, termination, passivate, bond, sides)
    atoms = atoms.repeat((*repeat, 1))
    z = atoms.positions[:, 2]
    atoms.cell[2] = [0.0, 0.0, np.ptp(z) + 2 * vacuum]
    atoms.positions[:, 2] += vacuum - z.min()
    atoms.pbc = (True, True, False)
    atoms.wrap()
    if frozen:
        atoms.set_constraint(FixAtoms(mask=atoms.get_tags() > layers - frozen))
    return atoms


def _caps(cell: Atoms, layers: int, termination: int, element: str, bond: float | None, sides: str) -> Atoms:
    """Atoms on the bonds that the cut broke, where the lost partners were; tagged 0 on top and ``layers + 1`` below."""
    if element not in atomic_numbers:
        raise ValueError(f"{element!r} is not a chemical symbol")
    n = int(layers_of(cell)[1].max()) + 1
    repeats = int(np.ceil(5.0 / cell.cell[2, 2]))  # of the stacking: more than a bond spans
    thick = stack(cell, layers + 2 * repeats * n, termination)
    thick.positions += repeats * np.asarray(cell.cell[2])
    depth = thick.get_tags() - repeats * n  # 1 ... layers is the slab
    i, j, vectors = bonded(thick)
    inside = (depth >= 1) & (depth <= layers)
    lost = inside[i] & (depth[j] > layers)
    if sides == "both":
        lost |= inside[i] & (depth[j] < 1)
    i, j, vectors = i[lost], j[lost], vectors[lost]
    radii = covalent_radii[thick.numbers[i]] + covalent_radii[atomic_numbers[element]]
    length = radii if bond is None else np.full(len(i), bond)
    places = thick.positions[i] + vectors / np.linalg.norm(vectors, axis=1)[:, None] * length[:, None]
    caps = Atoms([element] * len(i), places, cell=cell.cell, pbc=(1, 1, 0))
    caps.set_tags(np.where(depth[j] < 1, 0, layers + 1))
    return caps
