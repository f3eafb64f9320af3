"""Messages that never exist: filter, gather and sum in one pass over the edges of a few atoms at a time.

The meaning is ``nn.messages.gated_messages``. The filters ``W = basis @ weights`` of a chunk of edges are one matrix
product into a buffer that stays in the cache, so memory per edge is that of the basis, a twentieth of the filters'.
What is summed is linear in each of its arguments,

``T = sum_ij gs_i·(W1 x1_j) + gv_i·(W2 x2_j u_ij + W3 x3_j v_j)``,

and so first and second derivatives are passes of the same kind. Derivatives by what atom ``j`` sends are gathered too,
not scattered: its edges' reverses are those that end in it ("sent" below: edge ``e`` of atom ``a`` goes to ``j[e]``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

_EDGES = 768  # per chunk and thread: a megabyte of filters of 128 features in float32


def gated_messages(
    x: Tensor, v: Tensor, basis: Tensor, weights: Tensor, u: Tensor, first: Tensor, j: Tensor, reverse: Tensor
) -> tuple[Tensor, Tensor]:
    """``nn.messages.gated_messages`` on a CPU, twice differentiable in its first five arguments."""
    return _messages(x, v, basis, weights, u, first, j, reverse)


@torch.library.custom_op("adlayer::gated_messages", mutates_args=())
def _messages(
    x: Tensor, v: Tensor, basis: Tensor, weights: Tensor, u: Tensor, first: Tensor, j: Tensor, reverse: Tensor
) -> tuple[Tensor, Tensor]:
    s, out = _empty_like(v[:, 0], v)
    arrays = _arrays(_thirds(x), v, u), _arrays(s, out)
    first, j = _arrays(first, j)
    W = _buffer(first, v)
    for atoms, edges in _chunks(first):
        torch.mm(basis[edges], weights, out=_rows(W, edges))
        _receive(*arrays[0], W.numpy(), first, j, *atoms, *arrays[1])
    return s, out


@torch.library.custom_op("adlayer::gated_messages_vjp", mutates_args=())
def _vjp(
    gs: Tensor,
    gv: Tensor,
    x: Tensor,
    v: Tensor,
    basis: Tensor,
    weights: Tensor,
    u: Tensor,
    first: Tensor,
    j: Tensor,
    reverse: Tensor,
    by_weights: bool,
    by_basis: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Derivatives of ``T`` by x, v, basis (where asked), weights (where asked) and u."""
    basis, u = basis.index_select(0, reverse), u.index_select(0, reverse)  # of what is sent
    dx, dv, du = _empty_like(x, v, u)
    dbasis, dweights = _zeros(basis, by_basis), _zeros(weights, by_weights)
    arrays = _arrays(gs, gv, _thirds(x), v, u), _arrays(_thirds(dx), dv, du)
    first, j = _arrays(first, j)
    W = _buffer(first, v)
    for atoms, edges in _chunks(first):
        rows = _rows(W, edges)
        torch.mm(basis[edges], weights, out=rows)
        _send(*arrays[0], W.numpy(), first, j, *atoms, *arrays[1])  # and W becomes dT/dW
        if by_basis:
            torch.mm(rows, weights.T, out=dbasis[edges])
        if by_weights:
            dweights.addmm_(basis[edges].T, rows)
    return dx, dv, dbasis.index_select(0, reverse[: len(dbasis)]), dweights, du.index_select(0, reverse)


@torch.library.custom_op("adlayer::gated_messages_vjp_vjp", mutates_args=())
def _vjp_vjp(
    gs: Tensor,
    gv: Tensor,
    x: Tensor,
    v: Tensor,
    basis: Tensor,
    weights: Tensor,
    u: Tensor,
    hx: Tensor,
    hv: Tensor,
    hbasis: Tensor,
    hweights: Tensor | None,
    hu: Tensor,
    first: Tensor,
    j: Tensor,
    reverse: Tensor,
    by_weights: bool,
    by_basis: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Derivatives of ``S = h·dT/d(x, v, basis, weights, u)`` by gs, gv, x, v, basis, weights (where asked) and u.

    ``S`` is the change of ``T`` along ``h``; that of the filters is ``V = hbasis @ weights + basis @ hweights``.
    """
    basis_sent, hbasis_sent, u_sent, hu_sent = (y.index_select(0, reverse) for y in (basis, hbasis, u, hu))
    dgs, dgv, dx, dv, du = _empty_like(gs, gv, x, v, u)
    dbasis, dweights = _zeros(basis, by_basis), _zeros(weights, by_weights)
    atomwise = _arrays(_thirds(x), v, _thirds(hx), hv)
    received = *atomwise, *_arrays(u, hu)
    sent = *_arrays(gs, gv), *atomwise, *_arrays(u_sent, hu_sent)
    out_received, out_sent = _arrays(dgs, dgv), _arrays(_thirds(dx), dv, du)
    first, j = _arrays(first, j)
    W, V = _buffer(first, v), _buffer(first, v)

    def filters(basis: Tensor, hbasis: Tensor, edges: slice) -> tuple[Tensor, Tensor]:
        w, dw = _rows(W, edges), _rows(V, edges)
        torch.mm(basis[edges], weights, out=w)
        torch.mm(hbasis[edges], weights, out=dw)
        if hweights is not None:
            dw.addmm_(basis[edges], hweights)
        return w, dw

    for atoms, edges in _chunks(first):
        filters(basis, hbasis, edges)
        _receive_change(*received, W.numpy(), V.numpy(), first, j, *atoms, *out_received)
    for atoms, edges in _chunks(first):
        w, dw = filters(basis_sent, hbasis_sent, edges)
        _send_change(*sent, W.numpy(), V.numpy(), first, j, *atoms, *out_sent)  # W, V become dS/dW, dS/dV = dT/dW
        if by_basis:
            torch.mm(w, weights.T, out=dbasis[edges])
            if hweights is not None:
                dbasis[edges].addmm_(dw, hweights.T)
        if by_weights:
            dweights.addmm_(basis_sent[edges].T, w).addmm_(hbasis_sent[edges].T, dw)
    return dgs, dgv, dx, dv, dbasis.index_select(0, reverse[: len(dbasis)]), dweights, du.index_select(0, reverse)


# ----------------------------------------------------------------------------------------------------------- autograd


@_messages.register_fake
def _(x, v, basis, weights, u, first, j, reverse):
    return torch.empty_like(v[:, 0]), torch.empty_like(v)


@_vjp.register_fake
def _(gs, gv, x, v, basis, weights, u, first, j, reverse, by_weights, by_basis):
    dx, dv, du = _empty_like(x, v, u)
    return dx, dv, _zeros(basis, by_basis), _zeros(weights, by_weights), du


@_vjp_vjp.register_fake
def _(gs, gv, x, v, basis, weights, u, hx, hv, hbasis, hweights, hu, first, j, reverse, by_weights, by_basis):
    dgs, dgv, dx, dv, du = _empty_like(gs, gv, x, v, u)
    return dgs, dgv, dx, dv, _zeros(basis, by_basis), _zeros(weights, by_weights), du


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*(y for y in inputs if isinstance(y, Tensor)))
    ctx.asked = [y for y in inputs if isinstance(y, bool)]


def _backward(ctx, gs, gv):
    asked = _is_asked(ctx, 3), _is_asked(ctx, 2)
    dx, dv, dbasis, dweights, du = _vjp(gs, gv, *ctx.saved_tensors, *asked)
    return dx, dv, *_if_asked(asked, dweights, dbasis), du, None, None, None


def _backward_backward(ctx, hx, hv, hbasis, hweights, hu):
    *arguments, first, j, reverse = ctx.saved_tensors
    by_weights, by_basis = ctx.asked
    h = hx, hv, hbasis if by_basis else torch.zeros_like(arguments[4]), hweights if by_weights else None, hu
    asked = _is_asked(ctx, 5), _is_asked(ctx, 4)
    dgs, dgv, dx, dv, dbasis, dweights, du = _vjp_vjp(*arguments, *h, first, j, reverse, *asked)
    return dgs, dgv, dx, dv, *_if_asked(asked, dweights, dbasis), du, *[None] * 5


def _if_asked(asked: tuple[bool, bool], dweights: Tensor, dbasis: Tensor) -> tuple[Tensor | None, Tensor | None]:
    by_weights, by_basis = asked
    return dbasis if by_basis else None, dweights if by_weights else None


def _is_asked(ctx, k: int) -> bool:
    """Whether this backward pass goes on to the k-th input: forces alone do not need gradients of weights.

    ``ctx.needs_input_grad`` only knows whether it could.
    """
    node = ctx.next_functions[k][0]
    try:
        return node is not None and torch._C._will_engine_execute_node(node)
    except RuntimeError:  # not told for a leaf
        return True


_messages.register_autograd(_backward, setup_context=_save)
_vjp.register_autograd(_backward_backward, setup_context=_save)


# ------------------------------------------------------------------------------------------------------------- arrays


def _chunks(first: np.ndarray) -> Iterator[tuple[tuple[int, int], slice]]:
    """A few atoms at a time, and their edges."""
    n, a = len(first) - 1, 0
    while a < n:
        b = max(a + 1, int(np.searchsorted(first, first[a] + _EDGES * torch.get_num_threads(), "right")) - 1)
        yield (a, b), slice(int(first[a]), int(first[b]))
        a = b


def _buffer(first: np.ndarray, v: Tensor) -> Tensor:
    most = max((edges.stop - edges.start for _, edges in _chunks(first)), default=0)
    return v.new_empty(most, 3, v.shape[2])


def _rows(W: Tensor, edges: slice) -> Tensor:
    return W[: edges.stop - edges.start].flatten(1)


def _thirds(x: Tensor) -> Tensor:
    return x.unflatten(1, (3, -1))


def _empty_like(*tensors: Tensor) -> list[Tensor]:
    return [torch.empty_like(y, memory_format=torch.contiguous_format) for y in tensors]


def _zeros(y: Tensor, asked: bool) -> Tensor:
    """Zeros like ``y``, or nothing."""
    return y.new_zeros(y.shape if asked else (0, y.shape[1]))


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [y.detach().contiguous().numpy() for y in tensors]


# ------------------------------------------------------------------------------------------------------------ kernels


@njit(cache=True, parallel=True, fastmath=True)
def _receive(x, v, u, W, first, j, begin, end, s, out):
    for a in prange(begin, end):
        s[a], out[a] = 0, 0
        for e in range(first[a], first[a + 1]):
            b, k = j[e], e - first[begin]
            u0, u1, u2 = u[e]
            for f in range(v.shape[2]):
                p = W[k, 1, f] * x[b, 1, f]
                t = W[k, 2, f] * x[b, 2, f]
                s[a, f] += W[k, 0, f] * x[b, 0, f]
                out[a, 0, f] += p * u0 + t * v[b, 0, f]
                out[a, 1, f] += p * u1 + t * v[b, 1, f]
                out[a, 2, f] += p * u2 + t * v[b, 2, f]


@njit(cache=True, parallel=True, fastmath=True)
def _send(gs, gv, x, v, u, W, first, j, begin, end, dx, dv, du):
    for a in prange(begin, end):
        dx[a], dv[a] = 0, 0
        for e in range(first[a], first[a + 1]):
            b, k = j[e], e - first[begin]
            u0, u1, u2 = u[e]
            d0 = d1 = d2 = u0 - u0
            for f in range(v.shape[2]):
                g0, g1, g2 = gv[b, 0, f], gv[b, 1, f], gv[b, 2, f]
                along = u0 * g0 + u1 * g1 + u2 * g2
                turned = v[a, 0, f] * g0 + v[a, 1, f] * g1 + v[a, 2, f] * g2
                p = W[k, 1, f] * x[a, 1, f]
                t = W[k, 2, f] * x[a, 2, f]
                dx[a, 0, f] += W[k, 0, f] * gs[b, f]
                dx[a, 1, f] += W[k, 1, f] * along
                dx[a, 2, f] += W[k, 2, f] * turned
                dv[a, 0, f] += t * g0
                dv[a, 1, f] += t * g1
                dv[a, 2, f] += t * g2
                d0 += p * g0
                d1 += p * g1
                d2 += p * g2
                W[k, 0, f] = x[a, 0, f] * gs[b, f]
                W[k, 1, f] = x[a, 1, f] * along
                W[k, 2, f] = x[a, 2, f] * turned
            du[e, 0], du[e, 1], du[e, 2] = d0, d1, d2


@njit(cache=True, parallel=True, fastmath=True)
def _receive_change(x, v, hx, hv, u, hu, W, V, first, j, begin, end, ds, dout):
    for a in prange(begin, end):
        ds[a], dout[a] = 0, 0
        for e in range(first[a], first[a + 1]):
            b, k = j[e], e - first[begin]
            u0, u1, u2 = u[e]
            h0, h1, h2 = hu[e]
            for f in range(v.shape[2]):
                p = W[k, 1, f] * x[b, 1, f]
                dp = W[k, 1, f] * hx[b, 1, f] + V[k, 1, f] * x[b, 1, f]
                t = W[k, 2, f] * x[b, 2, f]
                dt = W[k, 2, f] * hx[b, 2, f] + V[k, 2, f] * x[b, 2, f]
                ds[a, f] += W[k, 0, f] * hx[b, 0, f] + V[k, 0, f] * x[b, 0, f]
                dout[a, 0, f] += dp * u0 + p * h0 + dt * v[b, 0, f] + t * hv[b, 0, f]
                dout[a, 1, f] += dp * u1 + p * h1 + dt * v[b, 1, f] + t * hv[b, 1, f]
                dout[a, 2, f] += dp * u2 + p * h2 + dt * v[b, 2, f] + t * hv[b, 2, f]


@njit(cache=True, parallel=True, fastmath=True)
def _send_change(gs, gv, x, v, hx, hv, u, hu, W, V, first, j, begin, end, dx, dv, du):
    for a in prange(begin, end):
        dx[a], dv[a] = 0, 0
        for e in range(first[a], first[a + 1]):
            b, k = j[e], e - first[begin]
            u0, u1, u2 = u[e]
            h0, h1, h2 = hu[e]
            d0 = d1 = d2 = u0 - u0
            for f in range(v.shape[2]):
                g0, g1, g2 = gv[b, 0, f], gv[b, 1, f], gv[b, 2, f]
                along = u0 * g0 + u1 * g1 + u2 * g2
                dalong = h0 * g0 + h1 * g1 + h2 * g2
                turned = v[a, 0, f] * g0 + v[a, 1, f] * g1 + v[a, 2, f] * g2
                dturned = hv[a, 0, f] * g0 + hv[a, 1, f] * g1 + hv[a, 2, f] * g2
                dp = W[k, 1, f] * hx[a, 1, f] + V[k, 1, f] * x[a, 1, f]
                dt = W[k, 2, f] * hx[a, 2, f] + V[k, 2, f] * x[a, 2, f]
                dx[a, 0, f] += V[k, 0, f] * gs[b, f]
                dx[a, 1, f] += V[k, 1, f] * along + W[k, 1, f] * dalong
                dx[a, 2, f] += V[k, 2, f] * turned + W[k, 2, f] * dturned
                dv[a, 0, f] += dt * g0
                dv[a, 1, f] += dt * g1
                dv[a, 2, f] += dt * g2
                d0 += dp * g0
                d1 += dp * g1
                d2 += dp * g2
                W[k, 0, f] = hx[a, 0, f] * gs[b, f]
                W[k, 1, f] = hx[a, 1, f] * along + x[a, 1, f] * dalong
                W[k, 2, f] = hx[a, 2, f] * turned + x[a, 2, f] * dturned
                V[k, 0, f] = x[a, 0, f] * gs[b, f]
                V[k, 1, f] = x[a, 1, f] * along
                V[k, 2, f] = x[a, 2, f] * turned
            du[e, 0], du[e, 1], du[e, 2] = d0, d1, d2
