"""A descriptor is a function from a graph to features per atom, invariant under rotation and order of the neighbors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from .config import Part
from .graph import Graph


class Descriptor(Part, nn.Module, ABC):
    """The interface of all descriptors: ``cutoff`` (Å), ``elements`` and ``n_features``, and ``forward``.

    Edges longer than ``cutoff`` may be present and must count for nothing. Features are differentiable in
    ``graph.vectors`` to any order.
    """

    cutoff: float
    elements: tuple[str, ...]
    n_features: int
    small: ClassVar[dict[str, Any]] = {}  # cheap arguments: what checks, docs and examples build

    @abstractmethod
    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        """Features of every atom."""
