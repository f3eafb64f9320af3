"""Molecular dynamics of many systems at once: constant energy, and constant temperature by Langevin's equation."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import torch

from .engine import Evaluate
from .motion import Dynamics, Motion, kick, kinetic, maxwell, move


@dataclass(frozen=True)
class VelocityVerlet(Dynamics):
    """Newton's equations at constant energy: Swope, Andersen, Berens and Wilson, J. Chem. Phys. 76, 637 (1982).

    ``v += dt/2 F/m;  x += dt v;  v += dt/2 F(x)/m``

    Args:
        temperature: of the velocities at the start, K; a list is spread evenly over the systems.
        picoseconds: length of the run.
        timestep: fs.
        masses: of elements whose mass is to differ from nature's, amu, such as ``{H = 4}`` for longer time steps.
    """

    temperature: float | list[float] = 300.0
    picoseconds: float = 1.0
    timestep: float = 1.0
    masses: dict[str, float] | None = None

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Motion:
        """Velocities are Maxwell's, without drift where nothing is fixed, unless given (Å/fs)."""
        return self.begin(evaluate, structures, generator, fixed, velocities, masses, None, keeps_drift=True)

    def step(self, evaluate: Evaluate, state: Motion, generator: torch.Generator) -> Motion:
        dt = self.timestep
        v = kick(state, dt / 2)
        moved = move(evaluate, state, state.structures.positions + dt * v, v)
        return moved.with_velocities(kick(moved, dt / 2))


@dataclass(frozen=True)
class Langevin(Dynamics):
    """Constant temperature by friction and noise, split as BAOAB: Leimkuhler and Matthews, AMRX 2013, 34.

    ``v += dt/2 F/m;  x += dt/2 v;  v = c v + sqrt((1 - c²) k_B T / m) R;  x += dt/2 v;  v += dt/2 F(x)/m``
    with ``c = exp(-friction dt)`` and ``R`` of normal distribution. Positions are sampled far more exactly than with
    other splittings at the same time step.

    Args:
        temperature: K; a list is spread evenly over the systems (two numbers: from the one to the other).
        final: K at the end of the run, reached linearly; a list as above; default: no ramp.
        picoseconds: length of the run.
        timestep: fs.
        friction: 1/fs.
        masses: of elements whose mass is to differ from nature's, amu, such as ``{H = 4}`` for longer time steps.
    """

    temperature: float | list[float] = 300.0
    final: float | list[float] | None = None
    picoseconds: float = 1.0
    timestep: float = 1.0
    friction: float = 0.01
    masses: dict[str, float] | None = None

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Motion:
        """Velocities are Maxwell's unless given (Å/fs)."""
        return self.begin(evaluate, structures, generator, fixed, velocities, masses, self.final, keeps_drift=False)

    def step(self, evaluate: Evaluate, state: Motion, generator: torch.Generator) -> Motion:
        dt, c = self.timestep, exp(-self.friction * self.timestep)
        T = self.ramp(state.temperature, state.final, state)
        v = kick(state, dt / 2)
        x = state.structures.positions + dt / 2 * v
        before = kinetic(state, v)
        v = c * v + sqrt(1 - c * c) * maxwell(state.structures, state.masses, T, state.free, generator)
        heat = state.heat + kinetic(state, v) - before
        moved = move(evaluate, state, x + dt / 2 * v, v, heat=heat)
        return moved.with_velocities(kick(moved, dt / 2))
