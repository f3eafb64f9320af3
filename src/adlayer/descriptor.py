"""A descriptor is a function from a graph to features per atom, invariant under rotation and order of the neighbors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        if not self.local:
            raise TypeError(
                f"{type(self).__name__} sees more than edges; it has derivatives by positions, not by edges"
            )
        with torch.enable_grad():
            vectors = graph.vectors.detach().requires_grad_()
            total = self(graph.with_vectors(vectors)).sum(0)
            columns = [torch.autograd.grad(x, vectors, retain_graph=True)[0] for x in total]
        return torch.stack(columns, -1)

    def along_positions(self, graph: Graph) -> Iterator[tuple[int, int, Float[Tensor, "atoms features"]]]:
        """For each place of an atom in its structure and each direction, derivatives of all features by that position.

        For descriptors that see more than edges; each is a product with the Jacobian, by a backward pass of the
        backward pass.
        """
        s = graph.structures
        with torch.enable_grad():
            positions = s.positions.detach().requires_grad_()
            p = self(graph.of_structures(s.with_positions(positions)))
            dual = torch.zeros_like(p, requires_grad=True)
            (slope,) = torch.autograd.grad(p, positions, dual, create_graph=True)
        place = torch.arange(s.n_atoms, device=s.device) - s.offsets[s.system]
        for a in range(int(s.counts.max()) if len(s) else 0):
            for c in range(3):
                along = torch.zeros_like(slope)
                along[place == a, c] = 1.0
                yield a, c, torch.autograd.grad(slope, dual, along, retain_graph=True)[0]

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Set what is learned from the structures before a fit, such as statistics; by default nothing."""

    @torch.no_grad()
    def of_elements(self, graphs: Iterable[Graph]) -> list[Float[Tensor, "atoms features"]]:
        """Features of all atoms of each of the ``elements``, for statistics."""
        found: list[list[Tensor]] = [[] for _ in self.elements]
        for graph in graphs:
            G = self(graph)
            for rows, e in zip(found, self.elements):
                rows.append(G[graph.numbers == atomic_numbers[e]])
        return [torch.cat(rows) if rows else torch.zeros(0, self.n_features) for rows in found]

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
