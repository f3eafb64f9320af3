"""Structures made from others: displaced, repeated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from .generator import Generator, Made, take


@dataclass(frozen=True)
class Rattle(Generator):
    """Copies whose atoms are displaced at random; frozen ones stay.

    Args:
        of: names of earlier structures, or a file.
        amplitudes: standard deviations of the displacement along each axis, Å.
        n: how many copies of each structure at each amplitude.
        closest: copies in which two atoms come nearer than this fraction of the sum of their covalent radii are drawn
            again.
    """

    of: str | list[str]
    amplitudes: list[float] = (0.05, 0.15)
    n: int = 4
    closest: float = 0.7

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        frames = take(self.of, made)
        return [
            self._displaced(atoms, width, rng) for atoms in frames for width in self.amplitudes for _ in range(self.n)
        ]

    def _displaced(self, atoms: Atoms, width: float, rng: np.random.Generator) -> Atoms:
        for _ in range(100):
            copy = atoms.copy()
            copy.set_positions(atoms.positions + rng.normal(0.0, width, (len(atoms), 3)))  # constraints are obeyed
            if not len(neighbor_list("i", copy, list(self.closest * covalent_radii[copy.numbers]))):
                return copy
        raise ValueError(f"displacements of {width:g} Å bring atoms too close in 100 draws of 100; take smaller ones")


@dataclass(frozen=True)
class Repeat(Generator):
    """Supercells.

    Args:
        what: names of earlier structures, or a file.
        by: how often along each cell vector; two numbers for slabs.
    """

    what: str | list[str]
    by: list[int]

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        by = (*self.by, *[1] * (3 - len(self.by)))
        frames = []
        for atoms in take(self.what, made):
            if across := [k for k in range(3) if by[k] > 1 and not atoms.pbc[k]]:
                raise ValueError(f"Repeat cannot repeat along axis {across[0]}, which is not periodic")
            frames.append(atoms.repeat(by))
        return frames
