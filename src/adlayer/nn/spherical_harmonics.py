"""Real spherical harmonics by recursion in Cartesian components: no angles, no poles, differentiable to any order."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def spherical_harmonics(l_max: int, directions: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape lm"]:
    r"""Orthonormal real ``Y_lm`` of unit vectors, ``m = -l .. l``, at index ``l (l + 1) + m``.

    With ``c_m + i s_m = (x + i y)^m`` and the Legendre functions freed of their power of ``sin theta``,
    ``Q_l^m = P_l^m / sin^m``,

        Y_l0 = F_l0 Q_l^0,   Y_lm = sqrt(2) F_lm Q_l^m c_m,   Y_l-m = sqrt(2) F_lm Q_l^m s_m   (m > 0),
        F_lm = sqrt((2l + 1) / 4 pi  (l - m)! / (l + m)!).

    Bigi, Fraux, Browning and Ceriotti, J. Chem. Phys. 159, 064802 (2023), Eqs. 4-8, without the sign ``(-1)^m``.

    >>> float(spherical_harmonics(1, torch.tensor([0.0, 0.0, 1.0]))[2])  # sqrt(3 / 4 pi)
    0.4886...
    """
    x, y, z = directions.unbind(-1)
    F = _norms(l_max)
    columns: list[Tensor] = [x] * (l_max + 1) ** 2
    c, s, Qmm = torch.ones_like(x), torch.zeros_like(x), 1.0
    for m in range(l_max + 1):
        Q, below = torch.full_like(x, Qmm), torch.zeros_like(x)  # Q_m^m and the one under it
        for l in range(m, l_max + 1):
            columns[l * (l + 1) + m] = F[l][m] * Q * c
            if m:
                columns[l * (l + 1) - m] = F[l][m] * Q * s
            Q, below = ((2 * l + 1) * z * Q - (l + m) * below) / (l + 1 - m), Q
        c, s, Qmm = x * c - y * s, x * s + y * c, (2 * m + 1) * Qmm
    return torch.stack(columns, -1)


def harmonic_norms(l_max: int) -> Float[np.ndarray, "l m"]:
    """``F_lm`` of ``spherical_harmonics``, times sqrt(2) for ``m > 0``."""
    return np.array(_norms(l_max))


def _norms(l_max: int) -> list[list[float]]:
    """As plain numbers, which compilers can trace."""
    f = math.factorial
    F = [[0.0] * (l_max + 1) for _ in range(l_max + 1)]
    for l in range(l_max + 1):
        for m in range(l + 1):
            F[l][m] = math.sqrt((2 if m else 1) * (2 * l + 1) / (4 * math.pi) * f(l - m) / f(l + m))
    return F
