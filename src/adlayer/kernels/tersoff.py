"""Tersoff energies and their derivatives; the meaning is ``potentials/tersoff.py``."""

from __future__ import annotations

from math import cos, exp, log, pi, sin, sqrt

import numpy as np
from numba import njit, prange


@njit(cache=True, inline="always")
def _cutoff(r, R, D):
    """``f_C`` and its slope."""
    x = (r - R) / D
    if x <= -1:
        return 1.0, 0.0
    if x >= 1:
        return 0.0, 0.0
    return 0.5 - 0.5 * sin(pi / 2 * x), -pi / (4 * D) * cos(pi / 2 * x)


@njit(cache=True, inline="always")
def _angle(cosine, gamma, c, d, costheta0):
    """``g`` and its slope."""
    h = cosine - costheta0
    w = c * c / (d * d + h * h)
    return gamma * (1 + c * c / (d * d) - w), gamma * 2 * h * w / (d * d + h * h)


@njit(cache=True, inline="always")
def _stretch(x, lambda3, m):
    """``exp((lambda3 x)^m)`` and its slope."""
    if lambda3 == 0:
        return 1.0, 0.0
    s = lambda3 * x
    if m == 3:
        w = exp(s * s * s)
        return w, 3 * s * s * lambda3 * w
    w = exp(s)
    return w, lambda3 * w


@njit(cache=True, parallel=True, error_model="numpy")
def tersoff_kernel(first, j, vectors, z, gamma, lambda3, c, d, costheta0, n, beta, lambda2, B, lambda1, A, m, R, D):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.zeros(len(first) - 1), np.zeros(vectors.shape)
    r, u = np.zeros(len(j)), np.zeros(vectors.shape)
    for i in prange(len(first) - 1):
        zi = z[i]
        for e in range(first[i], first[i + 1]):
            r[e] = sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            for k in range(3):
                u[e, k] = vectors[e, k] / r[e]
        for e in range(first[i], first[i + 1]):
            zj = z[j[e]]
            ij = (zi, zj, zj)
            fc, dfc = _cutoff(r[e], R[ij], D[ij])
            if fc == 0:
                continue
            zeta = 0.0
            for f in range(first[i], first[i + 1]):
                ijk = (zi, zj, z[j[f]])
                if f == e or r[f] >= R[ijk] + D[ijk]:
                    continue
                cosine = u[e, 0] * u[f, 0] + u[e, 1] * u[f, 1] + u[e, 2] * u[f, 2]
                g, _ = _angle(cosine, gamma[ijk], c[ijk], d[ijk], costheta0[ijk])
                zeta += _cutoff(r[f], R[ijk], D[ijk])[0] * g * _stretch(r[e] - r[f], lambda3[ijk], m[ijk])[0]

            b, by_zeta = 1.0, 0.0
            if zeta > 0:
                y = exp(-n[ij] * log(beta[ij] * zeta))  # (beta zeta)^-n
                b = exp(-(log(1 + 1 / y) if y > 1 else log(1 + y) - log(y)) / (2 * n[ij]))
                by_zeta = -0.5 * b / (zeta * (1 + y))
            repulsion = A[ij] * exp(-lambda1[ij] * r[e])
            attraction = B[ij] * exp(-lambda2[ij] * r[e])
            E[i] += 0.5 * fc * (repulsion - b * attraction)
            by_r = 0.5 * dfc * (repulsion - b * attraction)
            by_r -= 0.5 * fc * (lambda1[ij] * repulsion - b * lambda2[ij] * attraction)
            by_zeta *= -0.5 * fc * attraction

            for f in range(first[i], first[i + 1]):
                ijk = (zi, zj, z[j[f]])
                if by_zeta == 0 or f == e or r[f] >= R[ijk] + D[ijk]:
                    continue
                cosine = u[e, 0] * u[f, 0] + u[e, 1] * u[f, 1] + u[e, 2] * u[f, 2]
                fk, dfk = _cutoff(r[f], R[ijk], D[ijk])
                g, dg = _angle(cosine, gamma[ijk], c[ijk], d[ijk], costheta0[ijk])
                w, dw = _stretch(r[e] - r[f], lambda3[ijk], m[ijk])
                by_cos = by_zeta * fk * dg * w
                by_r += by_zeta * fk * g * dw
                by_rf = by_zeta * (dfk * g * w - fk * g * dw)
                for k in range(3):
                    G[e, k] += by_cos * (u[f, k] - cosine * u[e, k]) / r[e]
                    G[f, k] += by_cos * (u[e, k] - cosine * u[f, k]) / r[f] + by_rf * u[f, k]
            for k in range(3):
                G[e, k] += by_r * u[e, k]
    return E, G
