"""Products of the atomic cluster expansion over blocks of atoms, forwards and backwards: the inner part of ``ace``.

Atoms are taken in blocks of ``WIDTH`` of one element, so that each product is one vector over them (see ``simd``).
Products are evaluated as a graph of products of two, and differentiated by walking it backwards; couplings are
contracted into the weights of its nodes beforehand.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba import njit, prange

from .one_particle import fast, gather, push, room, scatter
from .simd import WIDTH, load, spread, store, total


class Nodes(NamedTuple):
    """The products as a graph: node ``n_A + k`` is ``left[k]`` times ``right[k]``; see ``nn.cluster_expansion``."""

    left: np.ndarray
    right: np.ndarray
    n_inner: np.ndarray  # [1]


def blocks(species: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms of one element in blocks of ``WIDTH``, the last filled up with -1; and the element of each block."""
    atoms, elements = [], []
    for s in np.unique(species):
        mine = np.flatnonzero(species == s)
        mine = np.concatenate([mine, np.full(-len(mine) % WIDTH, -1)])
        atoms.append(mine.reshape(-1, WIDTH))
        elements.append(np.full(len(atoms[-1]), s))
    if not atoms:
        return np.zeros((0, WIDTH), np.int64), np.zeros(0, np.int64)
    return np.concatenate(atoms), np.concatenate(elements)


def run_reverse(vectors, first, j, species, weights, T, nodes, adjoint, gradients, weight_gradients=False):
    """``rho = weights . AA`` of every atom, and derivatives of ``sum(adjoint * rho)``, in one pass.

    Args:
        vectors: of the edges, Å.
        first: where the edges of each atom begin.
        j: neighbor of each edge.
        species: element of each atom.
        weights: [elements, densities, nodes].
        T: the one-particle functions.
        nodes: the products.
        adjoint: [atoms, densities].
        gradients: whether to give the derivatives by the vectors.
        weight_gradients: whether to give those by the weights.

    Returns:
        rho [atoms, densities], the derivatives by the vectors [edges, 3] and by the weights.
    """
    atoms, elements = blocks(species)
    n_threads = max(1, min(numba.get_num_threads(), len(atoms)))
    rho = np.zeros((len(species), weights.shape[1]), vectors.dtype)
    g = np.zeros((len(vectors) if gradients else 0, 3), vectors.dtype)
    gw = np.zeros((n_threads if weight_gradients else 0, *weights.shape), vectors.dtype)
    _reverse(vectors, first, j, species, atoms, elements, weights, T, nodes, adjoint, rho, g, gw, n_threads)
    return rho, g, gw.sum(0)


def run_forward(vectors, first, j, species, weights, T, nodes, adjoint, direction):
    """Change of ``rho`` when the vectors move by ``direction``, and its derivative by the weights under ``adjoint``.

    Returns:
        [atoms, densities], and as the weights.
    """
    atoms, elements = blocks(species)
    n_threads = max(1, min(numba.get_num_threads(), len(atoms)))
    rho = np.zeros((len(species), weights.shape[1]), vectors.dtype)
    gw = np.zeros((n_threads, *weights.shape), vectors.dtype)
    _forward(vectors, first, j, species, atoms, elements, weights, T, nodes, adjoint, direction, rho, gw, n_threads)
    return rho, gw.sum(0)


@njit(**fast)
def _most_chunks(atoms, first, n_elements):
    """Room that the edges of any block need, in chunks; each atom may leave one unfilled per element."""
    most = 0
    for b in range(len(atoms)):
        n = 0
        for a in atoms[b]:
            if a >= 0:
                n += (first[a + 1] - first[a]) // WIDTH + n_elements
        most = max(most, n)
    return most


@njit(parallel=True, **fast)
def _reverse(vectors, first, j, species, atoms, elements, weights, T, nodes, adjoint, rho, g, gw, n_threads):
    n_A, n_inner, n_nodes = weights.shape[2] - len(nodes.left), nodes.n_inner[0], len(nodes.left)
    n_rho, most, left, right = weights.shape[1], _most_chunks(atoms, first, len(T.kinds)), nodes.left, nodes.right
    for thread in prange(n_threads):
        edges, A = room(most, T, vectors), np.empty(n_A, vectors.dtype)
        V, D = np.empty((n_A + n_inner, WIDTH), vectors.dtype), np.empty((n_A + n_inner, WIDTH), vectors.dtype)
        outer, acc = np.empty((n_rho, WIDTH), vectors.dtype), np.empty((n_rho, WIDTH), vectors.dtype)
        end = np.empty(WIDTH + 1, np.int64)
        for b in range(thread, len(atoms), n_threads):
            w = weights[elements[b]]
            end[0] = 0
            for lane in range(WIDTH):
                a = atoms[b, lane]
                end[lane + 1] = end[lane]
                A[:] = 0
                outer[:, lane] = 0
                if a >= 0:
                    end[lane + 1] = gather(a, elements[b], T, first, j, species, vectors, edges, end[lane], A)
                    outer[:, lane] = adjoint[a]
                for v in range(n_A):
                    V[v, lane] = A[v]
            for k in range(n_inner):
                store(V[n_A + k], load(V[left[k]]) * load(V[right[k]]))
            if len(gw):
                for d in range(n_rho):
                    into, by = gw[thread, elements[b], d], load(outer[d])
                    for v in range(n_A + n_inner):
                        into[v] += total(by * load(V[v]))
                    for k in range(n_inner, n_nodes):
                        into[n_A + k] += total(by * load(V[left[k]]) * load(V[right[k]]))
            if len(g):
                D[:] = 0
            if len(g) == 0:
                _values(w, left, right, n_A, n_inner, V, acc)
            elif n_rho == 1:
                _walk_one(w[0], left, right, n_A, n_inner, V, D, outer[0], acc[0])
            else:
                _walk(w, left, right, n_A, n_inner, V, D, outer, acc)
            for lane in range(WIDTH):
                a = atoms[b, lane]
                if a >= 0:
                    rho[a] = acc[:, lane]
                    if len(g):
                        for v in range(n_A):
                            A[v] = D[v, lane]
                        scatter(A, T, edges, end[lane], end[lane + 1], g)


@njit(**fast)
def _values(w, left, right, n_A, n_inner, V, acc):
    """Sum up the densities."""
    for d in range(len(w)):
        rho = spread(0.0, V)
        for k in range(n_A + n_inner):
            rho += w[d, k] * load(V[k])
        for k in range(n_inner, len(left)):
            rho += w[d, n_A + k] * load(V[left[k]]) * load(V[right[k]])
        store(acc[d], rho)


@njit(**fast)
def _walk_one(w, left, right, n_A, n_inner, V, D, outer, acc):
    """Sum up one density and walk its products backwards: ``D`` becomes its derivative by every inner node."""
    rho, by = spread(0.0, V), load(outer)
    for k in range(n_inner, len(left)):
        l, r, c = left[k], right[k], w[n_A + k]
        vl, vr = c * load(V[l]), load(V[r])
        rho += vl * vr
        store(D[l], load(D[l]) + c * vr)
        store(D[r], load(D[r]) + vl)
    for k in range(n_inner - 1, -1, -1):
        l, r, c = left[k], right[k], w[n_A + k]
        d = load(D[n_A + k]) + c
        rho += c * load(V[n_A + k])
        store(D[l], load(D[l]) + d * load(V[r]))
        store(D[r], load(D[r]) + d * load(V[l]))
    for v in range(n_A):
        rho += w[v] * load(V[v])
        store(D[v], (load(D[v]) + w[v]) * by)
    store(acc, rho)


@njit(**fast)
def _walk(w, left, right, n_A, n_inner, V, D, outer, acc):
    """The same for several densities, weighted by ``outer``."""
    acc[:] = 0
    for k in range(n_A + len(left) - 1, -1, -1):
        l, r = (left[k - n_A], right[k - n_A]) if k >= n_A else (0, 0)
        value = load(V[k]) if k < n_A + n_inner else load(V[l]) * load(V[r])
        c = load(D[k]) if k < n_A + n_inner else spread(0.0, V)
        for d in range(len(w)):
            c += w[d, k] * load(outer[d])
            store(acc[d], load(acc[d]) + w[d, k] * value)
        if k < n_A:
            store(D[k], c)
        else:
            store(D[l], load(D[l]) + c * load(V[r]))
            store(D[r], load(D[r]) + c * load(V[l]))


@njit(parallel=True, **fast)
def _forward(vectors, first, j, species, atoms, elements, weights, T, nodes, adjoint, direction, rho, gw, n_threads):
    n_A, n_nodes = weights.shape[2] - len(nodes.left), len(nodes.left)
    n_rho, most, left, right = weights.shape[1], _most_chunks(atoms, first, len(T.kinds)), nodes.left, nodes.right
    for thread in prange(n_threads):
        edges, A = room(most, T, vectors), np.empty(n_A, vectors.dtype)
        V, D = np.empty((n_A + n_nodes, WIDTH), vectors.dtype), np.empty((n_A + n_nodes, WIDTH), vectors.dtype)
        outer, acc = np.empty((n_rho, WIDTH), vectors.dtype), np.empty(WIDTH, vectors.dtype)
        for b in range(thread, len(atoms), n_threads):
            for lane in range(WIDTH):
                a = atoms[b, lane]
                V[:n_A, lane], D[:n_A, lane], outer[:, lane] = 0, 0, 0
                if a >= 0:
                    n = gather(a, elements[b], T, first, j, species, vectors, edges, 0, A)
                    V[:n_A, lane] = A
                    push(direction, T, edges, 0, n, A)
                    D[:n_A, lane] = A
                    outer[:, lane] = adjoint[a]
            for k in range(n_nodes):
                vl, vr = load(V[left[k]]), load(V[right[k]])
                store(V[n_A + k], vl * vr)
                store(D[n_A + k], load(D[left[k]]) * vr + vl * load(D[right[k]]))
            for d in range(n_rho):
                w, into, by = weights[elements[b], d], gw[thread, elements[b], d], load(outer[d])
                change = spread(0.0, V)
                for k in range(n_A + n_nodes):
                    change += w[k] * load(D[k])
                    into[k] += total(by * load(D[k]))
                store(acc, change)
                for lane in range(WIDTH):
                    if atoms[b, lane] >= 0:
                        rho[atoms[b, lane], d] = acc[lane]
