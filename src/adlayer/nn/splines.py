"""Cubic splines: through tabulated values, as tabulated metal potentials are, and of pairs and triplets."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..graph import Graph, sum_edges, triplets


def table_slopes(f: Float[Tensor, "*tables n"]) -> Float[Tensor, "*tables n"]:
    """Slopes per step at the knots of equally spaced values: five-point differences, fewer points at the ends.

    ``s_m = (f_{m-2} - f_{m+2} + 8 (f_{m+1} - f_{m-1})) / 12``. A spline with these slopes is local and has a continuous
    first derivative; it is the one that LAMMPS's ``pair_style eam`` and the codes before it draw through a table.
    """
    if f.shape[-1] < 5:
        raise ValueError(f"a table needs at least 5 values, got {f.shape[-1]}")
    two = 0.5 * (f[..., 2:] - f[..., :-2])
    five = (f[..., :-4] - f[..., 4:] + 8 * (f[..., 3:-1] - f[..., 1:-3])) / 12
    ends = f[..., 1:] - f[..., :-1]
    return torch.cat([ends[..., :1], two[..., :1], five, two[..., -1:], ends[..., -1:]], dim=-1)


def interpolate(
    f: Float[Tensor, "tables n"], table: Int[Tensor, "points"], x: Float[Tensor, "points"]
) -> Float[Tensor, "points"]:
    """The cubic Hermite spline of ``table_slopes`` at ``x`` (in steps) of one table each; linear beyond the ends.

    ``f_m + p (s_m + p (3 d - 2 s_m - s_{m+1} + p (s_m + s_{m+1} - 2 d)))``, ``d = f_{m+1} - f_m``, ``p = x - m``.
    """
    n = f.shape[-1]
    knots = torch.stack([f, table_slopes(f)], dim=-1).reshape(-1, 2)
    m = x.detach().long().clamp(0, n - 2)
    p = (x - m).clamp(0, 1)
    at = table * n + m
    f0, s0 = knots.index_select(0, at).unbind(-1)
    f1, s1 = knots.index_select(0, at + 1).unbind(-1)
    d = f1 - f0
    inside = f0 + p * (s0 + p * (3 * d - 2 * s0 - s1 + p * (s0 + s1 - 2 * d)))
    return inside + s1 * (x - (n - 1)).clamp(min=0) + s0 * x.clamp(max=0)


def b_spline_coefficients(
    f: Float[Tensor, "*before n *after"], axis: int, flat: bool = False
) -> Float[Tensor, "*before n+2 *after"]:
    """Coefficients of the cubic B-splines through equally spaced values along one axis.

    ``f_m = (c_m + 4 c_{m+1} + c_{m+2}) / 6``. At the first knots (and the last, unless ``flat`` wants slope zero there)
    two cubics are one, which keeps the error of fourth order.
    """
    n = f.shape[axis]
    if n < 5:
        raise ValueError(f"a spline needs at least 5 values along each axis, got {n}")
    A = torch.zeros(n + 2, n + 2, dtype=f.dtype)
    one = torch.tensor([-1.0, 4.0, -6.0, 4.0, -1.0], dtype=f.dtype)
    A[0, :5] = one
    for k, x in enumerate((1.0, 4.0, 1.0)):
        A[1:-1, k : k + n].diagonal().fill_(x / 6)
    A[-1, -5:] = torch.tensor([0.0, 0.0, -1.0, 0.0, 1.0], dtype=f.dtype) if flat else one
    zero = f.new_zeros(()).expand_as(f.narrow(axis, 0, 1))
    y = torch.cat([zero, f, zero], axis).movedim(axis, 0)
    return torch.linalg.solve(A.to(f), y.reshape(n + 2, -1)).reshape(y.shape).movedim(0, axis)


def b_spline_weights(x: Float[Tensor, "p"], cells: int) -> tuple[Int[Tensor, "p"], Float[Tensor, "p 4"]]:
    """The first of four coefficients at ``x`` (in steps) and the weights of all four; linear before the first knot."""
    m = x.detach().long().clamp(0, cells - 1)
    t = x - m
    c = t.clamp_min(0)
    b, bb = 1 - c, c * c
    w = torch.stack([b * b * b, (3 * c - 6) * bb + 4, ((3 - 3 * c) * c + 3) * c + 1, bb * c], -1) / 6
    slope = torch.stack([-b * b, (3 * c - 4) * c, (2 - 3 * c) * c + 1, bb], -1) / 2
    return m, w + (t - c)[:, None] * slope


def spline_energies(
    graph: Graph,
    z: Int[Tensor, "atoms"],
    pairs: Float[Tensor, "pairs _"],
    c3: Float[Tensor, "triples _ _ _"],
    triple: Int[Tensor, "elements elements elements"],
    begin: float,
    cutoff: float,
    step: float,
    cutoff_3: float,
    step_3: float,
    begin_q: float,
    cutoff_q: float,
    step_q: float,
    cosine: bool,
) -> Float[Tensor, "atoms"]:
    """``E_i = sum_j e2(r_ij) + sum_{j<k} e3(r_ij, r_ik, q)``: the meaning of ``kernels.splines.spline_kernel``.

    Args:
        graph: who sees whom.
        z: elements of the atoms.
        pairs: coefficients of ``e2`` for each pair of elements.
        c3: those of ``e3``.
        triple: which of them belongs to the elements of ``i, j, k``.
        begin: first knot of distances from ``i``, Å.
        cutoff: last knot of ``e2``, Å.
        step: of the knots of ``e2``, Å.
        cutoff_3: last knot of ``e3`` along ``r_ij`` and ``r_ik``, Å.
        step_3: of the knots along those, Å.
        begin_q: first knot of the third variable.
        cutoff_q: its last.
        step_q: of its knots.
        cosine: whether it is the cosine of the angle at ``i``, or ``r_jk``.
    """
    graph = graph.within(cutoff)
    r, n = graph.lengths, len(triple)
    m, w = b_spline_weights((r - begin) / step, pairs.shape[1] - 3)
    four = torch.arange(4, device=r.device)
    row = (z[graph.i] * n + z[graph.j]) * pairs.shape[1]
    E = sum_edges((pairs.flatten()[(row + m)[:, None] + four] * w).sum(1), graph)
    if not len(c3):
        return E
    graph = graph.within(cutoff_3)
    e, f = triplets(graph)
    swapped = z[graph.j[e]] > z[graph.j[f]]
    e, f = torch.where(swapped, f, e), torch.where(swapped, e, f)
    u, v, r = graph.vectors[e], graph.vectors[f], graph.lengths
    if cosine:
        q, inside = (u * v).sum(-1) / (r[e] * r[f]), torch.ones_like(e, dtype=torch.bool)
    else:
        q = torch.linalg.vector_norm(v - u, dim=-1)
        inside = q < cutoff_q
        q = torch.where(inside, q, cutoff_q)
    size, size_q = c3.shape[1], c3.shape[3]
    m, w = b_spline_weights((r - begin) / step_3, size - 3)
    mq, wq = b_spline_weights((q - begin_q) / step_q, size_q - 3)
    at = triple[z[graph.i[e]], z[graph.j[e]], z[graph.j[f]]][:, None, None] * size + (m[e][:, None] + four)[:, :, None]
    at = (at * size + (m[f][:, None] + four)[:, None]) * size_q + mq[:, None, None]
    lines = (c3.flatten()[at[..., None] + four] * wq[:, None, None]).sum(-1)  # [triplets, 4, 4]
    bends = torch.where(inside, torch.einsum("txy,tx,ty->t", lines, w[e], w[f]), 0.0)
    return E.index_add(0, graph.i[e], bends)
