"""Deep Potential: L. Zhang et al., Phys. Rev. Lett. 120, 143001 and NeurIPS 31, 4436 (2018)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ..config import build
from ..descriptor import Descriptor
from ..descriptors.deep_potential import SeE2A
from ..graph import Graph
from ..nn.residual import ResidualNetwork, of_kind
from ..potential import PerAtom, Potential, Species


class DeepPotential(Potential):
    """``E_i = F_Z(D_i) + E_Z``: for each element ``Z`` a fitting network of the descriptor ``D`` of the environment.

    One network serves all elements where the descriptor tells them apart by itself, as ``DPA1`` does. Statistics of the
    environments, which belong to the descriptor, are taken from the first training set. Sizes by default are those that
    DeePMD-kit recommends.

    Args:
        elements: chemical symbols.
        cutoff: of the default descriptor, Å.
        descriptor: what the networks see; ``SeE2A`` within ``cutoff`` if not given.
        hidden: nodes of each hidden layer of the fitting networks.
        activation: of the fitting networks.
        timestep: whether their layers have timesteps.
        seed: of the starting weights.
    """

    small = {"elements": ["Si", "H"], "descriptor": {"SeE2A": SeE2A.small}, "hidden": [6, 6]}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        descriptor: Descriptor | None = None,
        hidden: list[int] = (240, 240, 240),
        activation: str = "tanh",
        timestep: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.descriptor: Descriptor = build(descriptor, Descriptor) or SeE2A(elements, cutoff, seed=seed)
        if tuple(elements) != tuple(self.descriptor.elements):
            raise ValueError(
                f"elements are {', '.join(elements)} but those of the descriptor {', '.join(self.descriptor.elements)}"
            )
        self.elements, self.cutoff = tuple(elements), self.descriptor.cutoff
        self.species = Species(elements)
        generator = torch.Generator().manual_seed(seed)
        sizes = [self.descriptor.n_features, *hidden]
        n = 1 if self.descriptor.mixed else len(elements)
        self.networks = nn.ModuleList(ResidualNetwork(sizes, activation, timestep, 1, generator) for _ in range(n))
        self.register_buffer("energies", torch.zeros(len(elements), dtype=torch.float64))  # E_Z, eV

    def forward(self, graph: Graph) -> PerAtom:
        z = self.species(graph.numbers)
        return PerAtom(of_kind(self.networks, self.descriptor(graph), z)[:, 0] + self.energies[z])

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Take the statistics of environments from a training set."""
        self.descriptor.prepare(graphs)

    def compress(self, shortest: float = 0.5) -> float:
        """Tabulate the embedding networks of ``SeE2A`` for its kernel now, which else the first evaluation does.

        Returns the largest error of a table, in units of the largest output of its network.

        Args:
            shortest: distance down to which the tables reach, Å; they grow when atoms come closer.
        """
        return max([d.compress(shortest) for d in self.descriptor.modules() if isinstance(d, SeE2A)], default=0.0)
