"""Moment tensor potentials: derivatives of energies, forces and virials by each parameter.

By a coefficient: back through what its scalar depends on alone. By a number in a radial function: how the moments
change, forward through all products, and how the derivatives by the moments do, back through them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from .moment_tensors import fast, gather, tables


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
    c: Float[Tensor, "K"] | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Derivatives by the coefficients or, where these are given, by the numbers in the radial functions.

    Returns:
        energy [systems, K], forces [atoms, 3, K] and virial [systems, 3, 3, K].
    """
    vectors = graph.vectors.detach().to(device="cpu", dtype=dtype).contiguous().numpy()
    T, radial = tables(level, vectors.dtype.name), np.array([cutoff, min_dist, scaling], vectors.dtype)
    K = len(T.scalars) if c is None else w.numel()
    E = np.zeros((graph.n_systems, K), vectors.dtype)
    F = np.zeros((graph.n_atoms if forces else 0, 3, K), vectors.dtype)
    W = np.zeros((graph.n_systems if virial else 0, 3, 3, K), vectors.dtype)
    first, j, z, offsets = (x.cpu().numpy() for x in (graph.first, graph.j, z, graph.structures.offsets))
    arguments = first, j, vectors, z, offsets, w.detach().cpu().to(dtype).numpy(), radial, T
    if c is None:
        _by_coefficients(*arguments, E, F, W)
    else:
        _by_radial(*arguments, c.detach().cpu().to(dtype).numpy(), E, F, W)
    E, F, W = (torch.from_numpy(x).to(graph.vectors.device) for x in (E, F, W))
    return E, F if forces else None, W if virial else None


@njit(**fast)
def _most(first):
    most = 0
    for a in range(len(first) - 1):
        most = max(most, first[a + 1] - first[a])
    return most


@njit(**fast)
def _room(most, w, T):
    """Arrays for one atom: its edges, how long, their directions, radial functions and monomials; its moments."""
    kind, n_mu, N = w.dtype, w.shape[2], w.shape[3]
    edge, r, u = np.empty(most, np.int64), np.empty(most, kind), np.empty((3, most), kind)
    Q, dQ = np.empty((N, most), kind), np.empty((N, most), kind)
    f, df, P = np.empty((n_mu, most), kind), np.empty((n_mu, most), kind), np.empty((len(T.lower), most), kind)
    return edge, r, u, Q, dQ, f, df, P, np.empty(len(T.depth), kind), np.empty(len(T.depth), kind)


@njit(**fast)
def _multiply(M, T):
    """All moments from the basic ones."""
    M[len(T.mu) :] = 0
    for p in range(len(T.products)):
        M[T.products[p, 2]] += T.times[p] * M[T.products[p, 0]] * M[T.products[p, 1]]


@njit(**fast)
def _back(c, M, T, g):
    """Derivatives of ``sum_k c_k B_k`` by the moments."""
    g[:] = 0
    for k in range(len(T.scalars)):
        g[T.scalars[k]] += c[k]
    for p in range(len(T.products) - 1, -1, -1):
        x, y, out = T.products[p]
        along = T.times[p] * g[out]
        g[x] += along * M[y]
        g[y] += along * M[x]


@njit(parallel=True, **fast)
def _by_coefficients(first, j, vectors, z, offsets, w, radial, T, E, F, W):
    kind, most, K = vectors.dtype, _most(first), len(T.scalars)
    for s in prange(len(offsets) - 1):
        edge, r, u, Q, dQ, f, df, P, M, g = _room(most, w, T)
        D, total = np.empty((len(T.mu), 3, most), kind), np.empty((K, 3, most), kind)
        g[:] = 0
        for i in range(offsets[s], offsets[s + 1]):
            near = gather(i, first, j, vectors, z, w, radial, T, edge, r, u, Q, dQ, f, df, P, M)
            _multiply(M, T)
            for k in range(K):
                E[s, k] += M[T.scalars[k]]
            if not (len(F) or len(W)):
                continue
            _slopes(T, near, u, r, f, df, P, D)
            for k in range(K):
                needs = T.needs[T.needs_start[k] : T.needs_start[k + 1]]
                g[T.scalars[k]] = 1
                for p in needs:
                    x, y, out = T.products[p]
                    along = T.times[p] * g[out]
                    g[x] += along * M[y]
                    g[y] += along * M[x]
                total[k, :, :near] = 0
                for b in T.basics[T.basics_start[k] : T.basics_start[k + 1]]:
                    _add(g[b], D[b], near, total[k])
                    g[b] = 0
                for p in needs:
                    g[T.products[p, 2]] = 0
            _scatter(i, s, 0, j, vectors, edge, near, total, F, W)


@njit(parallel=True, **fast)
def _by_radial(first, j, vectors, z, offsets, w, radial, T, c, E, F, W):
    kind, most, n = vectors.dtype, _most(first), len(w)
    n_mu, N, B = w.shape[2], w.shape[3], len(T.mu)
    K = n_mu * N
    for s in prange(len(offsets) - 1):
        edge, r, u, Q, dQ, f, df, P, M, g = _room(most, w, T)
        D, total = np.zeros((B, 3, most), kind), np.empty((K, 3, most), kind)
        dM, dg, by = np.empty((len(T.depth), K), kind), np.empty((len(T.depth), K), kind), np.empty((K, B), kind)
        angular, bend = np.empty((n_mu, most), kind), np.empty((n_mu, 3, most), kind)
        q, dq = np.empty((N, most), kind), np.empty((N, most), kind)
        for i in range(offsets[s], offsets[s + 1]):
            near = gather(i, first, j, vectors, z, w, radial, T, edge, r, u, Q, dQ, f, df, P, M)
            _multiply(M, T)
            _back(c, M, T, g)
            if len(F) or len(W):
                _slopes(T, near, u, r, f, df, P, D)
                _angular(T, near, u, r, P, g, angular, bend)
            for other in range(n):
                column = (z[i] * n + other) * K
                for e in range(near):  # the edges of this pair of elements
                    same = 1 if z[j[edge[e]]] == other else 0
                    for m in range(N):
                        q[m, e], dq[m, e] = same * Q[m, e], same * dQ[m, e]
                dM[:] = 0
                for b in range(B):
                    x, m = P[T.monomial[b]], T.mu[b] * N
                    for k in range(N):
                        y = q[k]
                        for e in range(near):
                            dM[b, m + k] += x[e] * y[e]
                        E[s, column + m + k] += g[b] * dM[b, m + k]
                if not (len(F) or len(W)):
                    continue
                _curve(T, M, g, dM, dg)
                for b in range(B):
                    for k in range(K):
                        by[k, b] = dg[b, k]
                total.reshape(K, -1)[:] = np.dot(by, D.reshape(B, -1))
                for k in range(K):
                    mu, m = divmod(k, N)
                    for x in range(3):
                        for e in range(near):
                            total[k, x, e] += dq[m, e] * angular[mu, e] * u[x, e] + q[m, e] * bend[mu, x, e]
                _scatter(i, s, column, j, vectors, edge, near, total, F, W)


@njit(**fast)
def _curve(T, M, g, dM, dg):
    """How all moments and the derivatives by them change with the basic moments."""
    K = dM.shape[1]
    for p in range(len(T.products)):
        a, b = T.times[p] * M[T.products[p, 1]], T.times[p] * M[T.products[p, 0]]
        x, y, out = dM[T.products[p, 0]], dM[T.products[p, 1]], dM[T.products[p, 2]]
        for k in range(K):
            out[k] += a * x[k] + b * y[k]
    dg[:] = 0
    for p in range(len(T.products) - 1, -1, -1):
        first, second, place = T.products[p]
        a, b, along = T.times[p] * M[second], T.times[p] * M[first], T.times[p] * g[place]
        x, y, dx, dy, out = dg[first], dg[second], dM[first], dM[second], dg[place]
        for k in range(K):
            x[k] += a * out[k] + along * dy[k]
            y[k] += b * out[k] + along * dx[k]


@njit(**fast)
def _slopes(T, near, u, r, f, df, P, D):
    """Derivatives of the basic moments by the vectors of an atom's edges."""
    for b in range(len(T.mu)):
        m, mu = T.monomial[b], T.mu[b]
        for k in range(3):
            for e in range(near):
                D[b, k, e] = (df[mu, e] - T.order[m] * f[mu, e] / r[e]) * P[m, e] * u[k, e]
            if T.lower[m, k] >= 0:
                for e in range(near):
                    D[b, k, e] += T.exponents[m, k] * f[mu, e] / r[e] * P[T.lower[m, k], e]


@njit(**fast)
def _angular(T, near, u, r, P, g, angular, bend):
    """What multiplies a radial function in the energy's derivative by it, and the slopes of that by the vectors."""
    angular[:] = 0
    bend[:] = 0
    for b in range(len(T.mu)):
        m, mu = T.monomial[b], T.mu[b]
        for e in range(near):
            angular[mu, e] += g[b] * P[m, e]
        for k in range(3):
            for e in range(near):
                bend[mu, k, e] -= g[b] * T.order[m] * P[m, e] * u[k, e] / r[e]
            if T.lower[m, k] >= 0:
                for e in range(near):
                    bend[mu, k, e] += g[b] * T.exponents[m, k] * P[T.lower[m, k], e] / r[e]


@njit(**fast)
def _add(times, D, near, total):
    for k in range(3):
        x, y = D[k], total[k]
        for e in range(near):
            y[e] += times * x[e]


@njit(**fast)
def _scatter(i, s, column, j, vectors, edge, near, total, F, W):
    """Derivatives by an atom's edges to forces and virials."""
    K = len(total)
    for e in range(near):
        for x in range(3):
            if len(F):
                here, there = F[i, x, column : column + K], F[j[edge[e]], x, column : column + K]
                for k in range(K):
                    here[k] += total[k, x, e]
                    there[k] -= total[k, x, e]
            if len(W):
                for y in range(3):
                    of = W[s, y, x, column : column + K]
                    for k in range(K):
                        of[k] += vectors[edge[e], y] * total[k, x, e]
