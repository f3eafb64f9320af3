"""Energies of environments by Gaussian covariances, with their derivatives, in blocks that stay in the cache.

The meaning is ``definition``; second derivatives, other devices and compilers go through it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..nn.environment_covariance import gaussian
from . import use_fused
from .bonds import _is_traced

_BLOCK = 1_000_000  # covariances that are held at once


def gaussian_energies(
    x: Float[Tensor, "N D"],
    points: Float[Tensor, "M D"],
    weights: Float[Tensor, "M"],
    tilts: Float[Tensor, "M D"] | None,
    theta: Float[Tensor, ""],
) -> Float[Tensor, "N"]:
    """``sum_s k(x, x_s) (w_s + t_s · (x - x_s) / theta²)``, ``k = exp(-|x - x_s|² / 2 theta²)``, of every row."""
    if _is_traced() or not use_fused(x) or not len(points):
        return definition(x, points, weights, tilts, theta)
    energies = _ByInputs.apply(x, (points, weights, tilts, theta))
    return energies + _ByWeights.apply(weights, x, points, theta) if weights.requires_grad else energies


def definition(x: Tensor, points: Tensor, weights: Tensor, tilts: Tensor | None, theta: Tensor) -> Float[Tensor, "N"]:
    """The same, plainly."""
    along = weights
    if tilts is not None:
        along = weights + (x @ tilts.T - (points * tilts).sum(1)) / theta**2
    return (gaussian(x, points, theta) * along).sum(1)


class _ByInputs(torch.autograd.Function):
    """The energies, as a function of the inputs."""

    @staticmethod
    def forward(ctx, x, hidden):
        points, weights, tilts, theta = (None if t is None else t.detach() for t in hidden)
        energies, slopes = x.new_empty(len(x)), torch.empty_like(x) if ctx.needs_input_grad[0] else None
        q, norms = float(theta) ** -2, points.square().sum(1)
        if tilts is not None:
            weights = weights - q * (points * tilts).sum(1)
        begin, step = 0, max(1, _BLOCK // len(points))
        for part in x.split(step):
            of = slice(begin, begin := begin + len(part))
            k = torch.addmm(norms, part, points.T, alpha=-2).add_(part.square().sum(1, keepdim=True)).clamp_min_(0)
            k.mul_(-0.5 * q).exp_()
            along = weights if tilts is None else torch.addmm(weights, part, tilts.T, alpha=q)
            if slopes is None:
                energies[of] = torch.linalg.vecdot(k, along.expand_as(k))
                continue
            along = k * along
            energies[of] = along.sum(1)
            slope = along @ points
            slope -= energies[of, None] * part
            slopes[of] = q * (slope if tilts is None else slope.addmm_(k, tilts))
        ctx.rest, ctx.slopes = (x, hidden), slopes
        return energies

    @staticmethod
    def backward(ctx, w):
        if not torch.is_grad_enabled():
            return w[:, None] * ctx.slopes, None
        x, hidden = ctx.rest
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(definition(x, *hidden), x, w, create_graph=True)
        return slope, None


class _ByWeights(torch.autograd.Function):
    """Zero, with the energies' derivatives by the weights: computed only if they are asked for."""

    @staticmethod
    def forward(ctx, weights, x, points, theta):
        ctx.rest = x, points, theta
        return x.new_zeros(len(x))

    @staticmethod
    def backward(ctx, w):
        return w @ gaussian(*ctx.rest), None, None, None
