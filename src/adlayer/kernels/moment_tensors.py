"""Moment tensor potentials, energies with derivatives and design matrices; the meaning is ``potentials/mtp.py``.

An atom's moments are sums over its edges, products of moments follow each other in one list, and derivatives go back
through the same list: for a design matrix once for each scalar, through what it depends on alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from ..nn.moment_contractions import contractions

fast = {"cache": True, "fastmath": True, "error_model": "numpy"}


class Tables(NamedTuple):
    """Contractions as kernels take them; places are those of the moments."""

    mu: np.ndarray  # [basic]
    monomial: np.ndarray  # [basic] of x, y and z
    exponents: np.ndarray  # [monomials, 3]
    lower: np.ndarray  # [monomials, 3] with an exponent less by one; -1: none
    products: np.ndarray  # [products, 4]
    depth: np.ndarray  # [moments]
    scalars: np.ndarray  # [K]
    needs_start: np.ndarray  # [K + 1] where the products begin that a scalar depends on
    needs: np.ndarray  # the products, the last first
    basics_start: np.ndarray  # [K + 1] where its basic moments begin
    basics: np.ndarray


@lru_cache(maxsize=8)
def tables(level: int) -> Tables:
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
        np.array(exponents),
        np.array(lower),
        known.products,
        known.depth,
        known.scalars,
        *flat(needs),
        *flat(basics),
    )


def energies(first, j, vectors, z, w, c, cutoff, min_dist, scaling, level):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    return _energies(first, j, vectors, z, w, c, cutoff, min_dist, scaling, tables(level))


def design(
    graph: Graph,
    z: Int[Tensor, "atoms"],
    w: Float[Tensor, "elements elements mu n"],
    cutoff: float,
    min_dist: float,
    scaling: float,
    level: int,
    dtype: torch.dtype,
    forces: bool = True,
    virial: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Sums over each system of the scalars, with forces and strain derivative of each.

    Returns:
        energy [systems, K], forces [atoms, 3, K] and virial [systems, 3, 3, K].
    """
    T = tables(level)
    K = len(T.scalars)
    vectors = graph.vectors.detach().to(device="cpu", dtype=dtype).contiguous().numpy()
    E = np.zeros((graph.n_systems, K), vectors.dtype)
    F = np.zeros((graph.n_atoms if forces else 0, 3, K), vectors.dtype)
    W = np.zeros((graph.n_systems if virial else 0, 3, 3, K), vectors.dtype)
    first, j, z, offsets = (x.cpu().numpy() for x in (graph.first, graph.j, z, graph.structures.offsets))
    w = w.numpy().astype(vectors.dtype)
    _design(first, j, vectors, z, offsets, w, cutoff, min_dist, scaling, T, E, F, W)
    E, F, W = (torch.from_numpy(x).to(graph.vectors.device) for x in (E, F, W))
    return E, F if forces else None, W if virial else None


@njit(**fast)
def _radial(r, w, cutoff, min_dist, scaling, f, df):
    """``f_mu`` and its slope."""
    slope = 2.0 / (cutoff - min_dist)
    x = slope * r - (min_dist + cutoff) / (cutoff - min_dist)
    fade, fall = scaling * (cutoff - r) * (cutoff - r), -2.0 * scaling * (cutoff - r)
    for mu in range(len(w)):
        before, T, d_before, dT = 1.0, x, 0.0, 1.0
        total, d_total = w[mu, 0] + w[mu, 1] * x, w[mu, 1] + 0.0 * x
        for n in range(2, w.shape[1]):
            before, T, d_before, dT = T, 2.0 * x * T - before, dT, 2.0 * T + 2.0 * x * dT - d_before
            total += w[mu, n] * T
            d_total += w[mu, n] * dT
        f[mu] = total * fade
        df[mu] = d_total * slope * fade + total * fall


@njit(**fast)
def _monomials(T, u, P):
    P[0] = 1.0
    for m in range(1, len(T.lower)):
        for k in range(3):
            if T.lower[m, k] >= 0:
                P[m] = P[T.lower[m, k]] * u[k]
                break


@njit(**fast)
def _gather(i, first, j, vectors, z, w, cutoff, min_dist, scaling, T, edge, u, r, f, df, P, M):
    """All of an atom's edges that are short enough, and its moments; how many edges."""
    near = 0
    M[:] = 0.0
    for e in range(first[i], first[i + 1]):
        v = vectors[e]
        length = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        if length >= cutoff:
            continue
        for k in range(3):
            u[near, k] = v[k] / length
        _radial(length, w[z[i], z[j[e]]], cutoff, min_dist, scaling, f[near], df[near])
        _monomials(T, u[near], P[near])
        for b in range(len(T.mu)):
            M[b] += f[near, T.mu[b]] * P[near, T.monomial[b]]
        edge[near], r[near] = e, length
        near += 1
    for p in range(len(T.products)):
        x, y, times, out = T.products[p]
        M[out] += times * M[x] * M[y]
    return near


@njit(**fast)
def _room(most, n_mu, T, kind):
    edge, u, r = np.empty(most, np.int64), np.empty((most, 3), kind), np.empty(most, kind)
    f, df, P = np.empty((most, n_mu), kind), np.empty((most, n_mu), kind), np.empty((most, len(T.lower)), kind)
    return edge, u, r, f, df, P, np.empty(len(T.depth), kind), np.empty(len(T.depth), kind)


@njit(parallel=True, **fast)
def _energies(first, j, vectors, z, w, c, cutoff, min_dist, scaling, T):
    kind = vectors.dtype
    E, G = np.zeros(len(first) - 1, kind), np.zeros(vectors.shape, kind)
    for i in prange(len(first) - 1):
        edge, u, r, f, df, P, M, g = _room(first[i + 1] - first[i], w.shape[2], T, kind)
        near = _gather(i, first, j, vectors, z, w, cutoff, min_dist, scaling, T, edge, u, r, f, df, P, M)
        g[:] = 0.0
        for k in range(len(T.scalars)):
            E[i] += c[k] * M[T.scalars[k]]
            g[T.scalars[k]] += c[k]
        for p in range(len(T.products) - 1, -1, -1):
            x, y, times, out = T.products[p]
            g[x] += times * g[out] * M[y]
            g[y] += times * g[out] * M[x]
        h, bend = np.empty(len(T.lower), kind), np.empty(3, kind)
        for e in range(near):
            h[:] = 0.0
            bend[:] = 0.0
            along = E[i] * 0.0
            for b in range(len(T.mu)):
                h[T.monomial[b]] += g[b] * f[e, T.mu[b]]
                along += g[b] * df[e, T.mu[b]] * P[e, T.monomial[b]]
            for m in range(1, len(T.lower)):
                for k in range(3):
                    if T.lower[m, k] >= 0:
                        bend[k] += h[m] * T.exponents[m, k] * P[e, T.lower[m, k]]
            along -= (bend[0] * u[e, 0] + bend[1] * u[e, 1] + bend[2] * u[e, 2]) / r[e]
            for k in range(3):
                G[edge[e], k] = along * u[e, k] + bend[k] / r[e]
    return E, G


@njit(parallel=True, **fast)
def _design(first, j, vectors, z, offsets, w, cutoff, min_dist, scaling, T, E, F, W):
    kind, n_basic, most = vectors.dtype, len(T.mu), 0
    for a in range(len(first) - 1):
        most = max(most, first[a + 1] - first[a])
    for s in prange(len(offsets) - 1):
        edge, u, r, f, df, P, M, g = _room(most, w.shape[2], T, kind)
        D, total = np.empty((n_basic, most, 3), kind), np.empty((most, 3), kind)
        g[:] = 0.0
        for i in range(offsets[s], offsets[s + 1]):
            near = _gather(i, first, j, vectors, z, w, cutoff, min_dist, scaling, T, edge, u, r, f, df, P, M)
            for k in range(len(T.scalars)):
                E[s, k] += M[T.scalars[k]]
            if not (len(F) or len(W)):
                continue
            _slopes(T, near, u, r, f, df, P, D)
            for k in range(len(T.scalars)):
                g[T.scalars[k]] = 1.0
                for p in T.needs[T.needs_start[k] : T.needs_start[k + 1]]:
                    x, y, times, out = T.products[p]
                    g[x] += times * g[out] * M[y]
                    g[y] += times * g[out] * M[x]
                total[:near] = 0.0
                for b in T.basics[T.basics_start[k] : T.basics_start[k + 1]]:
                    for e in range(near):
                        for x in range(3):
                            total[e, x] += g[b] * D[b, e, x]
                    g[b] = 0.0
                for p in T.needs[T.needs_start[k] : T.needs_start[k + 1]]:
                    g[T.products[p, 3]] = 0.0
                for e in range(near):
                    for x in range(3):
                        if len(F):
                            F[i, x, k] += total[e, x]
                            F[j[edge[e]], x, k] -= total[e, x]
                        if len(W):
                            for y in range(3):
                                W[s, y, x, k] += vectors[edge[e], y] * total[e, x]


@njit(**fast)
def _slopes(T, near, u, r, f, df, P, D):
    """Derivatives of the basic moments by the vectors of an atom's edges."""
    for b in range(len(T.mu)):
        m, mu = T.monomial[b], T.mu[b]
        n = T.exponents[m, 0] + T.exponents[m, 1] + T.exponents[m, 2]
        for e in range(near):
            along = df[e, mu] * P[e, m] - n * f[e, mu] * P[e, m] / r[e]
            for k in range(3):
                D[b, e, k] = along * u[e, k]
                if T.lower[m, k] >= 0:
                    D[b, e, k] += f[e, mu] * T.exponents[m, k] * P[e, T.lower[m, k]] / r[e]
