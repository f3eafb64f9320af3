"""Simulated annealing: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983); here by molecular dynamics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...structures import Structures
from ..dynamics import Langevin
from ..motion import temperatures
from ..state import ATOMS, SYSTEMS
from .landscape import Landscape
from .search import Population, Search, populate, repeated, within


@dataclass(frozen=True, eq=False)
class Annealing(Population):
    """Walkers that are hot; ``structures`` is where they are, not a minimum."""

    velocities: Float[Tensor, "atoms 3"] | None = field(metadata=ATOMS)  # Å/fs; None at the start of a cycle
    home: Float[Tensor, "atoms 3"] = field(metadata=ATOMS)  # the last minimum of each, Å
    hot: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # temperature at which each begins a cycle, K


@dataclass(frozen=True)
class SimulatedAnnealing(Search):
    """Walkers are heated, cooled slowly by Langevin's equation, and relaxed; and heated again from where they ended.

    The schedule goes from ``hot`` to ``cold`` in equal parts of time, ``T_k = hot (cold / hot)^(k/n)`` or
    ``hot + (cold - hot) k/n``, linearly within each.

    Args:
        cycles: how often each walker is heated and cooled.
        walkers: how many; their starts are the seeds, again and again.
        hot: K; a list is spread evenly over the walkers.
        cold: K.
        cooling: how the temperature falls.
        picoseconds: of one cycle.
        parts: of a cycle; a search that was killed goes on at the last of them.
        timestep: fs.
        friction: 1/fs.
    """

    cycles: int = 10
    walkers: int = 8
    hot: float | list[float] = 1500.0
    cold: float = 300.0
    cooling: Literal["exponential", "linear"] = "exponential"
    picoseconds: float = 10.0
    parts: int = 10
    timestep: float = 2.0
    friction: float = 0.01

    state = Annealing

    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Annealing:
        if not self.cold > 0 or self.parts < 1:
            raise ValueError(f"annealing needs cold > 0 K and one part or more, got {self.cold} K and {self.parts}")
        first = populate(landscape, *repeated(seeds, free, self.walkers))
        hot = temperatures(self.hot, first.structures)
        return Annealing(**within(first), velocities=None, home=first.structures.positions, hot=hot)

    def step(self, landscape: Landscape, state: Annealing, generator: torch.Generator) -> Annealing:
        part = state.step % self.parts
        T, final = (self._temperature(state.hot, k).tolist() for k in (part, part + 1))
        duration = self.picoseconds / self.parts
        engine = Langevin(T, final, duration, self.timestep, self.friction)
        start = {"velocities": state.velocities}
        motion = engine.init(landscape.evaluate, state.structures, generator, ~state.free, **start)
        for _ in range(engine.n_steps):
            motion = engine.step(landscape.evaluate, motion, generator)
        made = (engine.n_steps + 1) * len(state.structures)
        state = replace(state, structures=motion.structures, velocities=motion.velocities)
        state = replace(state, evaluations=state.evaluations + made)
        return self._cooled(landscape, state) if part == self.parts - 1 else state

    def _cooled(self, landscape: Landscape, state: Annealing) -> Annealing:
        """The end of a cycle: walkers are relaxed; one that ran away begins anew at its last minimum."""
        system = state.structures.system
        lost = torch.zeros_like(state.energy).index_add(0, system, state.structures.positions.sum(-1)).isfinite()
        begin = torch.where(lost[system, None], state.structures.positions, state.home)
        found = landscape.quench(state.structures.with_positions(begin), state.free)
        state, _ = state.tell(landscape, found)
        home = torch.where(found.good[system, None], found.structures.positions, state.home)
        energy = torch.where(found.good, found.energy, state.energy)
        structures = state.structures.with_positions(home)
        features = torch.where(found.good[:, None], found.features, state.features)
        return replace(state, structures=structures, home=home, velocities=None, energy=energy, features=features)

    def _temperature(self, hot: Float[Tensor, "systems"], k: int) -> Float[Tensor, "systems"]:
        done = k / self.parts
        if self.cooling == "exponential":
            return hot * (self.cold / hot) ** done
        return hot + (self.cold - hot) * done

    def n_steps(self, state: Population) -> int:
        return self.cycles * self.parts
