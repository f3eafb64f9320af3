"""Pairs and triplets on cubic splines, energies with derivatives; the meaning is ``nn.splines.spline_energies``."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


@njit(**fast)
def _weights(x, cells, w, d):
    """The first of four coefficients, their weights and derivatives by ``x``; linear before the first knot."""
    m = min(max(int(x), 0), cells - 1)
    t = x - m
    c = max(t, 0.0)
    b = 1.0 - c
    d[0], d[1], d[2], d[3] = -0.5 * b * b, 0.5 * (3.0 * c - 4.0) * c, 0.5 * ((2.0 - 3.0 * c) * c + 1.0), 0.5 * c * c
    w[0], w[1] = b * b * b / 6.0, ((3.0 * c - 6.0) * c * c + 4.0) / 6.0
    w[2], w[3] = (((3.0 - 3.0 * c) * c + 3.0) * c + 1.0) / 6.0, c * c * c / 6.0
    if t < 0.0:
        for k in range(4):
            w[k] += t * d[k]
    return m


@njit(parallel=True, **fast)
def spline_kernel(
    first,
    j,
    vectors,
    z,
    pairs,
    triplets,
    triple,
    begin,
    cutoff,
    step,
    cutoff_3,
    step_3,
    begin_q,
    cutoff_q,
    step_q,
    cosine,
):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    kind, n = vectors.dtype, len(triple)
    E, G = np.zeros(len(first) - 1, kind), np.zeros(vectors.shape, kind)
    cells, cells_3, cells_q = pairs.shape[1] - 3, triplets.shape[1] - 3, triplets.shape[3] - 3
    for i in prange(len(first) - 1):
        most = first[i + 1] - first[i]
        edge, cell, r = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, kind)
        w, d = np.empty((most, 4), kind), np.empty((most, 4), kind)
        wq, dq = np.empty(4, kind), np.empty(4, kind)
        near, zero = 0, E[i]
        for e in range(first[i], first[i + 1]):
            length = np.sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            if length < cutoff:
                m = _weights((length - begin) / step, cells, wq, dq)
                row, slope = pairs[z[i] * n + z[j[e]]], zero
                for k in range(4):
                    E[i] += wq[k] * row[m + k]
                    slope += dq[k] * row[m + k]
                for k in range(3):
                    G[e, k] += slope / (step * length) * vectors[e, k]
            if length < cutoff_3:
                edge[near], r[near] = e, length
                cell[near] = _weights((length - begin) / step_3, cells_3, w[near], d[near])
                near += 1
        for p in range(near):
            for q in range(p + 1, near):
                a, b = (p, q) if z[j[edge[p]]] <= z[j[edge[q]]] else (q, p)
                u, v = vectors[edge[a]], vectors[edge[b]]
                dot = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
                if cosine:
                    third = dot / (r[a] * r[b])
                else:
                    third = np.sqrt(r[a] * r[a] + r[b] * r[b] - 2.0 * dot)
                    if third >= cutoff_q:
                        continue
                m = _weights((third - begin_q) / step_q, cells_q, wq, dq)
                table = triplets[triple[z[i], z[j[edge[a]]], z[j[edge[b]]]]]
                value, by_a, by_b, by_q = zero, zero, zero, zero
                for x in range(4):
                    line, line_b, line_q = zero, zero, zero
                    for y in range(4):
                        c = table[cell[a] + x, cell[b] + y]
                        s = wq[0] * c[m] + wq[1] * c[m + 1] + wq[2] * c[m + 2] + wq[3] * c[m + 3]
                        t = dq[0] * c[m] + dq[1] * c[m + 1] + dq[2] * c[m + 2] + dq[3] * c[m + 3]
                        line += w[b, y] * s
                        line_b += d[b, y] * s
                        line_q += w[b, y] * t
                    value += w[a, x] * line
                    by_a += d[a, x] * line
                    by_b += w[a, x] * line_b
                    by_q += w[a, x] * line_q
                E[i] += value
                by_a, by_b, by_q = by_a / (step_3 * r[a]), by_b / (step_3 * r[b]), by_q / step_q
                if cosine:
                    mixed = by_q / (r[a] * r[b])
                    by_a, by_b = by_a - by_q * third / (r[a] * r[a]), by_b - by_q * third / (r[b] * r[b])
                else:
                    mixed = -by_q / third
                    by_a, by_b = by_a - mixed, by_b - mixed
                for k in range(3):
                    G[edge[a], k] += by_a * u[k] + mixed * v[k]
                    G[edge[b], k] += by_b * v[k] + mixed * u[k]
    return E, G
