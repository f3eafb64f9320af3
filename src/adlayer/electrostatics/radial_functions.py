r"""Radial functions that a potential is projected on around an atom, and what a plane wave looks like in them.

    e^{i k r} = 4 pi sum_lm i^l j_l(k r) Y_lm(k) Y_lm(r),      I_nl(k) = int_0^oo dr r² R_nl(r) j_l(k r)

``I_nl(k) / k^l`` is smooth in ``k²``: a short series of Chebyshev polynomials up to the cutoff holds it to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial.chebyshev import chebfit
from scipy.special import gamma, spherical_jn
from torch import Tensor

from ..config import nearest
from ..nn.density_projection import bessel_zeros
from ..nn.polynomials import chebyshev, gauss_legendre

RADIAL_FUNCTIONS = ("gto", "monomials", "bessel")


@dataclass(frozen=True)
class RadialFunctions:
    r"""Orthonormal functions ``R_nl(r)``, ``int dr r² R_nl R_ml = delta_nm``.

    The basis is one of

        gto        r^n exp(-r² / 2 sigma_n²), sigma_n = radius max(sqrt(n), 1) / n_max, n = 0 .. n_max - 1, without end
        monomials  r^(l + 2n) up to ``radius``: what a Taylor expansion has
        bessel     j_l(q_nl r) up to ``radius``, where they vanish: eigenstates of the Laplacian

    the first two Löwdin-orthonormalized, as in featomic.

    Args:
        n_max: number of radial functions.
        l_max: largest l.
        radius: Å.
        basis: one of the above.
    """

    n_max: int
    l_max: int
    radius: float
    basis: str = "gto"

    def __post_init__(self):
        if self.basis not in RADIAL_FUNCTIONS:
            raise ValueError(
                f"basis must be one of {', '.join(RADIAL_FUNCTIONS)}; got {self.basis!r}"
                f"{nearest(self.basis, RADIAL_FUNCTIONS)}"
            )

    @cached_property
    def end(self) -> float:
        """Beyond this there is nothing left of them, Å."""
        return self.radius * (9.5 + 0.25 * self.n_max) / self.n_max**0.5 if self.basis == "gto" else self.radius

    @cached_property
    def on_nodes(self) -> tuple[Float[np.ndarray, "S"], Float[np.ndarray, "l S n"]]:
        """Nodes (Å), and ``r² R_nl`` there times the weights of an integral."""
        s, w = gauss_legendre(0.0, self.end, 240)
        R = np.stack([getattr(self, f"_{self.basis}")(s, l) for l in range(self.l_max + 1)])
        return s, R * (w * s**2)[:, None]

    def _gto(self, r: np.ndarray, l: int) -> Float[np.ndarray, "S n"]:
        n = np.arange(self.n_max)
        a = 0.5 / (self.radius * np.maximum(np.sqrt(n), 1) / self.n_max) ** 2
        power = 0.5 * (3 + n[:, None] + n)
        overlap = 0.5 * gamma(power) * (a[:, None] + a) ** -power
        return r[:, None] ** n * np.exp(-a * r[:, None] ** 2) @ _orthonormal(overlap)

    def _monomials(self, r: np.ndarray, l: int) -> Float[np.ndarray, "S n"]:
        n = np.arange(self.n_max)
        overlap = self.radius**3 / (3 + 2 * l + 2 * (n[:, None] + n))
        return (r[:, None] / self.radius) ** (l + 2 * n) @ _orthonormal(overlap)

    def _bessel(self, r: np.ndarray, l: int) -> Float[np.ndarray, "S n"]:
        x = bessel_zeros(l, self.n_max)[l]
        norm = np.sqrt(0.5 * self.radius**3) * np.abs(spherical_jn(l + 1, x))
        return spherical_jn(l, x * r[:, None] / self.radius) / norm

    def of_waves(self, k: Float[np.ndarray, "K"]) -> Float[np.ndarray, "K l n"]:
        """``I_nl(k)``, by quadrature; ``k`` in 1/Å."""
        s, R = self.on_nodes
        return np.stack([spherical_jn(l, k[:, None] * s) @ R[l] for l in range(self.l_max + 1)], 1)

    def series(self, k_cutoff: float) -> Float[np.ndarray, "T l n"]:
        """Chebyshev coefficients of ``I_nl(k) (k_cutoff / k)^l`` in ``2 k² / k_cutoff² - 1``."""
        n = 80 + int(0.5 * k_cutoff * self.end)
        x = np.cos(np.pi * (np.arange(n) + 0.5) / n)
        fraction = np.sqrt(0.5 * (x + 1))
        values = self.of_waves(k_cutoff * fraction) / fraction[:, None, None] ** np.arange(self.l_max + 1)[:, None]
        c = chebfit(x, values.reshape(n, -1), n - 1)
        kept = np.flatnonzero(np.abs(c).max(1) > 1e-15 * np.abs(c).max())[-1] + 1
        return c[:kept].reshape(-1, *values.shape[1:])

    @property
    def at_rest(self) -> Float[np.ndarray, "n"]:
        """``I_n0(0)``."""
        return self.on_nodes[1][0].sum(0)


def _orthonormal(overlap: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Columns make normalized functions orthonormal (Löwdin)."""
    norm = np.diag(overlap) ** -0.5
    values, vectors = np.linalg.eigh(overlap * norm[:, None] * norm)
    if values[0] < 1e-12:
        raise ValueError(
            f"{len(norm)} radial functions are too alike to be told apart in double precision; take a smaller n_max"
        )
    return norm[:, None] * (vectors / np.sqrt(values)) @ vectors.T


def evaluate_series(c: Float[Tensor, "T l n"], k: Float[Tensor, "K"], k_cutoff: float) -> Float[Tensor, "K l n"]:
    """``I_nl(k)`` of waves not longer than ``k_cutoff``."""
    x, fraction = 2 * (k / k_cutoff) ** 2 - 1, k / k_cutoff
    powers = torch.stack([fraction**l for l in range(c.shape[1])], 1)
    return torch.einsum("kt,tln->kln", chebyshev(x, len(c)), c) * powers[:, :, None]
