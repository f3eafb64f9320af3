"""Restrained and steered dynamics: springs on collective variables, at rest or moving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ...config import Part
from ..motion import Dynamics, Motion, spread
from ..state import SYSTEMS
from .bias import Bias, Biased
from .variables import CollectiveVariable, wrapped


@dataclass(frozen=True)
class Spring(Part):
    """A spring on a collective variable: ``V = stiffness (s - center)² / 2``, or a wall, of which it is one half.

    Args:
        variable: the collective variable.
        center: where it is at rest; a list is spread evenly over the systems (two numbers: from the one to the other).
        stiffness: eV per squared unit of the variable.
        final: where it is at rest at the end of the run, reached linearly; a list as above; default: it stays.
        side: pulls back from both sides, only from ``"above"`` the center (an upper wall), or only from ``"below"``.
    """

    variable: CollectiveVariable
    center: float | list[float]
    stiffness: float
    final: float | list[float] | None = None
    side: Literal["both", "above", "below"] = "both"

    def energy(self, s: Float[Tensor, "*n"], center: Float[Tensor, "*#n"]) -> Float[Tensor, "*n"]:
        """The energy stored in it, eV."""
        d = wrapped((s - center)[..., None], [self.variable])[..., 0]
        if self.side != "both":
            d = d.clamp_min(0) if self.side == "above" else d.clamp_max(0)
        return 0.5 * self.stiffness * d * d


@dataclass(frozen=True, eq=False)
class Pulled(Biased):
    """Where the springs are at rest."""

    center: Float[Tensor, "systems D"] = field(metadata=SYSTEMS)
    first_center: Float[Tensor, "systems D"] = field(metadata=SYSTEMS)
    last_center: Float[Tensor, "systems D"] = field(metadata=SYSTEMS)


@dataclass(frozen=True)
class Restrained(Bias):
    """Dynamics with springs on collective variables: restrained, umbrella windows of a batch, or steered.

    A spring whose rest moves does work on the system, ``W = sum_t V(s_t, c_t+1) - V(s_t, c_t)``, which the log tells:
    by Jarzynski's equality, Phys. Rev. Lett. 78, 2690 (1997), it gives the difference of free energies. A periodic
    variable is pulled the way its numbers go, all the way round if they say so.

    Args:
        dynamics: how atoms move.
        springs: one or several.
    """

    dynamics: Dynamics
    springs: list

    extra = Pulled

    def __post_init__(self):
        if isinstance(self.springs, Spring):
            object.__setattr__(self, "springs", [self.springs])

    @property
    def along(self) -> Sequence[CollectiveVariable]:
        return [spring.variable for spring in self.springs]

    def first(self, state: Motion, s: Float[Tensor, "systems D"]) -> dict[str, Tensor]:
        def each(places) -> Float[Tensor, "systems D"]:
            return torch.stack([spread(place, state.structures) for place in places], -1)

        start = each(spring.center for spring in self.springs)
        end = each(spring.center if spring.final is None else spring.final for spring in self.springs)
        return {"center": start, "first_center": start, "last_center": end}

    def change(self, state: Pulled) -> Pulled | None:
        if all(spring.final is None for spring in self.springs):
            return None
        way = min(1.0, (state.step + 1) / self.n_steps)
        return replace(state, center=torch.lerp(state.first_center, state.last_center, way))

    def energy(self, state: Pulled, s: Float[Tensor, "systems D"]) -> Float[Tensor, "systems"]:
        columns = zip(self.springs, s.unbind(-1), state.center.unbind(-1))
        return sum(spring.energy(here, center) for spring, here, center in columns)

    def observe(self, state: Pulled) -> dict[str, Float[Tensor, "systems"]]:
        seen = super().observe(state)
        if any(spring.final is not None for spring in self.springs):
            seen["work (eV)"] = state.work
        return seen
