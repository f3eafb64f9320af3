"""Radial functions, harmonics and their sums over the neighbors of one atom, with derivatives.

Fused forms of ``nn.radial_polynomials`` and ``nn.spherical_harmonics``. The edges of an atom are taken ``WIDTH`` at a time,
all to neighbors of one element, so that innermost loops run over edges and become vector instructions; what is left over
is filled up with edges that give zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

WIDTH = 8
fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


class Tables(NamedTuple):
    """The one-particle functions of an expansion, in arrays."""

    pairs: np.ndarray  # [center, neighbor, set, (r0, slope, shift)] of the transformed distance
    sets: np.ndarray  # [set, (first function, end, transform, envelope)]
    first: np.ndarray  # [set] the constant polynomial
    recursion: np.ndarray  # [radial function, (a, b, c)]
    size: np.ndarray  # [radial function] number of (l, m)
    start: np.ndarray  # [radial function + 1] where they begin
    norms: np.ndarray  # [l, m]
    cutoff: np.ndarray  # [1]


class Edges(NamedTuple):
    """What edges give, ``WIDTH`` of them in each chunk."""

    e: np.ndarray  # [chunk, WIDTH] their places in the graph, -1 where there is none
    neighbor: np.ndarray  # [chunk] element of the neighbors
    r: np.ndarray  # [chunk, WIDTH]
    u: np.ndarray  # [chunk, 3, WIDTH] directions
    R: np.ndarray  # [chunk, radial function, WIDTH]
    dR: np.ndarray  # [chunk, radial function, WIDTH]
    Y: np.ndarray  # [chunk, lm, WIDTH]
    G: np.ndarray  # [chunk, 3, lm, WIDTH] gradients of Y
    work: np.ndarray  # [room, WIDTH]


@njit(**fast)
def room(n_chunks, T, like):
    """Room for so many chunks."""
    n, L = len(T.size), T.norms.shape[0]
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
        np.empty((4 * (L + 2) + 4, WIDTH), like.dtype),
    )


@njit(**fast)
def gather(atom, center, T, first, j, species, vectors, edges, here, A):
    """Sum ``R_n Y_lm`` over the neighbors of an atom into ``A``; what its edges give goes to the chunks from ``here`` on.

    Returns where the next atom's chunks go. Longer edges than the cutoff are left out.
    """
    cutoff2 = T.cutoff[0] ** 2
    A[:] = 0
    for neighbor in range(T.pairs.shape[1]):
        n = 0
        for e in range(first[atom], first[atom + 1]):
            if species[j[e]] != neighbor:
                continue
            x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
            r2 = x * x + y * y + z * z
            if r2 >= cutoff2:
                continue
            r = np.sqrt(r2)
            edges.e[here, n], edges.r[here, n] = e, r
            edges.u[here, 0, n], edges.u[here, 1, n], edges.u[here, 2, n] = x / r, y / r, z / r
            n += 1
            if n == WIDTH:
                _chunk(T, center, neighbor, edges, here, n, A)
                here, n = here + 1, 0
        if n:
            _chunk(T, center, neighbor, edges, here, n, A)
            here += 1
    return here


@njit(**fast)
def _chunk(T, center, neighbor, edges, here, n, A):
    """Functions of the ``n`` edges of a chunk, added to ``A``."""
    u, R, Y = edges.u[here], edges.R[here], edges.Y[here]
    edges.neighbor[here] = neighbor
    for i in range(n, WIDTH):
        edges.e[here, i], edges.r[here, i] = -1, 0.5 * T.cutoff[0]
        u[0, i], u[1, i], u[2, i] = 0, 0, 1
    _radial(T, T.pairs[center, neighbor], edges.r[here], n, edges.work, R, edges.dR[here])
    _harmonics(T.norms, edges.r[here], u, edges.work, Y, edges.G[here])
    base = neighbor * T.start[-1]
    for k in range(len(T.size)):
        start = base + T.start[k]
        for lm in range(T.size[k]):
            total = A[start + lm]
            for i in range(WIDTH):
                total += R[k, i] * Y[lm, i]
            A[start + lm] = total


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
def _radial(T, pair, r, n_edges, work, R, dR):
    """``R_n(r)`` and ``dR_n/dr``; the recursion of the polynomials holds for their product with the envelope as well."""
    cutoff = T.cutoff[0]
    y, dy = work[0], work[1]
    for k in range(len(T.sets)):
        start, end = T.sets[k, 0], T.sets[k, 1]
        if end == start:
            continue
        r0, slope, shift = pair[k, 0], pair[k, 1], pair[k, 2]
        for i in range(WIDTH):
            x, dx = _transformed(r[i], r0, cutoff, T.sets[k, 2])
            y[i], dy[i] = slope * x + shift, slope * dx
            f, df = _envelope(r[i], r0, cutoff, y[i], dy[i], T.sets[k, 3])
            here = T.first[k] if i < n_edges else 0.0
            R[start, i], dR[start, i] = f * here, df * here
        for n in range(start, end - 1):
            a, b, c = T.recursion[n, 0], T.recursion[n, 1], T.recursion[n, 2]
            if n == start:
                for i in range(WIDTH):
                    dR[n + 1, i] = (a * y[i] - b) * dR[n, i] + a * dy[i] * R[n, i]
                    R[n + 1, i] = (a * y[i] - b) * R[n, i]
            else:
                for i in range(WIDTH):
                    dR[n + 1, i] = (a * y[i] - b) * dR[n, i] + a * dy[i] * R[n, i] - c * dR[n - 1, i]
                    R[n + 1, i] = (a * y[i] - b) * R[n, i] - c * R[n - 1, i]


@njit(**fast)
def _harmonics(norms, r, u, work, Y, G):
    """``Y_lm`` of the directions and their gradients by the vectors."""
    L = norms.shape[0]
    Q, dQ = work[4 : L + 6], work[L + 6 : 2 * L + 8]  # Legendre functions of one m, l from m on
    c, s, c1, s1 = work[0], work[1], work[2], work[3]  # Re and Im of (x + iy)^m and of m (x + iy)^(m - 1)
    c[:], s[:], c1[:], s1[:] = 1, 0, 0, 0
    Qmm = 1.0
    for m in range(L):
        for l in range(m, L):
            if l == m:
                Q[l], dQ[l] = Qmm, 0
            else:
                a, b = (2 * l - 1) / (l - m), (l + m - 1) / (l - m)
                for i in range(WIDTH):
                    Q[l, i] = a * u[2, i] * Q[l - 1, i]
                    dQ[l, i] = a * (Q[l - 1, i] + u[2, i] * dQ[l - 1, i])
                if l > m + 1:
                    for i in range(WIDTH):
                        Q[l, i] -= b * Q[l - 2, i]
                        dQ[l, i] -= b * dQ[l - 2, i]
            _one(norms[l, m], Q[l], dQ[l], c, c1, s1, -1.0, r, u, Y, G, l * (l + 1) + m)
            if m:
                _one(norms[l, m], Q[l], dQ[l], s, s1, c1, 1.0, r, u, Y, G, l * (l + 1) - m)
        for i in range(WIDTH):
            re, im = c[i], s[i]
            c[i], s[i] = u[0, i] * re - u[1, i] * im, u[0, i] * im + u[1, i] * re
            c1[i], s1[i] = (m + 1) * re, (m + 1) * im
        Qmm *= 2 * m + 1


@njit(**fast)
def _one(F, Q, dQ, c, dx, dy, sign, r, u, Y, G, k):
    """``F Q c`` and its gradient, of which the tangent part is kept: the polynomials are not homogeneous."""
    for i in range(WIDTH):
        gx, gy, gz = F * Q[i] * dx[i], sign * F * Q[i] * dy[i], F * dQ[i] * c[i]
        along = gx * u[0, i] + gy * u[1, i] + gz * u[2, i]
        Y[k, i] = F * Q[i] * c[i]
        G[0, k, i] = (gx - along * u[0, i]) / r[i]
        G[1, k, i] = (gy - along * u[1, i]) / r[i]
        G[2, k, i] = (gz - along * u[2, i]) / r[i]


@njit(**fast)
def scatter(adjoint, T, edges, begin, end, gradient):
    """``dE/dvector`` of an atom's edges from its ``dE/dA``."""
    work, n_lm = edges.work, T.norms.shape[0] ** 2
    gx, gy, gz, along, S, Q = work[0], work[1], work[2], work[3], work[4], work[5]
    for q in range(begin, end):
        R, dR, Y, G, u = edges.R[q], edges.dR[q], edges.Y[q], edges.G[q], edges.u[q]
        base = edges.neighbor[q] * T.start[-1]
        gx[:], gy[:], gz[:], along[:] = 0, 0, 0, 0
        for lm in range(n_lm):
            S[:], Q[:] = 0, 0
            for n in range(len(T.size)):
                if lm < T.size[n]:
                    a = adjoint[base + T.start[n] + lm]
                    for i in range(WIDTH):
                        S[i] += dR[n, i] * a
                        Q[i] += R[n, i] * a
            for i in range(WIDTH):
                along[i] += S[i] * Y[lm, i]
                gx[i] += Q[i] * G[0, lm, i]
                gy[i] += Q[i] * G[1, lm, i]
                gz[i] += Q[i] * G[2, lm, i]
        for i in range(WIDTH):
            e = edges.e[q, i]
            if e >= 0:
                gradient[e, 0] = gx[i] + along[i] * u[0, i]
                gradient[e, 1] = gy[i] + along[i] * u[1, i]
                gradient[e, 2] = gz[i] + along[i] * u[2, i]


@njit(**fast)
def push(direction, T, edges, begin, end, dA):
    """How an atom's ``A`` changes when the vectors of its edges move by ``direction``."""
    v = edges.work
    dA[:] = 0
    for q in range(begin, end):
        R, dR, Y, G, u = edges.R[q], edges.dR[q], edges.Y[q], edges.G[q], edges.u[q]
        for i in range(WIDTH):
            e = edges.e[q, i]
            for x in range(3):
                v[x, i] = direction[e, x] if e >= 0 else 0.0
            v[3, i] = v[0, i] * u[0, i] + v[1, i] * u[1, i] + v[2, i] * u[2, i]
        for lm in range(T.norms.shape[0] ** 2):
            for i in range(WIDTH):
                v[4, i] = v[0, i] * G[0, lm, i] + v[1, i] * G[1, lm, i] + v[2, i] * G[2, lm, i]
            for n in range(len(T.size)):
                if lm < T.size[n]:
                    total = 0.0
                    for i in range(WIDTH):
                        total += dR[n, i] * v[3, i] * Y[lm, i] + R[n, i] * v[4, i]
                    dA[edges.neighbor[q] * T.start[-1] + T.start[n] + lm] += total
