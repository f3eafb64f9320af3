"""Deep Potential: L. Zhang et al., Phys. Rev. Lett. 120, 143001 and NeurIPS 31, 4436 (2018)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, float32, float64, nn

from ..config import build
from ..descriptor import Descriptor
from ..descriptors.deep_potential import SeE2A
from ..descriptors.dpa1 import DPA1
from ..graph import Graph
from ..kernels.bonds import bond_energies
from ..nn.residual import ResidualNetwork, of_kind
from ..potential import PerAtom, Potential, Species

PIECE = 32  # atoms whose attention is held in memory at a time


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
        z, D = self.species(graph.numbers), self.descriptor
        if not isinstance(D, DPA1) or not D.layers or D.training or not graph.vectors.requires_grad:
            return PerAtom(self.definition(graph, z))
        graph = graph.within(self.cutoff)
        parameters = [p for p in self.parameters() if p.requires_grad]
        return PerAtom(bond_energies(self.definition, self.in_pieces, graph, z, parameters, (float32, float64)))

    def definition(self, graph: Graph, z: Int[Tensor, "atoms"], *_: Tensor) -> Float[Tensor, "atoms"]:
        """The energies."""
        return of_kind(self.networks, self.descriptor(graph), z)[:, 0] + self.energies[z]

    def in_pieces(
        self, first: ndarray, j: ndarray, vectors: ndarray, z: ndarray, *_: ndarray
    ) -> tuple[ndarray, ndarray]:
        """Energies and slopes by the vectors of some atoms at a time, since attention needs much memory for each."""
        first, j, vectors, z = map(torch.from_numpy, (first, j, vectors, z))
        E, G = vectors.new_empty(len(z)), torch.empty_like(vectors)
        for a in range(0, len(z), PIECE):
            of = slice(int(first[a]), int(first[min(a + PIECE, len(z))]))
            zs = z[a : a + PIECE]
            with torch.enable_grad():
                v = vectors[of].requires_grad_()
                D = self.descriptor.of_atoms(v, zs, z[j[of]], first[a : a + PIECE + 1] - first[a])
                e = of_kind(self.networks, D, zs)[:, 0] + self.energies[zs]
                (G[of],) = torch.autograd.grad(e.sum(), v)
            E[a : a + PIECE] = e.detach()
        return E.numpy(), G.numpy()

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Take the statistics of environments from a training set."""
        self.descriptor.prepare(graphs)

    def compress(self, shortest: float = 0.5) -> float:
        """Tabulate the embedding networks of ``SeE2A`` and ``DPA1`` now, and not when they are first evaluated.

        Returns the largest error of a table, in units of the largest output of its network.

        Args:
            shortest: distance down to which the tables reach, Å; they grow when atoms come closer.
        """
        seen = self.descriptor.modules()
        tabled = [d for d in seen if isinstance(d, SeE2A) or (isinstance(d, DPA1) and not d.layers)]
        return max((d.compress(shortest) for d in tabled), default=0.0)

    def tabulated(self, shortest: float) -> DeepPotential | None:
        return self if self.compress(shortest) else None
