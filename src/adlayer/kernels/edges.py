"""From derivatives along edges to forces: a gather over sorted neighbors instead of a scatter."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor

from ..graph import Graph


def forces_from_edges(gradient: Float[Tensor, "edges 3"], graph: Graph) -> Float[Tensor, "atoms 3"]:
    """``F_a = sum_{e: i=a} g_e - sum_{e: j=a} g_e`` for ``g_e = dE/d(r_j - r_i)`` (eV/Å).

    Differentiable in ``gradient``; without that need, and on a CPU, edges of an atom and their reverses are gathered.
    """
    if gradient.device.type == "cpu" and not gradient.requires_grad:
        out = _gather(gradient.contiguous().numpy(), graph.first.numpy(), graph.reverse.numpy())
        return torch.from_numpy(out)
    zero = gradient.new_zeros(graph.n_atoms, 3)
    return zero.index_add(0, graph.i, gradient).index_add(0, graph.j, gradient, alpha=-1)


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
