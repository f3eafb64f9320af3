r"""FLARE: J. Vandermause et al., npj Comput. Mater. 6, 20 (2020).

    E = sum_pairs e2(r_ij) + sum_triangles e3(r_ij, r_ik, r_jk)

    <e2(r) e2(r')> = sigma_2² exp(-(r - r')² / 2 l_2²) f_2(r) f_2(r')
    <e3(x) e3(x')> = sigma_3² sum_P exp(-|x - P x'|² / 2 l_3²) f_3(x) f_3(x'),   f_3(x) = f(x_1) f(x_2) f(x_3)

with ``f(r) = (cutoff - r)²`` and ``P`` all permutations of three atoms that keep their elements in place. Everything is
as in FLARE's ``mc_simple.py``, where an atom has a half of each of its pairs and a third of each of its triangles.

There each process is known by its covariance with all forces it has seen. Here it is known at points of its own, of
which there are so many, of one and of three distances, that they say all the process can: to a tolerance far below the
noise both are the same, but the cost of this one does not grow with the data.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations, product
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import build
from ..graph import Graph, triplets
from ..kernels.bonds import bond_energies
from ..kernels.covariances import triangle_kernel
from ..nn.covariances import squared_exponential
from ..nn.cutoffs import quadratic_cutoff
from ..potential import PerAtom, Potential, Species, Sum
from .sparse_kernel import SparseKernel, SumOfKernels, leaving

_SIDES = {(0, 1): 0, (0, 2): 1, (1, 2): 2}  # of the three atoms of a triangle
_MEMORY = 64_000_000  # bytes of a block of derivatives
_FEW = 2000  # triangles of the data among which points are chosen, beside a lattice of all


class TriangleGP(SparseKernel):
    """``E_i = 1/3 sum_jk f_3(x) sum_s alpha_s delta² sum_P exp(-|x - P x_s|² / 2 theta²)``, ``j < k``.

    ``x = (r_ij, r_ik, r_jk)``, all shorter than the cutoff. Points are chosen among the triangles of the data and a
    lattice of all that could be, down to 0.8 of the shortest distance, so that doubt about what is new is not lost.

    Args:
        elements: chemical symbols.
        cutoff: of all three sides, Å.
        n_sparse: points for each triple of elements.
        delta: standard deviation of the energy of a triangle before any data, over ``f_3``, eV/Å⁶.
        theta: length over which it varies, Å.
        points: how they are chosen; see ``nn.sparse_points``.
        jitter: added to the covariance of the points, over ``delta²``.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "n_sparse": 3, "delta": 0.02}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 4.0,
        n_sparse: int = 200,
        delta: float = 0.001,
        theta: float = 1.0,
        points: str = "variance",
        jitter: float = 1e-8,
    ):
        super().__init__()
        self.cutoff, self.elements, self.species = float(cutoff), tuple(elements), Species(elements)
        groups, triple, order = _groups(len(elements))
        self.images = [_images(g) for g in groups]
        self.register_buffer("triple", triple, persistent=False)
        self.register_buffer("order", order, persistent=False)
        self._begin(len(groups), n_sparse, points, delta, jitter, 3)
        self.register_buffer("theta", torch.full((len(groups), 1), float(theta), dtype=torch.float64))  # Å
        self.register_buffer("image", torch.zeros(0, 3, dtype=torch.long))  # of the points, by exchange of equal atoms
        self.register_buffer("owner", torch.zeros(0, dtype=torch.long))  # which point it is one of
        x = 0.4 + 0.5 * torch.rand(n_sparse, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.place([cutoff * x] * len(groups))

    def forward(self, graph: Graph) -> PerAtom:
        z, graph = self.species(graph.numbers), graph.within(self.cutoff)
        points, weights, group = (x.index_select(0, self.owner) for x in (self.points, self.alpha, self.group))
        points = torch.gather(points, 1, self.image)
        tables = [points, self.delta**2 * weights, group, self.triple, self.order, self.theta, self.cutoff]
        return PerAtom(bond_energies(triangle_energies, triangle_kernel, graph, z, tables))

    def place(self, points: list[Float[Tensor, "_ 3"]], alpha: Float[Tensor, "M"] | None = None) -> None:
        super().place(points, alpha)
        images = [[P for _ in x for P in self.images[g]] for g, x in enumerate(points)]
        sizes = torch.tensor([len(self.images[g]) for g in self.group.tolist()], dtype=torch.long)
        self.image = torch.tensor([P for of in images for P in of], dtype=torch.long).reshape(-1, 3).to(self.group)
        self.owner = torch.arange(len(sizes)).repeat_interleave(sizes).to(self.group)

    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        graph, z = graph.within(self.cutoff), self.species(graph.numbers)
        e, f = triplets(graph)
        x, ijk = _triangles(graph, z, e, f)
        inside = x[:, 2] < self.cutoff
        ijk = tuple(k[inside] for k in ijk)
        return torch.gather(x[inside], 1, self.order[ijk]), self.triple[ijk]

    def candidates(self, group: int, x: Float[Tensor, "I D"]) -> Float[Tensor, "J D"]:
        begin = 0.8 * float(x.min())
        n = 1 + min(ceil((self.cutoff - begin) / (0.4 * float(self.theta[group, 0]))), 10)
        side = torch.linspace(begin, self.cutoff, n, dtype=x.dtype, device=x.device)
        a = torch.cartesian_prod(side, side, side)
        a = a[(2 * a.max(1).values <= 1.02 * a.sum(1))]  # which close
        return torch.cat([x[:_FEW], a])

    def kernel(self, x: Tensor, points: Tensor, group: int) -> Tensor:
        theta = self.theta[group].expand(3)
        return sum(squared_exponential(x, points[:, list(P)], theta) for P in self.images[group])

    def likeness(self, group: int, x: Tensor, points: Tensor) -> Float[Tensor, "I M"]:
        def itself(x: Tensor) -> Tensor:
            moved = torch.stack([x[:, list(P)] for P in self.images[group]], 1)
            return torch.exp(-0.5 * ((x[:, None] - moved) / self.theta[group]).square().sum(-1)).sum(-1)

        return self.kernel(x, points, group) * itself(x).rsqrt()[:, None] * itself(points).rsqrt()

    def triangles(
        self,
        sides: Float[Tensor, "T 3"],
        ijk: tuple[int, int, int],
        coefficients: Float[Tensor, "M modes"] | None = None,
    ) -> Float[Tensor, "T *modes"]:
        """An atom's share of the energy of triangles ``(r_ij, r_ik, r_jk)``, also of such as do not close.

        With ``coefficients`` instead of its own, in columns, several shares of each.
        """
        g, alpha = int(self.triple[ijk]), self.alpha.detach()
        if coefficients is not None:
            alpha = torch.linalg.solve_triangular(self.factor().T, coefficients, upper=True)
        of = self.group == g
        points, weights = self.points[of], (self.delta**2 * alpha)[of]
        e = torch.cat([self.kernel(x, points, g) @ weights for x in sides[:, self.order[ijk]].split(10_000)])
        return torch.einsum("t,t...->t...", quadratic_cutoff(sides, self.cutoff).prod(1) / 3, e)

    def fading(self, x: Float[Tensor, "I D"]) -> Float[Tensor, "I"]:
        return torch.ones_like(x[:, 0])  # points do not fade: those near the cutoff say as much as others

    def slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        graph, z = leaving(graph, atoms), self.species(graph.numbers)
        E = graph.vectors.new_zeros(graph.n_atoms, len(self.points))
        G = E.new_zeros(graph.n_edges, 3, len(self.points)) if forces else None
        e, h = triplets(graph)
        x, ijk = _triangles(graph, z, e, h)
        for g in self.group.unique().tolist():
            of = (self.group == g).nonzero().flatten()
            columns = slice(int(of[0]), int(of[-1]) + 1)
            y = self.points[columns][:, self.images[g]]  # [M, P, 3]
            inside = ((self.triple[ijk] == g) & (x[:, 2] < self.cutoff)).nonzero().flatten()
            for t in inside.split(1 + _MEMORY // (72 * y.numel())):
                order = self.order[tuple(k[t] for k in ijk)]
                apart = (torch.gather(x[t], 1, order)[:, None, None] - y) / self.theta[g]
                k = torch.exp(-0.5 * apart.square().sum(-1)) * self.delta**2 / 3
                left = (self.cutoff - x[t]).clamp_min(0)
                fade = left.square().prod(1)[:, None]
                total = fade * k.sum(-1)
                E[:, columns].index_add_(0, graph.i[e[t]], total)
                if not forces:
                    continue
                by = -fade[:, None] * torch.einsum("tmp,tmpd->tdm", k, apart / self.theta[g])
                by = torch.empty_like(by).scatter_(1, order[:, :, None].expand_as(by), by)  # by r_ij, r_ik, r_jk
                by = (by - 2 * total[:, None] / left[:, :, None]) / x[t][:, :, None]
                u, v = graph.vectors[e[t]], graph.vectors[h[t]]
                across = (v - u)[:, :, None] * by[:, 2:]
                G[:, :, columns].index_add_(0, e[t], u[:, :, None] * by[:, :1] - across)
                G[:, :, columns].index_add_(0, h[t], v[:, :, None] * by[:, 1:2] + across)
        return E[atoms], G


def triangle_energies(graph: Graph, z, points, weights, group, triple, order, theta, cutoff):
    """Energies of the atoms: the meaning of ``kernels.covariances.triangle_kernel``."""
    e, f = triplets(graph)
    x, ijk = _triangles(graph, z, e, f)
    of, sides = triple[ijk], torch.gather(x, 1, order[ijk])
    k = torch.exp(-0.5 * ((sides[:, None] - points) / theta[of][:, None]).square().sum(-1)) * (of[:, None] == group)
    share = quadratic_cutoff(x, cutoff).prod(1) * (k @ weights) / 3
    return share.new_zeros(graph.n_atoms).index_add(0, graph.i[e], share)


def _triangles(graph: Graph, z: Int[Tensor, "atoms"], e: Tensor, f: Tensor) -> tuple[Float[Tensor, "T 3"], tuple]:
    """``(r_ij, r_ik, r_jk)`` and the elements of ``i``, ``j`` and ``k``."""
    u, v = graph.vectors[e], graph.vectors[f]
    sides = torch.stack([torch.linalg.vector_norm(d, dim=-1) for d in (u, v, v - u)], -1)
    return sides, (z[graph.i[e]], z[graph.j[e]], z[graph.j[f]])


def _groups(n: int) -> tuple[list[tuple[int, ...]], Int[Tensor, "n n n"], Int[Tensor, "n n n 3"]]:
    """Unordered triples of elements, the number of each, and which sides come first, second and third in it."""
    groups = list(combinations_with_replacement(range(n), 3))
    triple, order = torch.zeros(n, n, n, dtype=torch.long), torch.zeros(n, n, n, 3, dtype=torch.long)
    for ijk in product(range(n), repeat=3):
        place = sorted(range(3), key=lambda k: ijk[k])
        triple[ijk] = groups.index(tuple(sorted(ijk)))
        order[ijk] = torch.tensor([_SIDES[tuple(sorted((place[a], place[b])))] for a, b in _SIDES])
    return groups, triple, order


def _images(group: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Permutations of the sides that come of exchanging equal atoms."""
    kept = [p for p in permutations(range(3)) if tuple(group[k] for k in p) == group]
    return [tuple(_SIDES[tuple(sorted((p[a], p[b])))] for a, b in _SIDES) for p in kept]


class FLARE(SumOfKernels):
    """Pairs and triangles: ``PairGP`` that fades quadratically, and ``TriangleGP``.

    The hyperparameters are FLARE's ``sig2``, ``ls2``, ``sig3`` and ``ls3``; its ``noise`` is the ``forces`` of
    ``SparseGP``, which finds all five by the likelihood of the data with ``hyperparameters = "lengths"``. The defaults
    are those of the published runs of silver and aluminum.

    Args:
        elements: chemical symbols.
        cutoff: of pairs, Å.
        cutoff_3: of all sides of triangles, Å.
        sigma_2: standard deviation of the energy of a pair before any data, over ``(cutoff - r)²``, eV/Å².
        length_2: over which it varies, Å.
        sigma_3: the same of triangles, eV/Å⁶.
        length_3: over which it varies, Å.
        pairs: points for each pair of elements.
        triangles: points for each triple of elements; 0: no triangles.
        jitter: added to the covariance of the points.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "cutoff_3": 3.5, "sigma_3": 0.02, "pairs": 3, "triangles": 2}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.4,
        cutoff_3: float = 3.5,
        sigma_2: float = 0.2,
        length_2: float = 1.0,
        sigma_3: float = 0.001,
        length_3: float = 1.0,
        pairs: int = 40,
        triangles: int = 200,
        jitter: float = 1e-8,
    ):
        super().__init__()
        pair = {"elements": list(elements), "cutoff": cutoff, "n_sparse": pairs, "theta": length_2, "jitter": jitter}
        parts = [build({"PairGP": {**pair, "delta": 0.5 * sigma_2, "fades": "quadratic"}}, Potential)]  # from both ends
        if triangles:
            parts.append(TriangleGP(elements, cutoff_3, triangles, sigma_3, length_3, jitter=jitter))
        self.sum = Sum(parts)
        self.cutoff, self.elements = self.sum.cutoff, tuple(elements)

    @property
    def hyperparameters(self) -> dict[str, float]:
        """As FLARE names them, after a fit has found them."""
        pair, *rest = self.sum.parts
        found = {"sig2": 2 * float(pair.delta), "ls2": float(pair.theta[0, 0])}
        return found | {k: v for p in rest for k, v in (("sig3", float(p.delta)), ("ls3", float(p.theta[0, 0])))}
