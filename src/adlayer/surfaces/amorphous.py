"""Slabs of amorphous solids: cut where the fewest bonds break, and told how many that were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from .contacts import bonds
from .generator import Generator, Made, take
from .passivation import caps
from .slab import in_vacuum


@dataclass(frozen=True)
class AmorphousSlab(Generator):
    """Slabs cut from a periodic amorphous solid, across one of its cell's vectors.

    Of ``n`` cuts at even spacing the ones that break the fewest bonds are kept. ``info`` says how many bonds broke
    (``broken_bonds``) and how many atoms of the top and of the bottom have fewer neighbors than before
    (``undercoordinated``, ``[bottom, top]``); a bond is shorter than 1.2 times the sum of the covalent radii. Tags
    number slices from the top, each as thick as an atom takes on average.

    Args:
        of: name of earlier structures, or a file, periodic in three directions.
        axis: 0, 1 or 2: of which vector the normal of the slab is the reciprocal.
        thickness: Å; default: the whole cell. Cells thinner than that are repeated.
        frames: how many slabs, of each given.
        n: how many cuts are tried.
        vacuum: on either side, Å; or ``[below, above]``.
        passivate: element that saturates the bonds that were cut, such as "H"; none by default.
        sides: which sides are passivated.
        frozen: Å of the bottom that hold still, and the passivating atoms there with them.
    """

    of: str | list[str]
    axis: int = 2
    thickness: float | None = None
    frames: int = 1
    n: int = 50
    vacuum: float | list[float] = 10.0
    passivate: str | None = None
    sides: Literal["bottom", "both"] = "bottom"
    frozen: float = 0.0

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {k: v for k, v in self.arguments.items() if k not in ("of", "frames", "n")}
        slabs = []
        for bulk in take(self.of, made):
            for height in best_cuts(bulk, self.axis, self.thickness, self.n, self.frames):
                slabs.append(amorphous_slab(bulk, height, **settings))
        return slabs


def amorphous_slab(
    bulk: Atoms,
    height: float = 0.0,
    axis: int = 2,
    thickness: float | None = None,
    vacuum: float | Sequence[float] = 10.0,
    passivate: str | None = None,
    sides: str = "bottom",
    frozen: float = 0.0,
) -> Atoms:
    """The part of a periodic solid from ``height`` (Å) up, ``thickness`` (Å) of it; see ``AmorphousSlab``."""
    solid = _upright(bulk, axis)
    period = solid.cell[2, 2]
    thickness = period if thickness is None else thickness
    if not 0 <= frozen <= thickness or thickness <= 0:
        raise ValueError(f"a slab has a thickness above zero and frozen is part of it, got {thickness} and {frozen} Å")
    thick, inside, lost = _cut(solid, height, thickness)
    i, j, _ = bonds(thick)
    broken = inside[i] & lost[j]
    loose, upward = np.unique(np.column_stack([i, thick.positions[j, 2] > height + thickness])[broken], axis=0).T
    atoms = thick[inside]
    size = (solid.get_volume() / len(solid)) ** (1 / 3)
    atoms.set_tags((height + thickness - atoms.positions[:, 2]) // size + 1)
    atoms.info = {
        "broken_bonds": int(broken.sum()),
        "undercoordinated": [int(np.sum(upward == 0)), int(np.sum(upward == 1))] if len(loose) else [0, 0],
    }
    still = atoms.positions[:, 2] < height + frozen
    if passivate is not None:
        below = thick.positions[:, 2] < height
        capping, partner = caps(thick, inside, lost & (below | (sides == "both")), passivate)
        capping.set_tags(np.where(below[partner], atoms.get_tags().max() + 1, 0))
        atoms += capping
        still = np.append(still, below[partner] & (frozen > 0))
    if still.any():
        atoms.set_constraint(FixAtoms(mask=still))
    return in_vacuum(atoms, vacuum)


def best_cuts(bulk: Atoms, axis: int = 2, thickness: float | None = None, n: int = 50, most: int = 1) -> list[float]:
    """The heights (Å) of the bottoms of the ``most`` slabs, of ``n`` tried, that break the fewest bonds."""
    if not 1 <= most <= n:
        raise ValueError(f"of {n} cuts 1 to {n} can be kept, got {most}")
    solid = _upright(bulk, axis)
    period = solid.cell[2, 2]
    i, _, vectors = bonds(solid)
    low = solid.positions[i, 2]
    low, length = low[vectors[:, 2] > 0], vectors[vectors[:, 2] > 0, 2]

    def crossing(height: np.ndarray) -> np.ndarray:
        """How many bonds, of one end at ``low``, a plane at this height cuts."""
        return (((height[:, None] - low) % period) <= length).sum(1)

    heights = np.arange(n) * period / n
    broken = crossing(heights) + crossing(heights + (period if thickness is None else thickness))
    return heights[np.sort(np.argsort(broken, kind="stable")[:most])].tolist()


def _upright(bulk: Atoms, axis: int) -> Atoms:
    """The solid with this axis as third, the normal of the other two along z and the first along x."""
    if axis not in (0, 1, 2) or not all(bulk.pbc):
        raise ValueError(
            f"a slab is cut across axis 0, 1 or 2 of a solid periodic in all three, got {axis}, {bulk.pbc}"
        )
    a, b, c = np.asarray(bulk.cell)[[(axis + 1) % 3, (axis + 2) % 3, axis]]
    normal = np.cross(a, b) * np.sign(np.linalg.det([a, b, c]))
    axes = np.array([a / np.linalg.norm(a), np.cross(normal, a), normal])
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    solid = Atoms(bulk.numbers, bulk.positions @ axes.T, cell=np.array([a, b, c]) @ axes.T, pbc=True)
    solid.wrap()
    return solid


def _cut(solid: Atoms, height: float, thickness: float) -> tuple[Atoms, np.ndarray, np.ndarray]:
    """Enough of the solid, which of its atoms are between the two planes, and which are beyond them."""
    c, reach = np.asarray(solid.cell[2]), 5.0  # Å, more than a bond spans
    first = int(np.floor((height - reach) / c[2])) - 1
    last = int(np.ceil((height + thickness + reach) / c[2]))
    copies = [solid.positions + k * c for k in range(first, last + 1)]
    thick = Atoms(np.tile(solid.numbers, len(copies)), np.concatenate(copies), cell=solid.cell, pbc=(1, 1, 0))
    z = thick.positions[:, 2]
    thick = thick[(z >= height - reach) & (z < height + thickness + reach)]
    z = thick.positions[:, 2]
    inside = (z >= height) & (z < height + thickness)
    return thick, inside, ~inside
