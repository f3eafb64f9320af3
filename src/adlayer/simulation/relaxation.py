"""Relaxation of many structures at once, cells included, each until its own forces are small."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..structures import Structures
from .engine import Engine, Evaluate, free_atoms
from .state import COORDINATES, SECOND, SYSTEMS, State, largest


@dataclass(frozen=True, eq=False)
class Descent(State):
    """Atoms and cells on their way down.

    The coordinates ``x`` of a system are its atoms at the deformation it started with, ``q = r F^-1``, and, after those
    of all atoms, ``n F`` with ``n`` its number of atoms, so that a step strains a cell as much as it moves atoms.
    """

    start: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # cell at the start, Å; now it is start @ F
    strained: Float[Tensor, "systems 3 3"] = field(
        metadata=SYSTEMS
    )  # projects on the directions in which the cell may strain
    x: Float[Tensor, "coordinates 3"] = field(metadata=COORDINATES)
    f: Float[Tensor, "coordinates 3"] = field(metadata=COORDINATES)  # -dE/dx, eV/Å

    @property
    def owner(self) -> Tensor:
        """The system to which each coordinate belongs."""
        cells = torch.arange(self.structures.n_systems, device=self.x.device).repeat_interleave(3)
        return torch.cat([self.structures.system, cells])

    @property
    def fmax(self) -> Float[Tensor, "systems"]:
        """The largest force on an atom, or on the cell as a force per atom, eV/Å."""
        size = torch.linalg.vector_norm(self.f, dim=-1)
        n = self.structures.n_atoms
        return torch.maximum(largest(size[:n], self.structures), size[n:].reshape(-1, 3).amax(-1))


@dataclass(frozen=True, eq=False)
class FireState(Descent):
    """How fast, and how boldly."""

    v: Float[Tensor, "coordinates 3"] = field(metadata=COORDINATES)
    dt: Float[Tensor, "systems"] = field(metadata=SYSTEMS)
    mix: Float[Tensor, "systems"] = field(metadata=SYSTEMS)
    since: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # steps since it went uphill


@dataclass(frozen=True)
class FIRE(Engine):
    """Fast inertial relaxation engine: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006).

    Args:
        fmax: a system is relaxed when no force exceeds this, eV/Å.
        max_steps: at most.
        cell: whether cells relax, in their periodic directions; or along which of x, y, z.
        max_move: longest move of an atom in a step, Å.
    """

    fmax: float = 0.01
    max_steps: int = 500
    cell: bool | list[bool] = False
    max_move: float = 0.2

    state = FireState

    def init(self, evaluate, structures, generator=None, fixed=None) -> FireState:
        one = structures.positions.new_ones(structures.n_systems)
        rest = structures.positions.new_zeros(structures.n_atoms + 3 * structures.n_systems, 3)
        first = _begin(evaluate, structures, fixed, self.cell)
        return FireState(**first, v=rest, dt=0.1 * one, mix=0.1 * one, since=0 * one)

    def step(self, evaluate: Evaluate, state: FireState, generator=None) -> FireState:
        own, f, v, n = state.owner, state.f, state.v, state.structures.n_systems
        downhill = _dot(f, v, own, n) > 0
        bold = downhill & (state.since > 5)
        length = (_dot(v, v, own, n) / _dot(f, f, own, n).clamp_min(1e-300)).sqrt()
        mixed = (1 - state.mix)[own, None] * v + (state.mix * length)[own, None] * f
        slower = 0.5 if state.step else 1.0  # the first step has no velocity, which is no reason for caution
        dt = torch.where(downhill, state.dt, slower * state.dt)
        dt = torch.where(bold, (1.1 * state.dt).clamp_max(1.0), dt)
        mix = torch.where(downhill, state.mix, torch.full_like(dt, 0.1))
        v = torch.where(downhill[own, None], mixed, torch.zeros_like(v)) + dt[own, None] * f
        moved = _move(evaluate, state, _capped(dt[own, None] * v, own, n, self.max_move))
        since = torch.where(downhill, state.since + 1, torch.zeros_like(dt))
        return replace(moved, v=v, dt=dt, mix=torch.where(bold, 0.99 * mix, mix), since=since)

    @property
    def n_steps(self) -> int:
        return self.max_steps

    def finished(self, state: Descent) -> Bool[Tensor, "systems"]:
        return state.fmax <= self.fmax

    def observe(self, state: Descent) -> dict[str, Float[Tensor, "systems"]]:
        return _observe(state)


@dataclass(frozen=True, eq=False)
class LBFGSState(Descent):
    """The last steps, and what they did to the forces; newest first."""

    s: Float[Tensor, "memory coordinates 3"] = field(metadata=COORDINATES | SECOND)  # steps
    y: Float[Tensor, "memory coordinates 3"] = field(metadata=COORDINATES | SECOND)  # changes of the gradient
    rho: Float[Tensor, "memory systems"] = field(
        metadata=SYSTEMS | SECOND
    )  # 1 / (s . y), or 0 for a step that is not used
    H: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # inverse curvature to begin with, Å²/eV


@dataclass(frozen=True)
class LBFGS(Engine):
    """Limited-memory Broyden-Fletcher-Goldfarb-Shanno: Nocedal and Wright, Numerical Optimization, algorithm 7.4.

    Args:
        fmax: a system is relaxed when no force exceeds this, eV/Å.
        max_steps: at most.
        cell: whether cells relax, in their periodic directions; or along which of x, y, z.
        max_move: longest move of an atom in a step, Å.
        memory: how many steps are remembered.
        curvature: with which the first step is made, eV/Å².
    """

    fmax: float = 0.01
    max_steps: int = 500
    cell: bool | list[bool] = False
    max_move: float = 0.2
    memory: int = 10
    curvature: float = 70.0

    state = LBFGSState

    def init(self, evaluate, structures, generator=None, fixed=None) -> LBFGSState:
        new = structures.positions.new_zeros
        none = new(0, structures.n_atoms + 3 * structures.n_systems, 3)
        H = new(structures.n_systems) + 1 / self.curvature
        first = _begin(evaluate, structures, fixed, self.cell)
        return LBFGSState(**first, s=none, y=none, rho=new(0, structures.n_systems), H=H)

    def step(self, evaluate: Evaluate, state: LBFGSState, generator=None) -> LBFGSState:
        own, n = state.owner, state.structures.n_systems
        z, a = state.f, []
        for s, y, rho in zip(state.s, state.y, state.rho):
            a.append(rho * _dot(s, z, own, n))
            z = z - a[-1][own, None] * y
        z = state.H[own, None] * z
        for s, y, rho, a_k in zip(state.s.flip(0), state.y.flip(0), state.rho.flip(0), reversed(a)):
            z = z + (a_k - rho * _dot(y, z, own, n))[own, None] * s
        uphill = _dot(z, state.f, own, n) < 0
        z = torch.where(uphill[own, None], state.f / self.curvature, z)
        moved = _move(evaluate, state, _capped(z, own, n, self.max_move))
        s, y = moved.x - state.x, state.f - moved.f
        sy, yy = _dot(s, y, own, n), _dot(y, y, own, n)
        bent = sy > 1e-8 * yy / self.curvature  # only where the energy curves upward is a step worth remembering
        rho = torch.where(bent, 1 / sy, torch.zeros_like(sy))
        newest = [
            torch.cat([x[None], old[: self.memory - 1]]) for x, old in ((s, state.s), (y, state.y), (rho, state.rho))
        ]
        return replace(moved, s=newest[0], y=newest[1], rho=newest[2], H=torch.where(bent, sy / yy, state.H))

    @property
    def n_steps(self) -> int:
        return self.max_steps

    def finished(self, state: Descent) -> Bool[Tensor, "systems"]:
        return state.fmax <= self.fmax

    def observe(self, state: Descent) -> dict[str, Float[Tensor, "systems"]]:
        return _observe(state)


def _begin(evaluate: Evaluate, structures: Structures, fixed, cell: bool | list[bool]) -> dict:
    """The fields of a ``Descent`` before its first step."""
    free = free_atoms(structures, fixed)
    axes = structures.positions.new_tensor([cell] * 3 if isinstance(cell, bool) else list(cell))
    strained = torch.diag(axes) @ structures.periodic_projector
    prediction = evaluate(structures)
    if prediction.stress is None and bool(strained.any()):
        raise ValueError("a cell can only relax when the stress is known: evaluate with stress=True")
    F = torch.eye(3).to(structures.positions) * structures.counts[:, None, None]
    x = torch.cat([structures.positions, F.reshape(-1, 3)])
    first = {"structures": structures, "prediction": prediction, "free": free, "step": 0}
    first |= {"start": structures.cell, "strained": strained, "x": x}
    return first | {"f": _forces(structures, prediction, free, strained, x)}


def _deformation(structures: Structures, x: Tensor) -> Float[Tensor, "systems 3 3"]:
    return x[structures.n_atoms :].reshape(-1, 3, 3) / structures.counts[:, None, None]


def _forces(structures, prediction, free, strained, x) -> Float[Tensor, "coordinates 3"]:
    """``-dE/dq = f F^T`` and ``-dE/d(n F) = -F^-T W / n``, with ``W`` the derivative by the strain."""
    f = prediction.forces * free[:, None]
    if not bool(strained.any()):
        return torch.cat([f, f.new_zeros(3 * structures.n_systems, 3)])
    F = _deformation(structures, x)
    W = torch.where(structures.pbc.any(1)[:, None, None], prediction.stress, torch.zeros_like(F))
    W = W * (structures.measure / structures.counts)[:, None, None]
    cells = -(strained @ torch.linalg.inv(F).mT @ W @ strained.mT)
    return torch.cat([(f[:, None, :] @ F.mT[structures.system])[:, 0, :], cells.reshape(-1, 3)])


def _move(evaluate: Evaluate, state: Descent, dx: Float[Tensor, "coordinates 3"]) -> Descent:
    old, x = state.structures, state.x + dx
    if bool(state.strained.any()):
        F = _deformation(old, x)
        positions = (x[: old.n_atoms, None, :] @ F[old.system])[:, 0, :]
        structures = replace(old, positions=positions, cell=state.start @ F)
    else:
        structures = old.with_positions(x[: old.n_atoms])
    prediction = evaluate(structures)
    f = _forces(structures, prediction, state.free, state.strained, x)
    return replace(state, structures=structures, prediction=prediction, x=x, f=f, step=state.step + 1)


def _dot(a: Tensor, b: Tensor, owner: Tensor, n: int) -> Float[Tensor, "systems"]:
    if n == 1:
        return (a * b).sum().reshape(1)
    return a.new_zeros(n).index_add(0, owner, (a * b).sum(-1))


def _capped(dx: Tensor, owner: Tensor, n: int, longest: float) -> Tensor:
    """Each system's step, shortened until its longest move is ``longest``."""
    length = dx.new_zeros(n).scatter_reduce(0, owner, torch.linalg.vector_norm(dx, dim=-1), "amax")
    return dx * (longest / length.clamp_min(longest))[owner, None]


def _observe(state: Descent) -> dict[str, Float[Tensor, "systems"]]:
    return {"potential energy (eV)": state.prediction.energy, "largest force (eV/Å)": state.fmax}
