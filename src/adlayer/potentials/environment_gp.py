"""Gaussian processes of whole environments, compared by any descriptor: SOAP's, and that of FLARE and VASP.

A. P. Bartók, R. Kondor and G. Csányi, Phys. Rev. B 87, 184115 (2013); forces and what the points leave open: see
``sparse_kernel``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import build, nearest
from ..descriptor import Descriptor
from ..descriptors.soap import SOAP
from ..graph import Graph
from ..kernels.covariances import dot_product_energies
from ..nn.covariances import dot_product, normalized, normalized_slope, power
from ..potential import PerAtom, Species, Unexplained
from ..structures import sum_systems
from .sparse_kernel import SparseKernel, leaving

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
        self.continuity, self.local = getattr(self.descriptor, "continuity", 1), self.descriptor.local
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

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Set what the descriptor learns from the data, then choose the points among what it sees."""
        graphs = list(graphs)
        self.descriptor.prepare(graphs)
        super().prepare(graphs)

    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        return self.features(graph), self.species(graph.numbers)

    def kernel(self, x: Tensor, points: Tensor, group: int) -> Tensor:
        return dot_product(x, points, self.zeta)

    def likeness(self, group: int, x: Tensor, points: Tensor) -> Float[Tensor, "I M"]:
        return self.kernel(normalized(x), normalized(points), group)

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
        G = J.new_zeros(*J.shape[:2], len(self.points))
        slope, center = self.zeta * power(k, self.zeta - 1) * same, z[graph.i]
        for g in range(self.n_groups):  # the points of other elements are as far away as can be
            edges, of = (x.nonzero().flatten() for x in (center == g, self.group == g))
            if len(edges) and len(of):
                of = slice(int(of[0]), int(of[-1]) + 1)
                G[edges, :, of] = (J[edges] @ self.points[of].T).mul_(slope[graph.i[edges], None, of])
        return E, G

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

    def tabulated(self, shortest: float) -> EnvironmentGP | None:
        made = self.mapped() if self.zeta == 2 else self
        return made if len(made.points) < len(self.points) else None

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
        if not self.local:
            return self._prior_by_positions(graph, p, z)
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

    def _prior_by_positions(self, graph: Graph, p: Float[Tensor, "atoms D"], z: Tensor) -> Float[Tensor, "atoms 3"]:
        """The same where every environment holds every atom of its structure."""
        s, zeta, raw = graph.structures, self.zeta, self.descriptor(graph).double()
        same = (s.system[:, None] == s.system) & (z[:, None] == z)
        S, prior = p @ p.T, p.new_zeros(graph.n_atoms, 3)
        once, twice = zeta * power(S, zeta - 1) * same, zeta * (zeta - 1) * power(S, max(zeta - 2, 0)) * same
        for a, c, slope in self.descriptor.along_positions(graph):
            B = normalized_slope(raw, slope.double()[:, None])[:, 0] if self.normalize else slope.double()
            X = B @ p.T
            k = sum_systems((once * (B @ B.T) + twice * X * X.T).sum(1), s)
            has = s.counts > a
            prior[s.offsets[:-1][has] + a, c] = k[has] * self.delta.double() ** 2
        return prior
