"""Radial functions and core repulsion of a pair of elements, as PACE has them.

Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021), Methods; Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022),
Section II; Kocer, Mason and Erturk, AIP Adv. 10, 015021 (2020). What these leave open follows the numbers that
python-ace gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from .cutoffs import cosine_cutoff, cosine_switch, quintic_switch
from .nuclear_repulsion import zbl
from .polynomials import chebyshev

RADIAL = ("SBessel", "ChebExpCos", "ChebPow", "ChebLinear")
CORES = ("distance", "density", "zbl")
COULOMB = 14.399645351950545  # eV Å, that of python-ace


@dataclass(frozen=True)
class Bond:
    r"""How a center sees a neighbor: ``g_k(r)``, ``R_nl(r) = sum_k c_nlk g_k(r)`` and a repulsion ``V(r)``.

    With Chebyshev polynomials ``T_k``, ``k = 0, 1, ...`` of ``x(r)``:

        SBessel      the simplified spherical Bessel functions, orthonormal in the sphere
        ChebExpCos   g_0 = f, g_k = f (1 - T_k(x)) / 2, x = 1 - 2 (e^(-s r/r_c) - e^-s) / (1 - e^-s),
                     f = (1 + cos(pi r / r_c)) / 2, also faded out over the last ``width``
        ChebPow      g_k = (1 - T_(k+1)(x)) / 2, x = 1 - 2 (1 - r/r_c)^s
        ChebLinear   the same with x = 1 - r/r_c; these do not vanish at the cutoff but end in a step

    Args:
        radial: one of these.
        cutoff: Å.
        steepness: ``s``.
        width: where ChebExpCos and the repulsion of nuclei fade out, Å.
        inner: where the core ends and over which length, Å.
        repulsion: ``[A, b]`` of ``V(r) = A exp(-b r^2) / r (1 + cos(pi r / r_c)) / 2`` (eV Å, 1/Å²) for each of the two
            atoms; with cores of kind zbl the factor of half the repulsion of nuclei, and nothing.
        coefficients: ``c[n][l][k]``; none: ``R_nl = g_n``.
    """

    radial: str = "SBessel"
    cutoff: float = 6.0
    steepness: float = 5.25
    width: float = 0.01
    inner: tuple[float, float] = (0.0, 0.0)
    repulsion: tuple[float, float] = (0.0, 0.0)
    coefficients: tuple | None = None

    def __post_init__(self):
        if self.radial not in RADIAL:
            raise ValueError(
                f"radial must be one of {', '.join(RADIAL)}; got {self.radial!r}{nearest(self.radial, RADIAL)}"
            )
        if not self.cutoff > 0:
            raise ValueError(f"a cutoff must be above 0 Å, got {self.cutoff}")

    def base(self, r: Float[Tensor, "r"], n: int) -> Float[Tensor, "r n"]:
        """``g_k`` without regard to the core, ``r`` inside the cutoff."""
        u, s = r / self.cutoff, self.steepness
        match self.radial:
            case "SBessel":
                return _simplified_bessel(r, self.cutoff, n)
            case "ChebExpCos":
                e = torch.exp(r.new_tensor(-s))
                T = chebyshev(1 - 2 * (torch.exp(-s * u) - e) / (1 - e), n)
                f = cosine_cutoff(r, self.cutoff) * cosine_switch(r, self.cutoff, self.width)
                return f[:, None] * torch.cat([T[:, :1], 0.5 - 0.5 * T[:, 1:]], 1)
            case "ChebPow":
                return 0.5 - 0.5 * chebyshev(1 - 2 * (1 - u) ** s, n + 1)[:, 1:]
            case _:
                return 0.5 - 0.5 * chebyshev(1 - u, n + 1)[:, 1:]

    def beyond_core(self, r: Float[Tensor, "r"], core: str) -> Float[Tensor, "r"]:
        """0 in the core, 1 outside: smooth for cores by distance, a step for those by density; always 1 for zbl."""
        end, length = self.inner
        if core == "zbl":
            return torch.ones_like(r)
        if core == "density" or length == 0:
            return (r >= end - length).to(r)
        return 1 - quintic_switch(r, end - length, end)

    def n_base(self, l: int | None, n: int) -> int:
        """How many ``g_k`` are needed for ``R_nl``, or for ``g_n`` if ``l`` is None."""
        return n + 1 if l is None or self.coefficients is None else len(self.coefficients[0][0])

    def combination(self, l: int | None, n: int, n_base: int) -> Float[np.ndarray, "k"]:
        """``c_nlk``; zero where there are none for this ``n`` and ``l``."""
        c = np.zeros(n_base)
        if l is None or self.coefficients is None:
            c[n] = 1.0
        elif n < len(self.coefficients) and l < len(self.coefficients[n]):
            c[: len(self.coefficients[n][l])] = self.coefficients[n][l]
        return c

    def functions(self, r: Float[Tensor, "r"], combined: Float[Tensor, "k m"], core: str) -> Float[Tensor, "r m"]:
        """Sums of ``g_k``, outside the core."""
        return (self.base(r, len(combined)) * self.beyond_core(r, core)[:, None]) @ combined

    def repels(self, r: Float[Tensor, "r"], core: str, Zi: float, Zj: float) -> Float[Tensor, "r"]:
        """``V(r)``, ``r`` inside the cutoff."""
        A, b = self.repulsion
        if core == "zbl":
            start = self.cutoff - self.width
            V = zbl(r, r.new_tensor(Zi), r.new_tensor(Zj), start, self.cutoff, COULOMB)
            return 0.5 * A * V * quintic_switch(r, start, self.cutoff)
        V = A * torch.exp(-b * r**2) / r * cosine_cutoff(r, self.cutoff)
        return V if core == "density" else V * (1 - self.beyond_core(r, core))

    def reach(self, core: str) -> float:
        """Beyond it there is no repulsion, Å."""
        return 0.0 if self.repulsion[0] == 0 else self.inner[0] if core == "distance" else self.cutoff


def _simplified_bessel(r: Float[Tensor, "r"], cutoff: float, n: int) -> Float[Tensor, "r n"]:
    """Eqs. 15 to 17 of Kocer et al.: sums of two sinc functions, made orthonormal by a recursion."""
    g, d = [torch.zeros_like(r)], 1.0
    for k in range(n):
        a, b = k + 1, k + 2
        f = torch.sinc(a * r / cutoff) + torch.sinc(b * r / cutoff)
        f = (-1) ** k * 2**0.5 * torch.pi / cutoff**1.5 * a * b / (a * a + b * b) ** 0.5 * f
        e = (k * (k + 2)) ** 2 / (4 * a**4 + 1)
        d, below = 1 - e / d, d
        g.append((f + (e / below) ** 0.5 * g[-1]) / d**0.5)
    return torch.stack(g[1:], 1)
