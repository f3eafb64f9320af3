"""Embedded environment matrices fused: D(2,a) of Deep Potential with its embedding networks as tables.

The meaning is ``descriptors.deep_potential.SeE2A``, and ``descriptors.dpa1.DPA1`` without attention. A network of one
number is a curve for each of its outputs; they are tabulated as polynomials of degree 7 on intervals that are halved
until they are the network to ``TOLERANCE``. Elsewhere this is a step of its own that a user takes (compression); here
it happens by itself when a potential is evaluated and not trained. Derivatives by parameters and second derivatives go
through the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor, nn

from ..graph import Graph
from . import use_fused
from .bonds import _is_traced
from .one_particle import fast

TOLERANCE = 1e-12  # of a table, in units of the largest output of its network
_DEGREE = 7
_LARGEST = 16384  # intervals of a table
_BLOCK = 8  # atoms that share one scratch


class Environments(NamedTuple):
    """What belongs to an environment matrix beside the vectors."""

    mean: Float[Tensor, "elements"]
    width: Float[Tensor, "elements 2"]
    sel: Float[Tensor, "elements"]
    inner: float
    cutoff: float


class Curves(NamedTuple):
    """Networks of one number, for neighbors of each element or for each pair of center and neighbor.

    With gates there is one, times ``1 + w h`` with the switching function ``w`` and a row ``h`` of each kind.
    """

    owner: nn.Module  # whose parameters they have, and who says whether they are trained
    functions: list[Callable[[Tensor], Tensor]]
    one_side: bool
    gates: Float[Tensor, "kinds M"] | None = None


class Table(NamedTuple):
    """Networks as polynomials in ``-1 .. 1`` on intervals of equal length from ``start`` on."""

    coefficients: np.ndarray  # [network, interval, power, M]
    start: float
    step: float
    error: float  # largest found between the nodes, in units of the largest output


def embedded_products(
    plain: Callable[[Graph], Tensor],
    graph: Graph,
    z: Int[Tensor, "atoms"],
    environments: Environments,
    curves: Curves,
    axis: int,
) -> Float[Tensor, "atoms features"]:
    """``plain(graph)``; where nothing is trained, by the kernel.

    Args:
        plain: the definition.
        graph: may hold edges beyond the cutoff.
        z: elements of the atoms.
        environments: statistics and switch.
        curves: the embedding networks.
        axis: columns of the product.
    """
    vectors = graph.vectors
    if curves.owner.training or not graph.n_edges or _is_traced() or not use_fused(vectors):
        return plain(graph)
    table = tabulated(curves, environments, float(graph.lengths.detach().min()))
    if table is None:
        return plain(graph)
    found = _ByVectors.apply(vectors, plain, graph, z, environments, curves, table, axis)
    if any(p.requires_grad for p in curves.owner.parameters()):
        found = found + _ByParameters.apply(plain, graph, found.shape, *curves.owner.parameters())
    return found


_made: WeakKeyDictionary[nn.Module, tuple[Tensor, float, Table | None]] = WeakKeyDictionary()


@torch.no_grad()
def tabulated(curves: Curves, environments: Environments, shortest: float) -> Table | None:
    """The table of some curves down to the distance ``shortest`` (Å); None where there is none good enough.

    Made anew when parameters or statistics have changed, or a distance is shorter than all before.
    """
    state = torch.cat([p.detach().reshape(-1).double() for p in (*curves.owner.parameters(), *environments[:2])])
    reach = 2.0 ** max(ceil(log2(1 / max(shortest, 1e-2))), 1)  # of s, 1/Å: always the same table down to 0.5 Å
    old = _made.get(curves.owner)
    if old is not None and old[1] >= reach and torch.equal(old[0], state):
        return old[2]
    mean, width = environments.mean.double(), environments.width[:, 0].double()
    start, end = float((-mean / width).min()), float(((reach - mean) / width).max())
    table = _tabulate(curves.functions, start, end, environments.mean.dtype)
    _made[curves.owner] = state, reach, table
    return table


def compress(curves: Curves, environments: Environments, shortest: float) -> float:
    """Tabulate curves now; the largest error of a table, in units of the largest output of its network."""
    table = tabulated(curves, environments, shortest)
    if table is None:
        raise ValueError(f"no table of these networks down to {shortest} Å is good enough; try a larger distance")
    return table.error


def _tabulate(curves: list[Callable], start: float, end: float, dtype: torch.dtype) -> Table | None:
    nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    between = np.array([-0.9, -0.3, 0.1, 0.7])
    fit = np.linalg.inv(np.vander(nodes, increasing=True))
    powers = np.vander(between, _DEGREE + 1, increasing=True)
    tolerance = TOLERANCE if dtype == torch.float64 else 1e-6
    n = max(int(4 * (end - start)), 8)
    while n <= _LARGEST:
        x = start + (end - start) / n * (np.arange(n)[:, None] + 0.5 * (np.concatenate([nodes, between]) + 1))
        x = torch.from_numpy(x).to(dtype)
        values = np.stack([g(x.reshape(-1, 1)).double().numpy().reshape(*x.shape, -1) for g in curves])
        known, wanted = values[:, :, : len(nodes)], values[:, :, len(nodes) :]
        coefficients = np.einsum("pk,gnkm->gnpm", fit, known)
        largest = np.abs(wanted).max((1, 2, 3), keepdims=True)
        error = float((np.abs(np.einsum("tp,gnpm->gntm", powers, coefficients) - wanted) / largest).max())
        if error < tolerance:
            return Table(coefficients, start, (end - start) / n, error)
        n *= 2
    return None


@torch.no_grad()
def _at_rest(curves: list[Callable], environments: Environments) -> np.ndarray:
    """What an empty place adds to the radial column, ``g(s0) s0``, for each center and network."""
    s0 = -environments.mean / environments.width[:, 0]
    return torch.stack([g(s0[:, None]) * s0[:, None] for g in curves], 1).numpy()


def _arrays(vectors, graph, z, environments, curves, table) -> tuple:
    v = vectors.detach().contiguous().numpy()
    kind = v.dtype
    statistics = np.concatenate([environments.mean[:, None].numpy(), environments.width.numpy()], 1).astype(kind)
    switch = np.array([environments.inner, environments.cutoff, table.start, 1 / table.step], dtype=kind)
    c = np.ascontiguousarray(table.coefficients, dtype=kind)
    gates = np.empty((0, c.shape[3]), kind) if curves.gates is None else curves.gates.detach().numpy().astype(kind)
    index = graph.first.numpy(), graph.j.numpy(), z.numpy()
    rest = _at_rest(curves.functions, environments).astype(kind)
    return v, *index, statistics, switch, c, gates, rest, environments.sel.numpy().astype(kind), curves.one_side


class _ByVectors(torch.autograd.Function):
    """The features, as a function of the vectors."""

    @staticmethod
    def forward(ctx, vectors, plain, graph, z, environments, curves, table, axis):
        ctx.arrays = _arrays(vectors, graph, z, environments, curves, table)
        v, M, n_atoms = ctx.arrays[0], table.coefficients.shape[3], graph.n_atoms
        ctx.T, D = np.zeros((n_atoms, 4, M), v.dtype), np.empty((n_atoms, M * axis), v.dtype)
        _forward(*ctx.arrays, axis, ctx.T, D)
        ctx.plain, ctx.graph, ctx.axis = plain, graph, axis
        return torch.from_numpy(D)

    @staticmethod
    def backward(ctx, w):
        rest = [None] * 7
        if not torch.is_grad_enabled():
            gradient = np.zeros_like(ctx.arrays[0])
            _backward(*ctx.arrays, ctx.axis, ctx.T, w.contiguous().numpy(), gradient)
            return torch.from_numpy(gradient), *rest
        vectors = ctx.graph.vectors
        (G,) = torch.autograd.grad(ctx.plain(ctx.graph), [vectors], w, create_graph=True)
        return G, *rest


class _ByParameters(torch.autograd.Function):
    """Zero, with the features' derivatives by the parameters: computed only if they are asked for."""

    @staticmethod
    def forward(ctx, plain, graph, shape, *parameters):
        ctx.plain, ctx.graph, ctx.parameters = plain, graph, parameters
        return graph.vectors.new_zeros(()).expand(shape)

    @staticmethod
    def backward(ctx, w):
        wanted = [p for p in ctx.parameters if p.requires_grad]
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            found = iter(
                torch.autograd.grad(ctx.plain(ctx.graph), wanted, w, create_graph=create_graph, allow_unused=True)
            )
        return None, None, None, *(next(found) if p.requires_grad else None for p in ctx.parameters)


@njit(**fast)
def _row(v, center, statistics, switch):
    """``s~``, the factor ``q`` of the vector in the other columns, ``w``, their derivatives by ``r``, and ``1/r``."""
    inner, cutoff = switch[0], switch[1]
    r = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    u, one = min(max((r - inner) / (cutoff - inner), 0), 1), 1 / r
    w = u * u * u * ((15 - 6 * u) * u - 10) + 1
    dw = -30 * u * u * (1 - u) * (1 - u) / (cutoff - inner)
    s, ds = w * one, (dw - w * one) * one
    radial, others = 1 / statistics[center, 1], 1 / statistics[center, 2]
    return (
        (s - statistics[center, 0]) * radial,
        s * one * others,
        w,
        ds * radial,
        (ds - s * one) * one * others,
        dw,
        one,
    )


@njit(**fast)
def _place(x, switch, n):
    """Interval of a table and place in it."""
    y = (x - switch[2]) * switch[3]
    k = min(max(int(y), 0), n - 1)
    return k, 2 * (y - k) - 1


@njit(**fast)
def _value(c, t, m):
    """Polynomial ``m`` of an interval."""
    g = c[7, m] * t + c[6, m]
    g = g * t + c[5, m]
    g = g * t + c[4, m]
    g = g * t + c[3, m]
    g = g * t + c[2, m]
    g = g * t + c[1, m]
    return g * t + c[0, m]


@njit(**fast)
def _value_and_slope(c, t, m):
    """Polynomial ``m`` of an interval, and its derivative."""
    g = c[7, m] * t + c[6, m]
    d = c[7, m]
    d = d * t + g
    g = g * t + c[5, m]
    d = d * t + g
    g = g * t + c[4, m]
    d = d * t + g
    g = g * t + c[3, m]
    d = d * t + g
    g = g * t + c[2, m]
    d = d * t + g
    g = g * t + c[1, m]
    d = d * t + g
    g = g * t + c[0, m]
    return g, d


@njit(parallel=True, **fast)
def _forward(vectors, first, j, z, statistics, switch, table, gates, at_rest, sel, one_side, axis, T, D):
    n_atoms, M, E = len(first) - 1, table.shape[3], len(sel)
    for a in prange(n_atoms):
        center = z[a]
        t0, t1, t2, t3 = T[a, 0], T[a, 1], T[a, 2], T[a, 3]
        empty = sel.copy()
        for e in range(first[a], first[a + 1]):
            v = vectors[e]
            if v[0] * v[0] + v[1] * v[1] + v[2] * v[2] >= switch[1] * switch[1]:
                continue
            x, q, w, _, _, _, _ = _row(v, center, statistics, switch)
            kind = z[j[e]] if one_side else center * E + z[j[e]]
            k, t = _place(x, switch, table.shape[1])
            y1, y2, y3 = q * v[0], q * v[1], q * v[2]
            empty[z[j[e]]] -= 1
            if len(gates):
                c, h = table[0, k], gates[kind]
                for m in range(M):
                    g = _value(c, t, m) * (1 + w * h[m])
                    t0[m] += g * x
                    t1[m] += g * y1
                    t2[m] += g * y2
                    t3[m] += g * y3
            else:
                c = table[kind, k]
                for m in range(M):
                    g = _value(c, t, m)
                    t0[m] += g * x
                    t1[m] += g * y1
                    t2[m] += g * y2
                    t3[m] += g * y3
        for k in range(0 if len(gates) else E):
            rest, n = at_rest[center, k if one_side else center * E + k], empty[k]
            for m in range(M):
                t0[m] += n * rest[m]
        scale = 1 / sel.sum()
        for m in range(M):
            t0[m] *= scale
            t1[m] *= scale
            t2[m] *= scale
            t3[m] *= scale
        for m in range(M):
            d = D[a, m * axis : (m + 1) * axis]
            for b in range(axis):
                d[b] = t0[m] * t0[b] + t1[m] * t1[b] + t2[m] * t2[b] + t3[m] * t3[b]


@njit(parallel=True, **fast)
def _backward(vectors, first, j, z, statistics, switch, table, gates, at_rest, sel, one_side, axis, T, D, gradient):
    n_atoms, M, E = len(first) - 1, table.shape[3], len(sel)
    scale = 1 / sel.sum()
    for block in prange((n_atoms + _BLOCK - 1) // _BLOCK):
        G = np.empty((4, M), vectors.dtype)
        for a in range(block * _BLOCK, min((block + 1) * _BLOCK, n_atoms)):
            _backward_products(D[a], T[a], axis, scale, G)
            center = z[a]
            for e in range(first[a], first[a + 1]):
                v = vectors[e]
                if v[0] * v[0] + v[1] * v[1] + v[2] * v[2] >= switch[1] * switch[1]:
                    continue
                x, q, w, dx, dq, dw, one = _row(v, center, statistics, switch)
                kind = z[j[e]] if one_side else center * E + z[j[e]]
                k, t = _place(x, switch, table.shape[1])
                y1, y2, y3 = q * v[0], q * v[1], q * v[2]
                if len(gates):
                    s, u, g0, g1, g2, g3 = _pull_gated(table[0, k], t, gates[kind], w, G, x, y1, y2, y3)
                else:
                    s, g0, g1, g2, g3 = _pull(table[kind, k], t, G, x, y1, y2, y3)
                    u = s * 0
                along = g1 * v[0] + g2 * v[1] + g3 * v[2]
                radial = ((g0 + s * 2 * switch[3]) * dx + along * dq + u * dw) * one
                gradient[e, 0] = radial * v[0] + q * g1
                gradient[e, 1] = radial * v[1] + q * g2
                gradient[e, 2] = radial * v[2] + q * g3


@njit(**fast)
def _backward_products(w, T, axis, scale, G):
    """Adjoint of ``T`` from that of ``D``."""
    M = T.shape[1]
    for m in range(M):
        d = w[m * axis : (m + 1) * axis]
        for k in range(4):
            s = d[0] * T[k, 0]
            for b in range(1, axis):
                s += d[b] * T[k, b]
            G[k, m] = s * scale
    for m in range(M):
        d = w[m * axis : (m + 1) * axis]
        for k in range(4):
            s = T[k, m] * scale
            for b in range(axis):
                G[k, b] += d[b] * s


@njit(**fast)
def _pull(c, t, G, y0, y1, y2, y3):
    """Adjoints of an edge's place in the table, and of its row."""
    p0, p1, p2, p3 = G[0], G[1], G[2], G[3]
    s = g0 = g1 = g2 = g3 = t * 0
    for m in range(G.shape[1]):
        g, d = _value_and_slope(c, t, m)
        s += d * (p0[m] * y0 + p1[m] * y1 + p2[m] * y2 + p3[m] * y3)
        g0 += g * p0[m]
        g1 += g * p1[m]
        g2 += g * p2[m]
        g3 += g * p3[m]
    return s, g0, g1, g2, g3


@njit(**fast)
def _pull_gated(c, t, h, w, G, y0, y1, y2, y3):
    """The same with gates, and the adjoint of ``w``."""
    p0, p1, p2, p3 = G[0], G[1], G[2], G[3]
    s = u = g0 = g1 = g2 = g3 = t * 0
    for m in range(G.shape[1]):
        g, d = _value_and_slope(c, t, m)
        y, f = p0[m] * y0 + p1[m] * y1 + p2[m] * y2 + p3[m] * y3, 1 + w * h[m]
        s += d * f * y
        u += g * h[m] * y
        g *= f
        g0 += g * p0[m]
        g1 += g * p1[m]
        g2 += g * p2[m]
        g3 += g * p3[m]
    return s, u, g0, g1, g2, g3
