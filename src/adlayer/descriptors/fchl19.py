"""FCHL19: A. S. Christensen, L. A. Bratholm, F. A. Faber and O. A. von Lilienfeld, J. Chem. Phys. 152, 044107 (2020).

The paper's defaults and normalization are those of the programs of its authors (QML, qmllib), whose features these are,
in their order. Two things are in the programs alone: the factor 2 of the angular functions, and the square root of
``eta3 / pi`` with which the three-body weight is multiplied.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import exp, pi, sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph, triplets_among
from ..kernels import fchl19 as kernel
from ..kernels import use_fused
from ..kernels.custom import fused
from ..potential import Species

IN_LINE = 1e-12  # sin² θ below which the slope of sin θ, which has a kink at 0, is damped to zero


class FCHL19(Descriptor):
    """Log-normal radial functions for each element, then radial and angular functions for each pair of elements.

    Two-body, with ``s² = ln(1 + eta2 / r²)``, ``mu = ln r - s² / 2`` and ``f`` the cosine cutoff:

        G_R = sum_j f(r_ij) r_ij^-N2 exp(-(ln R - mu)² / 2 s²) / (s R sqrt(2 pi))

    Three-body, with the factor of Axilrod and Teller and the first terms of a Fourier series in the angle:

        G_A = sum_{j<k} 2 exp(-zeta² / 2) (cos θ_i | sin θ_i) exp(-eta3 ((r_ij + r_ik) / 2 - R)²) f(r_ij) f(r_ik) X
        X = weight sqrt(eta3 / pi) (1 + 3 cos θ_i cos θ_j cos θ_k) / (r_ij r_ik r_jk)^N3

    ``sin θ`` has a kink where three atoms are in line, and so have the features; there its slope is taken as zero.

    Args:
        elements: chemical symbols; their order is that of the features.
        cutoff: of the two-body functions, Å.
        angular_cutoff: of the two neighbors of the three-body functions, Å.
        n_radial: radii ``R`` of the two-body functions, evenly spaced up to the cutoff.
        n_angular: radii ``R`` of the three-body functions.
        eta2: Å².
        eta3: 1/Å².
        zeta: width of the Fourier series, radians.
        two_body_decay: ``N2``.
        three_body_decay: ``N3``.
        three_body_weight: of the three-body functions beside the two-body ones.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.5, "angular_cutoff": 4.0, "n_radial": 5, "n_angular": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 8.0,
        angular_cutoff: float = 8.0,
        n_radial: int = 24,
        n_angular: int = 20,
        eta2: float = 0.32,
        eta3: float = 2.7,
        zeta: float = pi,
        two_body_decay: float = 1.8,
        three_body_decay: float = 0.57,
        three_body_weight: float = 13.4,
    ):
        super().__init__()
        if not 0 < angular_cutoff <= cutoff:
            raise ValueError(f"angular_cutoff is from 0 to the cutoff of {cutoff} Å, got {angular_cutoff}")
        if not (eta2 > 0 and eta3 > 0 and n_radial > 0 and n_angular > 0):
            raise ValueError(
                f"eta2, eta3, n_radial and n_angular must be positive, got {eta2}, {eta3}, {n_radial} and {n_angular}"
            )
        self.elements, self.cutoff = tuple(elements), float(cutoff)
        self.species = Species(elements)
        n = len(self.elements)
        self._spec = json.dumps(
            {
                "n_elements": n,
                "cutoff": float(cutoff),
                "angular_cutoff": float(angular_cutoff),
                "radial": [cutoff * (k + 1) / n_radial for k in range(n_radial)],
                "angular": [angular_cutoff * (k + 1) / n_angular for k in range(n_angular)],
                "eta2": eta2,
                "eta3": eta3,
                "two_body_decay": two_body_decay,
                "three_body_decay": three_body_decay,
                "amplitude": 2 * exp(-0.5 * zeta**2) * three_body_weight * sqrt(eta3 / pi),
                "in_line": IN_LINE,
            }
        )
        self.n_features = n * n_radial + n * (n + 1) * n_angular

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        return environments(graph.vectors, self._index(graph), self._spec)

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if not use_fused(graph.vectors):
            return super().jacobian(graph)
        return kernel.jacobian(graph.vectors, self._index(graph), self._spec)

    def _index(self, graph: Graph) -> list[Tensor]:
        return [graph.i, graph.j, graph.first, self.species(graph.numbers)]


def definition(
    vectors: Float[Tensor, "edges 3"], index: Sequence[Int[Tensor, "_"]], spec: str
) -> Float[Tensor, "atoms features"]:
    """Sums over edges and over pairs of edges: the meaning of the fused kernel."""
    i, j, first, species = index
    s = json.loads(spec)
    n_atoms, n = len(first) - 1, s["n_elements"]
    R2, R3 = (vectors.new_tensor(s[name]) for name in ("radial", "angular"))
    r = torch.linalg.vector_norm(vectors, dim=-1)

    def f(r: Tensor, cutoff: float) -> Float[Tensor, "n"]:
        return torch.where(r < cutoff, 0.5 + 0.5 * torch.cos(pi * r / cutoff), torch.zeros_like(r))

    s2 = torch.log1p(s["eta2"] / r**2)[:, None]
    mu = torch.log(r)[:, None] - 0.5 * s2
    radial = torch.exp(-((torch.log(R2) - mu) ** 2) / (2 * s2)) / (R2 * torch.sqrt(2 * pi * s2))
    radial = radial * (f(r, s["cutoff"]) * r ** -s["two_body_decay"])[:, None]
    G_R = vectors.new_zeros(n_atoms * n, len(R2)).index_add(0, i * n + species[j], radial)

    e, k = triplets_among(torch.nonzero(r.detach() < s["angular_cutoff"])[:, 0], i, first)
    a, b = vectors[e], vectors[k]
    A, B, dot = r[e] ** 2, r[k] ** 2, (a * b).sum(-1)
    D = (b - a).square().sum(-1)
    cosines = dot * (A - dot) * (B - dot) / (A * B * D)  # of the three angles, multiplied
    h = f(r, s["angular_cutoff"]) * r ** -s["three_body_decay"]
    weight = s["amplitude"] * h[e] * h[k] * (1 + 3 * cosines) * D ** (-0.5 * s["three_body_decay"])
    sin2 = torch.linalg.cross(a, b).square().sum(-1) / (A * B)
    near = sin2 < s["in_line"]
    sin = torch.where(near, sin2 * s["in_line"] ** -0.5, torch.where(near, torch.ones_like(sin2), sin2).sqrt())
    angle = weight[:, None] * torch.stack([dot / (r[e] * r[k]), sin], -1)  # [triplets, 2]
    gaussians = torch.exp(-s["eta3"] * (0.5 * (r[e] + r[k])[:, None] - R3) ** 2)
    angular = (gaussians[:, :, None] * angle[:, None, :]).flatten(1)
    p, q = species[j[e]], species[j[k]]
    low, high = torch.minimum(p, q), torch.maximum(p, q)
    pair = low * n - low * (low - 1) // 2 + high - low  # place in the upper triangle, row by row
    n_pairs = n * (n + 1) // 2
    G_A = vectors.new_zeros(n_atoms * n_pairs, angular.shape[1]).index_add(0, i[e] * n_pairs + pair, angular)
    return torch.cat([G_R.view(n_atoms, -1), G_A.view(n_atoms, -1)], 1)


environments = fused("fchl19", kernel.run, definition, kernel.shape)
