r"""Radial functions ``R_n(r) = f(r) p_n(y(r))``: an envelope times orthonormal polynomials of a transformed distance.

One form holds what the literature of the atomic cluster expansion uses: polynomials of Agnesi, Morse or inverse
distances with a polynomial envelope, Chebyshev polynomials with a cosine one, and spherical Bessel functions, whose
simplified form is ``(sin t / r)(1 + cos t)`` times Jacobi polynomials of ``y = cos t``, ``t = pi r / r_c``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import nearest

TRANSFORMS = ("agnesi", "morse", "inverse", "exponential", "cosine")
ENVELOPES = ("polynomial", "cosine", "bessel", "repulsive")
STEEPNESS = {"morse": 2.0, "exponential": 5.25}


@dataclass(frozen=True)
class RadialPolynomials:
    r"""``n`` functions that vanish smoothly at the cutoff.

    With ``s = r / r_0``, ``x(r)`` is one of

        agnesi       1 / (1 + a s^4 / (1 + s^2)), a = 10/13: steepest at r_0
        morse        exp(-2 (s - 1))
        inverse      1 / (1 + s)^2
        exponential  exp(-5.25 (r / r_c - 1)), as in PACE's ChebExpCos
        cosine       cos(pi r / r_c)

    and ``y = 1`` at ``r = 0``, ``-1`` at the cutoff, linear in ``x``. The envelope ``f`` is one of

        polynomial   (1 - y)^2 (1 + y)^2: vanishes at r = 0 and at the cutoff (Witt et al. 2023)
        cosine       (1 + cos(pi r / r_c)) / 2; the polynomials are then Chebyshev's
        bessel       sin(pi r / r_c) / r (1 + cos(pi r / r_c)) (Kocer, Mason and Erturk 2020)
        repulsive    (r_0 / r) (1 - (r / r_c)^2)^3: diverges at r = 0, for a sum over pairs

    Witt et al., J. Chem. Phys. 159, 164101 (2023); Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021);
    Kocer, Mason and Erturk, AIP Adv. 10, 015021 (2020).

    Args:
        n: number of functions.
        cutoff: Å.
        transform: one of the above.
        envelope: one of the above.
    """

    n: int
    cutoff: float
    transform: str = "agnesi"
    envelope: str = "polynomial"

    def __post_init__(self):
        for name, known in (("transform", TRANSFORMS), ("envelope", ENVELOPES)):
            if (given := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {given!r}{nearest(given, known)}")

    @property
    def kinds(self) -> tuple[int, int]:
        """Transform and envelope by number, for the fused kernels."""
        return TRANSFORMS.index(self.transform), ENVELOPES.index(self.envelope)

    def line(self, r0: Float[Tensor, "*p"]) -> tuple[Tensor, Tensor]:
        """``y = slope x + shift``."""
        at_zero, at_cutoff = (self.x(torch.full_like(r0, r), r0) for r in (0.0, self.cutoff))
        slope = 2 / (at_zero - at_cutoff)
        return slope, -1 - slope * at_cutoff

    def x(self, r: Float[Tensor, "*p"], r0: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """The transformed distance."""
        s = r / r0
        match self.transform:
            case "agnesi":
                return 1 / (1 + 10 / 13 * s**4 / (1 + s**2))
            case "morse":
                return torch.exp(-STEEPNESS["morse"] * (s - 1))
            case "inverse":
                return (1 + s) ** -2
            case "exponential":
                return torch.exp(-STEEPNESS["exponential"] * (r / self.cutoff - 1))
            case _:
                return torch.cos(torch.pi * r / self.cutoff)

    def f(self, r: Float[Tensor, "*p"], r0: Float[Tensor, "*p"], y: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """The envelope."""
        t = torch.pi * r / self.cutoff
        match self.envelope:
            case "polynomial":
                return (1 - y * y) ** 2
            case "cosine":
                return 0.5 * (1 + torch.cos(t))
            case "bessel":
                return torch.sin(t) / r * (1 + torch.cos(t))
            case _:
                return r0 / r * (1 - (r / self.cutoff) ** 2) ** 3

    def __call__(self, r: Float[Tensor, "*p"], r0: Float[Tensor, "*p"]) -> Float[Tensor, "*p n"]:
        """``R_n(r)`` (``r`` and ``r0`` in Å), zero beyond the cutoff."""
        inside = r < self.cutoff
        r = torch.where(inside, r, torch.full_like(r, 0.5 * self.cutoff))
        slope, shift = self.line(r0)
        y = slope * self.x(r, r0) + shift
        p, below, R = torch.full_like(y, self.first), torch.zeros_like(y), []
        envelope = torch.where(inside, self.f(r, r0, y), torch.zeros_like(r))
        for a, b, c in self.recursion.tolist():
            R.append(envelope * p)
            p, below = (a * y - b) * p - c * below, p
        return torch.stack(R, -1) if R else r.new_zeros(*r.shape, 0)

    @property
    def first(self) -> float:
        """``p_0``, a constant."""
        return float(self._weights().sum() ** -0.5)

    @property
    def recursion(self) -> Float[Tensor, "n 3"]:
        """Rows ``(a, b, c)`` of ``p_{n+1} = (a y - b) p_n - c p_{n-1}``, by the Stieltjes procedure."""
        y, w = np.cos(_ANGLES), self._weights()
        p, below, beta, rows = np.full_like(y, self.first), np.zeros_like(y), 0.0, []
        for _ in range(self.n):
            alpha = float(w @ (y * p * p))
            q = (y - alpha) * p - beta * below
            norm = float(w @ (q * q)) ** 0.5
            rows.append((1 / norm, alpha / norm, beta / norm))
            p, below, beta = q / norm, p, norm
        return torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)

    def _weights(self) -> np.ndarray:
        """Weight of orthogonality in ``y`` at the nodes: the envelope squared where it is a function of ``y`` alone."""
        y, sin = np.cos(_ANGLES), np.sin(_ANGLES)  # dy = sin(t) dt
        match self.envelope:
            case "polynomial":
                w = (1 - y * y) ** 4 * sin
            case "cosine":
                w = np.full_like(y, 1 / np.pi)
            case "bessel":  # R_n R_m r^2 dr, with t = pi r / r_c
                w = (sin * (1 + y)) ** 2
            case _:
                w = sin
        return w * _STEPS


class RadialSets:
    """Several sets of radial functions for pairs of elements, one after another.

    Args:
        sets: which all have the same cutoff.
        r0: length in which each pair of elements measures its distance, Å.
    """

    def __init__(self, sets: Sequence[RadialPolynomials], r0: Float[np.ndarray, "center neighbor"]):
        self.sets, self.r0 = tuple(sets), r0
        self.n, self.n_elements = sum(f.n for f in self.sets), len(r0)
        self.cutoff = max((f.cutoff for f in self.sets), default=0.0)

    def __call__(
        self, r: Float[Tensor, "edges"], center: Int[Tensor, "edges"], neighbor: Int[Tensor, "edges"]
    ) -> Float[Tensor, "edges n"]:
        r0 = r.new_tensor(self.r0)[center, neighbor]
        return torch.cat([f(r, r0) for f in self.sets], -1)


_ANGLES, _STEPS = (np.pi / 2 * (x + shift) for x, shift in zip(np.polynomial.legendre.leggauss(200), (1.0, 0.0)))


def preset(name: str, n: int, cutoff: float) -> RadialPolynomials:
    """The radial basis known by one name: agnesi, morse, inverse, chebyshev or bessel."""
    known = {
        "agnesi": ("agnesi", "polynomial"),
        "morse": ("morse", "polynomial"),
        "inverse": ("inverse", "polynomial"),
        "chebyshev": ("exponential", "cosine"),
        "bessel": ("cosine", "bessel"),
    }
    if name not in known:
        raise ValueError(f"radial must be one of {', '.join(known)}; got {name!r}{nearest(name, known)}")
    return RadialPolynomials(n, cutoff, *known[name])
