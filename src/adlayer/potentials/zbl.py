"""Ziegler, Biersack and Littmark, *The Stopping and Range of Ions in Matter* (Pergamon, New York, 1985).

The switching function is the one of LAMMPS's ``pair_style zbl``: value, slope and curvature vanish at the cutoff.
"""

from __future__ import annotations

import torch
from torch import exp, where

from ..graph import Graph, sum_edges
from ..potential import PerAtom, Potential
from ..units import COULOMB

# The universal screening function, phi(x) = sum_k c_k exp(-d_k x).
C = (0.18175, 0.50986, 0.28022, 0.02817)
D = (3.19980, 0.94229, 0.40290, 0.20162)


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
        Zi, Zj = Z[graph.i], Z[graph.j]
        zz = self.coulomb * Zi * Zj
        inverse_a = (Zi**0.23 + Zj**0.23) / 0.46850

        def V(r, order=0):
            """The derivative of this order of the unswitched potential."""
            s = [[c * (-d * inverse_a) ** m * exp(-d * inverse_a * r) for c, d in zip(C, D)] for m in range(order + 1)]
            phi = [sum(terms) for terms in s]  # phi, phi', phi''
            if order == 0:
                return zz / r * phi[0]
            if order == 1:
                return zz / r * (phi[1] - phi[0] / r)
            return zz / r * (phi[2] - 2 * phi[1] / r + 2 * phi[0] / r**2)

        T = self.cutoff - self.inner
        V0, V1, V2 = (V(self.cutoff, order) for order in range(3))
        A = (-3 * V1 + T * V2) / T**2
        B = (2 * V1 - T * V2) / T**3
        constant = -V0 + T / 2 * V1 - T**2 / 12 * V2

        r = graph.lengths
        t = (r - self.inner).clamp(min=0)
        E = V(r) + A / 3 * t**3 + B / 4 * t**4 + constant
        return PerAtom(0.5 * sum_edges(where(r < self.cutoff, E, torch.zeros_like(E)), graph))
