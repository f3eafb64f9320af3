"""Constant temperature for the whole of a system, which disturbs its motion less than friction on each atom does."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import exp

import torch
from jaxtyping import Float
from torch import Tensor

from ..units import BOLTZMANN
from .engine import Evaluate
from .motion import Dynamics, Motion, kick, move
from .state import SYSTEMS


@dataclass(frozen=True)
class Bussi(Dynamics):
    """Stochastic velocity rescaling: Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007).

    After each step of velocity Verlet all velocities of a system are scaled by one number, such that its kinetic energy
    ``K`` follows ``dK = (K0 - K) dt/tau + 2 sqrt(K K0 / (n tau)) dW`` with ``K0 = n k_B T / 2``, which samples the
    canonical distribution.

    Args:
        temperature: K; a list is spread evenly over the systems (two numbers: from the one to the other).
        final: K at the end of the run, reached linearly; a list as above; default: no ramp.
        picoseconds: length of the run.
        timestep: fs.
        relaxation: time ``tau`` in which the kinetic energy finds its mean, fs.
        masses: of elements whose mass is to differ from nature's, amu, such as ``{H = 4}`` for longer time steps.
    """

    temperature: float | list[float] = 300.0
    final: float | list[float] | None = None
    picoseconds: float = 1.0
    timestep: float = 1.0
    relaxation: float = 100.0
    masses: dict[str, float] | None = None

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Motion:
        """Velocities are Maxwell's, without drift where nothing is fixed, unless given (Å/fs)."""
        return self.begin(evaluate, structures, generator, fixed, velocities, masses, self.final, keeps_drift=True)

    def step(self, evaluate: Evaluate, state: Motion, generator: torch.Generator) -> Motion:
        dt = self.timestep
        T = self.ramp(state.temperature, state.final, state)
        v = kick(state, dt / 2)
        moved = move(evaluate, state, state.structures.positions + dt * v, v)
        moved = moved.with_velocities(kick(moved, dt / 2))
        return rescale(moved, T, dt / self.relaxation, generator)


def rescale(state: Motion, T: Float[Tensor, "systems"], time: float, generator: torch.Generator) -> Motion:
    """Scale the velocities of each system after Bussi's Eq. A7; ``time`` is in units of the relaxation time."""
    c, n = exp(-time), state.freedom
    K = state.kinetic_energy.clamp_min(1e-30)
    R = torch.randn(len(n), generator=generator, dtype=n.dtype).to(n.device)
    others = 2 * torch._standard_gamma((n - 1).cpu() / 2, generator=generator).to(n.device)  # the other n - 1 squares
    ratio = (1 - c) * 0.5 * BOLTZMANN * T / K
    scale = (c + ratio * (R * R + others) + 2 * R * (c * ratio).sqrt()).clamp_min(0).sqrt()
    scale = torch.where(R + (c / ratio.clamp_min(1e-300)).sqrt() < 0, -scale, scale)  # Eq. A8
    heat = state.heat + (scale * scale - 1) * state.kinetic_energy
    return replace(state.with_velocities(scale[state.structures.system, None] * state.velocities), heat=heat)


@dataclass(frozen=True, eq=False)
class Chained(Motion):
    """Atoms that move with a chain of thermostats."""

    xi: Float[Tensor, "systems M"] = field(metadata=SYSTEMS)  # places of the links
    v_xi: Float[Tensor, "systems M"] = field(metadata=SYSTEMS)  # their velocities, 1/fs
    Q: Float[Tensor, "systems M"] = field(metadata=SYSTEMS)  # their masses, eV fs²
    bath: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # k_B T now, eV

    @property
    def conserved(self) -> Float[Tensor, "systems"]:
        """The energy with that of the chain, eV; kept at constant temperature."""
        return self.prediction.energy + self.kinetic_energy + chain_energy(self, self.freedom)


@dataclass(frozen=True)
class NoseHoover(Dynamics):
    """Nosé-Hoover chains: Martyna, Klein and Tuckerman, J. Chem. Phys. 97, 2635 (1992).

    Deterministic and time-reversible: ``dv/dt = F/m - v_1 v``, where the first link feels
    ``Q_1 dv_1/dt = 2K - n k_B T - Q_1 v_1 v_2``, and each further link the one before it. The chain moves for half a
    step before and after velocity Verlet, split after Suzuki and Yoshida: Martyna et al., Mol. Phys. 87, 1117 (1996).

    Args:
        temperature: K; a list is spread evenly over the systems (two numbers: from the one to the other).
        final: K at the end of the run, reached linearly; a list as above; default: no ramp.
        picoseconds: length of the run.
        timestep: fs.
        relaxation: time scale of the links, fs: ``Q_1 = n k_B T relaxation²``, the others ``k_B T relaxation²``.
        links: length of the chain.
        masses: of elements whose mass is to differ from nature's, amu, such as ``{H = 4}`` for longer time steps.
    """

    temperature: float | list[float] = 300.0
    final: float | list[float] | None = None
    picoseconds: float = 1.0
    timestep: float = 1.0
    relaxation: float = 50.0
    links: int = 3
    masses: dict[str, float] | None = None

    state = Chained

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Chained:
        """Velocities are Maxwell's, without drift where nothing is fixed, unless given (Å/fs)."""
        state = self.begin(evaluate, structures, generator, fixed, velocities, masses, self.final, keeps_drift=True)
        first = chain(state, state.freedom, self.links, self.relaxation, generator)
        state = Chained(**{f.name: getattr(state, f.name) for f in fields(state)}, **first)
        return replace(state, origin=state.conserved)

    def step(self, evaluate: Evaluate, state: Chained, generator: torch.Generator) -> Chained:
        dt = self.timestep
        bath = BOLTZMANN * self.ramp(state.temperature, state.final, state)
        state = self._thermostat(replace(state, bath=bath))
        v = kick(state, dt / 2)
        moved = move(evaluate, state, state.structures.positions + dt * v, v)
        return self._thermostat(moved.with_velocities(kick(moved, dt / 2)))

    def _thermostat(self, state: Chained) -> Chained:
        """Half a time step of the chain."""
        link = state.xi, state.v_xi, state.Q
        xi, v_xi, scale = turn(*link, 2 * state.kinetic_energy, state.freedom, state.bath, self.timestep / 2)
        v = scale[state.structures.system, None] * state.velocities
        return replace(state.with_velocities(v), xi=xi, v_xi=v_xi)


def chain(state: Motion, n: Float[Tensor, "systems"], links: int, relaxation: float, generator) -> dict[str, Tensor]:
    """A chain that holds ``n`` degrees of freedom, its links in thermal motion."""
    if links < 1:
        raise ValueError(f"a chain has at least one link, got {links}")
    kT = BOLTZMANN * torch.maximum(state.temperature, state.final).clamp_min(1.0)
    Q = (kT * relaxation**2)[:, None].repeat(1, links)
    Q[:, 0] *= n
    R = torch.randn(Q.shape, generator=generator, dtype=Q.dtype).to(Q.device)
    bath = BOLTZMANN * state.temperature
    return {"xi": torch.zeros_like(Q), "v_xi": (bath[:, None] / Q).sqrt() * R, "Q": Q, "bath": bath}


def chain_energy(state: Chained, n: Float[Tensor, "systems"]) -> Float[Tensor, "systems"]:
    """``sum_k Q_k v_k²/2 + n k_B T xi_1 + k_B T (xi_2 + ...)``, eV."""
    moving = 0.5 * (state.Q * state.v_xi.square()).sum(1)
    return moving + state.bath * (n * state.xi[:, 0] + state.xi[:, 1:].sum(1))


_W = 1 / (2 - 2 ** (1 / 3))
SUZUKI_YOSHIDA = (_W, 1 - 2 * _W, _W)  # fourth order


def turn(xi, v, Q, twice_K, n, kT, time: float) -> tuple[Tensor, Tensor, Float[Tensor, "systems"]]:
    """Let a chain act on ``n`` degrees of freedom for a time, fs: the chain afterwards, and the scale of velocities."""
    xi, v, last = list(xi.unbind(1)), list(v.unbind(1)), xi.shape[1] - 1
    Q, scale = Q.unbind(1), torch.ones_like(n)

    def push(k: int, h: float) -> None:
        G = twice_K * scale * scale - n * kT if k == 0 else Q[k - 1] * v[k - 1].square() - kT
        brake = torch.exp(-h / 2 * v[k + 1]) if k < last else 1.0
        v[k] = (v[k] * brake + h * G / Q[k]) * brake

    for w in SUZUKI_YOSHIDA:
        h = w * time
        for k in range(last, -1, -1):
            push(k, h / 2)
        scale = scale * torch.exp(-h * v[0])
        xi = [x + h * u for x, u in zip(xi, v)]
        for k in range(last + 1):
            push(k, h / 2)
    return torch.stack(xi, 1), torch.stack(v, 1), scale
