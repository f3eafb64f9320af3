"""Ultra-fast potentials of pairs and triplets on splines.

S. R. Xie, M. Rupp and R. G. Hennig, npj Comput. Mater. 9, 162 (2023).
"""

from __future__ import annotations

from itertools import combinations_with_replacement as pairs_of
from itertools import product

import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..graph import Graph
from ..kernels.bonds import bond_energies
from ..kernels.spline_design import design
from ..kernels.splines import spline_kernel
from ..nn.splines import spline_energies
from ..potential import Design, PerAtom, Potential, Species

TRIM = 3  # last B-splines left out: value, slope and curvature vanish at the cutoff


class UF3(Potential):
    r"""``E_i = sum_j V2(r_ij) + sum_{j<k} V3(r_ij, r_ik, r_jk)``, each a sum of cubic B-splines (Eqs. 3-6).

    ``V2(r) = sum_n c_n B_n(r)`` and ``V3(r, s, t) = sum_lmn c_lmn B_l(r) B_m(s) B_n(t)`` for each pair and for each
    triplet of elements around the first of them. Knots are equally spaced; the splines that are the paper's, whose
    knots are repeated at the ends, span the same functions. ``V3`` of equal outer elements is symmetric, and products
    that no triangle reaches are left out. Nearer than ``begin`` energies go on along straight lines: add ``ZBL()``.
    Linear, so fitted by least squares, with a prior for functions that bend little (Eqs. 9-11).

    Args:
        elements: chemical symbols.
        cutoff: of pairs, Å.
        cutoff_3: of ``r_ij`` and ``r_ik`` of triplets, Å, where ``r_jk`` may be twice as long; 0: no triplets.
        begin: first knot, Å; the smallest covalent radius if not given.
        pairs: intervals between the knots of pairs.
        triplets: intervals along ``r_ij`` and ``r_ik``; along ``r_jk`` there are twice as many.
        ridge: what the prior gives for the size of coefficients, where it gives 1 for their second differences.
        weight_3: weight of the prior of triplets beside that of pairs.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "cutoff_3": 3.0, "begin": 0.8, "pairs": 8, "triplets": 4}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        cutoff_3: float = 4.0,
        begin: float | None = None,
        pairs: int = 24,
        triplets: int = 8,
        ridge: float = 1e-3,
        weight_3: float = 1.0,
    ):
        super().__init__()
        if begin is None:
            begin = float(min(covalent_radii[atomic_numbers[e]] for e in Species(elements).elements))
        if not 0 <= begin < cutoff or (cutoff_3 and not begin < cutoff_3 <= cutoff):
            raise ValueError(
                f"UF3: begin must be below both cutoffs, and cutoff_3 be 0 or at most the cutoff; got {begin}, "
                f"{cutoff_3} and {cutoff} Å"
            )
        if min(pairs, triplets) < 4:
            raise ValueError(f"UF3: pairs and triplets need at least 4 intervals, got {pairs} and {triplets}")
        self.elements, n = tuple(elements), len(elements)
        self.cutoff, self.cutoff_3, self.begin = float(cutoff), float(cutoff_3), float(begin)
        self.ridge, self.weight_3 = ridge, weight_3
        self.species = Species(elements)
        self.steps = ((cutoff - begin) / pairs, (cutoff_3 - begin) / triplets, (2 * cutoff_3 - begin) / 2 / triplets)
        self.shape_2, self.shape_3 = pairs + 3, (triplets + 3, triplets + 3, 2 * triplets + 3)
        self.couples = list(pairs_of(range(n), 2))
        self.triples = [(i, j, k) for i, (j, k) in product(range(n), pairs_of(range(n), 2))] if cutoff_3 else []
        self._number()
        generator = torch.Generator().manual_seed(0)
        self.c = nn.Parameter(0.01 * torch.randn(self.n_coefficients, generator=generator, dtype=torch.float64))  # eV

    def _number(self) -> None:
        """Which coefficient is where in the tables of pairs and triplets; the last, which is zero, where there is none.

        Each table of a triplet has those of ``j <= k``, in the order of the elements.
        """
        n, free = len(self.elements), self.shape_2 - TRIM
        place_2 = torch.arange(len(self.couples) * free).reshape(-1, free)
        active, count, places = self._active(), len(self.couples) * free, []
        for _, j, k in self.triples:
            own = active & torch.ones_like(active[:, :, 0]).triu()[:, :, None] if j == k else active
            place = torch.full(self.shape_3, -1)
            place[own] = torch.arange(count, count + int(own.sum()))
            places.append(torch.maximum(place, place.transpose(0, 1)) if j == k else place)
            count += int(own.sum())
        self.n_coefficients = count
        place_2 = nn.functional.pad(place_2, (0, TRIM), value=count)
        of = torch.zeros(n, n, dtype=torch.long)
        for p, (i, j) in enumerate(self.couples):
            of[i, j] = of[j, i] = p
        place_3 = torch.stack(places) if places else torch.zeros(0, *self.shape_3, dtype=torch.long)
        triple = torch.zeros(n, n, n, dtype=torch.long)
        for g, (i, j, k) in enumerate(self.triples):
            triple[i, j, k] = triple[i, k, j] = g
        self.register_buffer("place_2", place_2[of.flatten()], persistent=False)
        self.register_buffer("place_3", torch.where(place_3 < 0, count, place_3), persistent=False)
        self.register_buffer("triple", triple, persistent=False)

    def _active(self) -> Bool[Tensor, "n n m"]:
        """Which products of three B-splines do not vanish for all triangles, and not only beyond the cutoff."""
        _, h, h_q = self.steps
        x, q = torch.arange(self.shape_3[0]), torch.arange(self.shape_3[2])
        low, high = self.begin + h * (x - 3) * (x > 2), (self.begin + h * (x + 1)).clamp_max(self.cutoff_3)
        low = torch.where(x > 2, low, 0.0)  # the first three go on to zero
        low_q, high_q = torch.where(q > 2, self.begin + h_q * (q - 3), 0.0), self.begin + h_q * (q + 1)
        longest = high[:, None] + high
        shortest = torch.maximum(low[:, None] - high, low - high[:, None])
        active = (longest[:, :, None] > low_q) & (shortest[:, :, None] < high_q)
        active[-TRIM:], active[:, -TRIM:], active[:, :, -TRIM:] = False, False, False
        return active

    @property
    def ranges(self) -> list[float | bool]:
        """What ``nn.splines.spline_energies`` needs to know of the grids."""
        h, h_3, h_q = self.steps
        return [self.begin, self.cutoff, h, self.cutoff_3, h_3, self.begin, 2 * self.cutoff_3, h_q, False]

    def forward(self, graph: Graph) -> PerAtom:
        c = torch.cat([self.c, self.c.new_zeros(1)])
        tables = [c[self.place_2], c[self.place_3], self.triple]
        float32, z = (torch.float32, torch.float64), self.species(graph.numbers)
        return PerAtom(bond_energies(spline_energies, spline_kernel, graph, z, [*tables, *self.ranges], float32))

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        return self.c.detach()

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        self.c.data.copy_(values)

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        z, places = self.species(graph.numbers), (self.place_2, self.place_3, self.triple)
        return Design(*design(graph, z, places, self.ranges, self.n_coefficients, self.dtype, forces, virial))

    def penalty(self) -> Float[Tensor, "K K"]:
        """``ridge |c|² + |second differences of c along each axis|²``, with the zeros at the cutoff among them."""
        P = torch.zeros(self.n_coefficients + 1, self.n_coefficients + 1, dtype=torch.float64)
        first = [self.elements.index(self.elements[i]) * len(self.elements) + j for i, j in self.couples]
        for tables, weight in ((self.place_2[first], 1.0), (self.place_3, self.weight_3)):
            P.diagonal().index_add_(
                0, tables.flatten().cpu(), torch.full((tables.numel(),), weight * self.ridge).double()
            )
            for axis in range(1, tables.ndim):
                _add_differences(P, tables.cpu(), axis, weight)
        return P[:-1, :-1].to(self.c)


def _add_differences(P: Float[Tensor, "K1 K1"], places: Tensor, axis: int, weight: float) -> None:
    """Add ``weight (c_k - 2 c_{k+1} + c_{k+2})²`` along an axis, where the coefficients are there or trimmed."""
    n, none = places.shape[axis], len(P) - 1
    three = torch.stack([places.narrow(axis, k, n - 2) for k in range(3)])
    trimmed = (torch.arange(n) >= n - TRIM).reshape([-1 if d == axis else 1 for d in range(places.ndim)])
    known = (places != none) | trimmed
    whole = torch.stack([known.narrow(axis, k, n - 2) for k in range(3)]).all(0) & (three[0] != none)
    three = three[:, whole]
    for a, b in product(range(3), repeat=2):
        value = weight * (1, -2, 1)[a] * (1, -2, 1)[b]
        P.index_put_((three[a], three[b]), P.new_full((three.shape[1],), value), accumulate=True)
