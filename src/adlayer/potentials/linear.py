"""Linear regression on any descriptor: the quickest of all fits, and a judge of descriptors."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..config import build
from ..descriptor import Descriptor
from ..graph import Graph
from ..potential import Design, PerAtom, Potential, Species
from .sparse_kernel import leaving

_MEMORY = 64_000_000  # bytes of a block of derivatives


class Linear(Potential):
    """``E_i = b_Z + sum_k c_Zk (G_ik - mean_Zk) / spread_k``: for each element ``Z`` linear in the features ``G``.

    Mean and spread are those of the training set, which ``prepare`` takes: a change of variables. The prior is that of
    coefficients of the features themselves, so that one that hardly varies, and may vary more elsewhere, counts for
    little. Fitted by least squares. With ``Bispectrum`` it is ``SNAP``, which is faster.

    Args:
        elements: chemical symbols.
        descriptor: of the environments.
    """

    small = {
        "elements": ["Si", "H"],
        "descriptor": {
            "ACSF": {"elements": ["Si", "H"], "cutoff": 4.5, "n_radial": 3, "n_angular": 1, "zetas": [1, 4]}
        },
    }

    def __init__(self, elements: list[str], descriptor: Descriptor):
        super().__init__()
        self.descriptor: Descriptor = build(descriptor, Descriptor)
        if not self.descriptor.local:
            raise ValueError(
                f"Linear takes descriptors of neighbors alone, and {type(self.descriptor).__name__} sees all atoms; "
                "take EnvironmentGP or HDNNP"
            )
        if tuple(elements) != tuple(self.descriptor.elements):
            raise ValueError(
                f"elements are {', '.join(elements)} but those of the descriptor {', '.join(self.descriptor.elements)}"
            )
        self.elements, self.cutoff = tuple(elements), self.descriptor.cutoff
        self.continuity = getattr(self.descriptor, "continuity", 1)
        self.species = Species(elements)
        E, F = len(self.elements), self.descriptor.n_features
        generator = torch.Generator().manual_seed(0)
        self.b = nn.Parameter(torch.zeros(E, dtype=torch.float64))  # eV
        self.c = nn.Parameter(0.1 * torch.randn(E, F, generator=generator, dtype=torch.float64))  # eV
        self.register_buffer("mean", torch.zeros(E, F, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(F, dtype=torch.float64))

    def forward(self, graph: Graph) -> PerAtom:
        z = self.species(graph.numbers)
        x = (self.descriptor(graph) - self.mean[z]) / self.spread
        return PerAtom(self.b[z] + (self.c[z] * x).sum(-1))

    @torch.no_grad()
    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Take mean and spread of features; one that never varies counts for nothing."""
        graphs = list(graphs)
        self.descriptor.prepare(graphs)
        rows = [(self.descriptor(g.to(self.dtype)), self.species(g.numbers)) for g in graphs]
        G, z = (torch.cat(x) for x in zip(*rows))
        for e in z.unique().tolist():
            self.mean[e] = G[z == e].mean(0)
        spread = (G - self.mean[z]).square().mean(0).sqrt()
        self.spread = torch.where(spread > 1e-10 * G.abs().amax(0), spread, torch.inf)

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        return torch.cat([self.b.detach()[:, None], self.c.detach()], 1).reshape(-1)

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        table = values.reshape(len(self.elements), -1)
        self.b.data.copy_(table[:, 0])
        self.c.data.copy_(table[:, 1:])

    def penalty(self) -> Float[Tensor, "K"]:
        """``(spread_max / spread_k)²``; the energy of an element's mean environment is free."""
        varies = self.spread.isfinite()
        cost = torch.where(varies, (self.spread[varies].amax() / self.spread).square(), 1.0) if varies.any() else varies
        return torch.cat([torch.zeros_like(self.b)[:, None], cost.to(self.c).expand_as(self.c)], 1).reshape(-1).detach()

    @torch.no_grad()
    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        graph = graph.within(self.cutoff).to(self.dtype)
        z, n, of, E = self.species(graph.numbers), graph.n_atoms, graph.structures.system, len(self.elements)
        x = (self.descriptor(graph) - self.mean[z]) / self.spread
        K = x.shape[1] + 1  # of each element
        energy = _add(x.new_zeros(graph.n_systems, E, K), of, z, torch.cat([x.new_ones(n, 1), x], 1))
        F = x.new_zeros(n, E, K, 3) if forces else None
        W = x.new_zeros(graph.n_systems, E, K, 3, 3) if virial else None
        step = max(1, _MEMORY // (24 * K * (1 + graph.n_edges // max(n, 1)))) if forces or virial else n
        for begin in range(0, n if forces or virial else 0, step):
            part = leaving(graph, slice(begin, min(begin + step, n)))
            J = (self.descriptor.jacobian(part) / self.spread).transpose(1, 2)
            J = torch.cat([J.new_zeros(len(J), 1, 3), J], 1)  # [edges, K, 3]
            if forces:
                _add(F, part.i, z[part.i], J)
                _add(F, part.j, z[part.i], -J)
            if virial:
                _add(W, of[part.i], z[part.i], J[:, :, None, :] * part.vectors[:, None, :, None])
        return Design(
            energy.flatten(1),
            None if F is None else F.flatten(1, 2).transpose(1, 2),
            None if W is None else W.flatten(1, 2).permute(0, 2, 3, 1),
        )


def _add(total: Tensor, place: Tensor, element: Tensor, rows: Tensor) -> Tensor:
    """Add rows at their places, to the columns of their elements."""
    flat = total.flatten(0, 1)
    flat.index_add_(0, place * total.shape[1] + element, rows)
    return total
