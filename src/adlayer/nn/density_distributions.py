r"""Radial sums of the densities of ``nn.density_projection``: what neighbors add one by one, whatever their angles.

    c_i,e n  = sum_j f(r_ij) h_n0(r_ij) Y_00                                        over neighbors of element e
    s_i,e nml = sqrt(8 pi² / (2l + 1)) (2l + 1) / 4 pi  sum_j f² h_nl(r_ij) h_ml(r_ij)

``c`` is the distribution of distances; ``s`` is the part of a power spectrum in which a neighbor meets itself. The
densities are those of normalized Gaussians: ``h_nl = (2 pi sigma²)^(-3/2) g_nl``.

Jinnouchi, Karsai, Verdi, Asahi and Kresse, J. Chem. Phys. 152, 234102 (2020).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .cutoffs import cosine_cutoff
from .density_projection import DensityProjection


@dataclass(frozen=True)
class RadialSums:
    """One of the two sums.

    Args:
        n_elements: of neighbors.
        cutoff: Å.
        sigma: width of the Gaussians, Å.
        n_max: number of radial functions.
        l_max: largest l.
        squares: whether ``s`` is meant, ``n <= m``, the last two indices ``m`` and ``l``, times sqrt(2) for ``n != m``.
    """

    n_elements: int
    cutoff: float
    sigma: float
    n_max: int
    l_max: int = 0
    squares: bool = False

    @property
    def spec(self) -> str:
        """Itself as text, as operators of torch take it."""
        return json.dumps(asdict(self))

    @staticmethod
    @lru_cache(maxsize=64)
    def of(spec: str) -> RadialSums:
        """The inverse of ``spec``."""
        return RadialSums(**json.loads(spec))

    @cached_property
    def projection(self) -> DensityProjection:
        return DensityProjection(self.n_max, self.l_max, self.sigma, self.cutoff, "bessel")

    @property
    def height(self) -> float:
        """Of the normalized Gaussian, 1/Å³."""
        return (2 * np.pi * self.sigma**2) ** -1.5

    @property
    def n_functions(self) -> int:
        """Of each element."""
        return self.n_max * (self.n_max + 1) // 2 * (self.l_max + 1) if self.squares else self.n_max

    def functions(self, r: Float[Tensor, "*p"]) -> Float[Tensor, "*p k"]:
        """What a neighbor at a distance (Å) adds."""
        h = self.height * cosine_cutoff(r, self.cutoff)[..., None, None] * self.projection(r)  # [*p, l, n]
        if not self.squares:
            return h[..., 0, :] / (4 * np.pi) ** 0.5
        n, m = torch.tensor(list(combinations_with_replacement(range(self.n_max), 2))).T
        both = 1 + (2**0.5 - 1) * (n != m).to(r)
        of_l = (8 * torch.pi**2 * (2 * torch.arange(self.l_max + 1).to(r) + 1)).sqrt() / (4 * torch.pi)
        return (h[..., n] * h[..., m] * both * of_l[:, None]).mT.flatten(-2)

    def __call__(
        self,
        vectors: Float[Tensor, "edges 3"],
        i: Int[Tensor, "edges"],
        j: Int[Tensor, "edges"],
        species: Int[Tensor, "atoms"],
    ) -> Float[Tensor, "atoms ek"]:
        """The sum of every atom, element by element."""
        each = self.functions(torch.linalg.vector_norm(vectors, dim=-1))
        total = each.new_zeros(len(species) * self.n_elements, self.n_functions)
        return total.index_add(0, i * self.n_elements + species[j], each).reshape(len(species), -1)
