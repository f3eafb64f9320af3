"""Moves that follow the forces: hybrid Monte Carlo, and stretches of molecular dynamics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from ase.data import atomic_masses
from jaxtyping import Float
from torch import Tensor

from ...structures import sum_systems
from ...units import BOLTZMANN, FS
from ..dynamics import Langevin
from ..engine import Engine
from .move import Chance, Move, Proposal
from .state import Sampling, with_positions


def _check_flexible(who: str, state: Sampling, gases) -> None:
    rigid = [gas.of for gas in gases if len(gas.numbers) > 1 and not gas.flexible]
    if rigid:
        raise ValueError(f"{who} moves atoms one by one, but {rigid[0]} is rigid: give it flexible = true")


@dataclass(frozen=True)
class HybridMD(Move):
    """All free atoms follow Newton's equations for a while: Duane et al., Phys. Lett. B 195, 216 (1987).

    Velocities are drawn from Maxwell's distribution, and the log ratio is ``-(K' - K) / k_B T``, so that the error of
    the integration is corrected exactly.

    Args:
        step: time step, fs; adapted during equilibration.
        n_steps: how many.
        weight: how often it is tried relative to other moves.
    """

    step: float = 1.0
    n_steps: int = 10
    weight: float = 1.0
    acceptance = 0.7

    def check(self, state, gases) -> None:
        _check_flexible("HybridMD", state, gases)

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        system, free = state.structures.system, state.free[:, None]
        m = torch.as_tensor(atomic_masses).to(chance.scale)[state.structures.numbers][:, None]
        dt = (self.step * chance.scale)[system][:, None]
        v = FS * (BOLTZMANN * state.temperature[system][:, None] / m).sqrt() * chance.normal(len(m), 3) * free
        before, said = _kinetic(state, m, v), chance.evaluate(state.structures)
        if said.forces is None:
            raise ValueError("HybridMD follows forces, and evaluate gives none: evaluate with forces")
        now = state
        for _ in range(self.n_steps):
            v = v + 0.5 * dt * FS**2 / m * said.forces * free
            now = with_positions(now, now.structures.positions + dt * v)
            said = chance.evaluate(now.structures)
            v = v + 0.5 * dt * FS**2 / m * said.forces * free
        return Proposal(now, state.beta * (before - _kinetic(state, m, v)), prediction=said)


def _kinetic(state: Sampling, m: Tensor, v: Tensor) -> Float[Tensor, "systems"]:
    """In eV."""
    return sum_systems((0.5 / FS**2) * (m * v.square()).sum(-1), state.structures)


@dataclass(frozen=True)
class MDSegment(Move):
    """A stretch of molecular dynamics at constant temperature, always accepted.

    It leaves the ensemble as far as the dynamics samples it: with BAOAB up to an error of the order of the square of
    the time step. ``HybridMD`` has no such error.

    Args:
        engine: dynamics with a thermostat; its temperature is that of each system here.
        weight: how often it is tried relative to other moves.
    """

    engine: Engine = field(default_factory=lambda: Langevin(picoseconds=0.05))
    weight: float = 1.0

    def check(self, state, gases) -> None:
        _check_flexible("MDSegment", state, gases)

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        engine = replace(self.engine, temperature=state.temperature.tolist())
        motion = engine.init(chance.evaluate, state.structures, chance.generator, fixed=~state.free)
        for _ in range(engine.n_steps):
            motion = engine.step(chance.evaluate, motion, chance.generator)
        always = torch.full_like(state.temperature, torch.inf)
        return Proposal(with_positions(state, motion.structures.positions), always, prediction=motion.prediction)
