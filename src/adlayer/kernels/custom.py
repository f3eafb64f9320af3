"""From a fused forward pass, vector-Jacobian product and Jacobian-vector product to an operator that autograd knows.

For ``y = F(x)`` the gradient is the VJP ``V(g; x) = gᵀ J(x)``; the gradient of the VJP by ``g`` is the JVP
``J(x) t`` and the other way round, so that losses on forces stay within the fused kernels. What remains, the gradient
of either by ``x``, falls back to the plain definition, and with it derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import Function

from . import use_fused

FORWARD, VJP, JVP = 0, 1, 2


def fused(
    name: str,
    run: Callable[[int, Tensor, Tensor | None, Sequence[Tensor], str], Tensor],
    plain: Callable[[Tensor, Sequence[Tensor], str], Tensor],
    shape: Callable[[Tensor, Sequence[Tensor], str], Sequence[int]],
) -> Callable[[Tensor, Sequence[Tensor], str], Tensor]:
    """The function ``F(x, index, spec)``: the fused kernel where it serves, the plain definition elsewhere.

    Args:
        name: of the operator, ``adlayer::name``.
        run: ``run(FORWARD, x, None, index, spec)`` gives ``y``, ``run(VJP, x, g, ...)`` what has the shape of ``x``,
            and ``run(JVP, x, t, ...)`` what has the shape of ``y``.
        plain: the definition, of the same arguments, differentiable to any order.
        shape: of ``y``.
    """

    def operator(suffix: str, tensors: str, function: Callable, fake: Callable) -> Callable:
        schema = f"({tensors}, Tensor[] index, str spec) -> Tensor"
        op = torch.library.custom_op(f"adlayer::{name}{suffix}", function, mutates_args=(), schema=schema)
        op.register_fake(fake)
        return op

    def like_y(x: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
        return x.new_empty(shape(x, index, spec))

    forward = operator("", "Tensor x", lambda x, index, spec: run(FORWARD, x, None, index, spec), like_y)
    products = {
        VJP: operator(
            "_vjp",
            "Tensor v, Tensor x",
            lambda v, x, index, spec: run(VJP, x, v, index, spec),
            lambda v, x, index, spec: torch.empty_like(x),
        ),
        JVP: operator(
            "_jvp",
            "Tensor v, Tensor x",
            lambda v, x, index, spec: run(JVP, x, v, index, spec),
            lambda v, x, index, spec: like_y(x, index, spec),
        ),
    }

    def product(mode: int, v: Tensor, x: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
        """VJP or JVP with ``v``, differentiable in ``v`` and ``x`` by nodes of their own.

        Autograd then leaves out the one that nobody asks for: the costly slope by ``x``, when it is parameters that a
        loss on forces is differentiated by.
        """
        if not torch.is_grad_enabled():
            return products[mode](v, x, index, spec)
        out = _AlongV.apply(v, mode, (x,), index, spec)
        return out + _AlongX.apply(x, mode, (v,), out.shape, index, spec) if x.requires_grad else out

    class _AlongV(Function):
        @staticmethod
        def forward(ctx, v, mode, hidden_x, index, spec):
            ctx.rest = mode, hidden_x[0], index, spec
            return products[mode](v, hidden_x[0], index, spec)

        @staticmethod
        def backward(ctx, w):
            mode, x, index, spec = ctx.rest
            return product(JVP if mode == VJP else VJP, w, x, index, spec), None, None, None, None

    class _AlongX(Function):
        @staticmethod
        def forward(ctx, x, mode, hidden_v, like, index, spec):
            ctx.save_for_backward(x)
            ctx.rest = mode, hidden_v[0], index, spec
            return x.new_zeros(like)

        @staticmethod
        def backward(ctx, w):
            (x,), (mode, v, index, spec) = ctx.saved_tensors, ctx.rest
            g, t = (v, w) if mode == VJP else (w, v)
            further = torch.is_grad_enabled()
            with torch.enable_grad():
                x = x if further else x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(plain(x, index, spec), x, g, create_graph=True)
                (bend,) = torch.autograd.grad((slope * t).sum(), x, create_graph=further)
            return bend, None, None, None, None, None

    def remember(ctx, inputs, output):
        x, index, ctx.spec = inputs
        ctx.save_for_backward(x, *index)

    def backward(ctx, g):
        x, *index = ctx.saved_tensors
        return product(VJP, g, x, index, ctx.spec), [None] * len(index), None

    forward.register_autograd(backward, setup_context=remember)

    def choose(x: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
        return forward(x, list(index), spec) if use_fused(x) else plain(x, index, spec)

    return choose
