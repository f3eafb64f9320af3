"""Frames of a dataset as graphs with labels, found once and put together as often as asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..graph import Graph
from ..potential import Potential, Prediction
from .parts import less
from .weights import Residuals, Weights

if TYPE_CHECKING:
    from ..data import Dataset


class Batch(NamedTuple):
    """Some frames, what is known of them, and how much it counts."""

    graph: Graph
    labels: Prediction
    precisions: Residuals


class Batches:
    """Graphs are kept up to a bound on memory; those of further frames are made anew each time, and are the same.

    Args:
        data: structures and labels.
        weights: how much each label counts.
        cutoff: of the graphs, Å.
        fixed: a potential whose predictions are subtracted from the labels, once.
        dtype: of the graphs.
        device: of everything.
        memory: for graphs, bytes.
    """

    def __init__(
        self,
        data: Dataset,
        weights: Weights,
        cutoff: float,
        fixed: Potential | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        memory: float = 4e9,
    ):
        self.structures, self.cutoff, self.dtype, self.device = data.structures, cutoff, dtype, device
        counts = data.structures.counts.tolist()

        def by_frame(E: Tensor | None, F: Tensor | None, S: Tensor | None) -> list[tuple]:
            split = [None if x is None else x.to(device).split(n) for x, n in ((E, 1), (F, counts), (S, 1))]
            return list(zip(*(x or [None] * len(counts) for x in split)))

        self._precisions = by_frame(*weights.precisions(data))
        self._labels = by_frame(*data.labels[:3])
        self._kept: dict[int, Graph] = {}
        for k in range(len(data)):
            graph = self._find(k)
            if fixed is not None:
                alone = Graph.of(data.structures[k].to(device), fixed.cutoff)
                self._labels[k] = less(Prediction(*self._labels[k]), fixed, alone)[:3]
            memory -= sum(x.nbytes for x in (graph.i, graph.j, graph.shifts, graph.vectors, graph.reverse))
            if memory > 0:
                self._kept[k] = graph

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, frames: Iterable[int]) -> Batch:
        """These frames, in this order."""
        frames = list(frames)

        def cat(rows: list[tuple]) -> list[Tensor | None]:
            return [None if column[0] is None else torch.cat(column) for column in zip(*rows)]

        labels = Prediction(*cat([self._labels[k] for k in frames]))
        precisions = Residuals(*cat([self._precisions[k] for k in frames]))
        return Batch(Graph.cat(self.graph(k) for k in frames), labels, precisions)

    def graph(self, k: int) -> Graph:
        """The graph of one frame."""
        return self._kept.get(k) or self._find(k)

    def graphs(self) -> Iterator[Graph]:
        """The graphs of all frames, one after another."""
        return (self.graph(k) for k in range(len(self)))

    def in_turn(self, size: int) -> Iterator[list[int]]:
        """All frames in their order, so many at a time."""
        return (list(range(k, min(k + size, len(self)))) for k in range(0, len(self), size))

    def _find(self, k: int) -> Graph:
        return Graph.of(self.structures[k], self.cutoff).to(device=self.device, dtype=self.dtype)
