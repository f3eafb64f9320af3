"""The covariance of forces of gradient-domain machine learning, block by block of two frames.

The meaning is the second derivative by positions of the covariance in ``nn.gradient_domain``. A derivative of an
inverse distance has six entries, so that a block of ``n`` atoms takes ``n²`` operations, not ``n⁴``.
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numba import njit, prange


@njit(cache=True, parallel=True, fastmath=True)
def force_covariance(x, G, permutations, q, columns):
    """``K[i, :, j, :] = d²k / dr_i dr_j`` of all frames ``i`` with the frames ``columns``.

    Args:
        x: inverse distances, [M, n, n], zero on the diagonal.
        G: ``dx_ab / dr_a``, [M, n, n, 3], zero on the diagonal.
        permutations: [P, n].
        q: sqrt(5) / sigma.
        columns: frames; all of them in order, or fewer.
    """
    M, n = x.shape[0], x.shape[1]
    whole = len(columns) == M  # then symmetric
    K = np.empty((M, 3 * n, len(columns), 3 * n), x.dtype)
    for i in prange(M):
        v, Gi, xi = np.empty((n, 3)), G[i], x[i]
        u, delta = np.empty((n, 3)), np.empty((n, n))
        block = np.empty((3 * n, 3 * n))
        for c in range(i + 1 if whole else len(columns)):
            j = c if whole else columns[c]
            block[:] = 0.0
            for p in range(len(permutations)):
                to = permutations[p]
                _block(xi, Gi, x[j], G[j], to, q, u, v, delta, block)
            K[i, :, c, :] = block
            if whole:
                K[c, :, i, :] = block.T
    return K


@njit(cache=True, fastmath=True)
def _block(xi, Gi, xj, Gj, to, q, u, v, delta, block):
    n = len(to)
    d2 = 0.0
    for a in range(n):
        for k in range(3):
            u[a, k], v[a, k] = 0.0, 0.0
        for b in range(n):
            t = xi[a, b] - xj[to[a], to[b]]
            delta[a, b] = t
            d2 += 0.5 * t * t
            for k in range(3):
                u[a, k] += t * Gi[a, b, k]
                v[a, k] += t * Gj[to[a], to[b], k]
    qd = q * sqrt(d2)
    s = q * q / 3.0 * exp(-qd)
    h, s = s * (1.0 + qd), s * q * q
    for a in range(n):
        for b in range(n):
            g, e = Gi[a, b], Gj[to[a], to[b]]
            for k in range(3):
                for l in range(3):
                    # the pair's two ends, each with itself and with the other
                    block[3 * a + k, 3 * to[a] + l] += h * g[k] * e[l]
                    block[3 * a + k, 3 * to[b] + l] -= h * g[k] * e[l] + s * u[a, k] * v[b, l]
