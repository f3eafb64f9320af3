"""Embedded-atom energies and their derivatives; the meaning is ``potentials/eam.py`` and ``nn/splines.py``."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _slope(f, m):
    n = len(f)
    if m == 0:
        return f[1] - f[0]
    if m == n - 1:
        return f[n - 1] - f[n - 2]
    if m == 1 or m == n - 2:
        return 0.5 * (f[m + 1] - f[m - 1])
    return (f[m - 2] - f[m + 2] + 8 * (f[m + 1] - f[m - 1])) / 12


@njit(cache=True)
def _spline(f, x):
    """Value and slope per step."""
    m = min(max(int(x), 0), len(f) - 2)
    p = x - m
    s0, s1 = _slope(f, m), _slope(f, m + 1)
    if p > 1:
        return f[m + 1] + s1 * (p - 1), s1
    if p < 0:
        return f[m] + s0 * p, s0
    d = f[m + 1] - f[m]
    a, b = 3 * d - 2 * s0 - s1, s0 + s1 - 2 * d
    return f[m] + p * (s0 + p * (a + p * b)), s0 + p * (2 * a + 3 * p * b)


@njit(cache=True, parallel=True, error_model="numpy")
def eam_kernel(first, j, vectors, z, F, rho, rphi, rho_min, drho, dr, cutoff):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.empty(len(first) - 1), np.zeros(vectors.shape)
    by_density = np.zeros(len(j))
    hosts = rho.shape[1]
    for i in prange(len(first) - 1):
        zi, density, pair = z[i], 0.0, 0.0
        for e in range(first[i], first[i + 1]):
            r = sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            if r >= cutoff:
                continue
            zj = z[j[e]]
            value, slope = _spline(rho[zj, zi if hosts > 1 else 0], r / dr)
            density += value
            by_density[e] = slope / dr / r
            high, low = max(zi, zj), min(zi, zj)
            value, slope = _spline(rphi[high * (high + 1) // 2 + low], r / dr)
            pair += 0.5 * value / r
            slope = 0.5 * (slope / dr - value / r) / (r * r)
            for k in range(3):
                G[e, k] = slope * vectors[e, k]
        value, slope = _spline(F[zi], (density - rho_min) / drho)
        E[i] = pair + value
        slope /= drho
        for e in range(first[i], first[i + 1]):
            for k in range(3):
                G[e, k] += slope * by_density[e] * vectors[e, k]
    return E, G
