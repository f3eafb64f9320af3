"""Particles by shape: icosahedra, decahedra, octahedra and what is cut from them; and random ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.formula import Formula

from .contacts import atomic_number, pairs
from .generator import Generator, Made
from .packing import pack
from .regions import Ball


@dataclass(frozen=True)
class Icosahedron(Generator):
    """A Mackay icosahedron: 13, 55, 147, 309, ... atoms; A. L. Mackay, Acta Crystallogr. 15, 916 (1962).

    Args:
        of: chemical symbol.
        shells: closed shells about the central atom.
        a: fcc lattice constant, Å; default: the one with the distance of neighbors that the element's crystal has.
    """

    of: str
    shells: int
    a: float | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        from ase.cluster import Icosahedron

        if self.shells < 1:
            raise ValueError(f"an icosahedron has one shell or more, got {self.shells}")
        return [_free(Icosahedron(self.of, self.shells + 1, lattice_constant(self.of, self.a)))]


@dataclass(frozen=True)
class Decahedron(Generator):
    """A decahedron after Ino (no notches) or Marks: L. D. Marks, Philos. Mag. A 49, 81 (1984).

    Marks decahedra: 75 atoms (2, 2, 1), 101 (2, 3, 1), 146 (3, 2, 1).

    Args:
        of: chemical symbol.
        width: atoms along the edges of the (100) faces normal to the five-fold axis, notches not counted.
        height: atoms along the edges of these faces parallel to it.
        notch: depth of the re-entrant grooves in atoms; 0: none.
        a: fcc lattice constant, Å; default: the one with the distance of neighbors that the element's crystal has.
    """

    of: str
    width: int
    height: int
    notch: int = 0
    a: float | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        from ase.cluster import Decahedron

        if self.width < 1 or self.height < 1 or self.notch < 0:
            raise ValueError(
                "a decahedron has a width and a height of one atom or more and notches of 0 or more, got "
                f"{self.width}, {self.height} and {self.notch}"
            )
        a = lattice_constant(self.of, self.a)
        return [_free(Decahedron(self.of, self.width, self.height, self.notch, a))]


@dataclass(frozen=True)
class Octahedron(Generator):
    """A face-centered cubic octahedron, its corners cut off or not.

    Truncated octahedra: 38 atoms (4, 1), 79 (5, 1), 140 (6, 1), 201 (7, 2); cuboctahedra where ``length = 2 cut + 1``:
    13 (3, 1), 55 (5, 2), 147 (7, 3).

    Args:
        of: chemical symbol.
        length: atoms along an edge of the whole octahedron.
        cut: layers of atoms that are taken off each corner.
        a: fcc lattice constant, Å; default: the one with the distance of neighbors that the element's crystal has.
    """

    of: str
    length: int
    cut: int = 0
    a: float | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        from ase.cluster import Octahedron

        if self.length < 2 or not 0 <= 2 * self.cut < self.length:
            raise ValueError(
                "an octahedron has edges of two atoms or more and less than half of them cut off at each corner, got "
                f"length {self.length} and cut {self.cut}"
            )
        return [_free(Octahedron(self.of, self.length, self.cut, lattice_constant(self.of, self.a)))]


@dataclass(frozen=True)
class RandomParticle(Generator):
    """Particles whose atoms lie at random in a ball, none too near another: seeds of a search, and melts.

    Args:
        of: formula, such as "Au38" or "Pt13Ni42".
        n: how many particles.
        filling: share of the ball that spheres with the closest distance as diameter take.
        closest: that distance, as a fraction of the sum of the covalent radii.
    """

    of: str
    n: int = 1
    filling: float = 0.45
    closest: float = 0.85

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [random_particle(self.of, rng, self.filling, self.closest) for _ in range(self.n)]


def random_particle(formula: str, rng: np.random.Generator, filling: float = 0.45, closest: float = 0.85) -> Atoms:
    """One random particle; see ``RandomParticle``."""
    if not 0 < filling <= 0.6:
        raise ValueError(f"random spheres fill a ball up to about 0.6, got filling = {filling:g}")
    try:
        symbols = list(Formula(formula))
    except ValueError:
        raise ValueError(f"{formula!r} is not a formula, such as 'Au38' or 'Pt13Ni42'") from None
    radii = covalent_radii[[atomic_number(s) for s in symbols]]
    radius = closest * (np.sum(radii**3) / filling) ** (1 / 3)
    found = pack([Atoms(s) for s in symbols], Ball(radius, np.zeros(3)), rng, closest=closest, radii=radii)
    del found.arrays["molecule"]
    found.info["group"] = "particle"
    return found


def lattice_constant(symbol: str, a: float | None = None) -> float:
    """``a`` if given, else the fcc lattice constant with the nearest neighbors of the element's own crystal, Å."""
    z = atomic_number(symbol)
    if a is not None:
        return a
    return neighbor_distance(z) * 2**0.5


@cache
def neighbor_distance(number: int) -> float:
    """Of nearest neighbors in an element's crystal, or twice its covalent radius where that is unknown, Å."""
    from ase.data import chemical_symbols

    try:
        crystal = bulk(chemical_symbols[number])
    except (ValueError, KeyError, RuntimeError, NotImplementedError):
        return float(2 * covalent_radii[number])
    return float(np.linalg.norm(pairs(crystal, 6.0)[2], axis=1).min())


def _free(cluster: Atoms) -> Atoms:
    """Plain atoms without a cell, the middle at the origin."""
    return Atoms(cluster.numbers, cluster.positions - cluster.positions.mean(0), info={"group": "particle"})
