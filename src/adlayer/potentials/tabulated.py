r"""Pairs and triplets on cubic splines, and how any potential that is a sum of such is mapped to them.

    E_i = sum_j e2(r_ij) + sum_{j<k} e3(r_ij, r_ik, q)

with ``q`` the third side ``r_jk``, or the cosine of the angle between the two. The mapped Gaussian process of
A. Glielmo, C. Zeni and A. De Vita, Phys. Rev. B 97, 184307 (2018), and Vandermause et al., npj Comput. Mater. 6, 20
(2020): a prediction costs the same whatever the process has seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float
from torch import Tensor

from ..graph import Graph
from ..kernels.bonds import bond_energies
from ..kernels.splines import spline_kernel
from ..nn.splines import b_spline_coefficients, spline_energies
from ..potential import PerAtom, Potential, ReferenceEnergies, Species, Sum, evaluate
from ..structures import Structures

THIRDS = ("side", "cosine")


class Tabulated(Potential):
    """Pairs as cubic splines of ``r_ij``, triplets as those of ``r_ij``, ``r_ik`` and the third side or angle.

    Values and slopes vanish at the cutoffs; nearer than ``begin`` energies go on along straight lines. ``tabulate``
    makes one of another potential.

    Args:
        elements: chemical symbols.
        cutoff: of pairs, Å.
        cutoff_3: of ``r_ij`` and ``r_ik``, and of ``r_jk`` where that is the third, Å; 0: no triplets.
        begin: where the tables begin, Å.
        pairs: knots of the splines of pairs.
        triplets: knots along each direction of those of triplets.
        third: the third variable: side or cosine.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "cutoff_3": 3.5, "begin": 1.0, "pairs": 9, "triplets": 6}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        cutoff_3: float = 4.0,
        begin: float = 1.5,
        pairs: int = 200,
        triplets: int = 64,
        third: str = "side",
    ):
        super().__init__()
        if third not in THIRDS:
            raise ValueError(f"third must be one of {', '.join(THIRDS)}, got {third!r}")
        if not 0 <= begin < cutoff or (cutoff_3 and not begin < cutoff_3 <= cutoff):
            raise ValueError(
                f"tables must begin before both cutoffs, and cutoff_3 be 0 or at most the cutoff; got {begin}, "
                f"{cutoff_3} and {cutoff} Å"
            )
        self.elements, self.third, n = tuple(elements), third, len(elements)
        self.cutoff, self.cutoff_3, self.begin = float(cutoff), float(cutoff_3), float(begin)
        self.species = Species(elements)
        triple = torch.zeros(n, n, n, dtype=torch.long)
        self.triples = [(i, j, k) for i, j, k in product(range(n), repeat=3) if j <= k] if cutoff_3 else []
        for g, (i, j, k) in enumerate(self.triples):
            triple[i, j, k] = triple[i, k, j] = g
        self.register_buffer("triple", triple, persistent=False)
        self.knots, self.knots_3 = pairs, triplets
        self.register_buffer("pairs", torch.zeros(n * n, pairs + 2, dtype=torch.float64))
        self.register_buffer("triplets", torch.zeros(len(self.triples), *[triplets + 2] * 3, dtype=torch.float64))
        r, x = self.pair_grid(), self.triplet_grid()  # to begin with, something that bends
        e2 = 0.1 * (1 - r / cutoff) ** 2 * torch.sin(3 * r)
        near = (1 - x / max(cutoff_3, begin)) ** 2 if third == "side" else (1 - x[..., :2] / max(cutoff_3, begin)) ** 2
        e3 = 0.1 * near.prod(-1) * torch.cos(x[..., 0] + x[..., 1] + 0.5 * x[..., 2])
        self.place(e2.expand(n * n, -1), e3.expand(len(self.triples), -1, -1, -1))

    @property
    def steps(self) -> tuple[float, float, float, float]:
        """Steps of the three grids, of pairs, of ``r`` and of the third, and where the third begins."""
        side = (self.cutoff_3 - self.begin) / (self.knots_3 - 1)
        third = (2 / (self.knots_3 - 1), -1.0) if self.third == "cosine" else (side, self.begin)
        return (self.cutoff - self.begin) / (self.knots - 1), side, *third

    def pair_grid(self) -> Float[Tensor, "knots"]:
        """Distances of the knots, Å."""
        return torch.linspace(self.begin, self.cutoff, self.knots, dtype=torch.float64)

    def triplet_grid(self) -> Float[Tensor, "n n n 3"]:
        """``r_ij``, ``r_ik`` and the third at the knots."""
        r = torch.linspace(self.begin, self.cutoff_3, self.knots_3, dtype=torch.float64)
        q = torch.linspace(-1, 1, self.knots_3, dtype=torch.float64) if self.third == "cosine" else r
        return torch.stack(torch.meshgrid(r, r, q, indexing="ij"), -1)

    def place(self, pairs: Float[Tensor, "pairs knots"], triplets: Float[Tensor, "triples n n n"]) -> None:
        """Take energies at the knots (eV); those at the cutoffs are taken to be zero."""
        pairs = pairs.clone()
        pairs[:, -1] = 0
        self.pairs = b_spline_coefficients(pairs, 1, flat=True).to(self.pairs)
        c = triplets.clone()
        sides = (1, 2, 3) if self.third == "side" else (1, 2)
        for axis in sides:
            c.select(axis, -1).zero_()
        for axis in (1, 2, 3):
            c = b_spline_coefficients(c, axis, flat=axis in sides)
        self.triplets = c.to(self.triplets)

    def forward(self, graph: Graph) -> PerAtom:
        step, step_3, step_q, begin_q = self.steps
        last_q = 1.0 if self.third == "cosine" else self.cutoff_3
        ranges = [self.begin, self.cutoff, step, self.cutoff_3, step_3, begin_q, last_q, step_q, self.third == "cosine"]
        tables, z = [self.pairs, self.triplets, self.triple], self.species(graph.numbers)
        float32 = (torch.float32, torch.float64)
        return PerAtom(bond_energies(spline_energies, spline_kernel, graph, z, [*tables, *ranges], float32))


class Mapped(NamedTuple):
    """A potential on splines, and how far it is from what it was made of on structures or random clusters."""

    potential: Potential
    energy: float  # largest error of an atom's energy, eV
    forces: float  # largest error of a force component, eV/Å


def tabulate(
    potential: Potential,
    begin: float | None = None,
    pairs: int = 400,
    triplets: int = 64,
    structures: Structures | None = None,
) -> Mapped:
    """Map a sum of pairs and triplets to splines: FLARE, GAP without environments, Stillinger-Weber, Morse and so on.

    What is tabulated are energies of lone atoms, of two and of three; triangles are asked for as such where there are
    any. ``ValueError`` where more than three atoms depend on each other.

    Args:
        potential: what is mapped.
        begin: shortest distance in the tables, Å; the smallest covalent radius if not given.
        pairs: knots of the splines of pairs.
        triplets: knots along each direction of those of triplets.
        structures: where the error is measured; random clusters of three and of five atoms if not given.
    """
    if potential.elements is None:
        raise ValueError(f"{type(potential).__name__} knows any element, so that no table can be made for each")
    elements = list(potential.elements)
    begin = min(covalent_radii[atomic_numbers[e]] for e in elements) if begin is None else begin
    if (left := _many_body(potential, elements, begin)) > 1e-6:
        raise ValueError(
            f"{type(potential).__name__} is no sum of pairs and triplets: atoms with three neighbors have "
            f"{left:.2g} eV beyond those"
        )
    parts = list(_leaves(potential))
    straight = [p for p in parts if hasattr(p, "triangles")]
    bent = [p for p in parts if p not in straight and _bends(p, elements, begin)]
    maps: list[Potential] = []
    for third, of in (("side", straight), ("cosine", bent)):
        if of or (not maps and third == "cosine"):
            reach, first = max((p.cutoff for p in of), default=0.0), not maps
            knots = (pairs if first else 5), (triplets if of else 5)
            table = Tabulated(elements, potential.cutoff, reach, begin, *knots, third)
            ask = _of_sides if third == "side" else _of_angles
            x = table.triplet_grid()
            e3 = [
                sum(ask(p, elements, ijk, x.reshape(-1, 3)) for p in of).reshape(x.shape[:3]) for ijk in table.triples
            ]
            e2 = torch.zeros(len(elements) ** 2, table.knots, dtype=torch.float64)
            if first:
                e2 = _of_lengths(potential, elements, table.pair_grid())
            table.place(e2, torch.stack(e3) if e3 else x.new_zeros(0, *x.shape[:3]))
            maps.append(table)
    alone = torch.cat([_share(potential, elements, (k,), torch.zeros(1, 1, 3)) for k in range(len(elements))])
    if bool((alone != 0).any()):
        maps.insert(0, ReferenceEnergies(dict(zip(elements, alone.tolist()))))
    made = maps[0] if len(maps) == 1 else Sum(maps)
    structures = _random(elements, 1.3 * begin, 12, 30) if structures is None else structures
    a, b = (evaluate(p, structures, stress=False, std=False) for p in (made, potential))
    return Mapped(made, *(float((getattr(a, x) - getattr(b, x)).abs().max()) for x in ("energies", "forces")))


def _leaves(potential: Potential) -> Iterator[Potential]:
    whole = potential if isinstance(potential, Sum) else getattr(potential, "sum", None)
    if whole is None:
        yield potential
    else:
        for part in whole.parts:
            yield from _leaves(part)


def _of_lengths(potential: Potential, elements: list[str], r: Float[Tensor, "knots"]) -> Float[Tensor, "pairs knots"]:
    positions = torch.zeros(len(r), 2, 3, dtype=r.dtype)
    positions[:, 1, 0] = r
    return torch.stack([_share(potential, elements, ij, positions) for ij in product(range(len(elements)), repeat=2)])


def _of_sides(part: Potential, elements: list[str], ijk: tuple[int, int, int], x: Float[Tensor, "T 3"]) -> Tensor:
    return part.triangles(x, ijk)


def _of_angles(part: Potential, elements: list[str], ijk: tuple[int, int, int], x: Float[Tensor, "T 3"]) -> Tensor:
    a, b, cos = x.unbind(1)
    cos = cos.clamp(-1, 1 - 1e-9)  # no two atoms at one place
    positions = x.new_zeros(len(x), 3, 3)
    positions[:, 1, 0], positions[:, 2, 0], positions[:, 2, 1] = a, b * cos, b * (1 - cos * cos).sqrt()
    return torch.cat([_share(part, elements, ijk, y) for y in positions.split(20_000)])


def _share(
    potential: Potential, elements: list[str], kinds: tuple[int, ...], positions: Float[Tensor, "M n 3"]
) -> Tensor:
    """What the energy of the first atom owes to all others at once, and not to some of them (eV)."""
    total = 0.0
    for n in range(len(kinds)):
        for others in combinations(range(1, len(kinds)), n):
            atoms = [0, *others]
            s = _clusters(elements, [tuple(kinds[k] for k in atoms)], positions[:, atoms])
            energies = evaluate(potential, s, forces=False, stress=False, std=False).energies[s.offsets[:-1]].double()
            total = total + (-1) ** (len(kinds) - 1 - n) * energies
    return total


def _bends(part: Potential, elements: list[str], begin: float) -> bool:
    """Whether two neighbors at once give an atom more energy than one at a time."""
    r = torch.linspace(begin, 0.95 * max(part.cutoff, begin), 6, dtype=torch.float64)
    x = torch.cartesian_prod(r, r, torch.linspace(-1, 0.9, 6, dtype=r.dtype))
    triples = product(range(len(elements)), repeat=3)
    return any(float(_of_angles(part, elements, ijk, x).abs().max()) > 1e-9 for ijk in triples)


def _many_body(potential: Potential, elements: list[str], begin: float) -> float:
    """Largest energy that atoms owe to three neighbors at once, eV."""
    some = _random(elements, 1.3 * begin, 4, 30).positions.reshape(-1, 4, 3)
    kinds = [tuple((k + j) % len(elements) for j in range(4)) for k in range(len(elements))]
    return max(float(_share(potential, elements, k, some).abs().max()) for k in kinds)


def _clusters(elements: list[str], kinds: list[tuple[int, ...]], positions: Float[Tensor, "M n 3"]) -> Structures:
    numbers = torch.tensor([atomic_numbers[e] for e in elements])[torch.tensor(kinds)]
    M, n = positions.shape[:2]
    positions = positions.double()
    cell, none = positions.new_zeros(M, 3, 3), positions.new_zeros(M)
    of = torch.arange(M).repeat_interleave(n)
    numbers = numbers.expand(M, -1).reshape(-1)
    return Structures(numbers, positions.reshape(-1, 3), cell, cell[:, 0] != 0, of, none, none)


def _random(elements: list[str], least: float, n: int, many: int) -> Structures:
    """Clusters of ``n`` atoms as dense as comes by chance, none nearer than this to another."""
    rng, found = np.random.default_rng(0), []
    for _ in range(many):
        x = np.zeros((0, 3))
        while len(x) < n:
            new = rng.uniform(0, 1.5 * least * n ** (1 / 3), 3)
            x = np.vstack([x, new]) if (np.linalg.norm(x - new, axis=1) > least).all() else x
        found.append(torch.from_numpy(x))
    kinds = [tuple(rng.integers(0, len(elements), n).tolist()) for _ in found]
    return _clusters(elements, kinds, torch.stack(found))
