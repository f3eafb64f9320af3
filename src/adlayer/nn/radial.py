"""Radial bases: a distance as several smooth numbers."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def gaussian_basis(r: Float[Tensor, "*shape"], cutoff: float, n: int) -> Float[Tensor, "*shape n"]:
    """``exp(-(r - mu_k)² / (2 d²))``, centers ``mu_k`` evenly from 0 to the cutoff (Å), ``d`` their spacing.

    Schütt et al., J. Chem. Phys. 148, 241722 (2018), with the width that SchNetPack gives it.
    """
    spacing = cutoff / (n - 1)
    centers = torch.arange(n, dtype=r.dtype, device=r.device) * spacing
    # The floor of e^-60 is beyond rounding; without it denormal numbers make all that follows ten times slower.
    return torch.exp(-(0.5 * ((r[..., None] - centers) / spacing) ** 2).clamp_max(60.0))


def sinc_basis(r: Float[Tensor, "*shape"], cutoff: float, n: int) -> Float[Tensor, "*shape n"]:
    """``sin(k pi r / r_c) / r``, ``k = 1 ... n`` (1/Å); ``r > 0``.

    Schütt, Unke and Gastegger, ICML (2021), Sec. 3.2.
    """
    k = torch.arange(1, n + 1, dtype=r.dtype, device=r.device)
    return torch.sin(k * (torch.pi / cutoff) * r[..., None]) / r[..., None]


def bessel_basis(r: Float[Tensor, "*shape"], cutoff: float, n: int) -> Float[Tensor, "*shape n"]:
    """``sqrt(2 / r_c) sin(k pi r / r_c) / r``: spherical Bessel functions, orthonormal in the sphere; ``r > 0``.

    Gasteiger, Groß and Günnemann, ICLR (2020), Eq. 7.
    """
    return (2 / cutoff) ** 0.5 * sinc_basis(r, cutoff, n)
