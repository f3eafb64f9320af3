"""Lennard-Jones: J. E. Jones, Proc. R. Soc. Lond. A 106, 463 (1924)."""

from __future__ import annotations

from torch import float64, nn, tensor

from ..graph import Graph, sum_edges
from ..potential import PerAtom, Potential


class LennardJones(Potential):
    """``V(r) = 4 epsilon ((sigma/r)^12 - (sigma/r)^6)``, half of it to either atom, shifted to zero at the cutoff.

    Args:
        epsilon: depth of the well, eV.
        sigma: distance of zero energy, Å.
        cutoff: Å.
    """

    small = {"epsilon": 0.01, "sigma": 2.2, "cutoff": 5.0}

    def __init__(self, epsilon: float = 0.0104, sigma: float = 3.40, cutoff: float = 8.5):
        super().__init__()
        self.cutoff = cutoff
        self.epsilon = nn.Parameter(tensor(epsilon, dtype=float64))
        self.sigma = nn.Parameter(tensor(sigma, dtype=float64))

    def forward(self, graph: Graph) -> PerAtom:
        def V(r):
            x = (self.sigma / r) ** 6
            return 4 * self.epsilon * (x * x - x)

        r = graph.lengths
        inside = (r < self.cutoff).to(r.dtype)
        return PerAtom(0.5 * sum_edges((V(r) - V(r.new_tensor(self.cutoff))) * inside, graph))
