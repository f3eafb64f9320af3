"""Lennard-Jones: J. E. Jones, Proc. R. Soc. Lond. A 106, 463 (1924)."""

from __future__ import annotations

from math import sqrt
from typing import Literal

from torch import nn

from ..graph import Graph, sum_edges
from ..kernels.bonds import bond_energies
from ..kernels.lennard_jones import lennard_jones_kernel
from ..nn.tables import elements_of, pair_table
from ..nn.truncation import truncate
from ..potential import PerAtom, Potential, Species

MIXING = {
    "arithmetic": (lambda a, b: sqrt(a * b), lambda a, b: (a + b) / 2),  # Lorentz and Berthelot
    "geometric": (lambda a, b: sqrt(a * b), lambda a, b: sqrt(a * b)),
}
TRUNCATIONS = ("none", "energy", "force")


class LennardJones(Potential):
    """``V(r) = 4 epsilon ((sigma/r)^12 - (sigma/r)^6)``, half of it to either atom.

    Numbers hold for any element; tables give values by element or pair, ``{Ar = 0.0104, Kr = 0.014, "Ar-Kr" = 0.012}``;
    pairs that are not named are mixed.

    Args:
        epsilon: depth of the well, eV.
        sigma: distance of zero energy, Å.
        cutoff: Å.
        truncation: what vanishes at the cutoff: ``"force"`` (and energy), ``"energy"``, or ``"none"``.
        mixing: ``epsilon`` is mixed as the geometric mean; ``sigma`` as ``"arithmetic"`` (Lorentz-Berthelot) or
            ``"geometric"``.
    """

    trained = False
    small = {"epsilon": 0.01, "sigma": 2.2, "cutoff": 5.0}

    def __init__(
        self,
        epsilon: float | dict = 0.0104,
        sigma: float | dict = 3.40,
        cutoff: float = 8.5,
        truncation: Literal["force", "energy", "none"] = "force",
        mixing: Literal["arithmetic", "geometric"] = "arithmetic",
    ):
        super().__init__()
        if truncation not in TRUNCATIONS:
            raise ValueError(f"truncation must be 'force', 'energy' or 'none', got {truncation!r}")
        self.cutoff, self.truncation = cutoff, truncation
        self.elements = elements_of(epsilon, sigma)
        self.species = Species(self.elements or ())
        mix_epsilon, mix_sigma = MIXING[mixing]
        self.epsilon = nn.Parameter(pair_table("epsilon", epsilon, self.elements, mix_epsilon))
        self.sigma = nn.Parameter(pair_table("sigma", sigma, self.elements, mix_sigma))

    def forward(self, graph: Graph) -> PerAtom:
        z = self.species(graph.numbers)  # -1, the only place of the tables, where numbers hold for any element
        parameters = [self.epsilon, self.sigma, self.cutoff, TRUNCATIONS.index(self.truncation)]
        return PerAtom(bond_energies(lennard_jones, lennard_jones_kernel, graph, z, parameters))


def lennard_jones(graph: Graph, z, epsilon, sigma, cutoff, truncation):
    """Energies of the atoms, from elements ``z`` and tables of parameters ``[i, j]``."""
    pair = z[graph.i], z[graph.j]
    epsilon, sigma = epsilon[pair], sigma[pair]

    def V(r):
        x = (sigma / r) ** 6
        return 4 * epsilon * (x * x - x)

    def dV(r):
        x = (sigma / r) ** 6
        return -24 * epsilon * (2 * x * x - x) / r

    return 0.5 * sum_edges(truncate(V, dV, graph.lengths, cutoff, TRUNCATIONS[truncation]), graph)
