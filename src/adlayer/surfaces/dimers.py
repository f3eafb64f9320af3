"""Dimer reconstructions of Si(100) and its kin: Ramstad, Brocks and Kelly, Phys. Rev. B 51, 14504 (1995)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms

from ..config import nearest
from .contacts import bonds
from .generator import Generator, Made, take


class Pattern(NamedTuple):
    """How dimers tilt."""

    along: int  # period along the dimers' axis, in surface cells
    rows: int  # period along the rows
    tilt: Callable[[int, int], int]  # of row number and place in the row: -1, 0 or 1


PATTERNS = {
    "1x1": Pattern(1, 1, lambda row, place: 0),
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
        common: whether all are made in one cell that holds each of them, so that any method can compare their energies.
    """

    slab: str
    patterns: list[str] = ("p(2x1)", "p(2x2)")
    tilt: float = 18.0
    length: float = 2.4
    common: bool = False

    def __post_init__(self):
        known = list(PATTERNS)
        for pattern in self.patterns:
            if pattern not in known:
                raise ValueError(f"there is no pattern {pattern!r}{nearest(pattern, known)}; known: {', '.join(known)}")

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [
            reconstruct(atoms, pattern, self.tilt, self.length, self.patterns if self.common else ())
            for atoms in take(self.slab, made)
            for pattern in self.patterns
        ]


def reconstruct(
    slab: Atoms, pattern: str, tilt: float = 18.0, length: float = 2.4, beside: Sequence[str] = ()
) -> Atoms:
    """The slab with its top atoms in dimers; ``info["pattern"]`` says which.

    It is repeated until its cell holds the pattern, and those of ``beside``. Other arguments as for ``Dimers``.
    """
    cells, axis, spacing, _ = _surface(slab)
    along = np.lcm.reduce([PATTERNS[p].along for p in (pattern, *beside)])
    rows = np.lcm.reduce([PATTERNS[p].rows for p in (pattern, *beside)])
    wanted = np.lcm(cells, [along, rows] if axis == 0 else [rows, along])
    slab = slab.repeat((*(wanted // cells), 1))
    slab.info["pattern"] = pattern
    if pattern == "1x1":
        return slab
    cells, axis, spacing, depth = _surface(slab)
    top = _top(slab)
    steps = np.asarray(slab.cell)[:2] / cells[:, None]  # from a surface atom to the next
    place = (slab.positions[top] - slab.positions[top[0]])[:, :2] @ np.linalg.inv(steps[:, :2])
    place = np.round(place).astype(int) % cells
    for atom, i, j in zip(top, place[:, axis], place[:, 1 - axis]):
        side = 1 if i % 2 == 0 else -1  # the first atom of a pair moves along the axis, its partner against it
        t = np.radians(tilt) * PATTERNS[pattern].tilt(i // 2, j)
        # Both atoms keep their bonds to the layer below as long as they were: with the dimer's middle moved back by
        # `back` and `depth` become `height`, m² + h² = depth² for m = inward -+ back and h = height +- rise.
        inward, rise = (spacing - length * np.cos(t)) / 2, length / 2 * np.sin(t)
        height = np.sqrt(max(depth**2 - inward**2 - rise**2, 0.0) / (1 + (rise / inward) ** 2))
        back = rise * height / inward
        slab.positions[atom] += (side * inward - back) * steps[axis] / spacing
        slab.positions[atom, 2] += side * rise + height - depth
    return slab


def _top(slab: Atoms) -> np.ndarray:
    """The atoms of the top layer, by their tags where there are any."""
    tags, z = slab.get_tags(), slab.positions[:, 2]
    return np.flatnonzero(tags == 1 if tags.any() else z > z.max() - 0.3)


def _surface(slab: Atoms) -> tuple[np.ndarray, int, float, float]:
    """Surface cells along each vector, which vector dimers lie along, the cells' size, the next layer's depth (Å)."""
    top, plane = _top(slab), np.asarray(slab.cell)[:2]
    i, _, vectors = bonds(slab)
    if np.any(np.bincount(i, minlength=len(slab))[top] != 2) or abs(plane[0] @ plane[1]) > 1e-3:
        raise ValueError("dimers need an ideal (100) surface of diamond: a rectangular cell and two bonds per top atom")
    first, second = vectors[i == top[0]]
    across = abs(plane @ (first - second)) / np.linalg.norm(plane, axis=1)  # the two bonds spread along the row
    spacing = np.sqrt(abs(np.linalg.det(plane[:, :2])) / len(top))
    cells = np.round(np.linalg.norm(plane, axis=1) / spacing).astype(int)
    return cells, int(np.argmin(across)), float(spacing), float(-first[2])
