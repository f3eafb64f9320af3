"""The atomic cluster expansion, fused: what ``nn.cluster_expansion`` and ``potentials.ace`` define, for a CPU.

Atoms are taken in blocks of ``WIDTH`` of one element, so that each product is one vector over them (see ``simd``).
Products are evaluated as a graph of products of two, and differentiated by walking it backwards; couplings are
contracted into the weights of its nodes beforehand.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from ..nn.cluster_expansion import _KNOWN, ClusterExpansion
from ..nn.spherical_harmonics import harmonic_norms
from .one_particle import Tables, fast, gather, push, room, scatter
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
    n_rho, most, left, right = weights.shape[1], _most_chunks(atoms, first, len(T.pairs)), nodes.left, nodes.right
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
            D[:] = 0
            if n_rho == 1:
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
    n_rho, most, left, right = weights.shape[1], _most_chunks(atoms, first, len(T.pairs)), nodes.left, nodes.right
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


def tables(expansion: ClusterExpansion) -> tuple[Tables, Nodes]:
    """What the kernels need to know of an expansion, made once."""
    if expansion not in _TABLES:
        basis, r0 = expansion.basis, torch.from_numpy(expansion.r0)
        lines = [torch.stack([r0, *R.line(r0)], -1) for R in expansion.radial]
        ends = np.cumsum([R.n for R in expansion.radial])
        one = Tables(
            pairs=torch.stack(lines, -2).numpy(),
            sets=np.array([(end - R.n, end, *R.kinds) for end, R in zip(ends, expansion.radial)]).reshape(-1, 4),
            first=np.array([R.first for R in expansion.radial]),
            recursion=torch.cat([R.recursion for R in expansion.radial]).numpy(),
            size=np.diff(basis.start),
            start=basis.start,
            norms=harmonic_norms(int(basis.l_max.max(initial=0))),
            cutoff=np.array([R.cutoff for R in expansion.radial][:1]),
        )
        left, right, levels, _ = expansion.nodes
        _TABLES[expansion] = one, Nodes(left, right, np.array([levels[-2]]))
    return _TABLES[expansion]


_TABLES: WeakKeyDictionary[ClusterExpansion, tuple[Tables, Nodes]] = WeakKeyDictionary()


def densities(
    vectors: Float[Tensor, "edges 3"],
    weights: Float[Tensor, "elements densities nodes"],
    graph: Graph,
    species: Int[Tensor, "atoms"],
    expansion: ClusterExpansion,
) -> Float[Tensor, "atoms densities"]:
    """``ClusterExpansion.densities``, fused on a CPU; what is differentiated twice by the vectors is plain torch."""
    if vectors.device.type != "cpu":
        return expansion.densities(vectors, weights, graph.i, graph.j, species)
    of = graph.first, graph.i, graph.j, species, expansion.key
    eager = vectors.requires_grad and weights.shape[1] == 1  # energy and forces in one pass
    rho, _ = _densities(vectors, weights, *of, eager)
    return rho + _densities_by_weights(weights, vectors.detach(), *of) if weights.requires_grad else rho


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [t.detach().contiguous().numpy() for t in tensors]


# Autograd asks an operator for all of its derivatives or none. Derivatives by vectors and by weights therefore belong
# to operators of their own, of which one has the value and the other is zero: forces do not pay for the weights.


@torch.library.custom_op("adlayer::ace_densities", mutates_args=())
def _densities(
    vectors: Tensor, weights: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int, eager: bool
) -> tuple[Tensor, Tensor]:
    """Densities, and the derivatives of their sum by the vectors if ``eager``; derivatives by the vectors."""
    v, w, f, n, s = _arrays(vectors, weights, first, j, species)
    rho, g, _ = run_reverse(v, f, n, s, w, *tables(_KNOWN[key]), np.ones((len(s), w.shape[1]), v.dtype), eager)
    return torch.from_numpy(rho), torch.from_numpy(g)


@torch.library.custom_op("adlayer::ace_densities_by_weights", mutates_args=())
def _densities_by_weights(
    weights: Tensor, vectors: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Zero; derivatives of the densities by the weights."""
    return vectors.new_zeros(species.shape[0], weights.shape[1])


@torch.library.custom_op("adlayer::ace_gradient", mutates_args=())
def _gradient(
    adjoint: Tensor, weights: Tensor, vectors: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Derivatives of ``sum(adjoint * rho)`` by the vectors; derivatives by the adjoint and the weights."""
    a, v, w, f, n, s = _arrays(adjoint, vectors, weights, first, j, species)
    return torch.from_numpy(run_reverse(v, f, n, s, w, *tables(_KNOWN[key]), a, True)[1])


@torch.library.custom_op("adlayer::ace_gradient_by_vectors", mutates_args=())
def _gradient_by_vectors(
    vectors: Tensor, adjoint: Tensor, weights: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Zero; derivatives of the gradient by the vectors."""
    return torch.zeros_like(vectors)


@torch.library.custom_op("adlayer::ace_weight_gradient", mutates_args=())
def _weight_gradient(
    adjoint: Tensor, weights: Tensor, vectors: Tensor, first: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Derivatives of ``sum(adjoint * rho)`` by the weights."""
    a, v, w, f, n, s = _arrays(adjoint, vectors, weights, first, j, species)
    return torch.from_numpy(run_reverse(v, f, n, s, w, *tables(_KNOWN[key]), a, False, True)[2])


@torch.library.custom_op("adlayer::ace_along", mutates_args=())
def _along(
    direction: Tensor,
    adjoint: Tensor,
    weights: Tensor,
    vectors: Tensor,
    first: Tensor,
    j: Tensor,
    species: Tensor,
    key: int,
) -> tuple[Tensor, Tensor]:
    """Change of ``rho`` when the vectors move by ``direction``, and its derivative by the weights under the adjoint."""
    d, a, v, w, f, n, s = _arrays(direction, adjoint, vectors, weights, first, j, species)
    rho, gw = run_forward(v, f, n, s, w, *tables(_KNOWN[key]), a, d)
    return torch.from_numpy(rho), torch.from_numpy(gw)


@_densities.register_fake
def _(vectors, weights, first, i, j, species, key, eager):
    return vectors.new_empty(len(species), weights.shape[1]), vectors.new_empty(len(vectors) if eager else 0, 3)


@_densities_by_weights.register_fake
def _(weights, vectors, first, i, j, species, key):
    return vectors.new_empty(len(species), weights.shape[1])


@_gradient.register_fake
def _(adjoint, weights, vectors, *rest):
    return torch.empty_like(vectors)


@_gradient_by_vectors.register_fake
def _(vectors, *rest):
    return torch.empty_like(vectors)


@_weight_gradient.register_fake
def _(adjoint, weights, *rest):
    return torch.empty_like(weights)


@_along.register_fake
def _(direction, adjoint, weights, *rest):
    return torch.empty_like(adjoint), torch.empty_like(weights)


def _keep(ctx, inputs, output):
    *tensors, ctx.key = inputs
    ctx.save_for_backward(*tensors)
    ctx.alive = _KNOWN[ctx.key]  # for as long as something may be differentiated


def _keep_densities(ctx, inputs, output):
    *tensors, ctx.key, ctx.eager = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.alive = _KNOWN[ctx.key]
    ctx.mark_non_differentiable(output[1])


def _once() -> None:
    """Say that what has been asked for is not there, rather than give a wrong number."""
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "ACE on a CPU is differentiated by positions up to twice and by coefficients last; for more, use "
            "ClusterExpansion.densities, which is plain torch"
        )


def _back_densities(ctx, adjoint, _):
    vectors, weights, first, i, j, species, g = ctx.saved_tensors
    if ctx.eager and not torch.is_grad_enabled():
        return g * adjoint.index_select(0, i), *[None] * 7
    of = first, i, j, species, ctx.key
    g = _gradient(adjoint, weights, vectors, *of)
    if torch.is_grad_enabled() and vectors.requires_grad:
        g = g + _gradient_by_vectors(vectors, adjoint.detach(), weights.detach(), *of)
    return g, *[None] * 7


def _back_densities_by_weights(ctx, adjoint):
    weights, vectors, first, _, j, species = ctx.saved_tensors
    _once()
    return _weight_gradient(adjoint, weights, vectors, first, j, species, ctx.key), *[None] * 6


def _back_gradient(ctx, direction):
    adjoint, weights, vectors, first, _, j, species = ctx.saved_tensors
    _once()
    rho, gw = _along(direction, adjoint, weights, vectors, first, j, species, ctx.key)
    return rho, gw, *[None] * 6


def _back_gradient_by_vectors(ctx, direction):
    vectors, adjoint, weights, _, i, j, species = ctx.saved_tensors
    _once()
    with torch.enable_grad():
        v = vectors.detach().requires_grad_()
        g = torch.autograd.grad(_KNOWN[ctx.key].densities(v, weights, i, j, species), v, adjoint, create_graph=True)[0]
        return torch.autograd.grad(g, v, direction)[0], *[None] * 7


_densities.register_autograd(_back_densities, setup_context=_keep_densities)
_densities_by_weights.register_autograd(_back_densities_by_weights, setup_context=_keep)
_gradient.register_autograd(_back_gradient, setup_context=_keep)
_gradient_by_vectors.register_autograd(_back_gradient_by_vectors, setup_context=_keep)
