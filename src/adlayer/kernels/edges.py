"""From derivatives along edges to forces and virials: a gather over sorted neighbors instead of a scatter."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor

from ..graph import Graph
from ..structures import sum_systems


def forces_from_edges(gradient: Float[Tensor, "edges 3"], graph: Graph) -> Float[Tensor, "atoms 3"]:
    """``F_a = sum_{e: i=a} g_e - sum_{e: j=a} g_e`` for ``g_e = dE/d(r_j - r_i)`` (eV/Å).

    Differentiable in ``gradient``; without that need, and on a CPU, edges of an atom and their reverses are gathered.
    """
    if gradient.device.type == "cpu" and not gradient.requires_grad:
        out = _gather(gradient.contiguous().numpy(), graph.first.numpy(), graph.reverse.numpy())
        return torch.from_numpy(out)
    zero = gradient.new_zeros(graph.n_atoms, 3)
    return zero.index_add(0, graph.i, gradient).index_add(0, graph.j, gradient, alpha=-1)


def virial_from_edges(
    vectors: Float[Tensor, "edges 3"], gradient: Float[Tensor, "edges 3"], graph: Graph
) -> Float[Tensor, "systems 3 3"]:
    """``W = sum_e r_e g_e`` of each system (eV); differentiable, and fused where it need not be."""
    if graph.n_systems == 1:
        return (vectors.mT @ gradient)[None]
    if gradient.device.type == "cpu" and not (gradient.requires_grad or vectors.requires_grad):
        x, g = (x.contiguous().numpy() for x in (vectors, gradient))
        return sum_systems(torch.from_numpy(_outer(x, g, graph.first.numpy())), graph.structures)
    outer = vectors[:, :, None] * gradient[:, None, :]
    return outer.new_zeros(graph.n_systems, 3, 3).index_add(0, graph.structures.system[graph.i], outer)


@njit(cache=True, parallel=True)
def _outer(x, g, first):
    n = len(first) - 1
    W = np.zeros((n, 3, 3), g.dtype)
    for a in prange(n):
        for e in range(first[a], first[a + 1]):
            for k in range(3):
                for m in range(3):
                    W[a, k, m] += x[e, k] * g[e, m]
    return W


@njit(cache=True, parallel=True)
def _gather(g, first, reverse):
    n = len(first) - 1
    F = np.empty((n, 3), g.dtype)
    for a in prange(n):
        fx, fy, fz = 0.0, 0.0, 0.0
        for e in range(first[a], first[a + 1]):
            r = reverse[e]
            fx += g[e, 0] - g[r, 0]
            fy += g[e, 1] - g[r, 1]
            fz += g[e, 2] - g[r, 2]
        F[a, 0], F[a, 1], F[a, 2] = fx, fy, fz
    return F
