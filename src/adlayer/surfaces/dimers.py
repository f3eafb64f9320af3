"""Dimer reconstructions of Si(100) and its kin: Ramstad, Brocks and Kelly, Phys. Rev. B 51, 14504 (1995)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms

from ..config import nearest
from .cutting import bonded
from .generator import Generator, Made, take


class Pattern(NamedTuple):
    """How dimers tilt."""

    along: int  # period along the dimers' axis, in surface cells
    rows: int  # period along the rows
    tilt: Callable[[int, int], int]  # of row number and place in the row: -1, 0 or 1


PATTERNS = {
    "p(2x1)": Pattern(2, 1, lambda row, place: 0),
    "b(2x1)": Pattern(2, 1, lambda row, place: 1),
    "p(2x2)": Pattern(2, 2, lambda row, place: (-1) ** place),
    "c(4x2)": Pattern(4, 2, lambda row, place: (-1) ** (place + row)),
}


@dataclass(frozen=True)
class Dimers(Generator):
    """Reconstructions of an ideal (100) slab of a diamond crystal, its surface atoms paired into dimers.

    ``1x1`` is the ideal surface, ``p(2x1)`` has symmetric dimers, ``b(2x1)`` dimers all buckled alike, ``p(2x2)``
    alternately along the rows, ``c(4x2)`` along and across them. A slab too small for a pattern is doubled.

    Args:
        slab: name of earlier slabs.
        patterns: which.
        tilt: angle of buckled dimers with the surface, degrees.
        length: of the dimers, Å.
    """

    slab: str
    patterns: list[str] = ("p(2x1)", "p(2x2)")
    tilt: float = 18.0
    length: float = 2.4

    def __post_init__(self):
        known = ["1x1", *PATTERNS]
        for pattern in self.patterns:
            if pattern not in known:
                raise ValueError(
                    f"Dimers knows no pattern {pattern!r}{nearest(pattern, known)}; it knows {', '.join(known)}"
                )

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [
            reconstruct(atoms, pattern, self.tilt, self.length)
            for atoms in take(self.slab, made)
            for pattern in self.patterns
        ]


def reconstruct(slab: Atoms, pattern: str, tilt: float = 18.0, length: float = 2.4) -> Atoms:
    """The slab with its top atoms in dimers; ``info["pattern"]`` says which, and tags of the top layer are kept."""
    slab = slab.copy()
    slab.info["pattern"] = pattern
    if pattern == "1x1":
        return slab
    periods = PATTERNS[pattern]
    top, axis, depth = _dangling(slab)
    plane = np.asarray(slab.cell)[:2]
    spacing = np.sqrt(abs(np.linalg.det(plane[:, :2])) / len(top))
    cells = np.round(np.linalg.norm(plane, axis=1) / spacing).astype(int)
    wanted = np.array([periods.along, periods.rows] if axis == 0 else [periods.rows, periods.along])
    slab = slab.repeat((*(np.lcm(cells, wanted) // cells), 1))
    top, axis, depth = _dangling(slab)
    steps = plane / cells[:, None]  # from a surface atom to the next
    u = steps[axis] / spacing
    place = (slab.positions[top] - slab.positions[top[0]])[:, :2] @ np.linalg.inv(steps[:, :2])
    cells = np.lcm(cells, wanted)
    place = np.round(place).astype(int) % cells
    inward = (spacing - length) / 2  # how far each atom goes toward its partner, at zero tilt
    sink = depth - np.sqrt(max(depth**2 - inward**2, 0.0))  # keeps the length of the bonds to the layer below
    angle = np.radians(tilt)
    for atom, i, j in zip(top, place[:, axis], place[:, 1 - axis]):
        side = 1 if i % 2 == 0 else -1  # the first atom of a pair moves along +u, its partner along -u
        t = angle * periods.tilt(i // 2, j)
        slab.positions[atom] += side * (spacing - length * np.cos(t)) / 2 * u
        slab.positions[atom, 2] += side * length / 2 * np.sin(t) - sink
    return slab


def _dangling(slab: Atoms) -> tuple[np.ndarray, int, float]:
    """The top atoms, which cell vector their dangling bonds lie along, and how far below their partners are (Å)."""
    tags, z = slab.get_tags(), slab.positions[:, 2]
    top = np.flatnonzero(tags == 1) if tags.any() else np.flatnonzero(z > z.max() - 0.3)
    i, _, vectors = bonded(slab)
    plane = np.asarray(slab.cell)[:2]
    if np.any(np.bincount(i, minlength=len(slab))[top] != 2) or abs(plane[0] @ plane[1]) > 1e-3:
        raise ValueError(
            "dimers need an ideal (100) surface of a diamond crystal: a rectangular cell, two bonds per top atom"
        )
    first, second = vectors[i == top[0]]
    rows = first - second  # the two bonds lie across the axis of the dimers, along their row
    slant = abs(plane @ rows) / np.linalg.norm(plane, axis=1)
    return top, int(np.argmin(slant)), float(-first[2])
