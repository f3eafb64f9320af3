"""Metadynamics: hills fill the valleys that were visited; many walkers fill them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ...units import BOLTZMANN
from ..motion import Dynamics, Motion, spread
from .bias import Bias, Biased
from .variables import CollectiveVariable, wrapped


@dataclass(frozen=True, eq=False)
class Hilly(Biased):
    """The hills so far, those of all walkers."""

    hills: Float[Tensor, "hills D"]
    heights: Float[Tensor, "hills"]  # eV


@dataclass(frozen=True)
class Metadynamics(Bias):
    """Well-tempered metadynamics: Barducci, Bussi and Parrinello, Phys. Rev. Lett. 100, 020603 (2008).

    Now and then each system leaves a Gaussian hill where it is, of the height ``h exp(-V / ((gamma - 1) k_B T))``; in
    time ``F(s) = -gamma / (gamma - 1) V(s)``. All systems of a batch are walkers that share their hills: Raiteri et
    al., J. Phys. Chem. B 110, 3533 (2006). The sum over hills is exact, without a grid.

    Args:
        dynamics: how atoms move: a thermostat.
        variables: the collective variables.
        widths: standard deviations of a hill, one for each variable, in its unit: about those of its fluctuation in a
            valley.
        height: of the first hill, eV.
        bias_factor: ``gamma``, by which the temperature of the variables is raised; None: hills stay as high.
        every: steps between hills.
        walls: springs that keep systems from where they should not go.
    """

    dynamics: Dynamics
    variables: list
    widths: list[float]
    height: float = 0.01
    bias_factor: float | None = 10.0
    every: int = 100
    walls: list | None = None

    extra = Hilly

    def __post_init__(self):
        if len(self.widths) != len(self.variables) or any(not w > 0 for w in self.widths):
            raise ValueError(
                f"Metadynamics needs a width above 0 for each of its {len(self.variables)} variables, got {self.widths}"
            )
        if self.bias_factor is not None and not self.bias_factor > 1:
            raise ValueError(f"Metadynamics: bias_factor must be above 1, got {self.bias_factor}")

    @property
    def along(self) -> Sequence[CollectiveVariable]:
        return [*self.variables, *(wall.variable for wall in self.walls or [])]

    def first(self, state: Motion, s: Float[Tensor, "systems D"]) -> dict[str, Tensor]:
        return {"hills": s.new_zeros(0, len(self.variables)), "heights": s.new_zeros(0)}

    def change(self, state: Hilly) -> Hilly | None:
        if state.step == 0 or state.step % self.every:
            return None
        s = state.variables[:, : len(self.variables)]
        heights = self.height * torch.ones_like(state.bias)
        if self.bias_factor is not None:
            V = self.hilltop(s, state.hills, state.heights)
            between = self.gaussian(s, s)
            scale = (self.bias_factor - 1) * BOLTZMANN * state.temperature
            for k in range(len(V)):  # one after another, as if they had come so
                heights[k] *= torch.exp(-(V[k] + between[k, :k] @ heights[:k]) / scale[k])
        return replace(state, hills=torch.cat([state.hills, s]), heights=torch.cat([state.heights, heights]))

    def gaussian(self, s: Float[Tensor, "many D"], hills: Float[Tensor, "hills D"]) -> Float[Tensor, "many hills"]:
        """``exp(-|s - s_k|² / 2 w²)``."""
        d = wrapped(s[:, None] - hills, self.variables) / s.new_tensor(self.widths)
        return torch.exp(-0.5 * d.square().sum(-1))

    def hilltop(
        self, s: Float[Tensor, "many D"], hills: Float[Tensor, "hills D"], heights: Float[Tensor, "hills"]
    ) -> Float[Tensor, "many"]:
        """``V(s) = sum_k h_k exp(-|s - s_k|² / 2 w²)``, eV."""
        return self.gaussian(s, hills) @ heights

    def energy(self, state: Hilly, s: Float[Tensor, "systems D"]) -> Float[Tensor, "systems"]:
        D = len(self.variables)
        V = self.hilltop(s[:, :D], state.hills, state.heights)
        for wall, here in zip(self.walls or [], s[:, D:].unbind(-1)):
            V = V + wall.energy(here, spread(wall.center, state.structures))
        return V

    def observe(self, state: Hilly) -> dict[str, Float[Tensor, "systems"]]:
        return super().observe(state) | {"hills": torch.full_like(state.bias, len(state.heights))}
