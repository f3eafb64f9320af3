"""Morse: P. M. Morse, Phys. Rev. 34, 57 (1929)."""

from __future__ import annotations

from typing import Literal

from torch import exp, nn

from ..graph import Graph, sum_edges
from ..nn.tables import elements_of, pair_table
from ..nn.truncation import truncate
from ..potential import PerAtom, Potential, Species


class Morse(Potential):
    """``V(r) = D (exp(-2 alpha (r - r0)) - 2 exp(-alpha (r - r0)))``, half of it to either atom.

    Numbers hold for any element; tables give values by pair, ``{Cu = 0.3429, "Cu-Ni" = 0.38, Ni = 0.4205}``. No mixing
    rule is standard: every pair must be named. The default is copper, Girifalco and Weizer, Phys. Rev. 114, 687 (1959).

    Args:
        D: depth of the well, eV.
        alpha: 1/Å.
        r0: distance of the minimum, Å.
        cutoff: Å.
        truncation: what vanishes at the cutoff: ``"force"`` (and energy), ``"energy"``, or ``"none"``.
    """

    trained = False
    small = {"cutoff": 5.0}

    def __init__(
        self,
        D: float | dict = 0.3429,
        alpha: float | dict = 1.3588,
        r0: float | dict = 2.866,
        cutoff: float = 9.0,
        truncation: Literal["force", "energy", "none"] = "force",
    ):
        super().__init__()
        self.cutoff, self.truncation = cutoff, truncation
        self.elements = elements_of(D, alpha, r0)
        self.species = Species(self.elements or ())
        self.D = nn.Parameter(pair_table("D", D, self.elements))
        self.alpha = nn.Parameter(pair_table("alpha", alpha, self.elements))
        self.r0 = nn.Parameter(pair_table("r0", r0, self.elements))

    def forward(self, graph: Graph) -> PerAtom:
        z = self.species(graph.numbers)
        pair = z[graph.i], z[graph.j]  # (-1, -1), the only entry, where numbers hold for any element
        D, alpha, r0 = self.D[pair], self.alpha[pair], self.r0[pair]

        def V(r):
            x = exp(-alpha * (r - r0))
            return D * (x * x - 2 * x)

        def dV(r):
            x = exp(-alpha * (r - r0))
            return -2 * D * alpha * (x * x - x)

        return PerAtom(0.5 * sum_edges(truncate(V, dV, graph.lengths, self.cutoff, self.truncation), graph))
