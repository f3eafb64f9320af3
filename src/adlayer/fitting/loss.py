"""The objective of ``Weights`` for batches, with a choice of what is done to each residual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..potential import Prediction
from ..structures import Structures
from .weights import Residuals, residuals

Shape = Literal["l2", "l1", "huber"]


def loss(
    predicted: Prediction,
    labels: Prediction,
    precisions: Residuals,
    structures: Structures,
    shape: Shape = "l2",
    delta: float = 0.01,
) -> Float[Tensor, ""]:
    """``Σ p h(residual)`` over energy, forces and strain derivative; labels that are not known count for nothing.

    Args:
        predicted: differentiable.
        labels: NaN where not known.
        precisions: the weight of each residual, see ``Weights``.
        structures: what both belong to.
        shape: ``"l2"`` is ``h = r²``, ``"l1"`` is ``|r|``, ``"huber"`` is ``r²`` below ``delta`` and goes on as a line.
        delta: eV/atom and eV/Å.
    """
    h = _shape(shape, delta)
    total = structures.positions.new_zeros((), dtype=torch.float64)
    for r, p in zip(residuals(predicted, labels, structures), precisions):
        if r is not None and p is not None:
            total = total + (p.to(r) * h(torch.where(p > 0, r, torch.zeros_like(r)))).sum()
    return total


def _shape(shape: str, delta: float) -> Callable[[Tensor], Tensor]:
    if shape == "l1":
        return torch.abs
    if shape == "huber":
        return lambda r: torch.where(r.abs() < delta, r.square(), delta * (2 * r.abs() - delta))
    return torch.square
