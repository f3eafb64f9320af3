"""How structures are changed to fall into other minima: moves of basin hopping, mutations of a population.

A perturbation takes one structure and gives new positions. Elements are exchanged by exchanging places, so that the
list of atoms stays what it was. Lengths are in units of the atoms' own sizes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import pi

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...config import Part
from ...neighbors import find_pairs
from ...structures import Structures
from ..state import State
from .geometry import direction, drop, rotation


@dataclass(frozen=True)
class Here:
    """One structure, as a move sees it."""

    structures: Structures
    free: Bool[Tensor, "atoms"]
    size: Float[Tensor, "atoms"]  # radii such that neighbors touch, Å
    energies: Float[Tensor, "atoms"] | None = None  # of the atoms, eV, where the method knows them

    @property
    def x(self) -> Float[Tensor, "atoms 3"]:
        return self.structures.positions

    @property
    def mobile(self) -> list[int]:
        return self.free.nonzero()[:, 0].tolist()

    @property
    def is_cluster(self) -> bool:
        """Whether nothing repeats and nothing is fixed."""
        return not bool(self.structures.pbc.any()) and bool(self.free.all())

    @property
    def center(self) -> Float[Tensor, "3"]:
        return self.x[self.free].mean(0)

    def neighbors(self) -> Float[Tensor, "atoms"]:
        """How many neighbors each atom has, counted smoothly."""
        pairs = find_pairs(self.structures, 4 * float(self.size.max()))
        r = torch.linalg.vector_norm(pairs.vectors, dim=-1) / (self.size[pairs.i] + self.size[pairs.j])
        return torch.zeros_like(self.size).index_add(0, pairs.i, torch.sigmoid(20 * (1.25 - r)))


class Perturbation(Part, ABC):
    """A change of one structure."""

    @abstractmethod
    def __call__(self, here: Here, reach: float, generator: torch.Generator) -> Float[Tensor, "atoms 3"]:
        """New positions.

        Args:
            here: the structure.
            reach: a factor for how far it goes, 1 by default, which a search may adapt.
            generator: of all random numbers.
        """

    def serves(self, here: Here) -> bool:
        """Whether it means something for such a structure."""
        return True


@dataclass(frozen=True)
class Shake(Perturbation):
    """Every atom that may move is displaced, uniformly in a cube: Wales and Doye, J. Phys. Chem. A 101, 5111 (1997).

    Args:
        amplitude: half the edge of the cube, in bond lengths.
    """

    amplitude: float = 0.36

    def __call__(self, here: Here, reach: float, generator: torch.Generator) -> Float[Tensor, "atoms 3"]:
        u = 2 * torch.rand(here.x.shape, generator=generator, dtype=here.x.dtype) - 1
        return here.x + (self.amplitude * reach) * (2 * here.size * here.free)[:, None] * u


@dataclass(frozen=True)
class Twist(Perturbation):
    """A cluster is cut by a plane through its center, and one side turned about the normal of the plane.

    Args:
        angle: largest turn, degrees.
    """

    angle: float = 180.0

    def __call__(self, here: Here, reach: float, generator: torch.Generator) -> Float[Tensor, "atoms 3"]:
        axis, u = direction(here.x, generator), 2 * float(torch.rand((), generator=generator, dtype=torch.float64)) - 1
        away = here.x - here.center
        turned = here.center + away @ rotation(axis, u * self.angle * pi / 180).mT
        return torch.where((away @ axis > 0)[:, None], turned, here.x)

    def serves(self, here: Here) -> bool:
        return here.is_cluster and len(here.x) > 3


@dataclass(frozen=True)
class Permutation(Perturbation):
    """Atoms of different elements exchange their places.

    Args:
        pairs: how many pairs, at most.
    """

    pairs: int = 1

    def __call__(self, here: Here, reach: float, generator: torch.Generator) -> Float[Tensor, "atoms 3"]:
        x, mobile, numbers = here.x.clone(), here.mobile, here.structures.numbers
        for _ in range(_draw(self.pairs, generator) + 1):
            a = mobile[_draw(len(mobile), generator)]
            others = [b for b in mobile if numbers[b] != numbers[a]]
            b = others[_draw(len(others), generator)]
            x[[a, b]] = x[[b, a]]
        return x

    def serves(self, here: Here) -> bool:
        return len(here.structures.numbers[here.free].unique()) > 1


@dataclass(frozen=True)
class Relocate(Perturbation):
    """The atoms that are bound most weakly are taken away and dropped elsewhere onto the surface, until they touch.

    On a cluster they come from a random direction (the angular move of Wales and Doye, 1997), on a slab down its
    normal at a random place. Weakly bound are atoms whose energy is above the mean of their element, where the method
    gives energies of atoms, else those with few neighbors.

    Args:
        atoms: how many, at most.
        weakest: among how many of the weakest the atom is drawn.
    """

    atoms: int = 2
    weakest: int = 4

    def __call__(self, here: Here, reach: float, generator: torch.Generator) -> Float[Tensor, "atoms 3"]:
        weakness = -here.neighbors() if here.energies is None else _above_its_kind(here)
        weakness = torch.where(here.free, weakness, torch.full_like(weakness, -torch.inf))
        x, order = here.x.clone(), torch.argsort(weakness, descending=True, stable=True).tolist()
        order = order[: min(self.weakest, int(here.free.sum()))]
        for _ in range(min(_draw(self.atoms, generator) + 1, len(order))):
            a = order.pop(_draw(len(order), generator))
            x[a] = drop(here.structures.with_positions(x), a, here.size, here.free, generator)
        return x

    def serves(self, here: Here) -> bool:
        return not bool(here.structures.pbc.all()) and len(here.x) > 1


def _above_its_kind(here: Here) -> Float[Tensor, "atoms"]:
    """Energies of the atoms above the mean of their element, eV: those of different elements have different zeros."""
    above = torch.zeros_like(here.energies)
    for z in here.structures.numbers.unique():
        kind = here.structures.numbers == z
        above[kind] = here.energies[kind] - here.energies[kind].mean()
    return above


def _draw(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (1,), generator=generator))


@dataclass(frozen=True)
class Mirror(Perturbation):
    """A cluster is cut by a plane through its center; one side is replaced by the mirror image of the other.

    Elements follow their places in height, so that the composition stays.
    """

    def __call__(self, here: Here, reach: float, generator: torch.Generator) -> Float[Tensor, "atoms 3"]:
        axis, x = direction(here.x, generator), here.x.clone()
        height = (here.x - here.center) @ axis
        for z in here.structures.numbers.unique().tolist():
            mine = (here.structures.numbers == z).nonzero()[:, 0]
            order = mine[torch.argsort(height[mine], stable=True)]
            half = len(order) // 2
            upper = order[len(order) - half :]
            x[order[:half]] = here.x[upper] - 2 * (height[upper].clamp_min(0))[:, None] * axis
        return x

    def serves(self, here: Here) -> bool:
        return here.is_cluster and len(here.x) > 3


def choose(moves: list | None, here: Here, otherwise: tuple[Perturbation, ...]) -> list[Perturbation]:
    """The moves asked for, or all others that serve; raises ``ValueError`` for one that means nothing here."""
    if moves is None:
        return [move for move in otherwise if move.serves(here)]
    for move in moves:
        if not move.serves(here):
            needs = {"Permutation": "two elements among the atoms that move", "Relocate": "a surface"}
            need = needs.get(type(move).__name__, "a free cluster of four atoms or more")
            raise ValueError(f"{type(move).__name__} needs {need}")
    return list(moves)


def perturbed(
    state: State,
    s: int,
    size: Float[Tensor, "atoms"],
    moves: list | None,
    otherwise: tuple[Perturbation, ...],
    generator: torch.Generator,
    reach: float = 1.0,
) -> Float[Tensor, "atoms_of_one 3"]:
    """Structure ``s`` of a batch, changed by one of the moves that is drawn at random."""
    a = slice(int(state.structures.offsets[s]), int(state.structures.offsets[s + 1]))
    energies = state.prediction.energies
    here = Here(state.structures[s], state.free[a], size[a], None if energies is None else energies[a])
    ways = choose(moves, here, otherwise)
    return ways[_draw(len(ways), generator)](here, reach, generator)
