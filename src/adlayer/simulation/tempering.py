"""Parallel tempering of dynamics: Sugita and Okamoto, Chem. Phys. Lett. 314, 141 (1999)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..units import BOLTZMANN
from .engine import Engine, Evaluate
from .motion import Dynamics, Motion


@dataclass(frozen=True)
class Tempering(Engine):
    """Replicas at several temperatures that now and then exchange their configurations.

    Neighbors ``a``, ``b`` in temperature exchange with the probability ``min(1, exp((1/kT_a - 1/kT_b)(E_a - E_b)))``,
    even and odd pairs by turns; velocities are scaled to the new temperature. A place of the batch keeps its
    temperature, so what is observed there is a canonical average, though what is cold now was hot before and has
    crossed barriers there.

    Args:
        dynamics: a thermostat whose temperatures differ: its systems are the replicas, of one composition.
        every: steps between the tries.
        burst: after so many tries comes a pause, in which what happens in one configuration can be followed; default:
            never.
        pause: its length, steps.
    """

    dynamics: Dynamics
    every: int = 50
    burst: int | None = None
    pause: int = 0

    def __post_init__(self):
        if self.every < 1 or self.pause < 0 or (self.burst is not None and self.burst < 1):
            raise ValueError(
                f"Tempering needs every and burst of 1 or more and no negative pause, got {self.every}, {self.burst} "
                f"and {self.pause}"
            )

    @property
    def state(self) -> type[Motion]:
        return self.dynamics.state

    @property
    def timestep(self) -> float:
        return self.dynamics.timestep

    @property
    def n_steps(self) -> int:
        return self.dynamics.n_steps

    def init(self, evaluate, structures, generator, fixed=None, **settings) -> Motion:
        """Each structure is one replica."""
        sorted_numbers = [s.numbers.sort().values for s in structures]
        if len(sorted_numbers) < 2 or any(not torch.equal(sorted_numbers[0], z) for z in sorted_numbers[1:]):
            raise ValueError("Tempering takes two replicas or more, all of the same atoms")
        return self.dynamics.init(evaluate, structures, generator, fixed=fixed, **settings)

    def step(self, evaluate: Evaluate, state: Motion, generator: torch.Generator) -> Motion:
        state = self.dynamics.step(evaluate, state, generator)
        return self.exchange(state, generator) if self._is_due(state.step) else state

    def _is_due(self, step: int) -> bool:
        if self.burst is None:
            return step % self.every == 0
        at = (step - 1) % (self.burst * self.every + self.pause) + 1  # in a cycle of tries and a pause
        return at <= self.burst * self.every and at % self.every == 0

    def exchange(self, state: Motion, generator: torch.Generator) -> Motion:
        """Try half of the pairs of neighbors in temperature."""
        ladder = state.temperature.argsort()
        first = ladder[(state.step // self.every) % 2 :: 2]
        second = ladder[(state.step // self.every) % 2 + 1 :: 2]
        first = first[: len(second)]
        beta, E = 1 / (BOLTZMANN * state.temperature), state.prediction.energy
        log_ratio = (beta[first] - beta[second]) * (E[first] - E[second])
        accept = torch.rand(len(first), generator=generator, dtype=torch.float64).log() < log_ratio
        if not bool(accept.any()):
            return state
        a, b = first[accept], second[accept]
        place = torch.arange(state.structures.n_systems)
        place[a], place[b] = b, a
        moved = state.select(place.tolist())
        scale = (state.temperature / state.temperature[place]).sqrt()
        moved = replace(moved, temperature=state.temperature, final=state.final)
        scaled = moved.with_velocities(scale[moved.structures.system, None] * moved.velocities)
        return replace(scaled, heat=moved.heat + scaled.kinetic_energy - moved.kinetic_energy)

    def observe(self, state: Motion) -> dict[str, torch.Tensor]:
        return self.dynamics.observe(state)
