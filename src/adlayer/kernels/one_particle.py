"""Radial functions, harmonics and their sums over the neighbors of one atom, with derivatives.

Fused forms of ``nn.radial_polynomials`` and ``nn.spherical_harmonics``. The edges of an atom are taken ``WIDTH`` at a
time, all to neighbors of one element, as one vector (see ``simd``); what is left over is filled up with edges that give
zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .simd import WIDTH, load, spread, store, total

fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


class Tables(NamedTuple):
    """The one-particle functions of an expansion, in arrays: radial functions are either in sets or in knots."""

    pairs: np.ndarray  # [center, neighbor, set, (r0, slope, shift)] of the transformed distance
    sets: np.ndarray  # [set, (first function, end, transform, envelope)]
    first: np.ndarray  # [set] the constant polynomial
    recursion: np.ndarray  # [radial function, (a, b, c)]
    kinds: np.ndarray  # [center, neighbor] of the knots
    scale: np.ndarray  # [kind] knots per Å
    knot: np.ndarray  # [kind + 1] where the knots of each begin
    knots: np.ndarray  # [knot, (value, slope), radial function]
    low: np.ndarray  # [radial function] its first (l, m)
    high: np.ndarray  # [radial function] the one after the last
    start: np.ndarray  # [radial function + 1] where l = 0 of each would be among the A of a block; their number
    block: np.ndarray  # [neighbor] which block of the A it adds to
    shift: np.ndarray  # [center, A] subtracted from the A
    of_l: np.ndarray  # the radial functions that each l has
    of_l_start: np.ndarray  # [l + 1] where they begin
    norms: np.ndarray  # [l, m]
    cutoff: np.ndarray  # [1]


class Edges(NamedTuple):
    """What edges give, ``WIDTH`` of them in each chunk."""

    e: np.ndarray  # [chunk, WIDTH] their places in the graph, -1 where there is none
    block: np.ndarray  # [chunk] which block of the A it adds to
    r: np.ndarray  # [chunk, WIDTH]
    u: np.ndarray  # [chunk, 3, WIDTH] directions
    R: np.ndarray  # [chunk, radial function, WIDTH]
    dR: np.ndarray  # [chunk, radial function, WIDTH]
    Y: np.ndarray  # [chunk, lm, WIDTH]
    G: np.ndarray  # [chunk, 3, lm, WIDTH] gradients of Y
    sums: np.ndarray  # [A of one block, WIDTH]


@njit(**fast)
def room(n_chunks, T, like):
    """Room for so many chunks."""
    n, L = len(T.low), T.norms.shape[0]
    lm = L * L
    return Edges(
        np.empty((n_chunks, WIDTH), np.int64),
        np.empty(n_chunks, np.int64),
        np.empty((n_chunks, WIDTH), like.dtype),
        np.empty((n_chunks, 3, WIDTH), like.dtype),
        np.empty((n_chunks, n, WIDTH), like.dtype),
        np.empty((n_chunks, n, WIDTH), like.dtype),
        np.empty((n_chunks, lm, WIDTH), like.dtype),
        np.empty((n_chunks, 3, lm, WIDTH), like.dtype),
        np.empty((T.start[-1], WIDTH), like.dtype),
    )


@njit(**fast)
def gather(atom, center, T, first, j, species, vectors, edges, here, A):
    """Sum ``R_n Y_lm`` over the neighbors of an atom into ``A``; what edges give goes to the chunks from ``here`` on.

    Returns where the next atom's chunks go. Longer edges than the cutoff are left out.
    """
    cutoff2, stride, sums = T.cutoff[0] ** 2, T.start[-1], edges.sums
    for v in range(T.shift.shape[1]):
        A[v] = -T.shift[center, v]
    for neighbor in range(len(T.kinds)):
        n, begin = 0, here
        for e in range(first[atom], first[atom + 1]):
            if species[j[e]] != neighbor:
                continue
            x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
            r2 = x * x + y * y + z * z
            if r2 >= cutoff2:
                continue
            if n == WIDTH:
                here, n = here + 1, 0
            r = np.sqrt(r2)
            edges.e[here, n], edges.r[here, n] = e, r
            edges.u[here, 0, n], edges.u[here, 1, n], edges.u[here, 2, n] = x / r, y / r, z / r
            n += 1
        if n == 0:
            continue
        for i in range(n, WIDTH):
            edges.e[here, i], edges.r[here, i] = -1, 0.5 * T.cutoff[0]
            edges.u[here, 0, i], edges.u[here, 1, i], edges.u[here, 2, i] = 0, 0, 1
        here += 1
        sums[:] = 0
        for q in range(begin, here):
            R, Y = edges.R[q], edges.Y[q]
            edges.block[q] = T.block[neighbor]
            _radial(T, center, neighbor, edges.r[q], edges.e[q], R, edges.dR[q])
            _harmonics(T.norms, edges.r[q], edges.u[q], Y, edges.G[q])
            for k in range(len(T.low)):
                Rk, start = load(R[k]), T.start[k]
                for lm in range(T.low[k], T.high[k]):
                    store(sums[start + lm], load(sums[start + lm]) + Rk * load(Y[lm]))
        for v in range(stride):
            A[T.block[neighbor] * stride + v] += total(load(sums[v]))
    return here


@njit(**fast)
def _transformed(r, r0, cutoff, kind):
    """``x(r)`` and its derivative; kinds are numbered as in ``nn.radial_polynomials.TRANSFORMS``."""
    s = r / r0
    if kind == 0:  # agnesi
        v = 1 / (1 + s * s)
        s3 = s * s * s
        x = 1 / (1 + 10 / 13 * s3 * s * v)
        return x, -20 / 13 * s3 * (2 + s * s) * v * v * x * x / r0
    if kind == 1:  # morse
        x = np.exp(-2.0 * (s - 1))
        return x, -2.0 / r0 * x
    if kind == 2:  # inverse
        v = 1 / (1 + s)
        return v * v, -2 * v * v * v / r0
    if kind == 3:  # exponential
        x = np.exp(-5.25 * (r / cutoff - 1))
        return x, -5.25 / cutoff * x
    k = np.pi / cutoff
    return np.cos(k * r), -k * np.sin(k * r)


@njit(**fast)
def _envelope(r, r0, cutoff, y, dy, kind):
    """``f(r)`` and its derivative; kinds are numbered as in ``nn.radial_polynomials.ENVELOPES``."""
    if kind == 0:  # polynomial
        u = 1 - y * y
        return u * u, -4 * u * y * dy
    if kind == 3:  # repulsive
        t = r / cutoff
        u = 1 - t * t
        return r0 / r * u * u * u, -r0 / r * u * u * (u / r + 6 * t / cutoff)
    k = np.pi / cutoff
    c, s = np.cos(k * r), np.sin(k * r)
    if kind == 1:  # cosine
        return 0.5 * (1 + c), -0.5 * k * s
    f = s / r * (1 + c)
    return f, (k * c * (1 + c) - k * s * s - f) / r


@njit(**fast)
def _radial(T, center, neighbor, r, e, R, dR):
    """``R_n(r)`` and ``dR_n/dr``; the recursion of the polynomials holds for their product with the envelope too."""
    if len(T.knots):
        _between_knots(T, T.kinds[center, neighbor], r, e, R, dR)
        return
    cutoff, pair = T.cutoff[0], T.pairs[center, neighbor]
    ys, dys = np.empty(WIDTH, R.dtype), np.empty(WIDTH, R.dtype)
    for k in range(len(T.sets)):
        start, end = T.sets[k, 0], T.sets[k, 1]
        if end == start:
            continue
        r0, slope, shift = pair[k, 0], pair[k, 1], pair[k, 2]
        for i in range(WIDTH):
            x, dx = _transformed(r[i], r0, cutoff, T.sets[k, 2])
            ys[i], dys[i] = slope * x + shift, slope * dx
            f, df = _envelope(r[i], r0, cutoff, ys[i], dys[i], T.sets[k, 3])
            p = T.first[k] if e[i] >= 0 else 0.0
            R[start, i], dR[start, i] = f * p, df * p
        y, dy, p, dp = load(ys), load(dys), load(R[start]), load(dR[start])
        below, dbelow = spread(0.0, R), spread(0.0, R)
        for n in range(start, end - 1):
            a, c = T.recursion[n, 0], T.recursion[n, 2]
            u = a * y - T.recursion[n, 1]
            p, below, dp, dbelow = u * p - c * below, p, u * dp + a * dy * p - c * dbelow, dp
            store(R[n + 1], p)
            store(dR[n + 1], dp)


@njit(**fast)
def _between_knots(T, kind, r, e, R, dR):
    """The same from cubics; see ``nn.radial_tables``."""
    begin, bins, scale = T.knot[kind], T.knot[kind + 1] - T.knot[kind] - 1, T.scale[kind]
    for i in range(WIDTH):
        x = r[i] * scale
        k = int(x)
        if e[i] < 0 or k >= bins:
            R[:, i], dR[:, i] = 0, 0
            continue
        t, low, high = x - k, T.knots[begin + k], T.knots[begin + k + 1]
        s, up = 1 - t, t * t * (3 - 2 * t)
        slope = 6 * t * s * scale
        for n in range(len(R)):
            rise = high[0, n] - low[0, n]
            R[n, i] = low[0, n] + up * rise + t * s * (s * low[1, n] - t * high[1, n])
            dR[n, i] = slope * rise + scale * (s * (1 - 3 * t) * low[1, n] - t * (2 - 3 * t) * high[1, n])


@njit(**fast)
def _harmonics(norms, r, u, Y, G):
    """``Y_lm`` of the directions and their gradients by the vectors."""
    x, y, z, inverse = load(u[0]), load(u[1]), load(u[2]), 1.0 / load(r)
    L, zero = norms.shape[0], spread(0.0, r)
    c, s, c1, s1, Qmm = zero + 1.0, zero, zero, zero, 1.0  # Re and Im of (x + iy)^m and of m (x + iy)^(m - 1)
    for m in range(L):
        Q, below, dQ, dbelow = zero + Qmm, zero, zero, zero
        for l in range(m, L):
            F, k = norms[l, m] * Q, l * (l + 1)
            dF = norms[l, m] * dQ
            _tangent(F * c, F * c1, 0.0 - F * s1, dF * c, x, y, z, inverse, Y, G, k + m)
            if m:
                _tangent(F * s, F * s1, F * c1, dF * s, x, y, z, inverse, Y, G, k - m)
            a, b = (2 * l + 1) / (l + 1 - m), (l + m) / (l + 1 - m)
            Q, below, dQ, dbelow = a * z * Q - b * below, Q, a * (Q + z * dQ) - b * dbelow, dQ
        c, s, c1, s1 = x * c - y * s, x * s + y * c, (m + 1.0) * c, (m + 1.0) * s
        Qmm *= 2 * m + 1


@njit(**fast)
def _tangent(value, gx, gy, gz, x, y, z, inverse, Y, G, k):
    """Keep a harmonic and the tangent part of its gradient: the polynomials are not homogeneous."""
    along = gx * x + gy * y + gz * z
    store(Y[k], value)
    store(G[0, k], (gx - along * x) * inverse)
    store(G[1, k], (gy - along * y) * inverse)
    store(G[2, k], (gz - along * z) * inverse)


@njit(**fast)
def scatter(adjoint, T, edges, begin, end, gradient):
    """``dE/dvector`` of an atom's edges from its ``dE/dA``."""
    zero = spread(0.0, edges.r)
    g = np.empty((3, WIDTH), edges.r.dtype)
    for q in range(begin, end):
        R, dR, Y, G, u = edges.R[q], edges.dR[q], edges.Y[q], edges.G[q], edges.u[q]
        base = edges.block[q] * T.start[-1]
        along, gx, gy, gz = zero, zero, zero, zero
        for l in range(len(T.of_l_start) - 1):
            for lm in range(l * l, (l + 1) * (l + 1)):
                S, Q = zero, zero
                for k in range(T.of_l_start[l], T.of_l_start[l + 1]):
                    n = T.of_l[k]
                    a = adjoint[base + T.start[n] + lm]
                    S += load(dR[n]) * a
                    Q += load(R[n]) * a
                along += S * load(Y[lm])
                gx += Q * load(G[0, lm])
                gy += Q * load(G[1, lm])
                gz += Q * load(G[2, lm])
        store(g[0], gx + along * load(u[0]))
        store(g[1], gy + along * load(u[1]))
        store(g[2], gz + along * load(u[2]))
        for i in range(WIDTH):
            e = edges.e[q, i]
            if e >= 0:
                gradient[e, 0], gradient[e, 1], gradient[e, 2] = g[0, i], g[1, i], g[2, i]


@njit(**fast)
def push(direction, T, edges, begin, end, dA):
    """How an atom's ``A`` changes when the vectors of its edges move by ``direction``."""
    d = np.empty((3, WIDTH), edges.r.dtype)
    dA[:] = 0
    for q in range(begin, end):
        R, dR, Y, G, u = edges.R[q], edges.dR[q], edges.Y[q], edges.G[q], edges.u[q]
        for i in range(WIDTH):
            e = edges.e[q, i]
            for k in range(3):
                d[k, i] = direction[e, k] if e >= 0 else 0.0
        x, y, z = load(d[0]), load(d[1]), load(d[2])
        along = x * load(u[0]) + y * load(u[1]) + z * load(u[2])
        for lm in range(T.norms.shape[0] ** 2):
            Y_along, dY = load(Y[lm]) * along, x * load(G[0, lm]) + y * load(G[1, lm]) + z * load(G[2, lm])
            for n in range(len(T.low)):
                if T.low[n] <= lm < T.high[n]:
                    change = total(load(dR[n]) * Y_along + load(R[n]) * dY)
                    dA[edges.block[q] * T.start[-1] + T.start[n] + lm] += change
