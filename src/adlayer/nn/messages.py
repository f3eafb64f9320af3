"""Messages between neighboring atoms, filtered by their distance."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ..graph import Graph, sum_edges
from ..kernels import use_fused


def gated_messages(
    x: Float[Tensor, "atoms F3"],
    v: Float[Tensor, "atoms 3 F"],
    basis: Float[Tensor, "edges K"],
    weights: Float[Tensor, "K F3"],
    directions: Float[Tensor, "edges 3"],
    graph: Graph,
) -> tuple[Float[Tensor, "atoms F"], Float[Tensor, "atoms 3 F"]]:
    """Scalar and vector messages of all neighbors, filtered by functions of the distance.

    With the filters ``W_ij = basis_ij @ weights`` and three equal parts ``x = (x1, x2, x3)``, ``W = (W1, W2, W3)``::

        s_i = sum_j W1_ij x1_j
        v_i = sum_j W2_ij x2_j u_ij + W3_ij x3_j v_j

    Args:
        x: what the neighbors say.
        v: vectors of the neighbors.
        basis: functions of the distance, zero at the cutoff.
        weights: of the filters.
        directions: unit vectors ``u_ij``.
        graph: who is a neighbor of whom.
    """
    if use_fused(x):
        from ..kernels.messages import gated_messages as fused

        return fused(x, v, basis, weights, directions, graph.first, graph.j, graph.reverse)
    W1, W2, W3 = (basis @ weights).chunk(3, -1)
    x1, x2, x3 = x.index_select(0, graph.j).chunk(3, -1)
    s = sum_edges(W1 * x1, graph)
    v = sum_edges((W2 * x2)[:, None] * directions[..., None] + (W3 * x3)[:, None] * v.index_select(0, graph.j), graph)
    return s, v
