"""Moment tensor potentials, energies with derivatives; the meaning is ``potentials/mtp.py``.

An atom's moments are sums over its edges, which lie beside each other in all arrays. Products of moments follow each
other in one list, which is gone through for ``WIDTH`` atoms at a time, and derivatives go back through the same list.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from ..nn.moment_contractions import contractions
from .simd import WIDTH, load, store

fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


class Tables(NamedTuple):
    """Contractions as kernels take them; places are those of the moments."""

    mu: np.ndarray  # [basic]
    monomial: np.ndarray  # [basic] of x, y and z
    last: np.ndarray  # [monomials] the direction by which it is more than another one
    order: np.ndarray  # [monomials] floating-point
    lower: np.ndarray  # [monomials, 3] with an exponent less by one; -1: none
    exponents: np.ndarray  # [monomials, 3] floating-point
    products: np.ndarray  # [products, 3] first and second factor, and the moment it is added to
    times: np.ndarray  # [products] floating-point
    depth: np.ndarray  # [moments]
    scalars: np.ndarray  # [K]
    needs_start: np.ndarray  # [K + 1] where the products begin that a scalar depends on
    needs: np.ndarray  # the products, the last first
    basics_start: np.ndarray  # [K + 1] where its basic moments begin
    basics: np.ndarray


@lru_cache(maxsize=8)
def tables(level: int, dtype: str) -> Tables:
    """Those of a level."""
    known = contractions(level)
    exponents = sorted({tuple(e) for e in known.basic[:, 1:].tolist()}, key=lambda e: (sum(e), e))
    place = {e: k for k, e in enumerate(exponents)}
    lower = [[place.get((*e[:k], e[k] - 1, *e[k + 1 :]), -1) for k in range(3)] for e in exponents]
    into: dict[int, list[int]] = {}
    for p, out in enumerate(known.products[:, 3].tolist()):
        into.setdefault(out, []).append(p)
    needs, basics = [], []
    for scalar in known.scalars.tolist():
        seen, waiting = set(), [scalar]
        while waiting:
            if (one := waiting.pop()) not in seen:
                seen.add(one)
                waiting += [int(x) for p in into.get(one, ()) for x in known.products[p, :2]]
        needs.append(sorted((p for one in seen for p in into.get(one, ())), reverse=True))
        basics.append(sorted(one for one in seen if known.depth[one] == 0))

    def flat(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        return np.cumsum([0, *map(len, lists)]), np.array([x for one in lists for x in one], dtype=np.int64)

    return Tables(
        np.ascontiguousarray(known.basic[:, 0]),
        np.array([place[tuple(e)] for e in known.basic[:, 1:].tolist()]),
        np.array(lower).argmax(1),
        np.sum(exponents, 1).astype(dtype),
        np.array(lower),
        np.array(exponents, dtype),
        np.ascontiguousarray(known.products[:, [0, 1, 3]]),
        known.products[:, 2].astype(dtype),
        known.depth,
        known.scalars,
        *flat(needs),
        *flat(basics),
    )


def energies(first, j, vectors, z, w, c, cutoff, min_dist, scaling, level):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    radial = np.array([cutoff, min_dist, scaling], vectors.dtype)
    return _energies(first, j, vectors, z, w, c, radial, tables(level, vectors.dtype.name))


@njit(**fast)
def _radial(near, r, radial, Q, dQ):
    """``T_n(x) (r_c - r)²`` and slopes."""
    cutoff, min_dist, scaling = radial
    slope = 2 / (cutoff - min_dist)
    for e in range(near):
        Q[0, e], dQ[0, e] = 1, 0
        Q[1, e], dQ[1, e] = slope * (r[e] - min_dist) - 1, slope
    for n in range(2, len(Q)):
        for e in range(near):
            Q[n, e] = 2 * Q[1, e] * Q[n - 1, e] - Q[n - 2, e]
            dQ[n, e] = 2 * (slope * Q[n - 1, e] + Q[1, e] * dQ[n - 1, e]) - dQ[n - 2, e]
    for n in range(len(Q)):
        for e in range(near):
            fade = cutoff - r[e]
            dQ[n, e] = scaling * fade * (dQ[n, e] * fade - 2 * Q[n, e])
            Q[n, e] *= scaling * fade * fade


@njit(**fast)
def gather(i, first, j, vectors, z, w, radial, T, edge, r, u, Q, dQ, f, df, P, M):
    """All of an atom's edges that are short enough, and its basic moments; how many edges."""
    near = 0
    for e in range(first[i], first[i + 1]):
        v = vectors[e]
        length = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        if length < radial[0]:
            edge[near], r[near] = e, length
            for k in range(3):
                u[k, near] = v[k] / length
            near += 1
    _radial(near, r, radial, Q, dQ)
    for mu in range(len(f)):
        f[mu, :near] = 0
        df[mu, :near] = 0
    if len(w) == 1:
        for mu in range(len(f)):
            for n in range(len(Q)):
                c = w[0, 0, mu, n]
                for e in range(near):
                    f[mu, e] += c * Q[n, e]
                    df[mu, e] += c * dQ[n, e]
    else:
        for e in range(near):
            c = w[z[i], z[j[edge[e]]]]
            for mu in range(len(f)):
                for n in range(len(Q)):
                    f[mu, e] += c[mu, n] * Q[n, e]
                    df[mu, e] += c[mu, n] * dQ[n, e]
    P[0, :near] = 1
    for m in range(1, len(P)):
        k = T.last[m]
        before, along, here = P[T.lower[m, k]], u[k], P[m]
        for e in range(near):
            here[e] = before[e] * along[e]
    for b in range(len(T.mu)):
        x, y, total = f[T.mu[b]], P[T.monomial[b]], 0 * radial[0]
        for e in range(near):
            total += x[e] * y[e]
        M[b] = total
    return near


@njit(parallel=True, **fast)
def _energies(first, j, vectors, z, w, c, radial, T):
    kind, n = vectors.dtype, len(first) - 1
    n_mu, N = w.shape[2], w.shape[3]
    E, G = np.zeros(n, kind), np.zeros(vectors.shape, kind)
    for group in prange((n + WIDTH - 1) // WIDTH):
        atoms, most = range(group * WIDTH, min(n, (group + 1) * WIDTH)), 0
        for i in atoms:
            most = max(most, first[i + 1] - first[i])
        M, g, near = (
            np.zeros((len(T.depth), WIDTH), kind),
            np.zeros((len(T.depth), WIDTH), kind),
            np.empty(WIDTH, np.int64),
        )
        edge, r, u = np.empty((WIDTH, most), np.int64), np.empty((WIDTH, most), kind), np.empty((WIDTH, 3, most), kind)
        f, df = np.empty((WIDTH, n_mu, most), kind), np.empty((WIDTH, n_mu, most), kind)
        P, Q, dQ = np.empty((WIDTH, len(T.lower), most), kind), np.empty((N, most), kind), np.empty((N, most), kind)
        for a, i in enumerate(atoms):
            near[a] = gather(
                i, first, j, vectors, z, w, radial, T, edge[a], r[a], u[a], Q, dQ, f[a], df[a], P[a], M[:, a]
            )
        for p in range(len(T.products)):
            x, y, out = T.products[p]
            store(M[out], load(M[out]) + T.times[p] * load(M[x]) * load(M[y]))
        for k in range(len(T.scalars)):
            for a, i in enumerate(atoms):
                E[i] += c[k] * M[T.scalars[k], a]
            store(g[T.scalars[k]], load(g[T.scalars[k]]) + c[k])
        for p in range(len(T.products) - 1, -1, -1):
            x, y, out = T.products[p]
            along = T.times[p] * load(g[out])
            store(g[x], load(g[x]) + along * load(M[y]))
            store(g[y], load(g[y]) + along * load(M[x]))
        h, bend, along = np.empty((len(T.lower), most), kind), np.empty((3, most), kind), np.empty(most, kind)
        for a in range(len(atoms)):
            _bend(near[a], T, g[:, a], edge[a], r[a], u[a], f[a], df[a], P[a], h, bend, along, G)
    return E, G


@njit(**fast)
def _bend(near, T, g, edge, r, u, f, df, P, h, bend, along, G):
    """Derivatives by an atom's edges, from those by its moments."""
    h[:], bend[:], along[:] = 0, 0, 0
    for b in range(len(T.mu)):
        m, slope = T.monomial[b], g[b]
        value, derivative, angular, sums = f[T.mu[b]], df[T.mu[b]], P[m], h[m]
        for e in range(near):
            sums[e] += slope * value[e]
            along[e] += slope * derivative[e] * angular[e]
    for m in range(1, len(T.lower)):
        for k in range(3):
            if T.lower[m, k] >= 0:
                times, angular, sums, of = T.exponents[m, k], P[T.lower[m, k]], h[m], bend[k]
                for e in range(near):
                    of[e] += times * sums[e] * angular[e]
    for e in range(near):
        straight = along[e] - (bend[0, e] * u[0, e] + bend[1, e] * u[1, e] + bend[2, e] * u[2, e]) / r[e]
        for k in range(3):
            G[edge[e], k] = straight * u[k, e] + bend[k, e] / r[e]
