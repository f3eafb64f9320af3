r"""Gaussian approximation potential: A. P. Bartók et al., Phys. Rev. Lett. 104, 136403 (2010).

    E = sum_pairs e2(r_ij) + sum_triplets e3(i; j, k) + sum_i e(p_i)

each term a sparse Gaussian process; covariances add. Conventions are those of QUIP's ``gap_fit``: a pair counts from
both its ends, two neighbors of an atom in both orders, ``delta`` is the standard deviation of one term.
Review: Deringer et al., Chem. Rev. 121, 10073 (2021).
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import build, nearest
from ..descriptor import Descriptor
from ..descriptors.soap import SOAP
from ..graph import Graph, sum_edges, triplets
from ..kernels.bonds import bond_energies
from ..kernels.covariances import dot_product_energies, pair_kernel, triplet_kernel
from ..nn.covariances import dot_product, normalized, normalized_slope, power, squared_exponential
from ..nn.cutoffs import cosine_switch, quadratic_cutoff
from ..potential import PerAtom, Potential, Species, Sum, Unexplained
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


PRIORS = ("kernel", "weights")


class EnvironmentGP(SparseKernel):
    """``E_i = sum_s alpha_s delta² (p_i · p_s)^zeta``, ``p`` the features of an environment, normalized.

    With ``SOAP`` the original covariance of environments; any other descriptor takes its place.

    Args:
        elements: chemical symbols.
        cutoff: of the default descriptor, Å.
        descriptor: what environments are compared by; ``SOAP`` within ``cutoff`` if not given.
        n_sparse: points for each element.
        delta: standard deviation of the energy of an atom before any data, eV.
        zeta: sharpness of the comparison.
        points: how they are chosen; see ``nn.sparse_points``.
        normalize: whether features are divided by their norm.
        jitter: added to the covariance of the points, over ``delta²``.
        prior: of the process (kernel), or of the weights of its points (weights), each ``N(0, delta²)``: Bayesian
            linear regression, as in VASP.
    """

    small = {"elements": ["Si", "H"], "descriptor": {"SOAP": SOAP.small}, "n_sparse": 4, "zeta": 2}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        descriptor: Descriptor | None = None,
        n_sparse: int = 1000,
        delta: float = 0.2,
        zeta: float = 4,
        points: str = "variance",
        normalize: bool = True,
        jitter: float = 1e-8,
        prior: str = "kernel",
    ):
        super().__init__()
        if zeta < 1:
            raise ValueError(f"zeta must be at least 1, got {zeta}")
        if prior not in PRIORS:
            raise ValueError(f"prior must be one of {', '.join(PRIORS)}; got {prior!r}{nearest(prior, PRIORS)}")
        self.descriptor: Descriptor = build(descriptor, Descriptor) or SOAP(elements, cutoff)
        if tuple(elements) != tuple(self.descriptor.elements):
            raise ValueError(
                f"elements are {', '.join(elements)} but those of the descriptor {', '.join(self.descriptor.elements)}"
            )
        self.cutoff, self.elements, self.zeta = self.descriptor.cutoff, tuple(elements), zeta
        self.continuity = getattr(self.descriptor, "continuity", 1)
        self.normalize, self.prior, self.species = normalize, prior, Species(elements)
        D = self.descriptor.n_features
        self._begin(len(elements), n_sparse, points, delta, jitter, D)
        x = torch.randn(n_sparse, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.place([normalized(x)] * len(elements))

    def features(self, graph: Graph) -> Float[Tensor, "atoms D"]:
        """``p`` of every atom."""
        p = self.descriptor(graph)
        return normalized(p) if self.normalize else p

    def forward(self, graph: Graph) -> PerAtom:
        p, z, weights = self.features(graph), self.species(graph.numbers), self.delta**2 * self.alpha
        if self.n_groups == 1:
            return PerAtom(dot_product_energies(p, self.points, weights, self.zeta))
        E = p.new_zeros(len(p))
        for g in range(self.n_groups):
            atoms, of = torch.nonzero(z == g)[:, 0], torch.nonzero(self.group == g)[:, 0]
            e = dot_product_energies(p.index_select(0, atoms), self.points[of], weights[of], self.zeta)
            E = E.index_copy(0, atoms, e)
        return PerAtom(E)

    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        return self.features(graph), self.species(graph.numbers)

    def kernel(self, x: Tensor, points: Tensor, group: int) -> Tensor:
        return dot_product(x, points, self.zeta)

    def fading(self, x: Float[Tensor, "I D"]) -> Float[Tensor, "I"]:
        return torch.ones_like(x[:, 0])

    def slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        graph, z = leaving(graph, atoms), self.species(graph.numbers)
        raw = self.descriptor(graph)
        p = normalized(raw) if self.normalize else raw
        same = (z[:, None] == self.group) * self.delta**2
        k = p @ self.points.T
        E = (power(k, self.zeta) * same)[atoms]
        if not forces:
            return E, None
        J = self.descriptor.jacobian(graph)
        J = normalized_slope(raw[graph.i], J) if self.normalize else J
        G = J @ self.points.T
        return E, G.mul_((self.zeta * power(k, self.zeta - 1) * same)[graph.i][:, None])

    def factor(self) -> Float[Tensor, "M M"]:
        """``L`` of the covariance of the points, or of ``delta²`` alone where their weights have the prior."""
        if self.prior == "kernel":
            return super().factor()
        return self.delta.double() * torch.eye(len(self.points), dtype=torch.float64, device=self.points.device)

    @torch.no_grad()
    def mapped(self, tolerance: float = 0.0) -> EnvironmentGP:
        """The same energies from as few points as there are features, for ``zeta = 2``, however many it has now.

        ``sum_s alpha_s (p · p_s)² = p · beta p = sum_k lambda_k (p · v_k)²`` with ``lambda_k`` and ``v_k`` of the
        matrix ``beta = sum_s alpha_s p_s p_sᵀ``: exact, or off by ``tolerance`` per atom at most.

        Args:
            tolerance: leave out what adds less than this to the energy of an atom, eV.
        """
        if self.zeta != 2:
            raise ValueError(f"only the square of a product (zeta = 2) is a quadratic form; zeta is {self.zeta}")
        made, points, weights = copy.deepcopy(self), [], []
        for g in range(self.n_groups):
            of = self.group == g
            p, alpha = self.points[of].double(), self.alpha[of].double()
            values, vectors = torch.linalg.eigh(p.T @ (alpha[:, None] * p))
            kept = values.abs() * self.delta.double() ** 2 > max(tolerance, 1e-15)
            points.append(vectors[:, kept].T)
            weights.append(values[kept])
        made.place(points, torch.cat(weights))
        return made

    @torch.no_grad()
    def unexplained(self, graph: Graph, forces: bool = False) -> Unexplained | None:
        """``k(i, j) - k(i, s) K⁻¹ k(s, j)``: of ``i = j``, of the atoms of each structure, and of their derivatives."""
        if self.prior == "weights":  # which are all there is
            return None
        p, z = (x.double() for x in (self.features(graph.to(self.dtype)), self.species(graph.numbers)))
        variance, total = p.new_zeros(len(p)), p.new_zeros(graph.n_systems)
        known = self.whitened(power(p @ self.points.T.double(), self.zeta) * (z[:, None] == self.group) * self.delta**2)
        offsets = graph.structures.offsets.tolist()
        for s, (begin, end) in enumerate(pairwise(offsets)):
            for a in range(begin, end, 1024):
                of, all_ = slice(a, min(a + 1024, end)), slice(begin, end)
                prior = power(p[of] @ p[all_].T, self.zeta) * (z[of, None] == z[all_]) * self.delta**2
                left = prior - known[of] @ known[all_].T
                variance[of], total[s] = left.diagonal(a - begin).clamp_min(0), total[s] + left.sum()
        left = (self._prior_of_forces(graph, p, z) - self._known_of_forces(graph)).clamp_min(0) if forces else None
        return Unexplained(variance, total.clamp_min(0), left)

    def _known_of_forces(self, graph: Graph) -> Float[Tensor, "atoms 3"]:
        return self.design(graph, virial=False).forces.double().square().sum(-1)

    def _prior_of_forces(self, graph: Graph, p: Float[Tensor, "atoms D"], z: Tensor) -> Float[Tensor, "atoms 3"]:
        """``k(F_a, F_a) = sum_ij d²k(i, j) / dr_a dr_a'`` over the environments that hold atom ``a``."""
        graph = graph.within(self.cutoff).to(self.dtype)
        J = self.descriptor.jacobian(graph).double()
        J = normalized_slope(self.descriptor(graph).double()[graph.i], J) if self.normalize else J
        back = graph.reverse  # edges that lead to an atom, in the order of those that leave it
        prior, zeta = p.new_zeros(graph.n_atoms, 3), self.zeta
        for a, (begin, end) in enumerate(pairwise(graph.first.tolist())):
            if begin == end:
                continue
            around = graph.j[begin:end]
            B = torch.cat([-J[begin:end].sum(0, keepdim=True), J[back[begin:end]]])  # dp_i / dr_a
            i = torch.cat([around.new_tensor([a]), around])
            P, same = p[i], z[i][:, None] == z[i]
            S = P @ P.T
            X = torch.einsum("ick,jk->cij", B, P)
            k = zeta * power(S, zeta - 1) * torch.einsum("ick,jck->cij", B, B)
            if zeta != 1:
                k = k + zeta * (zeta - 1) * power(S, zeta - 2) * X * X.mT
            prior[a] = (k * same).sum((1, 2)) * self.delta.double() ** 2
        return prior


class GAP(SumOfKernels):
    """Pairs, environments by ``SOAP``, and triplets where asked for: the sum of their covariances.

    The settings are those usual with ``gap_fit``; for others, add ``PairGP``, ``TripletGP`` and ``EnvironmentGP``.

    Args:
        elements: chemical symbols.
        cutoff: of pairs and environments, Å.
        n_max: radial functions of SOAP.
        l_max: largest l of SOAP.
        sigma: width of the Gaussians of SOAP, Å.
        zeta: sharpness of the comparison of environments.
        n_sparse: environments kept of each element.
        delta: standard deviation of the energy of an environment before any data, eV.
        pairs: points for each pair of elements; 0: no pair term.
        triplets: points for each triplet of elements; 0: no triplet term.
        points: how environments are chosen; see ``nn.sparse_points``.
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
    ):
        super().__init__()
        soap = SOAP(elements, cutoff, n_max, l_max, sigma, normalize=False)
        parts: list[Potential] = [EnvironmentGP(elements, cutoff, soap, n_sparse, delta, zeta, points)]
        parts += [TripletGP(elements, min(cutoff, 4.0), triplets)] if triplets else []
        parts += [PairGP(elements, cutoff, pairs)] if pairs else []
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
