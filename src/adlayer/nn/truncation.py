"""Pair potentials that end at a cutoff although their formula does not."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, full_like, where, zeros_like


def truncate(V: Callable, dV: Callable, r: Float[Tensor, "edges"], cutoff: float, how: str) -> Float[Tensor, "edges"]:
    """``V(r)`` inside the cutoff and 0 outside, changed so that the end is no step.

    ``"force"``: ``V(r) - V(r_c) - (r - r_c) V'(r_c)``; ``"energy"``: ``V(r) - V(r_c)``; ``"none"``: ``V(r)``.
    """
    r_c = full_like(r, cutoff)
    if how == "force":
        E = V(r) - V(r_c) - (r - r_c) * dV(r_c)
    elif how == "energy":
        E = V(r) - V(r_c)
    elif how == "none":
        E = V(r)
    else:
        raise ValueError(f"truncation must be 'force', 'energy' or 'none', got {how!r}")
    return where(r < cutoff, E, zeros_like(E))
