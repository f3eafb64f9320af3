"""Buckingham: R. A. Buckingham, Proc. R. Soc. Lond. A 168, 264 (1938)."""

from __future__ import annotations

from typing import Literal

from torch import exp, nn

from ..graph import Graph, sum_edges
from ..nn.tables import elements_of, pair_table
from ..nn.truncation import truncate
from ..potential import PerAtom, Potential, Species


class Buckingham(Potential):
    """``V(r) = A exp(-r / rho) - C / r^6``, half of it to either atom.

    Numbers hold for any element; tables give values by pair, ``{O = 1388.773, "Si-O" = 18003.76, Si = 0.0}``. No mixing
    rule is standard: every pair must be named, with ``A = C = 0`` for one that does not interact. At short distance the
    second term wins and atoms fall into each other; add ``ZBL`` where that can happen.

    Args:
        A: eV.
        rho: Å.
        C: eV Å⁶.
        cutoff: Å.
        truncation: what vanishes at the cutoff: ``"force"`` (and energy), ``"energy"``, or ``"none"``.
    """

    trained = False
    small = {"A": 1388.773, "rho": 0.3623, "C": 175.0, "cutoff": 5.0}

    def __init__(
        self,
        A: float | dict,
        rho: float | dict,
        C: float | dict,
        cutoff: float = 10.0,
        truncation: Literal["force", "energy", "none"] = "force",
    ):
        super().__init__()
        self.cutoff, self.truncation = cutoff, truncation
        self.elements = elements_of(A, rho, C)
        self.species = Species(self.elements or ())
        self.A = nn.Parameter(pair_table("A", A, self.elements))
        self.rho = nn.Parameter(pair_table("rho", rho, self.elements))
        self.C = nn.Parameter(pair_table("C", C, self.elements))

    def forward(self, graph: Graph) -> PerAtom:
        z = self.species(graph.numbers)
        pair = z[graph.i], z[graph.j]  # (-1, -1), the only entry, where numbers hold for any element
        A, rho, C = self.A[pair], self.rho[pair], self.C[pair]

        def V(r):
            return A * exp(-r / rho) - C / r**6

        def dV(r):
            return -A / rho * exp(-r / rho) + 6 * C / r**7

        return PerAtom(0.5 * sum_edges(truncate(V, dV, graph.lengths, self.cutoff, self.truncation), graph))
