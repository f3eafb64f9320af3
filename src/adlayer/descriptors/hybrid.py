"""Several descriptors as one."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..config import build
from ..descriptor import Descriptor
from ..graph import Graph


class Hybrid(Descriptor):
    """The features of several descriptors side by side.

    Args:
        parts: the descriptors, of the same elements, in a recipe
            ``[{ SeE2A = { cutoff = 6.0, ... } }, { SeE3 = { cutoff = 4.0, ... } }]``.
    """

    small = {
        "parts": [
            {"SeE2A": {"elements": ["Si", "H"], "cutoff": 4.0, "embedding": [3], "axis": 2}},
            {"SeE3": {"elements": ["Si", "H"], "cutoff": 3.0, "embedding": [2]}},
        ]
    }

    def __init__(self, parts: list):
        super().__init__()
        self.parts = nn.ModuleList(build(p, Descriptor) for p in parts)
        if not self.parts:
            raise ValueError("a Hybrid needs at least one descriptor")
        self.elements = self.parts[0].elements
        for p in self.parts:
            if p.elements != self.elements:
                raise ValueError(
                    f"the parts of a Hybrid need the same elements in the same order; "
                    f"{', '.join(self.elements)} and {', '.join(p.elements)} are not"
                )
        self.local = all(p.local for p in self.parts)
        self.mixed = any(p.mixed for p in self.parts)
        self.cutoff = max(p.cutoff for p in self.parts)
        self.n_features = sum(p.n_features for p in self.parts)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        return torch.cat([p(graph.within(p.cutoff)) for p in self.parts], 1)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        graphs = list(graphs)
        for p in self.parts:
            p.prepare(graphs)
