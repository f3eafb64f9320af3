"""From a fused forward pass, vector-Jacobian product and Jacobian-vector product to an operator that autograd knows.

For ``y = F(x)``: the gradient is the VJP ``V(g, x) = gᵀ J(x)``; the gradient of the VJP by ``g`` is the JVP ``J(x) t`` and
the other way round, so that losses on forces stay within the fused kernels. What remains, second derivatives by
``x``, falls back to the plain definition, and with it derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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
        run: ``run(FORWARD, x, None, index, spec)`` gives ``y``, ``run(VJP, x, g, ...)`` what has the shape of ``x``, and
            ``run(JVP, x, t, ...)`` what has the shape of ``y``.
        plain: the definition, of the same arguments, differentiable to any order.
        shape: of ``y``.
    """
    schema = "Tensor[] index, str spec) -> Tensor"
    library = torch.library

    def operator(suffix: str, arguments: str, function: Callable, fake: Callable) -> Callable:
        op = library.custom_op(f"adlayer::{name}{suffix}", function, mutates_args=(), schema=f"({arguments}, {schema}")
        op.register_fake(fake)
        return op

    def like_y(x: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
        return x.new_empty(shape(x, index, spec))

    forward = operator("", "Tensor x", lambda x, index, spec: run(FORWARD, x, None, index, spec), like_y)
    vjp = operator(
        "_vjp",
        "Tensor g, Tensor x",
        lambda g, x, index, spec: run(VJP, x, g, index, spec),
        lambda g, x, index, spec: torch.empty_like(x),
    )
    jvp = operator(
        "_jvp",
        "Tensor t, Tensor x",
        lambda t, x, index, spec: run(JVP, x, t, index, spec),
        lambda t, x, index, spec: like_y(x, index, spec),
    )

    def curvature(g: Tensor, t: Tensor, x: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
        """``d(gᵀ J(x) t)/dx`` from the plain definition."""
        further = torch.is_grad_enabled()
        with torch.enable_grad():
            x = x if further and x.requires_grad else x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(plain(x, index, spec), x, g, create_graph=True)
            return torch.autograd.grad((slope * t).sum(), x, create_graph=further)[0]

    def remember(ctx, inputs, output):
        *tensors, index, ctx.spec = inputs
        ctx.n = len(tensors)
        ctx.save_for_backward(*tensors, *index)

    def forward_backward(ctx, g):
        x, *index = ctx.saved_tensors
        return vjp(g, x, index, ctx.spec), [None] * len(index), None

    def vjp_backward(ctx, t):
        g, x, *index = ctx.saved_tensors
        by_g = jvp(t, x, index, ctx.spec) if ctx.needs_input_grad[0] else None
        by_x = curvature(g, t, x, index, ctx.spec) if ctx.needs_input_grad[1] else None
        return by_g, by_x, [None] * len(index), None

    def jvp_backward(ctx, g):
        t, x, *index = ctx.saved_tensors
        by_t = vjp(g, x, index, ctx.spec) if ctx.needs_input_grad[0] else None
        by_x = curvature(g, t, x, index, ctx.spec) if ctx.needs_input_grad[1] else None
        return by_t, by_x, [None] * len(index), None

    forward.register_autograd(forward_backward, setup_context=remember)
    vjp.register_autograd(vjp_backward, setup_context=remember)
    jvp.register_autograd(jvp_backward, setup_context=remember)

    def choose(x: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
        return forward(x, list(index), spec) if use_fused(x) else plain(x, index, spec)

    return choose
