r"""A Gaussian at a distance, seen from the origin: its projections on radial functions and spherical harmonics.

    exp(-a |r' - r|²) = 4 pi sum_lm exp(-a (r'² + r²)) i_l(2 a r' r) Y_lm(r') Y_lm(r),   a = 1 / (2 sigma²)

so that the projection on ``phi_n(r') Y_lm`` is ``g_nl(|r|) Y_lm(r)``. All bases take the same form, a sum over nodes:

    g_nl(r) = sum_k T_lkn exp(-a (r - s_k)²) [e^-x i_l(x)],   x = 2 a r s_k

Bartók, Kondor and Csányi, Phys. Rev. B 87, 184115 (2013), Eqs. 22-32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import cholesky, solve, sqrtm
from scipy.optimize import brentq
from scipy.special import erf, gamma, spherical_jn
from torch import Tensor

from ..config import nearest
from .polynomials import chebyshev, gauss_legendre

_NODES = 100  # of integrals over distances
BASES = ("gaussians", "gto", "polynomial", "bessel", "chebyshev")


@dataclass(frozen=True)
class DensityProjection:
    r"""The functions ``g_nl(r)`` of a Gaussian density of width ``sigma``.

    The basis ``phi_n`` is one of

        gaussians    exp(-a (r - s_n)²) on ``n_max`` equal steps from 0 to a little beyond ``reach``, orthonormalized by
                     Cholesky factors, as in QUIP
        gto          r^l exp(-b_nl r²), decayed to 1e-3 at distances from 1 Å to ``reach``, Löwdin-orthonormalized
        polynomial   (reach - r)^(n + 2), Löwdin-orthonormalized
        bessel       j_l(q_nl r), zero at ``reach``, orthonormal: Jinnouchi, Karsai, Verdi, Asahi and Kresse, J. Chem.
                     Phys. 152, 234102 (2020)
        chebyshev    T_n(r / reach) of neighbors that are points: ``g_nl = T_n`` for all l, as FLARE has it

    gto and polynomial as in DScribe: Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).

    Args:
        n_max: number of radial functions.
        l_max: largest l.
        sigma: width of the Gaussians, Å.
        reach: Å.
        basis: one of the above.
    """

    n_max: int
    l_max: int
    sigma: float
    reach: float
    basis: str = "gaussians"

    def __post_init__(self):
        if self.basis not in BASES:
            raise ValueError(f"basis must be one of {', '.join(BASES)}; got {self.basis!r}{nearest(self.basis, BASES)}")

    @property
    def a(self) -> float:
        """``1 / (2 sigma²)``, 1/Å²."""
        return 0.5 / self.sigma**2

    @property
    def width(self) -> float:
        """Over which the functions vary, Å."""
        return self.sigma

    def __call__(self, r: Float[Tensor, "*p"]) -> Float[Tensor, "*p l n"]:
        """``g_nl(r)`` of every distance (Å), also of zero."""
        if self.basis == "chebyshev":
            return chebyshev(r / self.reach, self.n_max)[..., None, :].expand(*r.shape, self.l_max + 1, self.n_max)
        nodes, transform = (torch.from_numpy(x).to(r) for x in self.sum_over_nodes)
        bells = torch.exp(-self.a * (r[..., None] - nodes) ** 2)[..., None]
        waves = bells * scaled_bessel(self.l_max, 2 * self.a * r[..., None] * nodes)
        return torch.einsum("...kl,lkn->...ln", waves, transform)

    @cached_property
    def sum_over_nodes(self) -> tuple[Float[np.ndarray, "nodes"], Float[np.ndarray, "l nodes n"]]:
        """``s_k`` (Å) and ``T_lkn``."""
        match self.basis:
            case "gaussians":
                s, T = self._gaussians()
            case "polynomial":
                s, T = self._polynomials()
            case "bessel":
                s, T = self._waves()
            case _:
                s, T = self._orbitals()
        return s, np.array(np.broadcast_to(T, (self.l_max + 1, *T.shape[-2:])))

    def _gaussians(self):
        """The functions are what a Gaussian at a node looks like: no integral is left, only those among them."""
        a = self.a
        s = np.arange(self.n_max) * (self.reach + self.sigma * np.sqrt(20 * np.log(10))) / self.n_max
        apart, middle = s[:, None] - s, 0.5 * (s[:, None] + s)
        tail = middle * np.exp(-2 * a * middle**2) / (4 * a)
        bulk = np.sqrt(np.pi / (8 * a)) * (middle**2 + 0.25 / a) * (1 + erf(middle * np.sqrt(2 * a)))
        overlap = np.exp(-0.5 * a * apart**2) * (tail + bulk)  # with r² dr
        return s, solve(np.exp(-a * apart**2), cholesky(overlap, lower=True))

    def _polynomials(self):
        n = np.arange(1, self.n_max + 1)
        k = n[:, None] + n
        overlap = 2 * self.reach ** (k + 7.0) / ((k + 5) * (k + 6) * (k + 7))
        s, w = gauss_legendre(0.0, self.reach, _NODES)
        phi = (self.reach - s[:, None]) ** (n + 2)
        return s, 4 * np.pi * (w * s**2)[:, None] * (phi @ _inverse_root(overlap))

    def _waves(self):
        s, w = gauss_legendre(0.0, self.reach, _NODES)
        l = np.arange(self.l_max + 1)
        x = bessel_zeros(self.l_max, self.n_max)
        phi = spherical_jn(l[:, None, None], x[:, None] * s[:, None] / self.reach)
        norm = np.sqrt(0.5 * self.reach**3) * np.abs(spherical_jn(l[:, None] + 1, x))
        return s, 4 * np.pi * (w * s**2)[:, None] * phi / norm[:, None]

    def _orbitals(self):
        ends = np.linspace(1.0, self.reach, self.n_max)
        b = [-np.log(1e-3 / ends**l) / ends**2 for l in range(self.l_max + 1)]
        s, w = gauss_legendre(0.0, self.reach + 1 + np.sqrt(40 / (min(x.min() for x in b) + self.a)), _NODES)
        T = np.empty((self.l_max + 1, len(s), self.n_max))
        for l in range(self.l_max + 1):
            overlap = 0.5 * gamma(l + 1.5) * (b[l][:, None] + b[l]) ** -(l + 1.5)
            phi = s[:, None] ** l * np.exp(-b[l] * s[:, None] ** 2)
            T[l] = 4 * np.pi * (w * s**2)[:, None] * (phi @ _inverse_root(overlap))
        return s, T


def bessel_zeros(l_max: int, n: int) -> Float[np.ndarray, "l n"]:
    """The first positive zeros of the spherical Bessel functions ``j_l``: between any two of one lies one of the next.

    >>> bessel_zeros(1, 1).ravel()
    array([3.1415..., 4.4934...])
    """
    rows = [np.pi * np.arange(1, n + l_max + 1)]
    for l in range(1, l_max + 1):
        ends = zip(rows[-1], rows[-1][1:])
        rows.append(np.array([brentq(lambda x, l=l: spherical_jn(l, x), a, b, xtol=1e-13) for a, b in ends]))
    return np.array([row[:n] for row in rows])


def _inverse_root(overlap: np.ndarray) -> np.ndarray:
    return np.real(sqrtm(np.linalg.inv(overlap)))


def scaled_bessel(l_max: int, x: Float[Tensor, "*p"]) -> Float[Tensor, "*p l"]:
    """``e^-x i_l(x)``, modified spherical Bessel functions of the first kind, ``l = 0 .. l_max``, ``x >= 0``.

    Up the recursion ``i_{l+1} = i_{l-1} - (2l + 1) i_l / x`` where ``x`` is large; where it is small, by ratios
    ``i_l / i_{l-1} = x / (2l + 1 + x i_{l+1} / i_l)`` from far above and ``sum_l (2l + 1) e^-x i_l = 1``, which lose
    nothing, down to ``x = 0`` (DLMF 10.51, 10.60).

    >>> scaled_bessel(1, torch.tensor(2.0)).tolist()  # e^-2 sinh(2) / 2, e^-2 (2 cosh(2) - sinh(2)) / 4
    [0.2454..., 0.1318...]
    """
    large = x > 30.0
    up, down = torch.where(large, x, 30.0), torch.where(large, 30.0, x)
    values = [-torch.expm1(-2 * up) / (2 * up)]
    above = (0.5 * (1 + torch.exp(-2 * up)) - values[0]) / up
    for l in range(1, l_max + 1):
        values.append(above)
        above = values[-2] - (2 * l + 1) / up * above
    ratio, ratios, total = torch.zeros_like(x), [], torch.zeros_like(x)
    for l in range(l_max + 40, 0, -1):
        ratio = down / (2 * l + 1 + down * ratio)
        total = ratio * (2 * l + 1 + total)
        ratios.append(ratio)
    below = [1 / (1 + total)]
    for ratio in ratios[: -l_max - 1 : -1]:
        below.append(below[-1] * ratio)
    return torch.where(large[..., None], torch.stack(values, -1), torch.stack(below, -1))
