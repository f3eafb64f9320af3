r"""Gaussian approximation potential: A. P. Bartók et al., Phys. Rev. Lett. 104, 136403 (2010).

    E = sum_pairs e2(r_ij) + sum_triplets e3(i; j, k) + sum_i e(p_i)

each term a sparse Gaussian process; covariances add. Conventions are those of QUIP's ``gap_fit``: a pair counts from
both its ends, two neighbors of an atom in both orders, ``delta`` is the standard deviation of one term.
Review: Deringer et al., Chem. Rev. 121, 10073 (2021).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import build, nearest
from ..graph import Graph, sum_edges, triplets
from ..kernels.bonds import bond_energies
from ..kernels.covariances import pair_kernel, triplet_kernel
from ..nn.covariances import squared_exponential
from ..nn.cutoffs import cosine_switch, quadratic_cutoff
from ..potential import PerAtom, Potential, Species, Sum
from .sparse_kernel import SparseKernel, SumOfKernels, leaving


class PairGP(SparseKernel):
    """``E_i = sum_j f(r_ij) sum_s alpha_s f(r_s) delta² exp(-(r_ij - r_s)² / 2 theta²)``: QUIP's ``distance_2b``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        n_sparse: points for each pair of elements.
        delta: standard deviation of the energy of a pair before any data, eV.
        theta: length over which it varies, Å.
        transition: length over which pairs fade out before the cutoff, Å.
        points: how they are chosen: uniform, variance, cur, farthest, kmeans or random; see ``nn.sparse_points``.
        jitter: added to the covariance of the points, over ``delta²``.
        fades: how: cosine, or quadratic, FLARE's ``f = (cutoff - r)²`` (Å²) over the whole range; ``delta`` is then in
            eV/Å².
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "n_sparse": 4, "delta": 0.3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        n_sparse: int = 20,
        delta: float = 1.0,
        theta: float = 1.0,
        transition: float = 0.5,
        points: str = "uniform",
        jitter: float = 1e-8,
        fades: str = "cosine",
    ):
        super().__init__()
        if fades not in FADES:
            raise ValueError(f"fades must be one of {', '.join(FADES)}; got {fades!r}{nearest(fades, FADES)}")
        self.cutoff, self.elements, self.transition = float(cutoff), tuple(elements), float(transition)
        self.fades, self.species, n = fades, Species(elements), len(elements)
        pair, n_pairs = _unordered(n)
        self.register_buffer("pair", pair, persistent=False)
        self._begin(n_pairs, n_sparse, points, delta, jitter, 1)
        self.register_buffer("theta", torch.full((n_pairs, 1), float(theta), dtype=torch.float64))  # Å
        self.place([torch.linspace(0.4 * cutoff, 0.95 * cutoff, n_sparse)[:, None]] * n_pairs)

    def forward(self, graph: Graph) -> PerAtom:
        tables = [self.points, self.delta**2 * self.fade * self.alpha, self.group, self.pair, self.theta]
        parameters = [*tables, self.cutoff, self.transition, self.fades == "quadratic"]
        return PerAtom(bond_energies(pair_energies, pair_kernel, graph, self.species(graph.numbers), parameters))

    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        graph, z = graph.within(self.cutoff), self.species(graph.numbers)
        return graph.lengths[:, None], self.pair[z[graph.i], z[graph.j]]

    def kernel(self, x: Tensor, points: Tensor, group: int) -> Tensor:
        return squared_exponential(x, points, self.theta[group])

    def fading(self, x: Float[Tensor, "I D"]) -> Float[Tensor, "I"]:
        return _pair_fade(x[:, 0], self.cutoff, self.transition, self.fades == "quadratic")

    def candidates(self, group: int, x: Float[Tensor, "I D"]) -> Float[Tensor, "J D"]:
        if self.fades == "cosine":
            return x
        ends = torch.stack([0.8 * x.amin(0), torch.full_like(x[0], self.cutoff)])
        return torch.cat([ends, x])  # so that doubt about other distances is not lost

    def slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        graph, z = leaving(graph, atoms), self.species(graph.numbers)
        r, group = graph.lengths, self.pair[z[graph.i], z[graph.j]]
        apart, theta = r[:, None] - self.points[:, 0], self.theta[group]
        k = torch.exp(-0.5 * (apart / theta) ** 2) * (group[:, None] == self.group) * (self.delta**2 * self.fade)
        f, df = _with_slope(self.fading, r[:, None])
        E = sum_edges(f * k, graph)[atoms]
        slope = k * (df - f * apart / theta**2)
        return E, (graph.vectors / r[:, None])[:, :, None] * slope[:, None] if forces else None


def pair_energies(graph: Graph, z, points, weights, group, pair, theta, cutoff, transition, quadratic):
    """Energies of the atoms: the meaning of ``kernels.covariances.pair_kernel``."""
    r, of = graph.lengths, pair[z[graph.i], z[graph.j]]
    k = torch.exp(-0.5 * ((r[:, None] - points[:, 0]) / theta[of]) ** 2) * (of[:, None] == group)
    return sum_edges(_pair_fade(r, cutoff, transition, quadratic) * (k @ weights), graph)


FADES = ("cosine", "quadratic")


def _pair_fade(r: Float[Tensor, "I"], cutoff: float, transition: float, quadratic: bool) -> Float[Tensor, "I"]:
    return quadratic_cutoff(r, cutoff) if quadratic else cosine_switch(r, cutoff, transition)


class TripletGP(SparseKernel):
    """``E_i = sum_jk f(r_ij) f(r_ik) sum_s alpha_s f_s delta² exp(-1/2 sum_d ((x_d - x_sd) / theta_d)²)``.

    ``x = (r_ij + r_ik, (r_ij - r_ik)², r_jk)``: QUIP's ``angle_3b``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        n_sparse: points for each center and pair of neighbors.
        delta: standard deviation of the energy of a triplet before any data, eV.
        theta: lengths over which it varies, in units of the spread of each ``x_d`` among the data.
        transition: length over which neighbors fade out before the cutoff, Å.
        points: how they are chosen; see ``nn.sparse_points``.
        jitter: added to the covariance of the points, over ``delta²``.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "n_sparse": 3, "delta": 0.1}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 4.0,
        n_sparse: int = 100,
        delta: float = 0.1,
        theta: float = 1.0,
        transition: float = 0.5,
        points: str = "uniform",
        jitter: float = 1e-8,
        fades: str = "cosine",
    ):
        super().__init__()
        if fades not in FADES:
            raise ValueError(f"fades must be one of {', '.join(FADES)}; got {fades!r}{nearest(fades, FADES)}")
        self.cutoff, self.elements, self.transition = float(cutoff), tuple(elements), float(transition)
        self.fades, self.species, n = fades, Species(elements), len(elements)
        pair, n_pairs = _unordered(n)
        triple = torch.arange(n)[:, None, None] * n_pairs + pair
        self.register_buffer("triple", triple, persistent=False)
        self._begin(n * n_pairs, n_sparse, points, delta, jitter, 3)
        self.spread = float(theta)
        self.register_buffer("theta", torch.ones(n * n_pairs, 3, dtype=torch.float64))  # Å, Å², Å
        x = cutoff * torch.rand(n_sparse, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.place([x * torch.tensor([1.2, 0.1, 1.0])] * (n * n_pairs))

    def forward(self, graph: Graph) -> PerAtom:
        tables = [self.points, self.delta**2 * self.fade * self.alpha, self.group, self.triple, self.theta]
        z, graph = self.species(graph.numbers), graph.within(self.cutoff)
        parameters = [*tables, self.cutoff, self.transition]
        return PerAtom(bond_energies(triplet_energies, triplet_kernel, graph, z, parameters))

    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        graph, z = graph.within(self.cutoff), self.species(graph.numbers)
        e, f = triplets(graph)
        return _sides(graph.vectors[e], graph.vectors[f]), self.triple[z[graph.i[e]], z[graph.j[e]], z[graph.j[f]]]

    def adapt(self, group: int, x: Float[Tensor, "I D"]) -> None:
        if len(x) > 1:
            self.theta[group] = self.spread * x.std(0).clamp_min(1e-3)

    def stretch(self, factor: float) -> None:
        super().stretch(factor)
        self.spread *= factor

    def kernel(self, x: Tensor, points: Tensor, group: int) -> Tensor:
        return squared_exponential(x, points, self.theta[group])

    def fading(self, x: Float[Tensor, "I D"]) -> Float[Tensor, "I"]:
        apart = x[:, 1].clamp_min(0).sqrt()
        near, far = (cosine_switch(0.5 * (x[:, 0] + s * apart), self.cutoff, self.transition) for s in (-1, 1))
        return near * far

    def slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        graph, z = leaving(graph, atoms), self.species(graph.numbers)
        r, M = graph.lengths, len(self.points)
        fade, dfade = _with_slope(lambda r: cosine_switch(r[:, 0], self.cutoff, self.transition), r[:, None])
        u = graph.vectors / r[:, None]
        E = r.new_zeros(graph.n_atoms, M)
        G = r.new_zeros(graph.n_edges, 3, M) if forces else None
        for e, f in zip(*(x.split(1 + 2_000_000 // M) for x in triplets(graph))):
            group = self.triple[z[graph.i[e]], z[graph.j[e]], z[graph.j[f]]]
            x, theta = _sides(graph.vectors[e], graph.vectors[f]), self.theta[group][:, None]
            apart = (x[:, None] - self.points) / theta
            k = torch.exp(-0.5 * apart.square().sum(-1)) * (group[:, None] == self.group)
            k = 2 * k * self.delta**2 * self.fade  # each pair of neighbors counts in both orders
            E.index_add_(0, graph.i[e], fade[e] * fade[f] * k)
            if not forces:
                continue
            by_plus, by_minus, by_side = (-fade[e] * fade[f] * k)[..., None].mul(apart / theta).unbind(-1)
            by_minus = 2 * (r[e] - r[f])[:, None] * by_minus
            across = ((graph.vectors[f] - graph.vectors[e]) / x[:, 2:])[:, :, None] * by_side[:, None]
            along_e, along_f = dfade[e] * fade[f] * k + by_plus + by_minus, fade[e] * dfade[f] * k + by_plus - by_minus
            G.index_add_(0, e, u[e][:, :, None] * along_e[:, None] - across)
            G.index_add_(0, f, u[f][:, :, None] * along_f[:, None] + across)
        return E[atoms], G


def triplet_energies(graph: Graph, z, points, weights, group, triple, theta, cutoff, transition):
    """Energies of the atoms: the meaning of ``kernels.covariances.triplet_kernel``."""
    e, f = triplets(graph)
    of = triple[z[graph.i[e]], z[graph.j[e]], z[graph.j[f]]]
    x = _sides(graph.vectors[e], graph.vectors[f])
    k = torch.exp(-0.5 * ((x[:, None] - points) / theta[of][:, None]).square().sum(-1)) * (of[:, None] == group)
    fade = cosine_switch(graph.lengths, cutoff, transition)
    both = 2 * fade[e] * fade[f] * (k @ weights)  # each pair of neighbors counts in both orders
    return both.new_zeros(graph.n_atoms).index_add(0, graph.i[e], both)


def _sides(a: Float[Tensor, "T 3"], b: Float[Tensor, "T 3"]) -> Float[Tensor, "T 3"]:
    """``(|a| + |b|, (|a| - |b|)², |b - a|)``: the same in either order."""
    one, other, across = (torch.linalg.vector_norm(v, dim=-1) for v in (a, b, b - a))
    return torch.stack([one + other, (one - other) ** 2, across], -1)


class GAP(SumOfKernels):
    """Pairs, environments by ``SOAP``, and triplets and clusters where asked for: the sum of their covariances.

    Clusters are environments compared by ``ACEInvariants``. The settings are those usual with ``gap_fit``; for others,
    add ``PairGP``, ``TripletGP`` and ``EnvironmentGP``.

    Args:
        elements: chemical symbols.
        cutoff: of pairs and environments, Å.
        n_max: radial functions of SOAP.
        l_max: largest l of SOAP.
        sigma: width of the Gaussians of SOAP, Å.
        zeta: sharpness of the comparison of environments.
        n_sparse: environments kept of each element; 0: none are compared by SOAP.
        delta: standard deviation of the energy of an environment before any data, eV.
        pairs: points for each pair of elements; 0: no pair term.
        triplets: points for each triplet of elements; 0: no triplet term.
        points: how environments are chosen; see ``nn.sparse_points``.
        clusters: environments kept of each element that are compared by ACEInvariants; 0: none are.
        order: largest number of neighbors in their functions.
        degree: largest total degree of these.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "n_max": 2, "l_max": 2, "n_sparse": 3, "pairs": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        n_max: int = 8,
        l_max: int = 6,
        sigma: float = 0.5,
        zeta: float = 4,
        n_sparse: int = 1000,
        delta: float = 0.2,
        pairs: int = 20,
        triplets: int = 0,
        points: str = "variance",
        clusters: int = 0,
        order: int = 3,
        degree: float | list = 10.0,
    ):
        super().__init__()
        space = {"elements": elements, "cutoff": cutoff}

        def environments(n: int, descriptor: dict) -> Potential:
            process = {"n_sparse": n, "delta": delta, "zeta": zeta, "points": points}
            return build({"EnvironmentGP": {**space, **process, "descriptor": descriptor}}, Potential)

        soap = {"SOAP": {**space, "n_max": n_max, "l_max": l_max, "sigma": sigma, "normalize": False}}
        ace = {"ACEInvariants": {**space, "order": order, "degree": degree}}
        parts = [environments(n, of) for n, of in ((n_sparse, soap), (clusters, ace)) if n]
        parts += [TripletGP(elements, min(cutoff, 4.0), triplets)] if triplets else []
        parts += [PairGP(elements, cutoff, pairs)] if pairs else []
        if not parts:
            raise ValueError("a GAP needs points: n_sparse, pairs, triplets and clusters are all 0")
        self.sum = Sum(parts)
        self.cutoff, self.elements = float(cutoff), tuple(elements)


def _unordered(n: int) -> tuple[Int[Tensor, "n n"], int]:
    """A number for each unordered pair."""
    table = torch.zeros(n, n, dtype=torch.long)
    row, column = torch.triu_indices(n, n)
    table[row, column] = table[column, row] = torch.arange(len(row))
    return table, len(row)


def _with_slope(f, x: Float[Tensor, "I 1"]) -> tuple[Float[Tensor, "I 1"], Float[Tensor, "I 1"]]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = f(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach()[:, None], slope
