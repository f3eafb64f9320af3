"""Covariances of Gaussian processes: how alike two inputs are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def squared_exponential(
    x: Float[Tensor, "N D"], y: Float[Tensor, "M D"], theta: Float[Tensor, "D"]
) -> Float[Tensor, "N M"]:
    """``exp(-1/2 sum_d ((x_d - y_d) / theta_d)²)``: a length for each input (Rasmussen and Williams, Eq. 5.1)."""
    return torch.exp(-0.5 * ((x[:, None] - y) / theta).square().sum(-1))


def dot_product(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"], zeta: float) -> Float[Tensor, "N M"]:
    """``(x · y)^zeta``: of normalized power spectra, SOAP's."""
    return power(x @ y.T, zeta)


def power(k: Float[Tensor, "*p"], zeta: float) -> Float[Tensor, "*p"]:
    """``k^zeta``, by products where ``zeta`` is a whole number; other powers of what is negative are 0."""
    if zeta != int(zeta):
        return torch.where(k > 0, k, 1.0) ** zeta * (k > 0)
    n, result = int(zeta), None
    while n:
        if n & 1:
            result = k if result is None else result * k
        k, n = k * k if n > 1 else k, n >> 1
    return torch.ones_like(k) if result is None else result


def normalized(p: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """``p / |p|``, and zero where that is."""
    norm2 = p.square().sum(-1, keepdim=True)
    return p * torch.where(norm2 > 0, norm2, 1.0).rsqrt()


def normalized_slope(p: Float[Tensor, "N D"], J: Float[Tensor, "N k D"]) -> Float[Tensor, "N k D"]:
    """Derivatives of ``p / |p|`` from those of ``p``."""
    norm2 = p.square().sum(-1, keepdim=True)
    scale = torch.where(norm2 > 0, norm2, 1.0).rsqrt()
    unit = (p * scale)[:, None]
    return (J - unit * (J * unit).sum(-1, keepdim=True)) * scale[:, None]
