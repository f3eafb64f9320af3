"""Lennard-Jones energies and their derivatives; the meaning is ``potentials/lennard_jones.py``."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

NONE, ENERGY, FORCE = 0, 1, 2


@njit(inline="always")
def _pair(s2, epsilon):
    """``V`` and ``r dV/dr`` from ``(sigma/r)²``."""
    x = s2 * s2 * s2
    return 4 * epsilon * (x * x - x), -24 * epsilon * (2 * x * x - x)


@njit(cache=True, parallel=True, error_model="numpy")
def lennard_jones_kernel(first, j, vectors, z, epsilon, sigma, cutoff, truncation):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.zeros(len(first) - 1), np.zeros(vectors.shape)
    for i in prange(len(first) - 1):
        for e in range(first[i], first[i + 1]):
            r2 = vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2
            if r2 >= cutoff * cutoff:
                continue
            eps, s2 = epsilon[z[i], z[j[e]]], sigma[z[i], z[j[e]]] ** 2
            V, slope = _pair(s2 / r2, eps)
            slope /= r2
            if truncation != NONE:
                V_c, slope_c = _pair(s2 / (cutoff * cutoff), eps)
                V -= V_c
                if truncation == FORCE:
                    r = np.sqrt(r2)
                    V -= (r - cutoff) * slope_c / cutoff
                    slope -= slope_c / cutoff / r
            E[i] += 0.5 * V
            for k in range(3):
                G[e, k] = 0.5 * slope * vectors[e, k]
    return E, G
