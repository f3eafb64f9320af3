"""Where particles are inserted and deleted: the whole cell, a layer of it, a box, a sphere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import Part
from ...structures import Structures
from .geometry import lattice, nearest_image
from .state import Sampling


class Region(Part, ABC):
    """A part of space, given by a center and three edges: a parallelepiped, or the ball in it.

    It may hang on atoms that are not exchanged, for these stay where they are while a particle comes or goes.
    """

    endless: ClassVar[tuple[bool, bool, bool]] = (False, False, False)  # edges that are lattice vectors
    round: ClassVar[bool] = False
    floating: ClassVar[bool] = False  # may cross the border of the cell, but must not meet its own image

    @abstractmethod
    def frame(self, state: Sampling) -> tuple[Float[Tensor, "systems 3"], Float[Tensor, "systems 3 3"]]:
        """The center and the edges, Å."""

    def check(self, state: Sampling, size: float = 0.0) -> None:
        """Raise ``ValueError`` where it is not within the cell, or smaller than a molecule of this size (Å)."""
        name, (center, edges) = type(self).__name__, self.frame(state)
        least = torch.where(torch.tensor(self.endless), torch.inf, torch.linalg.vector_norm(edges, dim=-1)).min()
        if size > float(least):
            raise ValueError(
                f"the molecule is {size:.2f} Å long and the region {name} only {float(least):.2f} Å across"
            )
        _, inverse, heights = lattice(state.structures)
        if self.round:
            half = 0.5 * edges[:, 0, :1] / heights
        else:
            half = 0.5 * (edges @ inverse).abs().sum(1)
        middle = (center[:, None, :] @ inverse)[:, 0, :]
        within = (half <= 0.5 + 1e-9) & (self.floating | ((middle - half >= -1e-9) & (middle + half <= 1 + 1e-9)))
        if not bool((within | ~state.structures.pbc | torch.tensor(self.endless)).all()):
            raise ValueError(f"the region {name} reaches out of the cell: it must fit in it along each periodic axis")

    def volume(self, state: Sampling) -> Float[Tensor, "systems"]:
        """Å³."""
        return torch.linalg.det(self.frame(state)[1]).abs() * (pi / 6 if self.round else 1.0)

    def sample(self, state: Sampling, u: Float[Tensor, "systems k 3"]) -> Float[Tensor, "systems k 3"]:
        """Points spread evenly over the region, from numbers between 0 and 1."""
        center, edges = self.frame(state)
        if self.round:
            z, phi, r = 2 * u[..., 0] - 1, 2 * pi * u[..., 1], 0.5 * u[..., 2] ** (1 / 3)
            flat = (1 - z * z).sqrt()
            u = r[..., None] * torch.stack([flat * phi.cos(), flat * phi.sin(), z], -1) + 0.5
        return center[:, None, :] + (u - 0.5) @ edges

    def contains(
        self, state: Sampling, points: Float[Tensor, "many 3"], system: Int[Tensor, "many"]
    ) -> Bool[Tensor, "many"]:
        """Which points are in the region of their system, images included."""
        center, edges = self.frame(state)
        r, _ = nearest_image(points - center[system], state.structures, system)
        u = (r[:, None, :] @ torch.linalg.inv(edges)[system])[:, 0, :]
        u = u - u.round() * torch.tensor(self.endless)
        return torch.linalg.vector_norm(u, dim=-1) <= 0.5 if self.round else (u.abs() <= 0.5).all(-1)


def _plane(structures: Structures) -> tuple[Float[Tensor, "systems 2 3"], Float[Tensor, "systems 3"]]:
    """The two lattice vectors of a surface, and the unit vector that points out of it."""
    pbc = structures.pbc
    if not bool((pbc[:, 0] & pbc[:, 1]).all()):
        raise ValueError("a region between heights needs a surface, periodic along the first two lattice vectors")
    a, b = structures.cell[:, 0], structures.cell[:, 1]
    normal = torch.nn.functional.normalize(torch.linalg.cross(a, b), dim=-1)
    return torch.stack([a, b], 1), normal


@dataclass(frozen=True)
class WholeCell(Region):
    """All of a cell that is periodic along its three axes."""

    endless = (True, True, True)

    def frame(self, state):
        if not bool(state.structures.pbc.all()):
            raise ValueError(
                "WholeCell needs three periodic axes; use Above or Between for a slab, Sphere for a particle"
            )
        cell = state.structures.cell
        return 0.5 * cell.sum(1), cell


@dataclass(frozen=True)
class Between(Region):
    """The layer between two heights along the normal of a slab.

    Args:
        bottom: Å.
        top: Å.
    """

    bottom: float
    top: float
    endless = (True, True, False)

    def __post_init__(self):
        if self.top <= self.bottom:
            raise ValueError(f"top must be above bottom, got bottom = {self.bottom} and top = {self.top}")

    def frame(self, state):
        plane, normal = _plane(state.structures)
        edges = torch.cat([plane, (self.top - self.bottom) * normal[:, None, :]], 1)
        return 0.5 * plane.sum(1) + 0.5 * (self.bottom + self.top) * normal, edges


@dataclass(frozen=True)
class Above(Region):
    """The layer above a surface, from the highest atom that is not exchanged; it moves with this atom.

    Args:
        height: up to here above that atom, Å.
        depth: and from so far below it, Å.
    """

    height: float = 5.0
    depth: float = 0.0
    endless = (True, True, False)
    floating = True

    def __post_init__(self):
        if self.height + self.depth <= 0:
            raise ValueError(f"height + depth must be positive, got {self.height} + {self.depth}")

    def frame(self, state):
        plane, normal = _plane(state.structures)
        system = state.structures.system
        z = (state.structures.positions * normal[system]).sum(-1)
        top = z.new_full((len(normal),), -torch.inf).scatter_reduce(
            0, system, torch.where(state.kind < 0, z, torch.full_like(z, -torch.inf)), "amax"
        )
        if not bool(top.isfinite().all()):
            raise ValueError(
                "Above needs atoms that are not exchanged, above which to be; use Between for an empty cell"
            )
        edges = torch.cat([plane, (self.height + self.depth) * normal[:, None, :]], 1)
        middle = top + 0.5 * (self.height - self.depth)
        return 0.5 * plane.sum(1) + middle[:, None] * normal, edges


@dataclass(frozen=True)
class Box(Region):
    """A box along x, y and z.

    Args:
        low: lowest corner, Å.
        high: highest corner, Å.
    """

    low: Sequence[float]
    high: Sequence[float]

    def __post_init__(self):
        if len(self.low) != 3 or len(self.high) != 3 or any(a >= b for a, b in zip(self.low, self.high)):
            raise ValueError(f"low must be below high in x, y and z, got {self.low} and {self.high}")

    def frame(self, state):
        low, high = (state.structures.positions.new_tensor(list(x)) for x in (self.low, self.high))
        n = state.structures.n_systems
        return (0.5 * (low + high)).expand(n, 3), torch.diag(high - low).expand(n, 3, 3)


@dataclass(frozen=True)
class Sphere(Region):
    """A ball.

    Args:
        center: Å.
        radius: Å.
    """

    center: Sequence[float]
    radius: float
    round = True
    floating = True

    def __post_init__(self):
        if len(self.center) != 3 or self.radius <= 0:
            raise ValueError(
                f"a sphere has a center of three numbers and a radius > 0, got {self.center}, {self.radius}"
            )

    def frame(self, state):
        n = state.structures.n_systems
        center = state.structures.positions.new_tensor(list(self.center)).expand(n, 3)
        return center, 2 * self.radius * torch.eye(3).to(center).expand(n, 3, 3)
