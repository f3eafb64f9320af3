"""High-dimensional neural-network potential: J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import build, nearest
from ..descriptor import Descriptor
from ..descriptors.acsf import ACSF
from ..graph import Graph
from ..nn.networks import MLP, PerElement
from ..potential import PerAtom, Potential, Species

SCALINGS = ("none", "center", "scale", "scale_center", "sigma")


class HDNNP(Potential):
    """``E_i = s N_Z(G~_i) + E_Z``: a network per element ``Z`` of scaled features ``G~`` of the environment.

    ``scaling`` maps features onto ``scaled_to = (a, b)`` by their statistics over the training set, which ``prepare``
    takes: ``scale``: ``a + (b - a) (G - min) / (max - min)``; ``scale_center``: the same of ``G - mean``; ``sigma``:
    ``a + (b - a) (G - mean) / sigma``; ``center``: ``G - mean``; ``none``: ``G``. A feature that was constant in
    training is left out of the three that divide.

    Args:
        elements: chemical symbols.
        cutoff: of the default descriptor, Å.
        descriptor: what the networks see; symmetry functions (``ACSF``) within ``cutoff`` if not given.
        hidden: nodes of each hidden layer; or a table of these by element.
        activation: of the hidden layers, or a list, one for each layer, the output included; or a table by element.
        scaling: none, center, scale, scale_center or sigma.
        scaled_to: the range of scaled features.
        seed: of the starting weights.
    """

    small = {
        "elements": ["Si", "H"],
        "descriptor": {"ACSF": ACSF.small},
        "hidden": [6, 5],
    }

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        descriptor: Descriptor | None = None,
        hidden: list | dict = (15, 15),
        activation: str | list | dict = "tanh",
        scaling: str = "scale_center",
        scaled_to: list[float] = (0.0, 1.0),
        seed: int = 0,
    ):
        super().__init__()
        self.descriptor: Descriptor = build(descriptor, Descriptor) or ACSF(elements, cutoff)
        if tuple(elements) != tuple(self.descriptor.elements):
            raise ValueError(
                f"elements are {', '.join(elements)} but those of the descriptor {', '.join(self.descriptor.elements)}"
            )
        if scaling not in SCALINGS:
            raise ValueError(f"no scaling {scaling!r}{nearest(scaling, SCALINGS)}; there are {', '.join(SCALINGS)}")
        self.elements, self.cutoff, self.local = tuple(elements), self.descriptor.cutoff, self.descriptor.local
        self.species = Species(elements)
        self.scaling, self.scaled_to = scaling, tuple(scaled_to)
        n_features = dict.fromkeys(elements, self.descriptor.n_features)
        if isinstance(self.descriptor, ACSF):
            n_features = {e: len(self.descriptor.of_element[e]) for e in elements}
        generator = torch.Generator().manual_seed(seed)

        def network(e: str) -> MLP:
            nodes = hidden[e] if isinstance(hidden, dict) else hidden
            names = activation[e] if isinstance(activation, dict) else activation
            names = [names] * len(nodes) + ["identity"] if isinstance(names, str) else names
            return MLP([n_features[e], *nodes, 1], names, generator)

        self.networks = PerElement([network(e) for e in elements])
        shape = (len(elements), self.descriptor.n_features)
        # Statistics of features over the training set; minimum 0, maximum 1, mean 0, sigma 1 leave them as they are.
        for name, value in (("minimum", 0.0), ("maximum", 1.0), ("mean", 0.0), ("sigma", 1.0)):
            self.register_buffer(name, torch.full(shape, value, dtype=torch.float64))
        self.register_buffer("energy_scale", torch.ones((), dtype=torch.float64))  # s, eV
        self.register_buffer("energies", torch.zeros(len(elements), dtype=torch.float64))  # E_Z, eV

    def forward(self, graph: Graph) -> PerAtom:
        species = self.species(graph.numbers)
        zero, slope, offset = self._scale()
        G = offset + slope[species] * (self.descriptor(graph) - zero[species])
        return PerAtom(self.energy_scale * self.networks(G, species) + self.energies[species])

    def _scale(self) -> tuple[Float[Tensor, "elements F"], Float[Tensor, "elements F"], float]:
        """``zero``, ``slope`` and ``offset`` of ``G~ = offset + slope (G - zero)``."""
        a, b = self.scaled_to
        zero = {"none": torch.zeros_like(self.mean), "scale": self.minimum}.get(self.scaling, self.mean)
        if self.scaling in ("none", "center"):
            return zero, torch.ones_like(zero), 0.0
        width = self.sigma if self.scaling == "sigma" else self.maximum - self.minimum
        return zero, torch.where(width > 0, (b - a) / torch.where(width > 0, width, 1.0), 0.0), a

    @torch.no_grad()
    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Take the statistics of features from a training set; elements that are not in it keep what they have."""
        graphs = list(graphs)
        self.descriptor.prepare(graphs)
        for k, G in enumerate(self.descriptor.of_elements(g.to(self.dtype) for g in graphs)):
            if len(G):
                self.minimum[k], self.maximum[k], self.mean[k] = G.amin(0), G.amax(0), G.mean(0)
                self.sigma[k] = G.std(0) if len(G) > 1 else 0.0
