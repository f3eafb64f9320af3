"""Stillinger-Weber energies and their derivatives; the meaning is ``potentials/stillinger_weber.py``."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numba import njit, prange


@njit(cache=True, parallel=True, error_model="numpy")
def stillinger_weber_kernel(first, j, vectors, z, epsilon, lam, gamma, costheta0, A, B, p, q, sigma, a):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.zeros(len(first) - 1), np.zeros(vectors.shape)
    r, g, dg = np.zeros(len(j)), np.zeros(len(j)), np.zeros(len(j))
    for i in prange(len(first) - 1):
        zi = z[i]
        for e in range(first[i], first[i + 1]):
            zj = z[j[e]]
            s = sigma[zi, zj, zj]
            r[e] = sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            below = r[e] - a[zi, zj, zj] * s
            if below >= 0:
                continue
            x, zp, zq = s / r[e], p[zi, zj, zj], q[zi, zj, zj]
            depth = 0.5 * epsilon[zi, zj, zj] * A[zi, zj, zj] * exp(s / below)
            repulsion, attraction = B[zi, zj, zj] * x**zp, x**zq
            E[i] += depth * (repulsion - attraction)
            slope = -depth * ((zp * repulsion - zq * attraction) / r[e] + (repulsion - attraction) * s / below**2)
            g[e] = exp(gamma[zi, zj, zj] * s / below)
            dg[e] = -g[e] * gamma[zi, zj, zj] * s / below**2
            for k in range(3):
                G[e, k] += slope * vectors[e, k] / r[e]
        for e in range(first[i], first[i + 1]):
            if g[e] == 0:
                continue
            for f in range(e + 1, first[i + 1]):
                if g[f] == 0:
                    continue
                zj, zk = z[j[e]], z[j[f]]
                rr = 1 / (r[e] * r[f])
                cos = rr * (
                    vectors[e, 0] * vectors[f, 0] + vectors[e, 1] * vectors[f, 1] + vectors[e, 2] * vectors[f, 2]
                )
                d = cos - 0.5 * (costheta0[zi, zj, zk] + costheta0[zi, zk, zj])
                strength = 0.5 * (epsilon[zi, zj, zk] * lam[zi, zj, zk] + epsilon[zi, zk, zj] * lam[zi, zk, zj])
                E[i] += strength * d * d * g[e] * g[f]
                by_cos = 2 * strength * d * g[e] * g[f]
                along_e = strength * d * d * dg[e] * g[f] / r[e] - by_cos * cos / r[e] ** 2
                along_f = strength * d * d * g[e] * dg[f] / r[f] - by_cos * cos / r[f] ** 2
                for k in range(3):
                    G[e, k] += along_e * vectors[e, k] + by_cos * rr * vectors[f, k]
                    G[f, k] += along_f * vectors[f, k] + by_cos * rr * vectors[e, k]
    return E, G
