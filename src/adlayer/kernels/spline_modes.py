"""Many functions of pairs and triplets at once, on splines with the same knots: rows of a design matrix.

The meaning is ``nn.splines.spline_energies``, for each function anew. Here neighbors, cells and weights are found once,
and the functions are what vectors run over.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from .simd import WIDTH, load, store
from .splines import _weights, fast


def mode_rows(
    graph: Graph, z: Int[Tensor, "atoms"], tables: list[Tensor | float], atoms: slice, forces: bool
) -> tuple[Float[Tensor, "some modes"], Float[Tensor, "edges 3 modes"] | None]:
    """Energies of some consecutive atoms, and their derivatives by the vectors of the edges that leave them.

    Args:
        graph: who sees whom.
        z: elements of the atoms.
        tables: the arguments of ``spline_energies``, with a last axis of modes in those of coefficients.
        atoms: which.
        forces: whether derivatives are wanted.
    """
    modes = tables[0].shape[-1]
    padded = [torch.nn.functional.pad(x, (0, -modes % WIDTH)).contiguous() for x in tables[:2]]
    first, vectors = graph.first[atoms.start : atoms.stop + 1], graph.vectors.detach().contiguous()
    arrays = [x.numpy() for x in (first, graph.j, vectors, z[atoms], z, *padded, tables[2])]
    E, G = _rows(*arrays, *tables[3:], forces)
    return torch.from_numpy(E)[:, :modes], torch.from_numpy(G)[..., :modes] if forces else None


@njit(parallel=True, **fast)
def _rows(
    first,
    j,
    vectors,
    z_i,
    z,
    pairs,
    triplets,
    triple,
    begin,
    cutoff,
    step,
    cutoff_3,
    step_3,
    begin_q,
    cutoff_q,
    step_q,
    cosine,
    slopes,
):
    """``E^m_i`` and ``dE^m_i/dvectors_e``, ``[atoms, modes]`` and ``[edges, 3, modes]``."""
    kind, n, M, n_atoms = vectors.dtype, len(triple), pairs.shape[2], len(first) - 1
    E = np.zeros((n_atoms, M), kind)
    G = np.zeros((first[n_atoms] - first[0] if slopes else 0, 3, M), kind)
    cells, cells_3, cells_q = pairs.shape[1] - 3, triplets.shape[1] - 3, triplets.shape[3] - 3
    for i in prange(n_atoms):
        most = first[i + 1] - first[i]
        edge, cell, r = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, kind)
        w, d = np.empty((most, 4), kind), np.empty((most, 4), kind)
        wq, dq = np.empty(4, kind), np.empty(4, kind)
        near = 0
        for e in range(first[i], first[i + 1]):
            length = np.sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            if length < cutoff:
                m = _weights((length - begin) / step, cells, wq, dq)
                row = pairs[z_i[i] * n + z[j[e]]]
                for o in range(0, M, WIDTH):
                    value, slope = load(E[i, o:]), load(row[m, o:]) * dq[0]
                    for k in range(4):
                        value += load(row[m + k, o:]) * wq[k]
                        if k > 0:
                            slope += load(row[m + k, o:]) * dq[k]
                    store(E[i, o:], value)
                    if slopes:
                        slope *= 1.0 / (step * length)
                        for k in range(3):
                            _add(G[e - first[0], k, o:], slope * vectors[e, k])
            if length < cutoff_3:
                edge[near], r[near] = e, length
                cell[near] = _weights((length - begin) / step_3, cells_3, w[near], d[near])
                near += 1
        for p in range(near):
            for q in range(p + 1, near):
                a, b = (p, q) if z[j[edge[p]]] <= z[j[edge[q]]] else (q, p)
                u, v = vectors[edge[a]], vectors[edge[b]]
                dot = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
                if cosine:
                    third = dot / (r[a] * r[b])
                else:
                    third = np.sqrt(r[a] * r[a] + r[b] * r[b] - 2.0 * dot)
                    if third >= cutoff_q:
                        continue
                m = _weights((third - begin_q) / step_q, cells_q, wq, dq)
                table = triplets[triple[z_i[i], z[j[edge[a]]], z[j[edge[b]]]]]
                for o in range(0, M, WIDTH):
                    value = load(E[i, o:])
                    by_a = value * 0.0
                    by_b, by_q = by_a, by_a
                    for x in range(4):
                        for y in range(4):
                            c = table[cell[a] + x, cell[b] + y]
                            c0, c1, c2, c3 = load(c[m, o:]), load(c[m + 1, o:]), load(c[m + 2, o:]), load(c[m + 3, o:])
                            s = c0 * wq[0] + c1 * wq[1] + c2 * wq[2] + c3 * wq[3]
                            value += s * (w[a, x] * w[b, y])
                            if slopes:
                                by_a += s * (d[a, x] * w[b, y])
                                by_b += s * (w[a, x] * d[b, y])
                                t = c0 * dq[0] + c1 * dq[1] + c2 * dq[2] + c3 * dq[3]
                                by_q += t * (w[a, x] * w[b, y])
                    store(E[i, o:], value)
                    if not slopes:
                        continue
                    by_a, by_b, by_q = (
                        by_a * (1.0 / (step_3 * r[a])),
                        by_b * (1.0 / (step_3 * r[b])),
                        by_q * (1.0 / step_q),
                    )
                    if cosine:
                        mixed = by_q * (1.0 / (r[a] * r[b]))
                        by_a -= by_q * (third / (r[a] * r[a]))
                        by_b -= by_q * (third / (r[b] * r[b]))
                    else:
                        mixed = by_q * (-1.0 / third)
                        by_a, by_b = by_a - mixed, by_b - mixed
                    for k in range(3):
                        _add(G[edge[a] - first[0], k, o:], by_a * u[k] + mixed * v[k])
                        _add(G[edge[b] - first[0], k, o:], by_b * v[k] + mixed * u[k])
    return E, G


@njit(inline="always")
def _add(place, value):
    store(place, load(place) + value)
