"""ANI: J. S. Smith, O. Isayev and A. E. Roitberg, Chem. Sci. 8, 3192 (2017)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..config import build
from ..descriptors.aev import AEV
from ..graph import Graph
from ..kernels.edges import forces_from_edges
from ..nn.networks import MLP, PerElement
from ..potential import PerAtom, Potential, Prediction, Species, evaluate
from ..structures import sum_systems

_FLOOR = 1e-4  # variance of features that hardly vary, relative to the largest
NODES_1X = {"H": (160, 128, 96), "C": (144, 112, 96), "N": (128, 112, 96), "O": (128, 112, 96)}
NODES_2X = {"H": (256, 192, 160), "C": (224, 192, 160), "N": (192, 160, 128), "O": (192, 160, 128)}


class ANI(Potential):
    """``E_i = (1/M) sum_m N_m,Z(G_i) + E_Z``: networks per element ``Z`` of the atomic environment vector ``G``.

    The ``M`` members of an ensemble share the environment vectors, and ``evaluate`` gives their spread,
    ``std² = sum_m (E_m - E)² / (M - 1)``, as the standard deviation of energies and force components; for energies and
    forces without it, at the price of one member's forces, ask with ``std=False``. Members that are fitted together
    differ only in where they started: a ``Committee`` of single ones differs in data too.

    Args:
        elements: chemical symbols.
        cutoff: of the default descriptor, Å.
        descriptor: what the networks see; ``AEV`` as in ANI-2x within ``cutoff`` if not given.
        hidden: nodes of each hidden layer; or a table of these by element.
        activation: of the hidden layers; celu is that of ANI (``alpha`` of 0.1).
        members: how many networks there are for each element.
        seed: of the starting weights.
        standardize: whether networks see features less their mean and over their spread, both those of the atoms of an
            element in the first training set: it takes several times fewer epochs.
    """

    # The curvature of CELU jumps, for which the quadrature within the law of conservation is too coarse.
    small = {
        "elements": ["Si", "H"],
        "descriptor": {"AEV": AEV.small},
        "hidden": [6, 5],
        "activation": "gelu",
        "members": 2,
    }

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.1,
        descriptor: AEV | None = None,
        hidden: list | dict = (160, 128, 96),
        activation: str = "celu",
        members: int = 1,
        seed: int = 0,
        standardize: bool = False,
    ):
        super().__init__()
        self.descriptor: AEV = build(descriptor, AEV) or AEV(elements, cutoff)
        if tuple(elements) != self.descriptor.elements:
            raise ValueError(
                f"elements are {', '.join(elements)} but those of the descriptor {', '.join(self.descriptor.elements)}"
            )
        if members < 1:
            raise ValueError(f"members is at least 1, got {members}")
        self.elements, self.cutoff = tuple(elements), self.descriptor.cutoff
        self.species = Species(elements)
        generator = torch.Generator().manual_seed(seed)

        def network(e: str) -> MLP:
            nodes = hidden[e] if isinstance(hidden, Mapping) else hidden
            return MLP([self.descriptor.n_features, *nodes, 1], [activation] * len(nodes) + ["identity"], generator)

        self.members = nn.ModuleList(PerElement([network(e) for e in elements]) for _ in range(members))
        self.register_buffer("energies", torch.zeros(len(self.elements), dtype=torch.float64))  # E_Z, eV
        self.standardize, shape = standardize, (len(self.elements), self.descriptor.n_features)
        if standardize:
            self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
            self.register_buffer("spread", torch.ones(shape, dtype=torch.float64))

    @classmethod
    def ani_1x(cls, elements: Sequence[str] = ("H", "C", "N", "O"), **arguments: Any) -> ANI:
        """The ensemble of ANI-1x and ANI-1ccx, untrained: J. S. Smith et al., J. Chem. Phys. 148, 241733 (2018)."""
        hidden = {e: NODES_1X.get(e, (128, 112, 96)) for e in elements}
        return cls(list(elements), **{"descriptor": AEV.ani_1x(elements), "hidden": hidden, "members": 8, **arguments})

    @classmethod
    def ani_2x(cls, elements: Sequence[str] = ("H", "C", "N", "O", "S", "F", "Cl"), **arguments: Any) -> ANI:
        """The ensemble of ANI-2x, untrained: C. Devereux et al., J. Chem. Theory Comput. 16, 4192 (2020)."""
        hidden = {e: NODES_2X.get(e, (160, 128, 96)) for e in elements}
        return cls(list(elements), **{"descriptor": AEV.ani_2x(elements), "hidden": hidden, "members": 8, **arguments})

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(self.of_members(graph).mean(-1))

    def of_members(self, graph: Graph) -> Float[Tensor, "atoms M"]:
        """Energies of the atoms as each member has them, eV."""
        species = self.species(graph.numbers)
        G = self.descriptor(graph)
        if self.standardize:
            G = (G - self.mean[species]) / self.spread[species]
        return torch.stack([N(G, species) for N in self.members], -1) + self.energies[species][:, None]

    @torch.no_grad()
    def network(self, element: str, member: int = 0) -> MLP:
        """A network that sees features as they are: a copy, with mean and spread in its first layer."""
        z = self.elements.index(element)
        network = deepcopy(self.members[member].networks[z])
        if self.standardize:
            network.weights[0].div_(self.spread[z])
            network.biases[0].sub_(network.weights[0] @ self.mean[z])
        return network

    @torch.no_grad()
    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Take mean and spread of the features once: what networks that have learned see must not change."""
        if not self.standardize or bool((self.spread != 1).any()):
            return
        for k, G in enumerate(self.descriptor.of_elements(g.to(self.dtype) for g in graphs)):
            if len(G) > 1:
                variance = G.var(0)
                self.mean[k], self.spread[k] = G.mean(0), (variance + _FLOOR * variance.max()).sqrt()

    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction | None:
        if len(self.members) == 1:
            return None
        mean = evaluate(self, graph, forces=forces, stress=stress, std=False)
        graph = graph.to(self.dtype)
        with torch.set_grad_enabled(forces):
            vectors = graph.vectors.detach().requires_grad_(forces)
            E = self.of_members(graph.with_vectors(vectors))
            slopes = [torch.autograd.grad(e.sum(), vectors, retain_graph=True)[0] for e in E.unbind(-1) if forces]
        F = torch.stack([forces_from_edges(g, graph) for g in slopes]).std(0) if forces else None
        E = E.detach()
        return mean._replace(std=Prediction(sum_systems(E, graph.structures).double().std(-1), F, energies=E.std(-1)))

    @torch.no_grad()
    def deviations(self, graph: Graph) -> Float[Tensor, "systems M"] | None:
        M = len(self.members)
        if M == 1:
            return None
        E = sum_systems(self.of_members(graph.to(self.dtype)), graph.structures)
        return (E - E.mean(-1, keepdim=True)) / (M - 1) ** 0.5
