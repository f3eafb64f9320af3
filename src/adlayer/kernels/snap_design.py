"""Design matrices of SNAP: what autograd would give one coefficient at a time.

For each atom all ``Z = dB/dc`` are kept, and for ``WIDTH`` edges at a time ``dc/dvector``: their products are the
derivatives of all components, which are added to the forces on both ends of each edge.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from ..nn.sphere import sphere_of
from .ace_design import add_forces, add_virial
from .bispectrum import buffers, couple, couplings_of, mirror, most_chunks, values
from .simd import WIDTH, load, spread, store
from .sphere import fast, gather, moved, n_densities, points_of, room


def design(
    graph: Graph,
    species: Int[Tensor, "atoms"],
    spec: str,
    components: tuple[Int[Tensor, "K"], Float[Tensor, "K"], Float[Tensor, "elements K"]],
    quadratic: bool,
    dtype: torch.dtype,
    forces: bool = True,
    virial: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Sums over each system of ``1, B_k`` and, if quadratic, ``B_k B_l``, of the atoms of one element after another.

    Args:
        graph: any.
        species: of the atoms.
        spec: of the sphere.
        components: which are taken, what they are multiplied by, and what is then subtracted.
        quadratic: whether products are there; squares are halved.
        dtype: of the matrices.
        forces: whether to give those of forces.
        virial: whether to give those of strain derivatives.

    Returns:
        energy [systems, columns], forces [atoms, 3, columns] and virial [systems, 3, 3, columns].
    """
    chosen, scale, zero = (x.cpu().numpy() for x in components)
    K = len(chosen)
    n_columns = len(zero) * (1 + K + (K * (K + 1) // 2 if quadratic else 0))
    vectors = graph.vectors.detach().to(device="cpu", dtype=dtype).contiguous().numpy()
    E = np.zeros((graph.n_systems, n_columns), vectors.dtype)
    F = np.zeros((n_columns if forces else 0, graph.n_atoms * 3), vectors.dtype)
    W = np.zeros((graph.n_systems, n_columns if virial else 0, 9), vectors.dtype)
    first, j, species, offsets = (x.cpu().numpy() for x in (graph.first, graph.j, species, graph.structures.offsets))
    T, C = points_of(spec, vectors.dtype.type), couplings_of(sphere_of(spec).twojmax, vectors.dtype.type)
    terms = np.full((C.component.max() + 1, 3), -1)
    for t, kind in zip(*np.nonzero(C.component >= 0)):
        terms[C.component[t, kind], kind] = t
    _design(vectors, first, j, species, offsets, T, C, terms, chosen, scale, zero, quadratic, E, F, W)
    E, F, W = (torch.from_numpy(x).to(graph.vectors.device) for x in (E, F, W))
    F = F.T.reshape(graph.n_atoms, 3, n_columns) if forces else None
    return E, F, W.mT.reshape(graph.n_systems, 3, 3, n_columns) if virial else None


@njit(parallel=True, **fast)
def _design(vectors, first, j, species, offsets, T, C, terms, chosen, scale, zero, quadratic, E, F, W):
    K, n, n_B, n_U = len(chosen), n_densities(T), len(terms), T.start[-1]
    most, most_of_one, like = most_chunks(first, T, WIDTH), most_chunks(first, T, 1), vectors
    differentiate = len(F) > 0 or W.shape[1] > 0
    for s in prange(len(offsets) - 1):
        edges, c = room(most, T, like), np.zeros((n, n_U, 2), like.dtype)
        V, Z1, P = buffers(T, C, n, like)
        Z, Z_of_one = np.empty((n * n, *Z1.shape), like.dtype), np.empty((n * n, len(Z1), 2), like.dtype)
        y, B = np.empty((n_B * n**3, WIDTH), like.dtype), np.empty(K, like.dtype)
        dU, D = np.empty((3, n_U, 2, WIDTH), like.dtype), np.empty((n * n, len(C.degree), 3, WIDTH), like.dtype)
        g, product = np.empty((K, 3 * most_of_one, WIDTH), like.dtype), np.empty((3 * most_of_one, WIDTH), like.dtype)
        end = np.empty(WIDTH + 1, np.int64)
        for begin in range(offsets[s], offsets[s + 1], WIDTH):
            lanes = min(WIDTH, offsets[s + 1] - begin)
            end[0] = 0
            for lane in range(lanes):
                end[lane + 1] = gather(begin + lane, T, first, j, species, vectors, edges, end[lane], c)
                mirror(T, c, V, lane)
            for pair in range(n * n):
                couple(C, V[pair // n], V[pair % n], Z[pair], P, pair // n == pair % n, False)
                values(C, Z[pair], V, pair // n, pair % n, n_B, y)
            for lane in range(lanes):
                atom = begin + lane
                column = species[atom] * (E.shape[1] // len(zero))
                for k in range(K):
                    B[k] = y[chosen[k], lane] * scale[k] - zero[species[atom], k]
                E[s, column] += 1
                _add_values(B, quadratic, E[s, column + 1 :])
                if not differentiate:
                    continue
                Z_of_one[:] = Z[:, :, :, lane]
                for q in range(end[lane], end[lane + 1]):
                    _slopes(T, C, Z_of_one, edges, q, dU, D)
                    _components(C, D, terms, chosen, scale, edges.density[q], n, g, q - end[lane])
                n_chunks = end[lane + 1] - end[lane]
                here = end[lane]
                for k in range(K):
                    _add(g[k], edges, here, n_chunks, j, atom, column + 1 + k, s, F, W)
                column += 1 + K
                for k in range(K if quadratic else 0):
                    for l in range(k, K):
                        bk, bl = (0.5 * B[k], 0.5 * B[l]) if k == l else (B[k], B[l])
                        for x in range(3 * n_chunks):
                            store(product[x], bl * load(g[k, x]) + bk * load(g[l, x]))
                        _add(product, edges, here, n_chunks, j, atom, column, s, F, W)
                        column += 1


@njit(**fast)
def _add_values(B, quadratic, E):
    K = len(B)
    for k in range(K):
        E[k] += B[k]
    if quadratic:
        column = K
        for k in range(K):
            for l in range(k, K):
                E[column] += B[k] * B[l] * (0.5 if k == l else 1.0)
                column += 1


@njit(**fast)
def _slopes(T, C, Z, edges, q, dU, D):
    """``D = Re Z* . dc/dvector`` of all ``Z`` of an atom, for a chunk of its edges."""
    zero = spread(0.0, D)
    one = zero + 1.0
    moved(T, edges, q, one, zero, zero, dU[0])
    moved(T, edges, q, zero, one, zero, dU[1])
    moved(T, edges, q, zero, zero, one, dU[2])
    for pair in range(len(Z)):
        for t in range(len(C.degree)):
            x, y, z, start = zero, zero, zero, T.start[C.degree[t]]
            for k in range(C.start[t + 1] - C.start[t]):
                re, im = Z[pair, C.start[t] + k, 0], Z[pair, C.start[t] + k, 1]
                x += re * load(dU[0, start + k, 0]) + im * load(dU[0, start + k, 1])
                y += re * load(dU[1, start + k, 0]) + im * load(dU[1, start + k, 1])
                z += re * load(dU[2, start + k, 0]) + im * load(dU[2, start + k, 1])
            store(D[pair, t, 0], x)
            store(D[pair, t, 1], y)
            store(D[pair, t, 2], z)


@njit(**fast)
def _components(C, D, terms, chosen, scale, density, n, g, chunk):
    """Derivatives of the components by the vectors of a chunk, whose edges add to one density."""
    for k in range(len(chosen)):
        b, elements = chosen[k] % len(terms), chosen[k] // len(terms)
        e1, e2, e3 = elements // (n * n), elements // n % n, elements % n
        for x in range(3):
            slope = spread(0.0, D)
            if e3 == density:
                slope += load(D[e1 * n + e2, terms[b, 0], x])
            if e1 == density:
                t = terms[b, 1]
                slope += C.factor[t, 1] * load(D[e3 * n + e2, t, x])
            if e2 == density:
                t = terms[b, 2]
                slope += C.factor[t, 2] * load(D[e3 * n + e1, t, x])
            store(g[k, 3 * chunk + x], scale[k] * slope)


@njit(**fast)
def _add(g, edges, here, n_chunks, j, atom, column, s, F, W):
    if len(F):
        add_forces(g, edges, here, n_chunks, j, atom, F[column])
    if W.shape[1]:
        add_virial(g, edges, here, n_chunks, W[s, column])
