"""Constant temperature and pressure: cells that breathe in any of their periodic directions."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..structures import Structures, sum_systems
from ..units import BOLTZMANN, FS, GPA
from .engine import Evaluate
from .motion import Dynamics, Motion, kick, kinetic, spread
from .state import SYSTEMS
from .thermostats import Chained, chain, chain_energy, rescale, turn

Shape = Literal["isotropic", "independent", "free"]
_KINDS = {3: ("volume (Å³)", "pressure (GPa)"), 2: ("area (Å²)", "pressure in the plane (N/m)")}
_KINDS |= {1: ("length (Å)", "pressure along the axis (nN)")}


@dataclass(frozen=True, eq=False)
class Breathing(Motion):
    """Atoms that move in a cell that moves."""

    start: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # cell at the start, Å
    strained: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # projects on the directions that breathe
    pressure: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV per measure, at the start of the run
    final_pressure: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # and at its end

    def virial(self, velocities: Float[Tensor, "atoms 3"]) -> Float[Tensor, "systems 3 3"]:
        """``sum_i m_i v_i v_i - A stress``, eV: the pressure tensor times volume, area or length ``A``."""
        return kinetic_tensor(self, velocities) - self.structures.measure[:, None, None] * self.prediction.stress


def kinetic_tensor(state: Motion, velocities: Float[Tensor, "atoms 3"]) -> Float[Tensor, "systems 3 3"]:
    """``sum_i m_i v_i v_i``, eV."""
    p = state.masses[:, None] / FS**2 * velocities
    return sum_systems((p[:, :, None] * velocities[:, None, :]).flatten(1), state.structures).unflatten(1, (3, 3))


class Barostat(Dynamics):
    """Dynamics in which cells breathe."""

    cell: bool | list[bool]
    shape: Shape
    pressure: float | list[float]
    final_pressure: float | list[float] | None

    def breathe(self, evaluate, structures, generator, fixed, velocities, masses, final) -> Breathing:
        """The first state, for those directions in which the cell may strain."""
        if fixed is not None and bool(fixed.any()):
            raise ValueError("atoms that are held still hold the cell as well: free them, or keep the cell as it is")
        D = _directions(structures, self.cell, self.shape)
        state = self.begin(evaluate, structures, generator, fixed, velocities, masses, final, keeps_drift=True)
        if state.prediction.stress is None:
            raise ValueError("a cell can only move when the stress is known: evaluate with stress=True")
        unit = GPA * 10.0 ** (3 - structures.pbc.sum(1).to(D))  # GPa, N/m or nN
        P = unit * spread(self.pressure, structures)
        last = P if self.final_pressure is None else unit * spread(self.final_pressure, structures)
        cell = {"start": structures.cell, "strained": D, "pressure": P, "final_pressure": last}
        return Breathing(**{f.name: getattr(state, f.name) for f in fields(state)}, **cell)

    def allowed(self, G: Float[Tensor, "systems 3 3"], D: Float[Tensor, "systems 3 3"]) -> Float[Tensor, "systems 3 3"]:
        """The part of a symmetric tensor along the strains that the shape of the cell allows."""
        if self.shape == "free":
            return D @ G @ D
        if self.shape == "independent":
            return torch.diag_embed((D * G).diagonal(dim1=1, dim2=2))
        return ((D * G).sum((1, 2)) / _trace(D))[:, None, None] * D

    def observe(self, state: Breathing) -> dict[str, Float[Tensor, "systems"]]:
        n, measure = state.structures.pbc.sum(1), state.structures.measure
        P = (state.strained * state.virial(state.velocities)).sum((1, 2)) / _trace(state.strained) / measure
        seen = super().observe(state)
        for kind in n.unique().tolist():  # a batch may hold bulks and slabs
            size, pressure = _KINDS[kind]
            here = n == kind
            seen[size] = torch.where(here, measure, torch.nan)
            seen[pressure] = torch.where(here, P / (GPA * 10 ** (3 - kind)), torch.nan)
        return seen


@dataclass(frozen=True)
class CellRescaling(Barostat):
    """Constant temperature and pressure by stochastic rescaling of velocities and cell: Bernetti and Bussi, J. Chem.
    Phys. 153, 114107 (2020); of anisotropic cells: Del Tatto, Raiteri, Bernetti and Bussi, Appl. Sci. 12, 1139 (2022).

    Each allowed strain ``e`` of the cell, of ``d`` directions, follows
    ``de = (P_int - P) dt/(d tau B) + sqrt(2 k_B T/(d tau B A)) dW``; positions and cell are multiplied by ``exp(e)``,
    velocities by its inverse. ``P_int`` is the instantaneous pressure, kinetic part included, ``A`` the volume, or the
    area of a slab. Without oscillation from any start, and canonical in both. Velocities are those of ``Bussi``.

    Args:
        temperature: K; a list is spread evenly over the systems (two numbers: from the one to the other).
        final: K at the end of the run, reached linearly; a list as above; default: no ramp.
        pressure: GPa; of a slab, in its plane, N/m (minus the surface tension); of a wire nN; a list as above.
        final_pressure: the same at the end of the run; default: no ramp.
        picoseconds: length of the run.
        timestep: fs.
        cell: whether cells breathe in their periodic directions; or along which of x, y, z.
        shape: these directions scale together (``"isotropic"``), each by itself (``"independent"``), or with shear
            (``"free"``).
        relaxation: time in which the kinetic energy finds its mean, fs.
        cell_relaxation: time ``tau`` in which the pressure finds its mean, fs, in a material of the following modulus.
        modulus: bulk modulus ``B``, GPa; of a slab N/m, about 10 for each layer. Its error only changes ``tau``.
        masses: of elements whose mass is to differ from nature's, amu, such as ``{H = 4}`` for longer time steps.
    """

    temperature: float | list[float] = 300.0
    final: float | list[float] | None = None
    pressure: float | list[float] = 0.0
    final_pressure: float | list[float] | None = None
    picoseconds: float = 1.0
    timestep: float = 1.0
    cell: bool | list[bool] = True
    shape: Shape = "independent"
    relaxation: float = 100.0
    cell_relaxation: float = 1000.0
    modulus: float = 100.0
    masses: dict[str, float] | None = None

    state = Breathing

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> Breathing:
        """Velocities are Maxwell's, without drift, unless given (Å/fs)."""
        return self.breathe(evaluate, structures, generator, fixed, velocities, masses, self.final)

    def step(self, evaluate: Evaluate, state: Breathing, generator: torch.Generator) -> Breathing:
        dt, old, D = self.timestep, state.structures, state.strained
        T = self.ramp(state.temperature, state.final, state)
        P = self.ramp(state.pressure, state.final_pressure, state)
        v = kick(state, dt / 2)
        unit = GPA * 10.0 ** (3 - old.pbc.sum(1).to(D))
        rate = dt / (_trace(D) * self.cell_relaxation * self.modulus * unit * old.measure)  # 1/eV
        pull = state.virial(v) - (P * old.measure)[:, None, None] * D
        noise = (2 * BOLTZMANN * T * rate).sqrt()[:, None, None] * _white(rate, generator)
        e = self.allowed(rate[:, None, None] * pull + noise, D)
        F, inverse = torch.linalg.matrix_exp(e), torch.linalg.matrix_exp(-e)
        x = _times(old.positions + dt / 2 * v, F, old)
        before, v = kinetic(state, v), _times(v, inverse, old)
        moved = _breathe(evaluate, state, x + dt / 2 * v, F, v)
        work = kinetic(state, v) - before + 0.5 * (e * (_strain_energy(state) + _strain_energy(moved))).sum((1, 2))
        moved = replace(moved, velocities=kick(moved, dt / 2), heat=state.heat + work)
        return rescale(moved, T, dt / self.relaxation, generator)


@dataclass(frozen=True, eq=False)
class BreathingChained(Breathing, Chained):
    """Atoms and a cell that move, each with a chain of thermostats."""

    strain_rate: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # 1/fs
    W: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # its mass, eV fs²
    modes: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # how many independent strains
    cell_xi: Float[Tensor, "systems M"] = field(metadata=SYSTEMS)
    cell_v_xi: Float[Tensor, "systems M"] = field(metadata=SYSTEMS)
    cell_Q: Float[Tensor, "systems M"] = field(metadata=SYSTEMS)
    pressing: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # pressure now, eV per measure

    @property
    def strain_energy(self) -> Float[Tensor, "systems"]:
        """Twice the kinetic energy of the cell, eV."""
        return self.W * self.strain_rate.square().sum((1, 2))

    @property
    def conserved(self) -> Float[Tensor, "systems"]:
        """The energy with those of the cell, of the chains, and of the piston, eV; kept at constant T and P."""
        cell = replace(self, xi=self.cell_xi, v_xi=self.cell_v_xi, Q=self.cell_Q)
        baths = chain_energy(self, self.freedom) + chain_energy(cell, self.modes)
        piston = self.pressing * self.structures.measure + 0.5 * self.strain_energy
        return self.prediction.energy + self.kinetic_energy + piston + baths


@dataclass(frozen=True)
class MTK(Barostat):
    """Constant temperature and pressure by an extended system: Martyna, Tobias and Klein, J. Chem. Phys. 101, 4177
    (1994); integrated as by Tuckerman, Alejandre, Lopez-Rendon, Jochim and Martyna, J. Phys. A 39, 5629 (2006).

    ``dx/dt = v + x S;  dv/dt = F/m - v (S + tr S/n);  W dS/dt = A (P_int - P) + 2K/n``, with ``S`` the rate of strain,
    ``A`` the volume or, of a slab, the area, and a Nosé-Hoover chain for the atoms and one for the cell. Deterministic
    and time-reversible; to begin far from equilibrium rather take ``CellRescaling``, which does not oscillate.

    Args:
        temperature: K; a list is spread evenly over the systems (two numbers: from the one to the other).
        final: K at the end of the run, reached linearly; a list as above; default: no ramp.
        pressure: GPa; of a slab, in its plane, N/m (minus the surface tension); of a wire nN; a list as above.
        final_pressure: the same at the end of the run; default: no ramp.
        picoseconds: length of the run.
        timestep: fs.
        cell: whether cells breathe in their periodic directions; or along which of x, y, z.
        shape: these directions scale together (``"isotropic"``), each by itself (``"independent"``), or with shear
            (``"free"``).
        relaxation: time scale of the thermostat, fs.
        cell_relaxation: time scale of the cell, fs.
        links: length of the chains.
        masses: of elements whose mass is to differ from nature's, amu, such as ``{H = 4}`` for longer time steps.
    """

    temperature: float | list[float] = 300.0
    final: float | list[float] | None = None
    pressure: float | list[float] = 0.0
    final_pressure: float | list[float] | None = None
    picoseconds: float = 1.0
    timestep: float = 1.0
    cell: bool | list[bool] = True
    shape: Shape = "independent"
    relaxation: float = 50.0
    cell_relaxation: float = 500.0
    links: int = 3
    masses: dict[str, float] | None = None

    state = BreathingChained

    def init(self, evaluate, structures, generator, fixed=None, velocities=None, masses=None) -> BreathingChained:
        """Velocities are Maxwell's, without drift, unless given (Å/fs)."""
        first = self.breathe(evaluate, structures, generator, fixed, velocities, masses, self.final)
        d = _trace(first.strained)
        modes = {"isotropic": torch.ones_like(d), "independent": d, "free": d * (d + 1) / 2}[self.shape]
        atoms = chain(first, first.freedom, self.links, self.relaxation, generator)
        cell = chain(first, modes, self.links, self.cell_relaxation, generator)
        W = (first.freedom + d) * BOLTZMANN * torch.maximum(first.temperature, first.final).clamp_min(1.0)
        W = W * self.cell_relaxation**2 / d
        white = _white(d, generator)
        state = BreathingChained(
            **{f.name: getattr(first, f.name) for f in fields(first)},
            **atoms,
            **{f"cell_{name}": cell[name] for name in ("xi", "v_xi", "Q")},
            strain_rate=self.allowed((BOLTZMANN * first.temperature / W).sqrt()[:, None, None] * white, first.strained),
            W=W,
            modes=modes,
            pressing=first.pressure,
        )
        return replace(state, origin=state.conserved)

    def step(self, evaluate: Evaluate, state: BreathingChained, generator: torch.Generator) -> BreathingChained:
        dt, old = self.timestep, state.structures
        bath = BOLTZMANN * self.ramp(state.temperature, state.final, state)
        state = replace(state, bath=bath, pressing=self.ramp(state.pressure, state.final_pressure, state))
        state = self._push(self._thermostat(state))
        S, U = torch.linalg.eigh(state.strain_rate * dt)
        v = self._kick(state)
        F = (U * S.exp()[:, None, :]) @ U.mT
        # x(dt) of dx/dt = v + x S: x exp(S dt) + v dt (exp(S dt) - 1) / (S dt)
        small = S.abs() < 1e-6
        drift = torch.where(small, 1 + S / 2, torch.expm1(S) / torch.where(small, 1.0, S))
        x = _times(old.positions, F, old) + dt * _times(v, (U * drift[:, None, :]) @ U.mT, old)
        moved = _breathe(evaluate, state, x, F, v)
        moved = moved.with_velocities(self._kick(moved))
        return self._thermostat(self._push(moved))

    def _thermostat(self, state: BreathingChained) -> BreathingChained:
        """Half a time step of both chains."""
        link, cell = (state.xi, state.v_xi, state.Q), (state.cell_xi, state.cell_v_xi, state.cell_Q)
        half = self.timestep / 2
        xi, v_xi, scale = turn(*link, 2 * state.kinetic_energy, state.freedom, state.bath, half)
        cell_xi, cell_v_xi, cell_scale = turn(*cell, state.strain_energy, state.modes, state.bath, half)
        v = scale[state.structures.system, None] * state.velocities
        S = cell_scale[:, None, None] * state.strain_rate
        return replace(state, velocities=v, xi=xi, v_xi=v_xi, strain_rate=S, cell_xi=cell_xi, cell_v_xi=cell_v_xi)

    def _push(self, state: BreathingChained) -> BreathingChained:
        """Half a time step of the pressure on the cell."""
        D = state.strained
        extra = 2 * state.kinetic_energy / state.freedom - state.pressing * state.structures.measure
        G = self.allowed(state.virial(state.velocities) + extra[:, None, None] * D, D)
        return replace(state, strain_rate=state.strain_rate + self.timestep / 2 * G / state.W[:, None, None])

    def _kick(self, state: BreathingChained) -> Float[Tensor, "atoms 3"]:
        """Half a time step of the forces and of the drag by the moving cell."""
        S, quarter = state.strain_rate, self.timestep / 4
        eye = torch.eye(3, dtype=S.dtype, device=S.device)
        drag = torch.linalg.matrix_exp(-quarter * (S + (_trace(S) / state.freedom)[:, None, None] * eye))
        slowed = state.with_velocities(_times(state.velocities, drag, state.structures))
        return _times(kick(slowed, 2 * quarter), drag, state.structures)


def _directions(structures: Structures, cell: bool | list[bool], shape: Shape) -> Float[Tensor, "systems 3 3"]:
    """Projectors on the directions that breathe; raises ``ValueError`` where there is none or it is not periodic."""
    axes = structures.positions.new_tensor([cell] * 3 if isinstance(cell, bool) else list(cell))
    if axes.shape != (3,):
        raise ValueError(f"cell must be true, false, or say it for each of x, y and z; got {cell}")
    P = structures.periodic_projector
    D = torch.diag(axes) @ P
    for s in range(structures.n_systems):
        if _trace(D)[s] < 0.5:
            raise ValueError(f"system {s} has no periodic direction in which its cell may move (pbc, or cell={cell})")
        diagonal = (D[s] - torch.diag(D[s].diagonal())).abs().max() < 1e-8
        if not (diagonal or (bool(axes.all()) and shape != "independent")):
            raise ValueError(
                f"the periodic directions of system {s} do not lie along x, y and z: turn the structure, or take "
                'cell=True with shape="isotropic" or "free"'
            )
    return D


def _trace(x: Float[Tensor, "systems 3 3"]) -> Float[Tensor, "systems"]:
    return x.diagonal(dim1=1, dim2=2).sum(1)


def _white(like: Float[Tensor, "systems"], generator: torch.Generator) -> Float[Tensor, "systems 3 3"]:
    """Symmetric tensors whose projection on any strain of unit norm is of normal distribution."""
    R = torch.randn(len(like), 3, 3, generator=generator, dtype=like.dtype).to(like.device)
    return 0.5 * (R + R.mT)


def _times(
    x: Float[Tensor, "atoms 3"], F: Float[Tensor, "systems 3 3"], structures: Structures
) -> Float[Tensor, "atoms 3"]:
    """The rows of ``x``, each times the matrix of its system."""
    return (x[:, None, :] @ F[structures.system])[:, 0, :]


def _strain_energy(state: Breathing) -> Float[Tensor, "systems 3 3"]:
    """Derivative of the energy by the strain, eV."""
    return state.structures.measure[:, None, None] * state.prediction.stress


def _breathe(evaluate: Evaluate, state, positions, F: Float[Tensor, "systems 3 3"], velocities):
    """The state with its atoms elsewhere in a strained cell."""
    structures = replace(state.structures, positions=positions, cell=state.structures.cell @ F)
    return replace(
        state, structures=structures, prediction=evaluate(structures), velocities=velocities, step=state.step + 1
    )
