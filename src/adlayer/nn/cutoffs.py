"""Functions that take an interaction smoothly to zero at the cutoff radius."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, cos, pi, where, zeros_like


def cosine_cutoff(r: Float[Tensor, "*shape"], cutoff: float) -> Float[Tensor, "*shape"]:
    """``f(r) = (cos(pi r / r_c) + 1) / 2`` inside, 0 outside; value and slope vanish at ``r_c``, curvature does not.

    Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007), Eq. 4.
    """
    return where(r < cutoff, 0.5 * (cos(pi * r / cutoff) + 1), zeros_like(r))


def polynomial_cutoff(r: Float[Tensor, "*shape"], cutoff: float, p: int = 6) -> Float[Tensor, "*shape"]:
    """``1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2)``, ``x = r / r_c``; flat and straight at ``r_c``.

    Gasteiger, Groß and Günnemann, ICLR (2020), Eq. 8 (their ``p`` is this ``p``).
    """
    x = r / cutoff
    f = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
    return where(x < 1, f, zeros_like(r))


def cosine_switch(r: Float[Tensor, "*shape"], cutoff: float, width: float) -> Float[Tensor, "*shape"]:
    """1 up to ``r_c - w``, then ``(cos(pi (r - r_c + w) / w) + 1) / 2``, 0 beyond ``r_c``; ``w = 0`` is a step.

    The cutoff of Gaussian approximation potentials; value and slope are continuous, curvature is not.
    """
    if width == 0:
        return where(r < cutoff, 1.0, zeros_like(r))
    x = ((r - cutoff) / width + 1).clamp(0, 1)
    return where(r < cutoff, 0.5 * (cos(pi * x) + 1), zeros_like(r))


def quintic_switch(r: Float[Tensor, "*shape"], inner: float, cutoff: float) -> Float[Tensor, "*shape"]:
    """1 up to ``r_in``, then ``x^3 (-6 x^2 + 15 x - 10) + 1``, ``x = (r - r_in) / (r_c - r_in)``, 0 beyond ``r_c``.

    Two derivatives vanish at both ends. Zhang et al., NeurIPS 31 (2018), with the polynomial of DeePMD-kit.
    """
    x = ((r - inner) / (cutoff - inner)).clamp(0, 1)
    return x**3 * ((15 - 6 * x) * x - 10) + 1


def quadratic_cutoff(r: Float[Tensor, "*shape"], cutoff: float) -> Float[Tensor, "*shape"]:
    """``(r_c - r)²`` inside (in the square of the unit of ``r``), 0 beyond; value and slope vanish at ``r_c``.

    Vandermause et al., npj Comput. Mater. 6, 20 (2020), as FLARE has it.
    """
    return (cutoff - r).clamp_min(0) ** 2
