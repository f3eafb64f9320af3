"""Design matrices of the linear atomic cluster expansion: what autograd would give one coefficient at a time.

For each atom ``dB_k/dA_v`` follows from the products of a function, and ``dA_v/dvector`` is kept for all of its edges,
so that ``dB_k/dvector`` is a short sum of long rows, which is added to the forces on both ends of each edge.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from ..nn.cluster_expansion import ClusterExpansion
from .ace import tables
from .one_particle import fast, gather, room
from .simd import WIDTH, load, spread, store, total


class Invariants(NamedTuple):
    """Which ``A`` a function is made of, and its products of them."""

    own_start: np.ndarray  # [K + 1] where the A of each function begin
    own: np.ndarray  # their places among the A
    start: np.ndarray  # [K + 1] where the products of each function begin
    coupling: np.ndarray  # [products]
    order: np.ndarray  # [products] number of factors
    factors: np.ndarray  # [products, order] places among the function's own A


def invariants(expansion: ClusterExpansion) -> Invariants:
    """Sort out an expansion by its functions, once."""
    if expansion not in _KNOWN:
        basis = expansion.basis
        K, chosen = len(basis), [basis.products[t] for t in basis.columns]
        start = np.searchsorted(basis.rows, np.arange(K + 1))
        factors = np.zeros((len(chosen), max(map(len, chosen), default=1)), np.int64)
        own: list[int] = []
        own_start = [0]
        for k in range(K):
            mine = sorted({a for t in chosen[start[k] : start[k + 1]] for a in t})
            place = {a: n for n, a in enumerate(mine)}
            for p in range(start[k], start[k + 1]):
                factors[p, : len(chosen[p])] = [place[a] for a in chosen[p]]
            own += mine
            own_start.append(len(own))
        _KNOWN[expansion] = Invariants(
            np.array(own_start), np.array(own), start, basis.values, np.array([len(t) for t in chosen]), factors
        )
    return _KNOWN[expansion]


_KNOWN: WeakKeyDictionary[ClusterExpansion, Invariants] = WeakKeyDictionary()


def design(
    graph: Graph,
    species: Int[Tensor, "atoms"],
    expansion: ClusterExpansion,
    dtype: torch.dtype,
    forces: bool = True,
    virial: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Sums over each system of ``B_k`` and, for each ``k``, forces and strain derivative; ``k`` over elements first.

    Returns:
        energy [systems, K], forces [atoms, 3, K] and virial [systems, 3, 3, K].
    """
    n_systems, K = graph.n_systems, len(expansion.basis) * expansion.n_elements
    vectors = graph.vectors.detach().to(device="cpu", dtype=dtype).contiguous().numpy()
    E = np.zeros((n_systems, K), vectors.dtype)
    F = np.zeros((K if forces else 0, graph.n_atoms * 3), vectors.dtype)
    W = np.zeros((n_systems, K if virial else 0, 9), vectors.dtype)
    first, j, species, offsets = (x.cpu().numpy() for x in (graph.first, graph.j, species, graph.structures.offsets))
    _design(vectors, first, j, species, offsets, tables(expansion)[0], invariants(expansion), E, F, W)
    E, F, W = (torch.from_numpy(x).to(graph.vectors.device) for x in (E, F, W))
    F = F.T.reshape(graph.n_atoms, 3, K) if forces else None
    return E, F, W.mT.reshape(n_systems, 3, 3, K) if virial else None


def jacobian(graph: Graph, species: Int[Tensor, "atoms"], expansion: ClusterExpansion) -> Tensor:
    """Derivatives of the ``B_k`` of atoms by the vectors of the edges that leave them, [edges, 3, K]."""
    vectors = graph.vectors.detach().contiguous().numpy()
    J = np.zeros((len(vectors), 3, len(expansion.basis)), vectors.dtype)
    first, j, species = (x.numpy() for x in (graph.first, graph.j, species))
    _jacobian(vectors, first, j, species, tables(expansion)[0], invariants(expansion), J)
    return torch.from_numpy(J)


@njit(parallel=True, **fast)
def _jacobian(vectors, first, j, species, T, B, J):
    K, n_elements, stride = len(B.start) - 1, len(T.kinds), T.start[-1]
    most_own = max([B.own_start[k + 1] - B.own_start[k] for k in range(K)])
    for a in prange(len(first) - 1):
        if first[a] == first[a + 1]:
            continue
        most = (first[a + 1] - first[a]) // WIDTH + n_elements
        edges, A = room(most, T, vectors), np.empty(T.shift.shape[1], vectors.dtype)
        dA, g = np.empty((stride, most * 3, WIDTH), vectors.dtype), np.empty((most * 3, WIDTH), vectors.dtype)
        value, slope = np.empty(most_own, vectors.dtype), np.empty(most_own, vectors.dtype)
        ahead = np.empty(B.factors.shape[1] + 1, vectors.dtype)
        chunk_of = np.empty(n_elements + 1, np.int64)
        n_chunks = gather(a, species[a], T, first, j, species, vectors, edges, 0, A)
        _keep_slopes(T, edges, n_chunks, dA)
        _count_chunks(edges, n_chunks, chunk_of)
        for k in range(K):
            own = B.own[B.own_start[k] : B.own_start[k + 1]]
            for n in range(len(own)):
                value[n], slope[n] = A[own[n]], 0
            _function(B, k, value, slope, ahead)
            _along_edges(own, slope, dA, chunk_of, g[: 3 * n_chunks])
            for q in range(n_chunks):
                for i in range(WIDTH):
                    if edges.e[q, i] >= 0:
                        for x in range(3):
                            J[edges.e[q, i], x, k] = g[3 * q + x, i]


@njit(parallel=True, **fast)
def _design(vectors, first, j, species, offsets, T, B, E, F, W):
    K, n_elements, stride = len(B.start) - 1, len(T.kinds), T.start[-1]
    differentiate = len(F) > 0 or W.shape[1] > 0
    for s in prange(len(offsets) - 1):
        most, most_own = 0, 0
        for a in range(offsets[s], offsets[s + 1]):
            most = max(most, (first[a + 1] - first[a]) // WIDTH + n_elements)
        for k in range(K):
            most_own = max(most_own, B.own_start[k + 1] - B.own_start[k])
        edges, A = room(most, T, vectors), np.empty(T.shift.shape[1], vectors.dtype)
        dA, g = np.empty((stride, most * 3, WIDTH), vectors.dtype), np.empty((most * 3, WIDTH), vectors.dtype)
        value, slope = np.empty(most_own, vectors.dtype), np.empty(most_own, vectors.dtype)
        ahead = np.empty(B.factors.shape[1] + 1, vectors.dtype)
        chunk_of = np.empty(n_elements + 1, np.int64)
        for a in range(offsets[s], offsets[s + 1]):
            n_chunks = gather(a, species[a], T, first, j, species, vectors, edges, 0, A)
            if differentiate:
                _keep_slopes(T, edges, n_chunks, dA)
            _count_chunks(edges, n_chunks, chunk_of)
            for k in range(K):
                column = species[a] * K + k
                own = B.own[B.own_start[k] : B.own_start[k + 1]]
                for n in range(len(own)):
                    value[n], slope[n] = A[own[n]], 0
                E[s, column] += _function(B, k, value, slope, ahead)
                if not differentiate:
                    continue
                _along_edges(own, slope, dA, chunk_of, g[: 3 * n_chunks])
                if len(F):
                    add_forces(g, edges, 0, n_chunks, j, a, F[column])
                if W.shape[1]:
                    add_virial(g, edges, 0, n_chunks, W[s, column])


@njit(**fast)
def _count_chunks(edges, n_chunks, chunk_of):
    """Where the chunks of each block of the ``A`` begin among those of an atom."""
    chunk_of[:] = 0
    for q in range(n_chunks):
        chunk_of[edges.block[q] + 1 :] += 1


@njit(**fast)
def _along_edges(own, slope, dA, chunk_of, g):
    """``dB_k/dvector`` of an atom's edges from ``dB_k/dA`` of the function's own ``A``."""
    stride = len(dA)
    g[:] = 0
    for n in range(len(own)):
        block = own[n] // stride
        d, row = slope[n], dA[own[n] - block * stride]
        for c in range(3 * chunk_of[block], 3 * chunk_of[block + 1]):
            store(g[c], load(g[c]) + d * load(row[c]))


@njit(**fast)
def _keep_slopes(T, edges, n_chunks, dA):
    """``dA_v/dvector`` of an atom's edges, for the ``A`` of the block that an edge adds to."""
    for q in range(n_chunks):
        Y, G, u = edges.Y[q], edges.G[q], edges.u[q]
        for n in range(len(T.low)):
            R, dR = load(edges.R[q, n]), load(edges.dR[q, n])
            for lm in range(T.low[n], T.high[n]):
                row, along = dA[T.start[n] + lm], dR * load(Y[lm])
                for x in range(3):
                    store(row[3 * q + x], along * load(u[x]) + R * load(G[x, lm]))


@njit(**fast)
def _function(B, k, value, slope, ahead):
    """``B_k`` from the values of its own ``A``; its derivatives by them are added to ``slope``."""
    total = 0.0
    for p in range(B.start[k], B.start[k + 1]):
        order, f = B.order[p], B.factors[p]
        ahead[0] = B.coupling[p]
        for n in range(order):
            ahead[n + 1] = ahead[n] * value[f[n]]
        total += ahead[order]
        behind = 1.0
        for n in range(order - 1, -1, -1):
            slope[f[n]] += ahead[n] * behind
            behind *= value[f[n]]
    return total


@njit(**fast)
def add_forces(g, edges, begin, n_chunks, j, atom, F):
    """Add the forces that follow from ``g``, derivatives by the vectors of an atom's chunks of edges."""
    for x in range(3):
        here = spread(0.0, g)
        for q in range(n_chunks):
            here += load(g[3 * q + x])
            for i in range(WIDTH):
                e = edges.e[begin + q, i]
                if e >= 0:
                    F[3 * j[e] + x] -= g[3 * q + x, i]
        F[3 * atom + x] += total(here)


@njit(**fast)
def add_virial(g, edges, begin, n_chunks, W):
    """Add the strain derivative that follows from them."""
    for q in range(n_chunks):
        r = load(edges.r[begin + q])
        for y in range(3):
            ry = r * load(edges.u[begin + q, y])
            for x in range(3):
                W[3 * y + x] += total(ry * load(g[3 * q + x]))
