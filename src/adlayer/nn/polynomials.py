"""Orthogonal polynomials, and the quadrature that follows from them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def chebyshev(x: Float[Tensor, "*p"], n: int) -> Float[Tensor, "*p n"]:
    """``T_0(x) .. T_{n-1}(x)``, by ``T_{k+1} = 2 x T_k - T_{k-1}``."""
    T = [torch.ones_like(x), x]
    while len(T) < n:
        T.append(2 * x * T[-1] - T[-2])
    return torch.stack(T[:n], -1)


def gauss_legendre(begin: float, end: float, n: int) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Nodes and weights of an integral from ``begin`` to ``end``.

    >>> x, w = gauss_legendre(0.0, 2.0, 3)
    >>> round(float(w @ x**5), 12)
    10.666666666667
    """
    x, w = np.polynomial.legendre.leggauss(n)
    return begin + 0.5 * (end - begin) * (x + 1), 0.5 * (end - begin) * w
