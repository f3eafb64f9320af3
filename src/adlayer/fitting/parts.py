"""A potential as the parts that are fitted and those that are held fixed."""

from __future__ import annotations

from torch import nn

from ..graph import Graph
from ..potential import Potential, Prediction, Sum, evaluate


def leaves(potential: Potential) -> list[Potential]:
    """The terms of a sum, or the potential itself."""
    return [leaf for p in potential.parts for leaf in leaves(p)] if isinstance(potential, Sum) else [potential]


def together(parts: list[Potential]) -> Potential | None:
    """The sum of some parts, where there are any."""
    return None if not parts else parts[0] if len(parts) == 1 else Sum(parts)


def is_trainable(module: nn.Module) -> bool:
    """Whether any parameter asks for gradients."""
    return any(p.requires_grad for p in module.parameters())


def less(labels: Prediction, fixed: Potential | None, graph: Graph) -> Prediction:
    """The labels of energy, forces and stress without what a fixed part predicts of them."""
    if fixed is None:
        return Prediction(labels.energy, labels.forces, labels.stress)
    held = evaluate(fixed, graph.within(fixed.cutoff), stress=labels.stress is not None)

    def minus(a, b):
        return None if a is None else a - b.to(a)

    return Prediction(
        minus(labels.energy, held.energy), minus(labels.forces, held.forces), minus(labels.stress, held.stress)
    )
