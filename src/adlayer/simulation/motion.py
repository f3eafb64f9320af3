"""Atoms that move: the state that all dynamics share, how it begins, and what is seen of it."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from ase.data import atomic_masses, atomic_numbers
from jaxtyping import Bool, Float
from torch import Tensor

from ..config import nearest
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
    heat: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV, what the baths have put in so far
    origin: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV, the conserved energy at the start

    def with_velocities(self, velocities: Float[Tensor, "atoms 3"]) -> Motion:
        """The same atoms at another speed."""
        return replace(self, velocities=velocities)

    @cached_property
    def kinetic_energy(self) -> Float[Tensor, "systems"]:
        """``sum_i m_i v_i² / 2``, eV."""
        return sum_systems((0.5 / FS**2) * self.masses * self.velocities.square().sum(-1), self.structures)

    @cached_property
    def kinetic_temperature(self) -> Float[Tensor, "systems"]:
        """``2 E_kin / (k_B n)`` with ``n`` degrees of freedom, K."""
        return 2 * self.kinetic_energy / (BOLTZMANN * self.freedom)

    @property
    def conserved(self) -> Float[Tensor, "systems"]:
        """What a perfect integrator keeps, eV: here the energy without the heat of the bath."""
        return self.prediction.energy + self.kinetic_energy - self.heat


class Dynamics(Engine, ABC):
    """An engine that follows equations of motion for a given time."""

    temperature: float | list[float]
    picoseconds: float
    timestep: float
    masses: dict[str, float] | None

    state = Motion

    @property
    def n_steps(self) -> int:
        return round(1000 * self.picoseconds / self.timestep)

    def ramp(self, first: Tensor, last: Tensor, state: Motion) -> Tensor:
        """What goes linearly from its first to its last value, at the end of the coming step."""
        return torch.lerp(first, last, min(1.0, (state.step + 1) / max(self.n_steps, 1)))

    def observe(self, state: Motion) -> dict[str, Float[Tensor, "systems"]]:
        seen = {
            "time (fs)": torch.full_like(state.temperature, state.step * self.timestep),
            "potential energy (eV)": state.prediction.energy,
            "kinetic energy (eV)": state.kinetic_energy,
            "temperature (K)": state.kinetic_temperature,
            "conserved energy (eV)": state.conserved,
        }
        if state.prediction.std is not None and state.prediction.std.forces is not None:
            doubt = torch.linalg.vector_norm(state.prediction.std.forces, dim=-1) * state.free
            seen["force uncertainty (eV/Å)"] = largest(doubt, state.structures)
        return seen

    def begin(
        self, evaluate: Evaluate, structures: Structures, generator, fixed, velocities, masses, final, keeps_drift: bool
    ) -> Motion:
        """The first state: Maxwell's velocities unless given; without drift where the equations would keep it."""
        free = free_atoms(structures, fixed)
        T = temperatures(self.temperature, structures)
        masses = _masses(structures, self.masses) if masses is None else masses
        given = velocities is not None
        if not given:
            velocities = maxwell(structures, masses, T, free, generator)
        zero = torch.zeros_like(T)
        state = Motion(
            structures=structures,
            prediction=evaluate(structures),
            free=free,
            step=0,
            velocities=velocities * free[:, None],
            masses=masses,
            temperature=T,
            final=T if final is None else temperatures(final, structures),
            freedom=3 * sum_systems(free.to(T), structures),
            heat=zero,
            origin=zero,
        )
        if keeps_drift:
            drifting = _drifting(state)
            if not given:
                state = replace(state, velocities=_without_drift(state, drifting))
            state = replace(state, freedom=state.freedom - 3 * drifting)
        state = replace(state, freedom=state.freedom.clamp_min(1))
        return replace(state, origin=state.conserved)


def kick(state: Motion, time: float) -> Float[Tensor, "atoms 3"]:
    """``v + F/m time``, Å/fs; fixed atoms stay at rest."""
    return torch.addcmul(state.velocities, (time * FS**2 / state.masses * state.free)[:, None], state.prediction.forces)


def move(evaluate: Evaluate, state: Motion, positions: Float[Tensor, "atoms 3"], velocities, **changes) -> Motion:
    """The state with its atoms elsewhere, and the forces there."""
    structures = state.structures.with_positions(positions)
    return replace(
        state,
        structures=structures,
        prediction=evaluate(structures),
        velocities=velocities,
        step=state.step + 1,
        **changes,
    )


def kinetic(state: Motion, velocities: Float[Tensor, "atoms 3"]) -> Float[Tensor, "systems"]:
    """Kinetic energy at other velocities, eV."""
    return sum_systems((0.5 / FS**2) * state.masses * velocities.square().sum(-1), state.structures)


def maxwell(structures, masses, T, free, generator) -> Float[Tensor, "atoms 3"]:
    """Velocities of temperature ``T``, Å/fs; none for fixed atoms."""
    R = torch.randn(structures.n_atoms, 3, generator=generator, dtype=masses.dtype).to(masses.device)
    width = FS * (BOLTZMANN * T[structures.system] / masses).sqrt() * free
    return width[:, None] * R


def spread(values: float | list[float], structures: Structures) -> Float[Tensor, "systems"]:
    """One value for each system: a number for all, or a list spread evenly over them."""
    x = structures.positions.new_tensor(values).reshape(-1)
    if not len(x):
        raise ValueError("an empty list cannot be spread over the systems; give one number or several")
    place = torch.linspace(0, len(x) - 1, structures.n_systems, dtype=x.dtype, device=x.device)
    below = place.floor().long().clamp_max(max(len(x) - 2, 0))
    return torch.lerp(x[below], x[(below + 1).clamp_max(len(x) - 1)], place - below)


def temperatures(values: float | list[float], structures: Structures) -> Float[Tensor, "systems"]:
    """Temperatures, K, one for each system."""
    T = spread(values, structures)
    if bool((T < 0).any()):
        raise ValueError(f"a temperature must be 0 K or more, got {values}")
    return T


def _masses(structures: Structures, changed: Mapping[str, float] | None) -> Float[Tensor, "atoms"]:
    """Masses of the elements, amu, some of them changed."""
    table = structures.positions.new_tensor(atomic_masses)
    for symbol, mass in (changed or {}).items():
        if symbol not in atomic_numbers:
            raise ValueError(f"masses: {symbol!r} is no chemical symbol{nearest(symbol, atomic_numbers)}")
        if not mass > 0:
            raise ValueError(f"masses: that of {symbol} must be above 0 amu, got {mass}")
        table[atomic_numbers[symbol]] = mass
    return table[structures.numbers]


def _drifting(state: Motion) -> Bool[Tensor, "systems"]:
    """Systems of several atoms that are all free: their center of mass keeps its velocity."""
    held = sum_systems((~state.free).to(state.masses), state.structures)
    return (held == 0) & (state.structures.counts > 1)


def _without_drift(state: Motion, drifting: Bool[Tensor, "systems"]) -> Float[Tensor, "atoms 3"]:
    momentum = sum_systems(state.masses[:, None] * state.velocities, state.structures)
    drift = momentum / sum_systems(state.masses, state.structures)[:, None] * drifting[:, None]
    return state.velocities - drift[state.structures.system]
