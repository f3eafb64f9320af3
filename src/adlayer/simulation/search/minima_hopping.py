"""Minima hopping: S. Goedecker, J. Chem. Phys. 120, 9911 (2004)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...structures import Structures, sum_systems
from ..dynamics import VelocityVerlet
from ..motion import Motion, temperatures
from ..state import SYSTEMS
from .basin_hopping import take_over
from .geometry import radii
from .landscape import Landscape
from .search import Population, Search, populate, repeated, within


@dataclass(frozen=True, eq=False)
class Hoppers(Population):
    """How hard each walker escapes, and how much it climbs."""

    temperature: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # K, of the escapes
    threshold: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV, by which a new minimum may be higher


@dataclass(frozen=True)
class MinimaHopping(Search):
    """Walkers escape by short dynamics and learn from the archive they share how hard they must try.

    An escape is dynamics at constant energy until the potential energy has passed ``valleys`` minima, then a
    relaxation. Where it falls back into its own minimum, or into one that is known, the kinetic energy rises by
    ``beta``; where it finds a new one, it falls by ``1 / beta``. A walker goes to another minimum if that is no higher
    than ``threshold`` above its own; each time it does, the threshold falls by ``alpha``, else it rises by
    ``1 / alpha``. Velocities are softened first: turned into directions in which the surface curves little (Schönborn
    et al., J. Chem. Phys. 130, 144108 (2009)).

    Args:
        hops: of each walker.
        walkers: how many; their starts are the seeds, again and again.
        temperature: of the first escapes, K.
        threshold: at first, eV.
        beta: factor of the kinetic energy.
        alpha: factor of the threshold.
        valleys: minima along the dynamics.
        timestep: fs.
        max_steps: of the dynamics of an escape.
        soften: steps of softening; 0: none.
    """

    hops: int = 100
    walkers: int = 8
    temperature: float | list[float] = 1000.0
    threshold: float = 0.5
    beta: float = 1.1
    alpha: float = 0.98
    valleys: int = 2
    timestep: float = 2.0
    max_steps: int = 500
    soften: int = 10

    state = Hoppers

    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Hoppers:
        if not (self.beta > 1 and 0 < self.alpha < 1):
            raise ValueError(f"minima hopping needs beta > 1 and 0 < alpha < 1, got {self.beta} and {self.alpha}")
        first = populate(landscape, *repeated(seeds, free, self.walkers))
        T = temperatures(self.temperature, first.structures)
        return Hoppers(**within(first), temperature=T, threshold=torch.full_like(T, self.threshold))

    def step(self, landscape: Landscape, state: Hoppers, generator: torch.Generator) -> Hoppers:
        escaped, made = self._escape(landscape, state, generator)
        found = landscape.quench(escaped, state.free, radii(state.structures))
        before = state
        state, new = state.tell(landscape, found)
        same = landscape.fingerprint.same
        back = torch.tensor(
            [
                not good or len(same(f, e, before.features[s : s + 1], before.energy[s : s + 1])) > 0
                for s, (good, f, e) in enumerate(zip(found.good.tolist(), found.features, found.energy))
            ]
        )
        known = ~torch.tensor(new)
        T = state.temperature * torch.where(known, self.beta, 1 / self.beta)
        accept = ~back & (found.energy - state.energy <= state.threshold)
        threshold = torch.where(accept, self.alpha * state.threshold, state.threshold / self.alpha)
        threshold = torch.where(back, state.threshold, threshold)
        state = replace(state, temperature=T, threshold=threshold, evaluations=state.evaluations + made)
        return take_over(state, accept, found.structures, found.prediction, found.energy, found.features)

    def _escape(self, landscape: Landscape, state: Hoppers, generator) -> tuple[Structures, int]:
        """Where the walkers are after they have passed so many minima of the potential energy."""
        engine = VelocityVerlet(state.temperature.tolist(), self.max_steps * self.timestep / 1000, self.timestep)
        motion = engine.init(landscape.evaluate, state.structures, generator, ~state.free)
        made = len(state.structures)
        if self.soften:
            motion, made = self._softened(landscape, motion), made + self.soften * len(state.structures)
        ends, active = [None] * len(state.structures), list(range(len(state.structures)))
        passed, falling = torch.zeros(len(active), dtype=torch.long), torch.zeros(len(active), dtype=torch.bool)
        while active:
            before = motion.prediction.energy
            motion = engine.step(landscape.evaluate, motion, generator)
            made += len(active)
            now_falling = motion.prediction.energy < before
            passed, falling = passed + (falling & ~now_falling), now_falling
            done = (passed >= self.valleys) | ~motion.prediction.energy.isfinite() | (motion.step >= self.max_steps)
            if bool(done.any()):
                stay = (~done).nonzero()[:, 0].tolist()
                for s in done.nonzero()[:, 0].tolist():
                    sane = bool(motion.prediction.energy[s].isfinite())
                    ends[active[s]] = motion.structures[s] if sane else state.structures[active[s]]
                active, motion = [active[s] for s in stay], motion.select(stay)
                passed, falling = passed[stay], falling[stay]
        return Structures.cat(ends), made

    def _softened(self, landscape: Landscape, motion: Motion, length: float = 0.05, rate: float = 0.02) -> Motion:
        """Velocities of the same energy, turned by the forces at ``length`` (Å) along them, across them."""
        system, x = motion.structures.system, motion.structures.positions

        def unit(v: Tensor) -> Tensor:
            return v / sum_systems(v.square().sum(-1), motion.structures).sqrt().clamp_min(1e-12)[system, None]

        n = unit(motion.velocities)
        for _ in range(self.soften):
            forces = landscape.evaluate(motion.structures.with_positions(x + length * n)).forces * motion.free[:, None]
            along = sum_systems((forces * n).sum(-1), motion.structures)[system, None]
            n = unit(length * n + rate * (forces - along * n))
        turned = motion.with_velocities(n)
        scale = (motion.kinetic_energy / turned.kinetic_energy.clamp_min(1e-30)).sqrt()
        return turned.with_velocities(scale[system, None] * n)

    def n_steps(self, state: Population) -> int:
        return self.hops
