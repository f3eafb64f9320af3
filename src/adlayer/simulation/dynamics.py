"""Molecular dynamics of many systems at once: constant energy, and constant temperature by Langevin's equation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import exp, sqrt

import torch
from ase.data import atomic_masses
from jaxtyping import Bool, Float
from torch import Tensor

from ..structures import Structures, sum_systems
from ..units import BOLTZMANN, FS
from .engine import Engine, Evaluate, free_atoms
from .state import ATOMS, SYSTEMS, State, largest


@dataclass(frozen=True, eq=False)
class Motion(State):
    """Atoms that move."""

    velocities: Float[Tensor, "atoms 3"] = field(metadata=ATOMS)  # Å/fs
    masses: Float[Tensor, "atoms"] = field(metadata=ATOMS)  # amu
    temperature: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # K, where the thermostat starts
    final: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # K, where it ends
    freedom: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # degrees of freedom

    @cached_property
    def kinetic_energy(self) -> Float[Tensor, "systems"]:
        """``sum_i m_i v_i² / 2``, eV."""
        return sum_systems((0.5 / FS**2) * self.masses * self.velocities.square().sum(-1), self.structures)

    @cached_property
    def kinetic_temperature(self) -> Float[Tensor, "systems"]:
        """``2 E_kin / (k_B n)`` with ``n`` degrees of freedom, K."""
        return 2 * self.kinetic_energy / (BOLTZMANN * self.freedom)


@dataclass(frozen=True)
class VelocityVerlet(Engine):
    """Newton's equations at constant energy: Swope, Andersen, Berens and Wilson, J. Chem. Phys. 76, 637 (1982).

    ``v += dt/2 F/m;  x += dt v;  v += dt/2 F(x)/m``

    Args:
        temperature: of the velocities at the start, K; a list is spread evenly over the systems.
        picoseconds: length of the run.
        timestep: fs.
    """

    temperature: float | list[float] = 300.0
    picoseconds: float = 1.0
    timestep: float = 1.0

    state = Motion

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Motion:
        """Velocities are Maxwell's, without drift where nothing is fixed, unless given (Å/fs)."""
        state = _start(evaluate, structures, generator, fixed, velocities, masses, self.temperature, None)
        if velocities is None:
            state = replace(state, velocities=_without_drift(state))
        return replace(state, freedom=(state.freedom - 3 * _drifting(state)).clamp_min(1))

    def step(self, evaluate: Evaluate, state: Motion, generator: torch.Generator) -> Motion:
        dt = self.timestep
        v = state.velocities + 0.5 * dt * _acceleration(state)
        moved = _at(evaluate, state, state.structures.positions + dt * v)
        return replace(moved, velocities=v + 0.5 * dt * _acceleration(moved), step=state.step + 1)

    @property
    def n_steps(self) -> int:
        return round(1000 * self.picoseconds / self.timestep)

    def observe(self, state: Motion) -> dict[str, Float[Tensor, "systems"]]:
        return _observe(state, self.timestep)


@dataclass(frozen=True)
class Langevin(Engine):
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
    """

    temperature: float | list[float] = 300.0
    final: float | list[float] | None = None
    picoseconds: float = 1.0
    timestep: float = 1.0
    friction: float = 0.01

    state = Motion

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Motion:
        """Velocities are Maxwell's unless given (Å/fs)."""
        return _start(evaluate, structures, generator, fixed, velocities, masses, self.temperature, self.final)

    def step(self, evaluate: Evaluate, state: Motion, generator: torch.Generator) -> Motion:
        dt, c = self.timestep, exp(-self.friction * self.timestep)
        ramp = min(1.0, (state.step + 1) / self.n_steps)
        T = state.temperature + ramp * (state.final - state.temperature)
        v = state.velocities + 0.5 * dt * _acceleration(state)
        x = state.structures.positions + 0.5 * dt * v
        v = c * v + sqrt(1 - c * c) * _maxwell(state.structures, state.masses, T, state.free, generator)
        moved = _at(evaluate, state, x + 0.5 * dt * v)
        return replace(moved, velocities=v + 0.5 * dt * _acceleration(moved), step=state.step + 1)

    @property
    def n_steps(self) -> int:
        return round(1000 * self.picoseconds / self.timestep)

    def observe(self, state: Motion) -> dict[str, Float[Tensor, "systems"]]:
        return _observe(state, self.timestep)


def _start(evaluate, structures, generator, fixed, velocities, masses, temperature, final) -> Motion:
    free = free_atoms(structures, fixed)
    T = spread(temperature, structures)
    if masses is None:
        masses = torch.as_tensor(atomic_masses).to(structures.positions)[structures.numbers]
    if velocities is None:
        velocities = _maxwell(structures, masses, T, free, generator)
    return Motion(
        structures=structures,
        prediction=evaluate(structures),
        free=free,
        step=0,
        velocities=velocities * free[:, None],
        masses=masses,
        temperature=T,
        final=T if final is None else spread(final, structures),
        freedom=(3 * sum_systems(free.to(T), structures)).clamp_min(1),
    )


def spread(temperature: float | list[float], structures: Structures) -> Float[Tensor, "systems"]:
    """One temperature for each system: a number for all, or a list spread evenly over them."""
    T = structures.positions.new_tensor(temperature).reshape(-1)
    if not len(T) or bool((T < 0).any()):
        raise ValueError(f"a temperature must be 0 K or more, got {temperature}")
    place = torch.linspace(0, len(T) - 1, structures.n_systems, dtype=T.dtype, device=T.device)
    below = place.floor().long().clamp_max(max(len(T) - 2, 0))
    return torch.lerp(T[below], T[(below + 1).clamp_max(len(T) - 1)], place - below)


def _maxwell(structures, masses, T, free, generator) -> Float[Tensor, "atoms 3"]:
    """Velocities of temperature ``T``, Å/fs; none for fixed atoms."""
    R = torch.randn(structures.n_atoms, 3, generator=generator, dtype=masses.dtype).to(masses.device)
    width = FS * (BOLTZMANN * T[structures.system] / masses).sqrt() * free
    return width[:, None] * R


def _acceleration(state: Motion) -> Float[Tensor, "atoms 3"]:
    """``F/m``, Å/fs²; none for fixed atoms."""
    return (FS**2 / state.masses * state.free)[:, None] * state.prediction.forces


def _at(evaluate: Evaluate, state: Motion, positions: Float[Tensor, "atoms 3"]) -> Motion:
    structures = state.structures.with_positions(positions)
    return replace(state, structures=structures, prediction=evaluate(structures))


def _drifting(state: Motion) -> Bool[Tensor, "systems"]:
    """Systems of several atoms that are all free: their center of mass keeps its velocity."""
    held = sum_systems((~state.free).to(state.masses), state.structures)
    return (held == 0) & (state.structures.counts > 1)


def _without_drift(state: Motion) -> Float[Tensor, "atoms 3"]:
    momentum = sum_systems(state.masses[:, None] * state.velocities, state.structures)
    drift = momentum / sum_systems(state.masses, state.structures)[:, None] * _drifting(state)[:, None]
    return state.velocities - drift[state.structures.system]


def _observe(state: Motion, timestep: float) -> dict[str, Float[Tensor, "systems"]]:
    seen = {
        "time (fs)": torch.full_like(state.temperature, state.step * timestep),
        "potential energy (eV)": state.prediction.energy,
        "kinetic energy (eV)": state.kinetic_energy,
        "temperature (K)": state.kinetic_temperature,
    }
    if state.prediction.std is not None and state.prediction.std.forces is not None:
        spread_of_forces = torch.linalg.vector_norm(state.prediction.std.forces, dim=-1) * state.free
        seen["force uncertainty (eV/Å)"] = largest(spread_of_forces, state.structures)
    return seen
