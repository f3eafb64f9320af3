"""Collective variables: differentiable functions of a structure that tell where on its way it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pi
from typing import ClassVar, Literal

import torch
from ase.data import atomic_numbers
from jaxtyping import Bool, Float
from torch import Tensor

from ...config import Part, find_class
from ...neighbors import NeighborList, Pairs, pair_vectors
from ...nn.spherical_harmonics import spherical_harmonics
from ...structures import Structures, sum_systems
from ..monte_carlo.geometry import complete_cell

Atoms = int | list[int]  # atoms by their number in a structure, from 0; of several the center
Chosen = int | list[int] | str  # atoms by number, or all of an element


class CollectiveVariable(Part, ABC):
    """One number for each structure, with a derivative everywhere it may go.

    Atoms are named by their number in each structure of the batch, from 0.
    """

    unit: str = ""
    period: float | None = None

    @property
    def name(self) -> str:
        """For the log."""
        return type(self).__name__.lower()

    @abstractmethod
    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        """Its values, by operations that torch can differentiate by positions and cells."""


def values(variables: Sequence[CollectiveVariable], structures: Structures) -> Float[Tensor, "systems D"]:
    """Several variables of each structure."""
    return torch.stack([variable(structures) for variable in variables], -1)


def names(variables: Sequence[CollectiveVariable]) -> list[str]:
    """Their names with units, numbered where two are called the same."""
    plain = [v.name for v in variables]
    numbered = [f"{name} {k + 1}" if plain.count(name) > 1 else name for k, name in enumerate(plain)]
    return [f"{name} ({v.unit})" if v.unit else name for name, v in zip(numbered, variables)]


def wrapped(difference: Float[Tensor, "*n D"], variables: Sequence[CollectiveVariable]) -> Float[Tensor, "*n D"]:
    """Differences of variables, those of periodic ones the shorter way round."""
    if all(v.period is None for v in variables):
        return difference
    period = difference.new_tensor([v.period or torch.inf for v in variables])
    turns = (difference / period).round().nan_to_num() * period.nan_to_num(posinf=0.0)
    return difference - turns


@dataclass(frozen=True)
class Coordinate(CollectiveVariable):
    """A Cartesian coordinate of an atom, or of the center of several.

    Args:
        atoms: number of the atom, or a list.
        axis: which coordinate.
    """

    atoms: Atoms
    axis: Literal["x", "y", "z"] = "z"
    unit = "Å"

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        return center(structures, self.atoms)[:, "xyz".index(self.axis)]


@dataclass(frozen=True)
class Distance(CollectiveVariable):
    """Distance between two atoms, or centers, by the nearest image.

    Args:
        a: number of an atom, or a list.
        b: of the other.
    """

    a: Atoms
    b: Atoms
    unit = "Å"

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        return torch.linalg.vector_norm(between(structures, self.a, self.b), dim=-1)


@dataclass(frozen=True)
class Height(CollectiveVariable):
    """How high atoms are above others, along the normal of a surface.

    Args:
        atoms: number of the atom, or a list, of which the center counts.
        above: atoms whose center is at height zero, such as those of a layer.
    """

    atoms: Atoms
    above: Atoms
    unit = "Å"

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        return (between(structures, self.above, self.atoms) * normal(structures)).sum(-1)


@dataclass(frozen=True)
class Angle(CollectiveVariable):
    """The angle a-b-c.

    Args:
        a: number of an atom, or a list.
        b: of the one at the vertex.
        c: of the third.
    """

    a: Atoms
    b: Atoms
    c: Atoms
    unit = "°"

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        u, v = between(structures, self.b, self.a), between(structures, self.b, self.c)
        across = torch.linalg.vector_norm(torch.linalg.cross(u, v), dim=-1)
        return torch.atan2(across, (u * v).sum(-1)) * 180 / pi


@dataclass(frozen=True)
class Dihedral(CollectiveVariable):
    """The angle between the planes a-b-c and b-c-d, from -180° to 180°.

    Args:
        a: number of an atom, or a list.
        b: of the second.
        c: of the third.
        d: of the fourth.
    """

    a: Atoms
    b: Atoms
    c: Atoms
    d: Atoms
    unit = "°"
    period = 360.0

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        u, v, w = (between(structures, *pair) for pair in ((self.a, self.b), (self.b, self.c), (self.c, self.d)))
        m, n = torch.linalg.cross(u, v), torch.linalg.cross(v, w)
        y = torch.linalg.vector_norm(v, dim=-1) * (u * n).sum(-1)
        return torch.atan2(y, (m * n).sum(-1)) * 180 / pi


@dataclass(frozen=True)
class Coordination(CollectiveVariable):
    """How many neighbors atoms have, counted smoothly; all images count.

    ``sum_j s(r_ij)`` with ``s = 1 / (1 + (r/r0)^n)``, less its value and slope at the cutoff, mean over ``center``.

    Args:
        center: number of an atom, a list, or an element.
        of: the neighbors that count, likewise.
        r0: distance at which a neighbor counts half, Å.
        n: how sharply.
        cutoff: beyond which nothing counts, Å; default: twice ``r0``.
    """

    center: Chosen
    of: Chosen
    r0: float
    n: int = 6
    cutoff: float | None = None
    neighbors: NeighborList = field(init=False, repr=False)
    name: ClassVar[str] = "coordination number"

    def __post_init__(self):
        if self.cutoff is not None and self.cutoff <= self.r0:
            raise ValueError(f"Coordination: the cutoff must be beyond r0 = {self.r0} Å, got {self.cutoff}")
        object.__setattr__(self, "neighbors", NeighborList(self.cutoff or 2 * self.r0))

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        center, of = chosen(structures, self.center), chosen(structures, self.of)
        pairs, r = _pairs(structures, self.neighbors, center, of)
        r = torch.linalg.vector_norm(r, dim=-1)
        c = self.neighbors.cutoff
        s_c = 1 / (1 + (c / self.r0) ** self.n)
        slope = -self.n / c * s_c * (1 - s_c)
        s = (1 / (1 + (r / self.r0) ** self.n) - s_c - slope * (r - c)) / (1 - s_c + slope * c)
        total = r.new_zeros(structures.n_systems).index_add(0, structures.system[pairs.i], s)
        return total / sum_systems(center.to(r), structures)


@dataclass(frozen=True)
class Steinhardt(CollectiveVariable):
    """Bond-orientational order of atoms, mean over them: Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983).

    ``q_l = sqrt(4 pi / (2l + 1) sum_m |q_lm|²)`` with ``q_lm`` the mean of ``Y_lm`` over the neighbors of an atom, each
    of the weight ``w(r)`` that falls smoothly from 1 at ``r1`` to 0 at the cutoff. In perfect fcc ``q_4 = 0.191``,
    ``q_6 = 0.575``; in hcp 0.097 and 0.485.

    Args:
        l: 4 or 6 tell close-packed crystals from each other and from liquids.
        r1: distance up to which neighbors count in full, Å.
        cutoff: beyond which they do not count, Å: between the first and second shell.
        atoms: whose order it is: a number, a list, or an element; default: of all.
    """

    l: int
    r1: float
    cutoff: float
    atoms: Chosen | None = None
    neighbors: NeighborList = field(init=False, repr=False)

    def __post_init__(self):
        if not 0 < self.r1 < self.cutoff:
            raise ValueError(f"Steinhardt: r1 must be above 0 and below the cutoff, got {self.r1} and {self.cutoff}")
        object.__setattr__(self, "neighbors", NeighborList(self.cutoff))

    @property
    def name(self) -> str:
        return f"q{self.l}"

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        everyone = torch.ones_like(structures.numbers, dtype=torch.bool)
        which = everyone if self.atoms is None else chosen(structures, self.atoms)
        pairs, r = _pairs(structures, self.neighbors, which, everyone)
        length = torch.linalg.vector_norm(r, dim=-1)
        t = ((length - self.r1) / (self.cutoff - self.r1)).clamp(0, 1)
        w = 1 - t**3 * (10 - 15 * t + 6 * t * t)
        Y = spherical_harmonics(self.l, r / length[:, None])[:, self.l**2 :]
        summed = r.new_zeros(structures.n_atoms, Y.shape[1] + 1)
        summed = summed.index_add(0, pairs.i, torch.cat([w[:, None] * Y, w[:, None]], 1))
        count = summed[:, -1:]
        mean = summed[:, :-1] / torch.where(count > 0, count, 1.0)
        square = 4 * pi / (2 * self.l + 1) * mean.square().sum(1)
        q = torch.where(square > 1e-20, square.clamp_min(1e-20).sqrt(), 0.0)  # no slope where there is no order
        return sum_systems(q * which, structures) / sum_systems(which.to(q), structures)


@dataclass(frozen=True)
class Combination(CollectiveVariable):
    """A sum of variables, each times its weight, such as the difference of two distances.

    Args:
        variables: the terms.
        weights: their factors.
        unit: of the sum.
    """

    variables: list
    weights: list[float]
    unit: str = ""

    def __post_init__(self):
        if len(self.variables) != len(self.weights):
            raise ValueError(f"Combination: {len(self.variables)} variables need as many weights, got {self.weights}")

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        s = values(self.variables, structures)
        return s @ s.new_tensor(self.weights)


@dataclass(frozen=True)
class Function(CollectiveVariable):
    """One's own function of structures, by its dotted name: ``my_module.my_variable(structures) -> tensor [systems]``.

    Args:
        function: dotted name of a function of ``Structures`` by operations of torch.
        period: after which it repeats, where it does.
        unit: for the log.
    """

    function: str
    period: float | None = None
    unit: str = ""

    @property
    def name(self) -> str:
        return self.function.rpartition(".")[2].replace("_", " ")

    def __call__(self, structures: Structures) -> Float[Tensor, "systems"]:
        if "." not in self.function:
            raise ValueError(f"Function takes a dotted name such as my_module.my_variable, got {self.function!r}")
        s = find_class(self.function)(structures)
        if s.shape != (structures.n_systems,):
            raise ValueError(f"{self.function} must give one number for each structure, got shape {tuple(s.shape)}")
        return s


def rows(structures: Structures, atoms: Atoms) -> Float[Tensor, "systems k 3"]:
    """Positions of the same atoms in each structure."""
    index = torch.tensor([atoms] if isinstance(atoms, int) else list(atoms), device=structures.device)
    fewest = int(structures.counts.min())
    if not len(index) or int(index.min()) < 0 or int(index.max()) >= fewest:
        raise ValueError(f"a collective variable names atoms {atoms}, where structures have atoms 0 to {fewest - 1}")
    return structures.positions[structures.offsets[:-1, None] + index]


def center(structures: Structures, atoms: Atoms) -> Float[Tensor, "systems 3"]:
    """The center of atoms, each at its image nearest to the first."""
    r = rows(structures, atoms)
    if r.shape[1] == 1:
        return r[:, 0]
    return r[:, 0] + nearest(r - r[:, :1], structures).mean(1)


def between(structures: Structures, a: Atoms, b: Atoms) -> Float[Tensor, "systems 3"]:
    """The vector from the one center to the nearest image of the other."""
    return nearest((center(structures, b) - center(structures, a))[:, None], structures)[:, 0]


def nearest(vectors: Float[Tensor, "systems k 3"], structures: Structures) -> Float[Tensor, "systems k 3"]:
    """The shortest of the vectors that differ by lattice vectors along periodic axes; of skewed cells as well."""
    if not bool(structures.pbc.any()):
        return vectors
    cell, pbc = complete_cell(structures.to(structures.device)), structures.pbc
    with torch.no_grad():
        S = -(vectors @ torch.linalg.inv(cell)).round() * pbc[:, None]
        steps = torch.cartesian_prod(*[S.new_tensor([0.0, -1.0, 1.0])] * 3)  # [27, 3]; none is the first
        tries = S[:, :, None] + steps * pbc[:, None, None]
        length = (vectors[:, :, None] + tries @ cell[:, None]).square().sum(-1)
        best = length.argmin(-1)[..., None, None].expand(-1, -1, 1, 3)
        S = tries.gather(2, best)[:, :, 0]
    return vectors + S @ torch.where(pbc[:, :, None], structures.cell, 0.0)


def normal(structures: Structures) -> Float[Tensor, "systems 3"]:
    """The direction out of a surface: normal to its two periodic axes, the first two where all three are."""
    pbc = structures.pbc[0].tolist()
    axes = [k for k in range(3) if pbc[k]][:2]
    if len(axes) < 2 or not bool((structures.pbc == structures.pbc[0]).all()):
        raise ValueError("a height needs a surface: structures with the same two periodic axes")
    sign = -1.0 if axes == [0, 2] else 1.0
    n = sign * torch.linalg.cross(structures.cell[:, axes[0]], structures.cell[:, axes[1]])
    return n / torch.linalg.vector_norm(n, dim=-1, keepdim=True)


def chosen(structures: Structures, which: Chosen) -> Bool[Tensor, "atoms"]:
    """Which atoms are meant."""
    if isinstance(which, str):
        if which not in atomic_numbers:
            raise ValueError(f"{which!r} is no chemical symbol")
        mask = structures.numbers == atomic_numbers[which]
    else:
        rows(structures, which)
        index = torch.tensor([which] if isinstance(which, int) else list(which), device=structures.device)
        mask = torch.isin(torch.arange(structures.n_atoms) - structures.offsets[structures.system], index)
    if not bool((sum_systems(mask.double(), structures) > 0).all()):
        raise ValueError(f"a collective variable is about {which}, of which a structure has none")
    return mask


def _pairs(
    structures: Structures, neighbors: NeighborList, center: Bool[Tensor, "atoms"], of: Bool[Tensor, "atoms"]
) -> tuple[Pairs, Float[Tensor, "edges 3"]]:
    """Pairs of a center and a neighbor that counts, and their vectors, Å."""
    pairs = neighbors(structures)
    keep = center[pairs.i] & of[pairs.j]
    pairs = pairs._replace(i=pairs.i[keep], j=pairs.j[keep], shifts=pairs.shifts[keep])
    return pairs, pair_vectors(structures, pairs.i, pairs.j, pairs.shifts)
