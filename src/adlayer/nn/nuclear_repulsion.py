"""Screened repulsion of nuclei: Ziegler, Biersack and Littmark, *The Stopping and Range of Ions in Matter*, 1985."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# The universal screening function, phi(x) = sum_k c_k exp(-d_k x).
C = (0.18175, 0.50986, 0.28022, 0.02817)
D = (3.19980, 0.94229, 0.40290, 0.20162)


def zbl(
    r: Float[Tensor, "edges"],
    Zi: Float[Tensor, "*edges"],
    Zj: Float[Tensor, "*edges"],
    inner: float,
    cutoff: float,
    coulomb: float,
) -> Float[Tensor, "edges"]:
    """``V(r) = e^2 Z_i Z_j / r phi(r / a)`` of a pair (eV), ``a = 0.46850 / (Z_i^0.23 + Z_j^0.23)`` Å, switched off.

    From ``inner`` to the cutoff ``A/3 t^3 + B/4 t^4`` with ``t = r - inner`` is added, and a constant at all distances,
    so that energy, force and its slope vanish at the cutoff: as LAMMPS's ``pair_style zbl``. Not for ``r`` beyond it.
    """
    zz, inverse_a = coulomb * Zi * Zj, (Zi**0.23 + Zj**0.23) / 0.46850

    def V(r, order=0):
        """The derivative of this order of the unswitched potential."""
        phi = [  # phi, phi', phi''
            sum(c * (-d * inverse_a) ** m * torch.exp(-d * inverse_a * r) for c, d in zip(C, D))
            for m in range(order + 1)
        ]
        if order == 0:
            return zz / r * phi[0]
        if order == 1:
            return zz / r * (phi[1] - phi[0] / r)
        return zz / r * (phi[2] - 2 * phi[1] / r + 2 * phi[0] / r**2)

    T = cutoff - inner
    V0, V1, V2 = (V(cutoff, order) for order in range(3))
    A = (-3 * V1 + T * V2) / T**2
    B = (2 * V1 - T * V2) / T**3
    constant = -V0 + T / 2 * V1 - T**2 / 12 * V2
    t = (r - inner).clamp(min=0)
    return V(r) + A / 3 * t**3 + B / 4 * t**4 + constant
