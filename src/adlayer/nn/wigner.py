"""Harmonics of the 3-sphere (Wigner matrices) and their couplings, for whole and half-whole degrees.

Degrees are given doubled, ``tj = 2 j = 0, 1, 2, ..``, and rows and columns count ``m = -j .. j`` from 0 to ``tj``.
D. A. Varshalovich, A. N. Moskalev and V. K. Khersonskii, *Quantum Theory of Angular Momentum* (World Scientific, 1988).
"""

from __future__ import annotations

from functools import cache
from math import factorial, prod, sqrt

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad


def triples(twojmax: int) -> list[tuple[int, int, int]]:
    """``(j1, j2, j)``, doubled, with ``j2 <= j1 <= j``: each invariant once, in the order of LAMMPS."""
    return [
        (j1, j2, j)
        for j1 in range(twojmax + 1)
        for j2 in range(j1 + 1)
        for j in range(j1 - j2, min(twojmax, j1 + j2) + 1, 2)
        if j >= j1
    ]


@cache
def clebsch_gordan(tj1: int, tj2: int, tj: int) -> Float[np.ndarray, "m1 m2 m"]:
    """``<j1 m1 j2 m2 | j m>`` by Racah's formula (Section 8.2.1), with exact integers under the root."""
    C = np.zeros((tj1 + 1, tj2 + 1, tj + 1))
    if not abs(tj1 - tj2) <= tj <= tj1 + tj2 or (tj1 + tj2 + tj) % 2:
        return C
    f = factorial
    a, b, c = (tj1 + tj2 - tj) // 2, (tj1 + tj - tj2) // 2, (tj2 + tj - tj1) // 2
    triangle = (tj + 1) * f(a) * f(b) * f(c) / f((tj1 + tj2 + tj) // 2 + 1)
    for m1 in range(tj1 + 1):
        for m2 in range(max(0, a - m1), min(tj2, tj + a - m1) + 1):
            m = m1 + m2 - a
            root = f(m) * f(tj - m) * f(m1) * f(tj1 - m1) * f(m2) * f(tj2 - m2)
            terms = ((k, a - k, tj1 - m1 - k, m2 - k, b - tj1 + m1 + k, c - m2 + k) for k in range(a + 1))
            total = sum((-1) ** t[0] / prod(map(f, t)) for t in terms if min(t) >= 0)
            C[m1, m2, m] = sqrt(triangle) * sqrt(root) * total
    return C


def wigner_matrices(
    a: Complex[Tensor, "n"], b: Complex[Tensor, "n"], tj_max: int
) -> list[Complex[Tensor, "n rows columns"]]:
    """``U^j`` of the rotations ``[[a*, -b*], [b, a]]``, ``|a|² + |b|² = 1``, for ``tj = 0 .. tj_max``.

    All but the last row of ``U^j`` follow from the row of the same number of ``U^(j-1/2)`` (Section 4.8.2)::

        sqrt(tj - m') U^j_m'm = sqrt(tj - m) a* U^(j-1/2)_m'm - sqrt(m) b* U^(j-1/2)_m',m-1

    and the last from the last, with ``(b, a)`` in place of ``(a*, -b*)``.
    """
    U = [torch.ones_like(a)[:, None, None]]
    for tj in range(1, tj_max + 1):
        m = torch.arange(tj + 1, dtype=a.real.dtype, device=a.device)
        upper = _grown(U[-1], m, a.conj(), -b.conj()) / (tj - m[:tj, None]).sqrt()
        last = _grown(U[-1][:, -1:], m, b, a) / tj**0.5
        U.append(torch.cat([upper, last], 1))
    return U


def _grown(rows: Tensor, m: Tensor, p: Tensor, q: Tensor) -> Complex[Tensor, "n rows columns"]:
    """``sqrt(tj - m) p U_m + sqrt(m) q U_m-1`` of rows that are shorter by one."""
    stay, move = (m[-1] - m[:-1]).sqrt(), m[1:].sqrt()
    return p[:, None, None] * pad(rows * stay, (0, 1)) + q[:, None, None] * pad(rows * move, (1, 0))
