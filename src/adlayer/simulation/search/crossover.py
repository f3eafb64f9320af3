"""Cut and splice: a child has one side of its mother and the other of its father.

Deaven and Ho, Phys. Rev. Lett. 75, 288 (1995), for clusters; along a periodic axis the cut is a slice of the cell.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...structures import Structures
from .geometry import random_rotation


def cut_and_splice(
    mother: Structures, father: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
) -> Float[Tensor, "atoms 3"]:
    """Positions of a child.

    Clusters are turned at random about their centers and cut by a plane. Where something repeats or is fixed, nothing
    is turned: the cut goes along a periodic axis, ``(s + o) mod 1 < c`` of its coordinate, or through the free atoms
    along a random direction. Of each element the child takes as many atoms from the mother as lie on her side, and the
    rest from those of the father that lie deepest on his, so that it has the composition of its parents.
    """
    x, y = mother.positions, father.positions
    if not bool(mother.pbc.any()) and bool(free.all()):
        x = (x - x.mean(0)) @ random_rotation(x, generator).mT
        y = (y - y.mean(0)) @ random_rotation(y, generator).mT
        a, b = x[:, 2], y[:, 2]
    else:
        a, b = _along(mother, x, y, free, generator)
    lowest, highest = float(a[free].min()), float(a[free].max())
    share = 0.25 + 0.5 * float(torch.rand((), generator=generator, dtype=torch.float64))
    cut = lowest + share * (highest - lowest)
    child = x.clone()
    for z in mother.numbers[free].unique().tolist():
        mine = (free & (mother.numbers == z)).nonzero()[:, 0]
        hers = mine[a[mine] < cut]
        his = mine[torch.argsort(b[mine], descending=True, stable=True)][: len(mine) - len(hers)]
        child[mine] = torch.cat([x[hers], y[his]])
    return child


def _along(mother: Structures, x, y, free, generator) -> tuple[Float[Tensor, "atoms"], Float[Tensor, "atoms"]]:
    """How far the atoms of both lie along the direction that is cut."""
    periodic = mother.pbc[0].nonzero()[:, 0].tolist()
    if not periodic:  # free atoms on a fixed cluster or support
        v = torch.randn(3, generator=generator, dtype=x.dtype)
        return x @ v, y @ v
    axis = periodic[int(torch.randint(len(periodic), (1,), generator=generator))]
    cell = torch.where(mother.pbc[0, :, None], mother.cell[0], torch.zeros_like(mother.cell[0]))
    to_scaled = torch.linalg.pinv(cell)[:, axis]
    offset = torch.rand((), generator=generator, dtype=x.dtype)
    return (x @ to_scaled + offset) % 1.0, (y @ to_scaled + offset) % 1.0
