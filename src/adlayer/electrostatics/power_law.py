r"""The potential ``1/r^p`` of a smeared atom: a sum of Gaussians, none of them narrower than the smearing.

    V(r) = 1/Gamma(p/2) int_0^T dt t^(p/2 - 1) exp(-t r²) = gamma(p/2, T r²) / (Gamma(p/2) r^p),     T = 1 / (2 sigma²)
    V^(k) = pi^(3/2) (2 sigma²)^((3-p)/2) / Gamma(p/2)  E_nu(sigma² k² / 2),                          nu = (p - 1) / 2

with ``E_nu`` the generalized exponential integral; for ``p = 1`` this is Ewald's ``4 pi exp(-sigma² k²/2) / k²``.

Huguenin-Dumittan, Loche, Haoran and Ceriotti, J. Phys. Chem. Lett. 14, 9612 (2023); NIST DLMF 8.19.
"""

from __future__ import annotations

from math import factorial, gamma, pi

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import digamma, gammainc
from torch import Tensor

_SPLIT, _TERMS, _DEPTH = 2.0, 28, 50  # where the series ends; its terms; those of the continued fraction


def power_law(r: Float[np.ndarray, "*p"], exponent: int, smearing: float) -> Float[np.ndarray, "*p"]:
    """``V(r)``, 1/Å^p, ``r`` in Å.

    >>> power_law(np.array([0.0, 30.0]), 1, 1.0)  # sqrt(2 / pi), 1 / 30
    array([0.79788456, 0.03333333])
    """
    a = 0.5 * exponent
    x = np.asarray(r, float) ** 2 / (2 * smearing**2)
    near = (1 - a * x / (a + 1)) / gamma(a + 1)
    return np.where(x < 1e-8, near, gammainc(a, x) / np.where(x < 1e-8, 1.0, x) ** a) / (2 * smearing**2) ** a


def power_law_of_waves(k2: Float[Tensor, "*p"], exponent: int, smearing: float) -> Float[Tensor, "*p"]:
    """``V^(k)``, Å^(3-p), of ``k²`` (1/Å²), which is not 0."""
    return _factor(exponent, smearing) * exponential_integral(0.5 * smearing**2 * k2, exponent)


def power_law_at_rest(exponent: int, smearing: float) -> float:
    """``V^(0)``, which is finite for ``p > 3``."""
    return _factor(exponent, smearing) * 2 / (exponent - 3)


def _factor(exponent: int, smearing: float) -> float:
    return pi**1.5 * (2 * smearing**2) ** (0.5 * (3 - exponent)) / gamma(0.5 * exponent)


def exponential_integral(x: Float[Tensor, "*p"], exponent: int) -> Float[Tensor, "*p"]:
    """``E_nu(x) = int_1^oo exp(-x t) / t^nu dt`` of positive ``x``, ``nu = (exponent - 1) / 2``.

    A power series up to ``x = 2``, a continued fraction beyond (DLMF 8.19.7, 8.19.8, 8.19.17), differentiable to any
    order.

    >>> exponential_integral(torch.tensor([1.0, 10.0], dtype=torch.float64), 3).tolist()  # E_1
    [0.21938393439552..., 4.15696892968...e-06]
    """
    if exponent == 1:
        return torch.exp(-x) / x
    nu, small = 0.5 * (exponent - 1), x < _SPLIT
    return torch.where(small, _series(torch.where(small, x, 1.0), nu), _fraction(torch.where(small, _SPLIT, x), nu))


def _series(x: Float[Tensor, "*p"], nu: float) -> Float[Tensor, "*p"]:
    if nu == int(nu):
        n = int(nu)
        total = (-x) ** (n - 1) / factorial(n - 1) * (float(digamma(n)) - torch.log(x))
    else:
        n, total = -1, gamma(1 - nu) * x ** (nu - 1)
    powers = torch.zeros_like(x)
    for k in reversed(range(_TERMS)):  # by Horner's rule
        powers = powers * -x + (0.0 if k == n - 1 else 1 / ((k + 1 - nu) * factorial(k)))
    return total - powers


def _fraction(x: Float[Tensor, "*p"], nu: float) -> Float[Tensor, "*p"]:
    below = x + nu + 2 * _DEPTH
    for k in range(_DEPTH, 0, -1):
        below = x + nu + 2 * (k - 1) - k * (nu + k - 1) / below
    return torch.exp(-x) / below
