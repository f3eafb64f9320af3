"""Design matrices of pairs and triplets on splines: energies and their derivatives by each coefficient."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from .splines import _weights, fast


def design(
    graph: Graph,
    z: Int[Tensor, "atoms"],
    places: tuple[Int[Tensor, "pairs _"], Int[Tensor, "triples _ _ _"], Int[Tensor, "elements elements elements"]],
    ranges: list[float | bool],
    n_columns: int,
    dtype: torch.dtype,
    forces: bool = True,
    virial: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Of potentials as ``nn.splines.spline_energies`` with ``r_jk`` as third.

    Args:
        graph: any.
        z: elements of the atoms.
        places: column of each coefficient of pairs and of triplets, ``n_columns`` where there is none, and which table
            belongs to which elements.
        ranges: the grids.
        n_columns: of the matrices.
        dtype: of the matrices.
        forces: whether to give those of forces.
        virial: whether to give those of strain derivatives.

    Returns:
        energy [systems, columns], forces [atoms, 3, columns] and virial [systems, 3, 3, columns].
    """
    vectors = graph.vectors.detach().to(device="cpu", dtype=dtype).contiguous().numpy()
    E = np.zeros((graph.n_systems, n_columns + 1), vectors.dtype)
    F = np.zeros((graph.n_atoms if forces else 0, 3, n_columns + 1), vectors.dtype)
    W = np.zeros((graph.n_systems if virial else 0, 3, 3, n_columns + 1), vectors.dtype)
    first, j, z, offsets = (x.cpu().numpy() for x in (graph.first, graph.j, z, graph.structures.offsets))
    _design(first, j, vectors, z, offsets, *(x.cpu().numpy() for x in places), *ranges[:-1], E, F, W)
    E, F, W = (torch.from_numpy(x).to(graph.vectors.device)[..., :-1] for x in (E, F, W))
    return E, F if forces else None, W if virial else None


@njit(parallel=True, **fast)
def _design(
    first, j, vectors, z, offsets, place, place_3, triple, begin, cutoff, step, cutoff_3, step_3, begin_q, cutoff_q,
    step_q, E, F, W,
):  # fmt: skip
    kind, n, none = vectors.dtype, len(triple), E.shape[1] - 1
    cells, cells_3, cells_q = place.shape[1] - 3, place_3.shape[1] - 3, place_3.shape[3] - 3
    most = 0
    for a in range(len(first) - 1):
        most = max(most, first[a + 1] - first[a])
    for s in prange(len(offsets) - 1):
        edge, cell, r = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, kind)
        w, d = np.empty((most, 4), kind), np.empty((most, 4), kind)
        wq, dq, t = np.empty(4, kind), np.empty(4, kind), np.empty(3, kind)
        for i in range(offsets[s], offsets[s + 1]):
            near = 0
            for e in range(first[i], first[i + 1]):
                u = vectors[e]
                length = np.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2])
                if length < cutoff:
                    m = _weights((length - begin) / step, cells, wq, dq)
                    for k in range(4):
                        column = place[z[i] * n + z[j[e]], m + k]
                        if column < none:
                            E[s, column] += wq[k]
                            along = dq[k] / (step * length)
                            _add(i, j[e], u, along, column, F)
                            if len(W):
                                _add_outer(u, along, s, column, W)
                if length < cutoff_3:
                    edge[near], r[near] = e, length
                    cell[near] = _weights((length - begin) / step_3, cells_3, w[near], d[near])
                    near += 1
            for p in range(near):
                for q in range(p + 1, near):
                    a, b = (p, q) if z[j[edge[p]]] <= z[j[edge[q]]] else (q, p)
                    u, v = vectors[edge[a]], vectors[edge[b]]
                    for k in range(3):
                        t[k] = v[k] - u[k]
                    third = np.sqrt(t[0] * t[0] + t[1] * t[1] + t[2] * t[2])
                    if third >= cutoff_q:
                        continue
                    m = _weights((third - begin_q) / step_q, cells_q, wq, dq)
                    at_a, at_b = j[edge[a]], j[edge[b]]
                    table = place_3[triple[z[i], z[at_a], z[at_b]]]
                    for x in range(4):
                        for y in range(4):
                            both = w[a, x] * w[b, y]
                            by_a = d[a, x] * w[b, y] / (step_3 * r[a])
                            by_b = w[a, x] * d[b, y] / (step_3 * r[b])
                            for k in range(4):
                                column = table[cell[a] + x, cell[b] + y, m + k]
                                if column == none:
                                    continue
                                E[s, column] += both * wq[k]
                                along_u, along_v, along_t = by_a * wq[k], by_b * wq[k], both * dq[k] / (step_q * third)
                                _add(i, at_a, u, along_u, column, F)
                                _add(i, at_b, v, along_v, column, F)
                                _add(at_a, at_b, t, along_t, column, F)
                                if len(W):
                                    _add_outer(u, along_u, s, column, W)
                                    _add_outer(v, along_v, s, column, W)
                                    _add_outer(t, along_t, s, column, W)


@njit(**fast)
def _add(a, b, vector, along, column, F):
    """What an energy with the derivative ``along · vector`` by the vector from ``a`` to ``b`` does to both."""
    if len(F):
        for k in range(3):
            F[a, k, column] += along * vector[k]
            F[b, k, column] -= along * vector[k]


@njit(**fast)
def _add_outer(vector, along, s, column, W):
    for k in range(3):
        for m in range(3):
            W[s, k, m, column] += along * vector[k] * vector[m]
