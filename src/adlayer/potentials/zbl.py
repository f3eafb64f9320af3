"""Ziegler, Biersack and Littmark, *The Stopping and Range of Ions in Matter* (Pergamon, New York, 1985).

The switching function is the one of LAMMPS's ``pair_style zbl``: value, slope and curvature vanish at the cutoff.
"""

from __future__ import annotations

import torch
from torch import where

from ..graph import Graph, sum_edges
from ..nn.nuclear_repulsion import zbl
from ..potential import PerAtom, Potential
from ..units import COULOMB


class ZBL(Potential):
    """Screened repulsion of two nuclei, any elements: ``V(r) = e^2 Z_i Z_j / r phi(r / a)``, half of it to either atom.

    ``a = 0.46850 / (Z_i^0.23 + Z_j^0.23)`` Å. From ``inner`` to the cutoff ``A/3 t^3 + B/4 t^4`` with ``t = r - inner``
    is added, and a constant at all distances, so that energy, force and its slope vanish at the cutoff.

    Args:
        inner: where switching off begins, Å; a distance that atoms reach only in collisions.
        cutoff: Å.
        coulomb: ``e^2 / (4 pi epsilon_0)``, eV Å; other programs have it with fewer digits (see ``ZBL.lammps``).
    """

    trained = False
    small = {"inner": 1.5, "cutoff": 3.0}

    def __init__(self, inner: float = 1.0, cutoff: float = 2.0, coulomb: float = COULOMB):
        if not 0 <= inner < cutoff:
            raise ValueError(f"ZBL switches off from inner to cutoff; got inner = {inner}, cutoff = {cutoff}")
        super().__init__()
        self.inner, self.cutoff, self.coulomb = inner, cutoff, coulomb

    @classmethod
    def lammps(cls, inner: float, cutoff: float) -> ZBL:
        """With the Coulomb constant of LAMMPS's ``units metal``, to compare numbers."""
        return cls(inner, cutoff, coulomb=14.399645)

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        Z = graph.numbers.to(graph.vectors.dtype)
        r = graph.lengths
        E = zbl(r, Z[graph.i], Z[graph.j], self.inner, self.cutoff, self.coulomb)
        return PerAtom(0.5 * sum_edges(where(r < self.cutoff, E, torch.zeros_like(E)), graph))
