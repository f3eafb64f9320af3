r"""A neighbor's density that is a product of one in radius and one in angle: the projections of turbo SOAP.

    exp(-(r' - r)² / 2 sigma²) exp((cos w - 1) r² / sigma_t²),   w the angle between r' and r

has ``4 pi e^-x i_l(x) Y_lm(r)`` as its angular part, ``x = (r / sigma_t)²``, and is left with one integral over
distances:

    g_nl(r) = c(r) / (sigma sigma_t²) e^-x i_l(x) R_n(r),   R_n(r) = int exp(-(r' - r)² / 2 sigma²) f(r') phi_n(r') dr'

without ``r'²``. Widths may grow, ``sigma = sigma_0 + growth r``; the filter ``f`` is 1 up to a soft cutoff ``r_s``,
then ``exp(-8 (r' - r_s)² / (r_c - r_s)²)``; ``c`` is

    c(r) = [(1 - r / r_c)² (1 + 2 r / r_c)]^amplitude times 1, r + sqrt(2/pi) sigma or r² + sqrt(8/pi) sigma r + sigma²

by ``enhancement`` 0, 1 or 2: the mean of ``r'^enhancement`` under the Gaussian, nearly.

M. A. Caro, Phys. Rev. B 100, 024112 (2019). The original leaves out tails beyond four widths, which are steps of 1e-7
in its features; here they are whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from .density_projection import scaled_bessel
from .polynomials import gauss_legendre

BASES = ("poly3", "poly3gauss")


@dataclass(frozen=True)
class SeparableProjection:
    r"""The functions ``g_nl(r)`` of such a density, for neighbors of one element.

    ``phi_n`` are ``(1 - r / r_c)^(n + 2)``, ``n = 1 ..`` (poly3), or of these all but the last and
    ``exp(-r² / 2 sigma_0²)`` (poly3gauss), Löwdin-orthonormalized on ``dr``.

    Args:
        n_max: number of radial functions.
        l_max: largest l.
        cutoff: ``r_c``, Å.
        soft: ``r_s``, Å.
        sigma: radial width at no distance, Å.
        sigma_t: tangential width there, Å.
        growth: of the radial width with distance.
        growth_t: of the tangential width.
        amplitude: exponent with which neighbors fade over the whole range.
        enhancement: 0, 1 or 2.
        basis: poly3 or poly3gauss.
    """

    n_max: int
    l_max: int
    cutoff: float
    soft: float
    sigma: float
    sigma_t: float
    growth: float
    growth_t: float
    amplitude: float
    enhancement: int
    basis: str

    def __post_init__(self):
        if self.basis not in BASES:
            raise ValueError(f"basis must be one of {', '.join(BASES)}; got {self.basis!r}{nearest(self.basis, BASES)}")
        if self.enhancement not in (0, 1, 2):
            raise ValueError(f"enhancement must be 0, 1 or 2, got {self.enhancement!r}")
        if not (self.sigma > 0 and self.sigma_t > 0 and self.growth >= 0 and self.growth_t >= 0):
            raise ValueError(
                f"sigma and sigma_t must be positive and grow with distance or not at all; got {self.sigma} and "
                f"{self.sigma_t} Å, growing by {self.growth} and {self.growth_t}"
            )
        if self.amplitude < 0:
            raise ValueError(f"amplitude must be 0 or positive, got {self.amplitude}")

    @property
    def width(self) -> float:
        """Over which the functions vary, Å."""
        return min(self.sigma, self.sigma_t)

    def __call__(self, r: Float[Tensor, "*p"]) -> Float[Tensor, "*p l n"]:
        """``g_nl(r)`` of every distance (Å), also of zero."""
        nodes, transform = (torch.from_numpy(x).to(r) for x in self.sum_over_nodes)
        sigma, sigma_t = self.sigma + self.growth * r, self.sigma_t + self.growth_t * r
        R = torch.exp(-0.5 * ((r[..., None] - nodes) / sigma[..., None]) ** 2) @ transform
        waves = scaled_bessel(self.l_max, (r / sigma_t) ** 2)
        return (self._height(r, sigma) / (sigma * sigma_t**2))[..., None, None] * waves[..., :, None] * R[..., None, :]

    def _height(self, r: Float[Tensor, "*p"], sigma: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """``c(r)``."""
        inside = r < self.cutoff
        x = torch.where(inside, r / self.cutoff, 0.5)
        c = ((1 - x) ** 2 * (1 + 2 * x)) ** self.amplitude * inside if self.amplitude else torch.ones_like(r)
        match self.enhancement:
            case 0:
                return c
            case 1:
                return c * (r + (2 / np.pi) ** 0.5 * sigma)
            case _:
                return c * (r * r + (8 / np.pi) ** 0.5 * sigma * r + sigma * sigma)

    @cached_property
    def sum_over_nodes(self) -> tuple[Float[np.ndarray, "nodes"], Float[np.ndarray, "nodes n"]]:
        """``s_k`` (Å) and ``T_kn``: ``R_n(r) = sum_k T_kn exp(-(r - s_k)² / 2 sigma²)``."""
        s, w = (np.concatenate(x) for x in zip(self._panel(0.0, self.soft), self._panel(self.soft, self.cutoff)))
        beyond = np.maximum(s - self.soft, 0.0)
        f = np.exp(-8 * (beyond / (self.cutoff - self.soft)) ** 2) if self.soft < self.cutoff else np.ones_like(s)
        n = np.arange(1, self.n_max + 1)
        phi = np.sqrt((2 * n + 5) / self.cutoff) * (1 - s[:, None] / self.cutoff) ** (n + 2)
        if self.basis == "poly3gauss":
            phi[:, -1] = np.sqrt(2 / self.sigma) * np.pi**-0.25 * np.exp(-0.5 * (s / self.sigma) ** 2)
        # phi S^-1/2 on the nodes is the orthogonal factor of a polar decomposition, which knows nothing of S.
        U, _, V = np.linalg.svd(np.sqrt(w)[:, None] * phi, full_matrices=False)
        return s, (np.sqrt(w) * f)[:, None] * (U @ V)

    def _panel(self, begin: float, end: float) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of Gauss and Legendre, close enough for all Gaussians of the width."""
        return gauss_legendre(begin, end, 30 + int(3 * (end - begin) / self.sigma))
