"""Neighbors as points of the 3-sphere, the harmonics there and their sums over the neighbors of one atom.

Fused forms of ``nn.sphere``. Of each matrix ``U^j`` the rows up to the middle are kept; the others are their mirror
image, ``U_-m',-m = (-1)^(m'-m) U*_m'm``. The edges of an atom are taken ``WIDTH`` at a time as one vector (see
``simd``); what is left over is filled up with edges that weigh nothing.

A move of a neighbor turns its point, ``dU = U Omega``: derivatives need no recursion of their own. For ``j = 1/2``

    Omega = [[-a, b], [-b*, a]],  a = -i w_z,  b = -w_y - i w_x,
    w = dtheta n + sin(theta) (cos(theta) dn + sin(theta) n x dn)

with ``n = r / |r|``, and for any ``j`` it couples ``m`` to ``m - 1``, ``m`` and ``m + 1`` alone.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from numba import njit

from ..nn.sphere import sphere_of
from .simd import WIDTH, cosine_series, load, sine_series, spread, store, total

fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


class Points(NamedTuple):
    """Settings of a ``Sphere`` and the layout of its harmonics, in arrays."""

    r_c: np.ndarray  # [center, neighbor]
    weight: np.ndarray  # [neighbor]
    inner: np.ndarray  # [element, (middle, half width)], or empty
    theta: np.ndarray  # [rfac0, rmin0]
    switch: np.ndarray  # [1]
    chem: np.ndarray  # [1]
    wselfall: np.ndarray  # [1]
    start: np.ndarray  # [tj] where the rows of each degree begin
    grow: np.ndarray  # [harmonic, (from m, from m - 1)] of the recursion
    step: np.ndarray  # [harmonic] sqrt(m (tj - m + 1)), from m - 1 to m
    twice: np.ndarray  # [harmonic] 2 m - tj


@lru_cache(maxsize=64)
def points_of(spec: str, dtype: type) -> Points:
    """Tables of the settings."""
    s = sphere_of(spec)
    rows = [(tj, row) for tj in range(s.twojmax + 1) for row in range(tj // 2 + 1)]
    start = np.cumsum([0] + [(tj // 2 + 1) * (tj + 1) for tj in range(s.twojmax + 1)])
    grow, step, twice = [], [], []
    for tj, row in rows:
        norm = sqrt(max(row if 2 * row == tj else tj - row, 1))
        grow += [(sqrt(tj - m) / norm, sqrt(m) / norm) for m in range(tj + 1)]
        step += [sqrt(m * (tj - m + 1)) for m in range(tj + 1)]
        twice += [2 * m - tj for m in range(tj + 1)]

    def reals(x) -> np.ndarray:
        return np.array(x, dtype)

    return Points(
        r_c=reals(s.r_c),
        weight=reals(s.weights),
        inner=reals(s.inner if s.inner else np.zeros((0, 2))),
        theta=reals([s.rfac0, s.rmin0]),
        switch=np.array([s.switch]),
        chem=np.array([s.chem]),
        wselfall=np.array([s.wselfall]),
        start=start,
        grow=reals(grow),
        step=reals(step),
        twice=reals(twice),
    )


class Edges(NamedTuple):
    """What edges give, ``WIDTH`` of them in each chunk."""

    e: np.ndarray  # [chunk, WIDTH] their places in the graph, -1 where there is none
    density: np.ndarray  # [chunk] to which they add
    r: np.ndarray  # [chunk, WIDTH]
    u: np.ndarray  # [chunk, 3, WIDTH] directions
    f: np.ndarray  # [chunk, (weight, its derivative), WIDTH]
    turn: np.ndarray  # [chunk, (dtheta/dr, sin cos / r, sin^2 / r), WIDTH]
    U: np.ndarray  # [chunk, harmonic, (Re, Im), WIDTH]
    sums: np.ndarray  # [harmonic, (Re, Im), WIDTH]


@njit(**fast)
def room(n_chunks, T, like):
    """Room for so many chunks."""
    n, dtype = T.start[-1], like.dtype
    return Edges(
        np.empty((n_chunks, WIDTH), np.int64),
        np.empty(n_chunks, np.int64),
        np.empty((n_chunks, WIDTH), dtype),
        np.empty((n_chunks, 3, WIDTH), dtype),
        np.empty((n_chunks, 2, WIDTH), dtype),
        np.empty((n_chunks, 3, WIDTH), dtype),
        np.empty((n_chunks, n, 2, WIDTH), dtype),
        np.empty((n, 2, WIDTH), dtype),
    )


@njit(**fast)
def n_densities(T):
    """One for each element, or one."""
    return len(T.weight) if T.chem[0] else 1


@njit(**fast)
def gather(atom, T, first, j, species, vectors, edges, here, c):
    """``c`` of an atom, [density, harmonic, (Re, Im)]; what edges give goes to the chunks from ``here`` on.

    Returns where the next atom's chunks go. Longer edges than the cutoff are left out.
    """
    center = species[atom]
    for density in range(len(c)):
        n, begin = 0, here
        for e in range(first[atom], first[atom + 1]):
            neighbor = species[j[e]]
            if T.chem[0] and neighbor != density:
                continue
            x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
            r2, r_c = x * x + y * y + z * z, T.r_c[center, neighbor]
            if r2 >= r_c * r_c:
                continue
            if n == WIDTH:
                here, n = here + 1, 0
            r = np.sqrt(r2)
            edges.e[here, n], edges.r[here, n] = e, r
            edges.u[here, 0, n], edges.u[here, 1, n], edges.u[here, 2, n] = x / r, y / r, z / r
            n += 1
        if n:
            for i in range(n, WIDTH):
                edges.e[here, i] = -1
                edges.r[here, i] = edges.r[here, 0]
                edges.u[here, 0, i], edges.u[here, 1, i], edges.u[here, 2, i] = 0, 0, 1
            here += 1
        edges.sums[:] = 0
        for q in range(begin, here):
            edges.density[q] = density
            _point(T, center, species, j, edges, q)
            U, f = edges.U[q], load(edges.f[q, 0])
            for k in range(len(U)):
                store(edges.sums[k, 0], load(edges.sums[k, 0]) + f * load(U[k, 0]))
                store(edges.sums[k, 1], load(edges.sums[k, 1]) + f * load(U[k, 1]))
        for k in range(T.start[-1]):
            c[density, k, 0], c[density, k, 1] = total(load(edges.sums[k, 0])), total(load(edges.sums[k, 1]))
        if T.wselfall[0] or not T.chem[0] or density == center:
            for tj in range(len(T.start) - 1):
                for m in range(tj // 2 + 1):
                    c[density, T.start[tj] + m * (tj + 2), 0] += 1
    return here


@njit(**fast)
def _point(T, center, species, j, edges, q):
    """Weights, points and harmonics of a chunk of edges."""
    r, dtype = edges.r[q], edges.r.dtype
    t, x, scale, w = np.empty(WIDTH, dtype), np.empty(WIDTH, dtype), np.empty(WIDTH, dtype), np.empty(WIDTH, dtype)
    side, y, steep = np.empty(WIDTH, dtype), np.empty(WIDTH, dtype), np.empty(WIDTH, dtype)
    for i in range(WIDTH):
        e = edges.e[q, i]
        neighbor = species[j[e if e >= 0 else edges.e[q, 0]]]
        scale[i] = 1 / (T.r_c[center, neighbor] - T.theta[1])
        w[i] = T.weight[neighbor] if e >= 0 else 0.0
        at = (r[i] - T.theta[1]) * scale[i]
        x[i], t[i] = min(max(at, 0.0), 1.0), abs(at)
        side[i] = 1.0 if at > 0 else -1.0  # as r0 = r / |sin(theta)|
        if len(T.inner):
            middle = 0.5 * (T.inner[center, 0] + T.inner[neighbor, 0])
            half = 0.5 * (T.inner[center, 1] + T.inner[neighbor, 1])
            steep[i] = 0.5 / half
            y[i] = min(max((r[i] - middle + half) * steep[i], 0.0), 1.0)
    f, df = load(w), spread(0.0, r)
    if T.switch[0]:
        sine, cosine = _of_half_turns(load(x))
        f, df = load(w) * (0.5 + 0.5 * cosine), load(w) * load(scale) * (-0.5 * np.pi) * sine
    if len(T.inner):
        sine, cosine = _of_half_turns(load(y))
        rise = 0.5 - 0.5 * cosine
        df = df * rise + f * load(steep) * (0.5 * np.pi) * sine
        f = f * rise
    store(edges.f[q, 0], f)
    store(edges.f[q, 1], df)
    sine, cosine = _of_half_turns(T.theta[0] * load(t))
    cosine = cosine * load(side)
    store(edges.turn[q, 0], T.theta[0] * np.pi * load(scale))
    store(edges.turn[q, 1], sine * cosine / load(r))
    store(edges.turn[q, 2], sine * sine / load(r))
    u = edges.u[q]
    _harmonics(T, cosine, 0.0 - sine * load(u[2]), sine * load(u[1]), 0.0 - sine * load(u[0]), edges.U[q])


@njit(**fast)
def _of_half_turns(x):
    """``sin(pi x)`` and ``cos(pi x)``, ``0 <= x <= 1``."""
    t = np.pi * (x - 0.5)
    return cosine_series(t), 0.0 - sine_series(t)


@njit(**fast)
def _harmonics(T, ar, ai, br, bi, U):
    """``nn.wigner.wigner_matrices``, rows up to the middle; the middle one is the last of its recursion."""
    zero = 0.0 * ar
    store(U[0, 0], zero + 1.0)
    store(U[0, 1], zero)
    for tj in range(1, len(T.start) - 1):
        for row in range(tj // 2 + 1):
            here, before = T.start[tj] + row * (tj + 1), T.start[tj - 1] + row * tj
            pr, pi, qr, qi = ar, 0.0 - ai, 0.0 - br, bi
            if 2 * row == tj:
                before -= tj
                pr, pi, qr, qi = br, bi, ar, ai
            xr, xi = zero, zero
            for m in range(tj):
                yr, yi, p, q = load(U[before + m, 0]), load(U[before + m, 1]), T.grow[here + m, 0], T.grow[here + m, 1]
                store(U[here + m, 0], p * (pr * yr - pi * yi) + q * (qr * xr - qi * xi))
                store(U[here + m, 1], p * (pr * yi + pi * yr) + q * (qr * xi + qi * xr))
                xr, xi = yr, yi
            q = T.grow[here + tj, 1]
            store(U[here + tj, 0], q * (qr * xr - qi * xi))
            store(U[here + tj, 1], q * (qr * xi + qi * xr))


@njit(**fast)
def turned(Y, T, Q, lane):
    """``Q`` [harmonic, 8] of a lane of ``Y``: its products with ``U`` are ``Re Y* . U`` and ``Re Y* . dU/dw_z,y,x``."""
    for k in range(T.start[-1]):
        yr, yi, t = Y[k, 0, lane], Y[k, 1, lane], T.twice[k]
        Q[k, 0], Q[k, 1] = yr, yi
        Q[k, 2], Q[k, 3] = -t * yi, t * yr  # by w_z
        Q[k, 4], Q[k, 5], Q[k, 6], Q[k, 7] = 0, 0, 0, 0
    for k in range(1, T.start[-1]):  # between m - 1 and m of one row; at m = 0 the step is zero
        s = T.step[k]
        yr, yi, xr, xi = s * Y[k, 0, lane], s * Y[k, 1, lane], s * Y[k - 1, 0, lane], s * Y[k - 1, 1, lane]
        Q[k - 1, 4] -= yr  # by w_y
        Q[k - 1, 5] -= yi
        Q[k, 4] += xr
        Q[k, 5] += xi
        Q[k - 1, 6] -= yi  # by w_x
        Q[k - 1, 7] += yr
        Q[k, 6] -= xi
        Q[k, 7] += xr


@njit(**fast)
def scatter(Q, edges, begin, end, gradient):
    """``dE/dvector`` of an atom's edges from ``Q`` of its ``dE/dc``, [density, harmonic, 8]."""
    g = np.empty((3, WIDTH), edges.r.dtype)
    for c in range(begin, end):
        U, u, Y = edges.U[c], edges.u[c], Q[edges.density[c]]
        zero = spread(0.0, edges.r)
        S, Sx, Sy, Sz = zero, zero, zero, zero
        for k in range(len(U)):
            re, im = load(U[k, 0]), load(U[k, 1])
            S += Y[k, 0] * re + Y[k, 1] * im
            Sz += Y[k, 2] * re + Y[k, 3] * im
            Sy += Y[k, 4] * re + Y[k, 5] * im
            Sx += Y[k, 6] * re + Y[k, 7] * im
        x, y, z, f = load(u[0]), load(u[1]), load(u[2]), load(edges.f[c, 0])
        slope, cosine, sine = f * load(edges.turn[c, 0]), f * load(edges.turn[c, 1]), f * load(edges.turn[c, 2])
        along = Sx * x + Sy * y + Sz * z
        radial = load(edges.f[c, 1]) * S + (slope - cosine) * along
        store(g[0], radial * x + cosine * Sx + sine * (Sy * z - Sz * y))
        store(g[1], radial * y + cosine * Sy + sine * (Sz * x - Sx * z))
        store(g[2], radial * z + cosine * Sz + sine * (Sx * y - Sy * x))
        for i in range(WIDTH):
            e = edges.e[c, i]
            if e >= 0:
                gradient[e, 0], gradient[e, 1], gradient[e, 2] = g[0, i], g[1, i], g[2, i]


@njit(**fast)
def moved(T, edges, q, dx, dy, dz, dU):
    """Change of the weighted harmonics of a chunk, [harmonic, (Re, Im), WIDTH], as its vectors move."""
    U, u, f = edges.U[q], edges.u[q], load(edges.f[q, 0])
    x, y, z = load(u[0]), load(u[1]), load(u[2])
    slope, cosine, sine = f * load(edges.turn[q, 0]), f * load(edges.turn[q, 1]), f * load(edges.turn[q, 2])
    along = x * dx + y * dy + z * dz
    df, radial = load(edges.f[q, 1]) * along, (slope - cosine) * along
    wx = radial * x + cosine * dx + sine * (y * dz - z * dy)
    wy = radial * y + cosine * dy + sine * (z * dx - x * dz)
    wz = radial * z + cosine * dz + sine * (x * dy - y * dx)
    last = len(U) - 1
    for k in range(len(U)):
        re, im, t = load(U[k, 0]), load(U[k, 1]), T.twice[k]
        r, i = df * re + t * wz * im, df * im - t * wz * re
        if k > 0:
            s, xr, xi = T.step[k], load(U[max(k - 1, 0), 0]), load(U[max(k - 1, 0), 1])
            r += s * (wx * xi - wy * xr)
            i -= s * (wx * xr + wy * xi)
        if k < last:
            s, xr, xi = T.step[k + 1], load(U[k + 1, 0]), load(U[k + 1, 1])
            r += s * (wy * xr + wx * xi)
            i += s * (wy * xi - wx * xr)
        store(dU[k, 0], r)
        store(dU[k, 1], i)
