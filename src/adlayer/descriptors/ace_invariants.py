"""The invariants of the atomic cluster expansion as features: R. Drautz, Phys. Rev. B 99, 014104 (2019)."""

from __future__ import annotations

import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels import use_fused
from ..kernels.ace import densities
from ..kernels.ace_design import jacobian
from ..nn.cluster_expansion import ClusterExpansion
from ..nn.cluster_selection import select
from ..nn.radial_polynomials import RadialSets, preset
from ..potential import Species


class ACEInvariants(Descriptor):
    """``B_k / sqrt(gamma_k)``: the functions of ``ACE``, ``gamma_k = sum (n² + (weight_l l)²)`` of their factors.

    With the covariance ``p · p'`` of these features a Gaussian process is linear ACE with its smoothness prior. With
    that of ``EnvironmentGP``, ``(p · p' / |p| |p'|)^zeta``, it compares whole environments as with SOAP, but sees more
    than three atoms at once.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        order: largest number of neighbors in a function (correlation order), 1 to 6.
        degree: largest total degree ``sum (n + weight_l l)``, ``n = 1, 2 ..``; one for all orders, or one for each
            order from 2 on.
        weight_l: what a unit of ``l`` counts in the degree.
        radial: bessel, agnesi, morse, inverse or chebyshev; see ``nn.radial_polynomials``.
        n_features: keep so many functions, those of lowest degree.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "order": 2, "degree": 5.0}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        order: int = 3,
        degree: float | list = 10.0,
        weight_l: float = 1.5,
        radial: str = "agnesi",
        n_features: int | None = None,
    ):
        super().__init__()
        if not 1 <= order <= 6:
            raise ValueError(f"order must be 1 to 6, got {order}")
        self.elements, self.cutoff, self.species = tuple(elements), float(cutoff), Species(elements)
        functions = select(len(elements), order, degree, weight_l, None, None, pair=0)
        if not functions:
            raise ValueError(f"no function has a degree up to {degree}: take a larger one")
        radii = covalent_radii[[atomic_numbers[e] for e in elements]]
        n = 1 + max(c.n for f in functions for c in f)
        sets = RadialSets([preset(radial, n, self.cutoff)], radii[:, None] + radii[None, :])
        self.expansion = ClusterExpansion(functions, sets, n_features)
        basis = self.expansion.basis
        self.n_features = len(basis)
        gamma = [sum((c.n + 1) ** 2 + (weight_l * c.l) ** 2 for c in f) for f in basis.functions]
        self.scale = torch.tensor(gamma, dtype=torch.float64).rsqrt()
        place = torch.from_numpy(self.expansion.nodes.place[basis.columns])
        rows, values = torch.from_numpy(basis.rows), torch.from_numpy(basis.values)
        weights = torch.zeros(len(basis), self.expansion.n_nodes, dtype=torch.float64)
        self.weights = weights.index_put((rows, place), values * self.scale[rows], accumulate=True)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        weights = self.weights.to(graph.vectors).expand(len(self.elements), -1, -1)
        return densities(graph.vectors, weights, graph, self.species(graph.numbers), self.expansion)

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if not use_fused(graph.vectors):
            return super().jacobian(graph)
        return jacobian(graph, self.species(graph.numbers), self.expansion).mul_(self.scale.to(graph.vectors))
