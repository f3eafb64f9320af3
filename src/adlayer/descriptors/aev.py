"""Atomic environment vectors: J. S. Smith, O. Isayev and A. E. Roitberg, Chem. Sci. 8, 3192 (2017); equations as there.

The factors 0.25 of Eq. 3 and 0.95 within the arc cosine of Eq. 4 are not in the paper but in the programs (NeuroChem,
TorchANI) with which the published potentials were made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import pi
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import nearest
from ..descriptor import Descriptor
from ..graph import Graph, triplets_among
from ..kernels import aev as kernel
from ..kernels.custom import fused
from ..potential import Species
from .symmetry_functions import CUTOFF_FUNCTIONS, cutoff_function


class AEV(Descriptor):
    """Radial functions for each element of neighbors, then angular functions for each pair of elements.

    ``G_R = 1/4 sum_j exp(-eta_R (r_ij - R_s)²) f_c(r_ij)`` (Eq. 3);
    ``G_A = 2 sum_{j<k} ((1 + cos(θ_jik - θ_s)) / 2)^zeta exp(-eta_A ((r_ij + r_ik) / 2 - R_s)²) f_c(r_ij) f_c(r_ik)``
    (Eq. 4) with ``cos θ_jik`` scaled by 0.95. The defaults are those of ANI-2x.

    Args:
        elements: chemical symbols; their order is that of the features.
        cutoff: of the radial functions, Å.
        angular_cutoff: of the angular functions, Å.
        radial_eta: 1/Å².
        angular_eta: 1/Å².
        zeta: sharpness in angle.
        radial_shifts: how many ``R_s``, evenly spaced from ``start`` to just before the cutoff; or all of them, Å.
        angular_shifts: the same of the angular functions.
        sections: how many ``θ_s``, in the middles of as many equal parts of 180 degrees; or all of them, radians.
        start: first shift, Å.
        cutoff_function: hard, cos, tanhu, tanh, exp, poly1, poly2, poly3 or poly4; TorchANI's "smooth" is exp.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.5, "angular_cutoff": 3.8, "radial_shifts": 4, "angular_shifts": 2}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.1,
        angular_cutoff: float = 3.5,
        radial_eta: float = 19.7,
        angular_eta: float = 12.5,
        zeta: float = 14.1,
        radial_shifts: int | list[float] = 16,
        angular_shifts: int | list[float] = 8,
        sections: int | list[float] = 4,
        start: float = 0.8,
        cutoff_function: str = "cos",
    ):
        super().__init__()
        if cutoff_function not in CUTOFF_FUNCTIONS:
            known = ", ".join(CUTOFF_FUNCTIONS)
            raise ValueError(
                f"no cutoff function {cutoff_function!r}{nearest(cutoff_function, CUTOFF_FUNCTIONS)}; there are {known}"
            )
        if not 0 < angular_cutoff <= cutoff:
            raise ValueError(f"angular_cutoff is from 0 to the cutoff of {cutoff} Å, got {angular_cutoff}")
        self.elements, self.cutoff = tuple(elements), cutoff
        self.species = Species(elements)
        n = len(self.elements)
        self.constants = constants = {
            "n_elements": n,
            "cutoff": cutoff,
            "angular_cutoff": angular_cutoff,
            "radial_eta": radial_eta,
            "angular_eta": angular_eta,
            "zeta": zeta,
            "radial_shifts": _grid(radial_shifts, start, cutoff),
            "angular_shifts": _grid(angular_shifts, start, angular_cutoff),
            "sections": _grid(sections, pi / (2 * sections), pi * (1 + 1 / (2 * sections)))
            if isinstance(sections, int)
            else list(sections),
            "cutoff_function": cutoff_function,
        }
        self._spec = json.dumps(constants)
        n_radial, n_shifts, n_sections = (len(constants[k]) for k in ("radial_shifts", "angular_shifts", "sections"))
        self.n_features = n * n_radial + n * (n + 1) // 2 * n_shifts * n_sections

    @classmethod
    def ani_1x(cls, elements: Sequence[str] = ("H", "C", "N", "O"), **arguments: Any) -> AEV:
        """As in ANI-1x and ANI-1ccx: J. S. Smith et al., J. Chem. Phys. 148, 241733 (2018)."""
        grid = {"radial_shifts": 16, "angular_shifts": 4, "sections": 8, "start": 0.9, "cutoff": 5.2}
        return cls(list(elements), **{**grid, "radial_eta": 16.0, "angular_eta": 8.0, "zeta": 32.0, **arguments})

    @classmethod
    def ani_2x(cls, elements: Sequence[str] = ("H", "C", "N", "O", "S", "F", "Cl"), **arguments: Any) -> AEV:
        """As in ANI-2x: C. Devereux et al., J. Chem. Theory Comput. 16, 4192 (2020)."""
        return cls(list(elements), **arguments)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        index = [graph.i, graph.j, graph.first, self.species(graph.numbers)]
        return environment_vectors(graph.vectors, index, self._spec)


def _grid(shifts: int | Sequence[float], start: float, end: float) -> list[float]:
    """So many numbers from ``start`` to just before ``end``, or the numbers themselves."""
    return [start + (end - start) * k / shifts for k in range(shifts)] if isinstance(shifts, int) else list(shifts)


def definition(
    vectors: Float[Tensor, "edges 3"], index: Sequence[Int[Tensor, "_"]], spec: str
) -> Float[Tensor, "atoms features"]:
    """Sums over edges and over pairs of edges: the meaning of the fused kernel."""
    i, j, first, species = index
    s = json.loads(spec)
    n_atoms, n = len(first) - 1, s["n_elements"]
    R, R_s, theta_s = (vectors.new_tensor(s[name]) for name in ("radial_shifts", "angular_shifts", "sections"))
    r = torch.linalg.vector_norm(vectors, dim=-1)

    def f_c(r: Tensor, cutoff: float) -> Float[Tensor, "n"]:
        return cutoff_function(r, r.new_tensor([cutoff]), s["cutoff_function"], 0.0)[:, 0]

    radial = 0.25 * torch.exp(-s["radial_eta"] * (r[:, None] - R) ** 2) * f_c(r, s["cutoff"])[:, None]  # Eq. 3
    G_R = vectors.new_zeros(n_atoms * n, len(R)).index_add(0, i * n + species[j], radial)

    e, f = triplets_among(torch.nonzero(r.detach() < s["angular_cutoff"])[:, 0], i, first)
    cos = (vectors[e] * vectors[f]).sum(-1) / (r[e] * r[f])
    theta = torch.acos(0.95 * cos)[:, None]
    A = 2 * ((1 + torch.cos(theta - theta_s)) / 2) ** s["zeta"]  # [triplets, sections]
    mean = (r[e] + r[f])[:, None] / 2
    f_cc = f_c(r[e], s["angular_cutoff"]) * f_c(r[f], s["angular_cutoff"])
    E = torch.exp(-s["angular_eta"] * (mean - R_s) ** 2) * f_cc[:, None]  # [triplets, shifts]
    angular = (E[:, :, None] * A[:, None, :]).flatten(1)  # Eq. 4
    a, b = species[j[e]], species[j[f]]
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    pair = low * n - low * (low - 1) // 2 + high - low  # place in the upper triangle, row by row
    n_pairs = n * (n + 1) // 2
    G_A = vectors.new_zeros(n_atoms * n_pairs, angular.shape[1]).index_add(0, i[e] * n_pairs + pair, angular)
    return torch.cat([G_R.view(n_atoms, -1), G_A.view(n_atoms, -1)], 1)


environment_vectors = fused("aev", kernel.run, definition, kernel.shape)
