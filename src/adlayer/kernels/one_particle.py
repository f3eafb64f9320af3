"""Radial functions, harmonics and their sums over the neighbors of one atom, with derivatives.

Fused forms of ``nn.radial_polynomials`` and ``nn.spherical_harmonics``, for the kernels that need them edge by edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


class Tables(NamedTuple):
    """The one-particle functions of an expansion, in arrays."""

    pairs: np.ndarray  # [center, neighbor, set, (r0, slope, shift)] of the transformed distance
    sets: np.ndarray  # [set, (first function, end, transform, envelope)]
    first: np.ndarray  # [set] the constant polynomial
    recursion: np.ndarray  # [radial function, (a, b, c)]
    l_max: np.ndarray  # [radial function]
    start: np.ndarray  # [radial function + 1] where its (l, m) begin
    norms: np.ndarray  # [l, m]
    cutoff: np.ndarray  # [1]


class Edges(NamedTuple):
    """What the edges of some atoms give, one row each."""

    e: np.ndarray  # [edges] their places in the graph
    neighbor: np.ndarray  # [edges] element of the neighbor
    u: np.ndarray  # [edges, 3] directions
    R: np.ndarray  # [edges, radial functions]
    dR: np.ndarray  # [edges, radial functions]
    Y: np.ndarray  # [edges, lm]
    G: np.ndarray  # [edges, 3, lm] gradients of Y


@njit(**_fast)
def room(n_edges, T, like):
    """Room for so many edges."""
    n, lm = len(T.l_max), T.norms.shape[0] ** 2
    return Edges(
        np.empty(n_edges, np.int64),
        np.empty(n_edges, np.int64),
        np.empty((n_edges, 3), like.dtype),
        np.empty((n_edges, n), like.dtype),
        np.empty((n_edges, n), like.dtype),
        np.empty((n_edges, lm), like.dtype),
        np.empty((n_edges, 3, lm), like.dtype),
    )


@njit(**_fast)
def transformed(r, r0, cutoff, kind):
    """``x(r)`` and its derivative; kinds are numbered as in ``nn.radial_polynomials.TRANSFORMS``."""
    s = r / r0
    if kind == 0:  # agnesi
        h, dh = s**4 / (1 + s * s), 2 * s**3 * (2 + s * s) / (1 + s * s) ** 2
        x = 1 / (1 + 10 / 13 * h)
        return x, -10 / 13 * dh * x * x / r0
    if kind == 1:  # morse
        x = np.exp(-2.0 * (s - 1))
        return x, -2.0 / r0 * x
    if kind == 2:  # inverse
        return (1 + s) ** -2, -2 * (1 + s) ** -3 / r0
    if kind == 3:  # exponential
        x = np.exp(-5.25 * (r / cutoff - 1))
        return x, -5.25 / cutoff * x
    k = np.pi / cutoff
    return np.cos(k * r), -k * np.sin(k * r)


@njit(**_fast)
def envelope(r, r0, cutoff, y, dy, kind):
    """``f(r)`` and its derivative; kinds are numbered as in ``nn.radial_polynomials.ENVELOPES``."""
    if kind == 0:  # polynomial
        u = 1 - y * y
        return u * u, -4 * u * y * dy
    if kind == 3:  # repulsive
        t = r / cutoff
        u = 1 - t * t
        return r0 / r * u**3, -r0 / r * u * u * (u / r + 6 * t / cutoff)
    k = np.pi / cutoff
    c, s = np.cos(k * r), np.sin(k * r)
    if kind == 1:  # cosine
        return 0.5 * (1 + c), -0.5 * k * s
    f = s / r * (1 + c)
    return f, (k * c * (1 + c) - k * s * s - f) / r


@njit(**_fast)
def radial(r, pair, sets, first, recursion, cutoff, R, dR):
    """``R_n(r)`` and ``dR_n/dr`` of one pair of elements."""
    for k in range(len(sets)):
        start, end = sets[k, 0], sets[k, 1]
        if end == start:
            continue
        r0, slope, shift = pair[k, 0], pair[k, 1], pair[k, 2]
        x, dx = transformed(r, r0, cutoff, sets[k, 2])
        y, dy = slope * x + shift, slope * dx
        f, df = envelope(r, r0, cutoff, y, dy, sets[k, 3])
        p, below, dp, dbelow = first[k], 0.0, 0.0, 0.0
        for n in range(start, end):
            R[n] = f * p
            dR[n] = df * p + f * dy * dp
            a, b, c = recursion[n, 0], recursion[n, 1], recursion[n, 2]
            u = a * y - b
            p, below, dp, dbelow = u * p - c * below, p, u * dp + a * p - c * dbelow, dp


@njit(**_fast)
def harmonics(x, y, z, r, norms, Y, G):
    """``Y_lm`` of the direction ``(x, y, z)`` and its gradient by the vector of length ``r``, one row per component."""
    l_max = norms.shape[0] - 1
    c, s, c1, s1, Qmm = 1.0, 0.0, 0.0, 0.0, 1.0
    for m in range(l_max + 1):
        Q, below, dQ, dbelow = Qmm, 0.0, 0.0, 0.0
        for l in range(m, l_max + 1):
            F = norms[l, m]
            for sign in (1, -1):
                if sign == -1 and m == 0:
                    continue
                k = l * (l + 1) + sign * m
                if sign == 1:
                    value, gx, gy, gz = F * Q * c, F * Q * m * c1, -F * Q * m * s1, F * dQ * c
                else:
                    value, gx, gy, gz = F * Q * s, F * Q * m * s1, F * Q * m * c1, F * dQ * s
                along = gx * x + gy * y + gz * z  # the polynomials are not homogeneous: keep what is tangent
                Y[k] = value
                G[0, k], G[1, k], G[2, k] = (gx - along * x) / r, (gy - along * y) / r, (gz - along * z) / r
            inverse = 1.0 / (l + 1 - m)
            Q, below, dQ, dbelow = (
                ((2 * l + 1) * z * Q - (l + m) * below) * inverse,
                Q,
                ((2 * l + 1) * (Q + z * dQ) - (l + m) * dbelow) * inverse,
                dQ,
            )
        c, s, c1, s1, Qmm = x * c - y * s, x * s + y * c, c, s, (2 * m + 1) * Qmm


@njit(**_fast)
def gather(atom, center, T, first, j, species, vectors, edges, here, A):
    """Sum ``R_n Y_lm`` over the neighbors of an atom into ``A``, remember what its edges give in ``edges[here:]``.

    Returns where the next atom's edges go; longer edges than the cutoff are left out.
    """
    cutoff, stride = T.cutoff[0], T.start[-1]
    A[:] = 0
    for e in range(first[atom], first[atom + 1]):
        x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
        r = np.sqrt(x * x + y * y + z * z)
        if r >= cutoff:
            continue
        x, y, z = x / r, y / r, z / r
        neighbor = species[j[e]]
        R, Y = edges.R[here], edges.Y[here]
        radial(r, T.pairs[center, neighbor], T.sets, T.first, T.recursion, cutoff, R, edges.dR[here])
        harmonics(x, y, z, r, T.norms, Y, edges.G[here])
        u = edges.u[here]
        u[0], u[1], u[2] = x, y, z
        edges.e[here], edges.neighbor[here] = e, neighbor
        for n in range(len(R)):
            start, Rn = neighbor * stride + T.start[n], R[n]
            for lm in range((T.l_max[n] + 1) ** 2):
                A[start + lm] += Rn * Y[lm]
        here += 1
    return here


@njit(**_fast)
def scatter(adjoint, T, edges, begin, end, S, Q, gradient):
    """``dE/dvector`` of an atom's edges from its ``dE/dA``; ``S`` and ``Q`` are room for one row of ``lm``."""
    stride = T.start[-1]
    for k in range(begin, end):
        R, dR, Y, G, u = edges.R[k], edges.dR[k], edges.Y[k], edges.G[k], edges.u[k]
        S[:] = 0
        Q[:] = 0
        for n in range(len(R)):
            start, Rn, dRn = edges.neighbor[k] * stride + T.start[n], R[n], dR[n]
            for lm in range((T.l_max[n] + 1) ** 2):
                S[lm] += dRn * adjoint[start + lm]
                Q[lm] += Rn * adjoint[start + lm]
        along, gx, gy, gz = S[0] * Y[0], Q[0] * G[0, 0], Q[0] * G[1, 0], Q[0] * G[2, 0]
        for lm in range(1, len(S)):
            along += S[lm] * Y[lm]
            gx += Q[lm] * G[0, lm]
            gy += Q[lm] * G[1, lm]
            gz += Q[lm] * G[2, lm]
        g = gradient[edges.e[k]]
        g[0], g[1], g[2] = gx + along * u[0], gy + along * u[1], gz + along * u[2]


@njit(**_fast)
def push(direction, T, edges, begin, end, dA):
    """How an atom's ``A`` changes when the vectors of its edges move by ``direction``."""
    stride = T.start[-1]
    dA[:] = 0
    for k in range(begin, end):
        R, dR, Y, G, u = edges.R[k], edges.dR[k], edges.Y[k], edges.G[k], edges.u[k]
        v = direction[edges.e[k]]
        along = v[0] * u[0] + v[1] * u[1] + v[2] * u[2]
        for n in range(len(R)):
            start, Rn, dRn = edges.neighbor[k] * stride + T.start[n], R[n], dR[n] * along
            for lm in range((T.l_max[n] + 1) ** 2):
                dA[start + lm] += dRn * Y[lm] + Rn * (v[0] * G[0, lm] + v[1] * G[1, lm] + v[2] * G[2, lm])
