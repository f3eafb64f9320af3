"""A descriptor is a function from a graph to features per atom, invariant under rotation and order of the neighbors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from ase.data import atomic_numbers
from jaxtyping import Float
from torch import Tensor, nn

from .config import Part, build, with_elements
from .graph import Graph


class Descriptor(Part, nn.Module, ABC):
    """The interface of all descriptors: ``cutoff`` (Å), ``elements`` and ``n_features``, and ``forward``.

    Edges longer than ``cutoff`` may be present and must count for nothing. Features are differentiable in
    ``graph.vectors`` to any order; those that see more, ``local = False``, in positions and cells as well.
    """

    cutoff: float
    elements: tuple[str, ...]
    n_features: int
    local: ClassVar[bool] = True  # features depend on positions through graph.vectors alone
    mixed: ClassVar[bool] = False  # features say what element the center is, so that one network can serve all elements
    small: ClassVar[dict[str, Any]] = {}  # cheap arguments: what checks, docs and examples build

    @abstractmethod
    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        """Features of every atom."""

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        """Derivatives of the features of ``graph.i`` by the vector of each edge.

        For descriptors that see an atom's own edges alone, so that one backward pass serves all atoms.
        """
        with torch.enable_grad():
            vectors = graph.vectors.detach().requires_grad_()
            total = self(graph.with_vectors(vectors)).sum(0)
            columns = [torch.autograd.grad(x, vectors, retain_graph=True)[0] for x in total]
        return torch.stack(columns, -1)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Set what is learned from the structures before a fit, such as statistics; by default nothing."""

    def only(self, columns: Sequence[Sequence[int]]) -> Descriptor | None:
        """A descriptor of some features, those of each element, where it is cheaper than all; None: it is not."""
        return None


def make_descriptor(spec: Descriptor | Mapping[str, Any] | str, elements: Iterable[str]) -> Descriptor:
    """The descriptor that ``{ClassName: {arguments}}`` describes.

    Args:
        spec: one class name with its arguments.
        elements: what stands in for an argument ``elements`` that is not given, taken by atomic number.
    """
    known = sorted(elements, key=lambda e: atomic_numbers[e])
    return build(with_elements({spec: {}} if isinstance(spec, str) else spec, known), Descriptor)
