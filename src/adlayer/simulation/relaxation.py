"""Relaxation of many structures at once, cells included, each until its own forces are small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..structures import Structures
from .descent import Descent, FireState, LBFGSState, fire, lbfgs
from .engine import Engine, Evaluate, free_atoms


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
        first = begin(evaluate, structures, fixed, self.cell)
        return FireState(**first, **FireState.begin(first))

    def step(self, evaluate: Evaluate, state: FireState, generator=None) -> FireState:
        return fire(state, partial(_move, evaluate, state), self.max_move)

    @property
    def n_steps(self) -> int:
        return self.max_steps

    def finished(self, state: Descent) -> Bool[Tensor, "systems"]:
        return state.fmax <= self.fmax

    def observe(self, state: Descent) -> dict[str, Float[Tensor, "systems"]]:
        return _observe(state)


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
        max_rise: a step that raises the energy by more is taken back, eV.
    """

    fmax: float = 0.01
    max_steps: int = 500
    cell: bool | list[bool] = False
    max_move: float = 0.2
    memory: int = 10
    curvature: float = 70.0
    max_rise: float = 0.01

    state = LBFGSState

    def init(self, evaluate, structures, generator=None, fixed=None) -> LBFGSState:
        first = begin(evaluate, structures, fixed, self.cell)
        return LBFGSState(**first, **LBFGSState.begin(first, self.curvature))

    def step(self, evaluate: Evaluate, state: LBFGSState, generator=None) -> LBFGSState:
        move = partial(_move, evaluate, state)
        return lbfgs(state, move, self.max_move, self.memory, self.curvature, self.max_rise)

    @property
    def n_steps(self) -> int:
        return self.max_steps

    def finished(self, state: Descent) -> Bool[Tensor, "systems"]:
        return state.fmax <= self.fmax

    def observe(self, state: Descent) -> dict[str, Float[Tensor, "systems"]]:
        return _observe(state)


def begin(evaluate: Evaluate, structures: Structures, fixed, cell: bool | list[bool] = False) -> dict:
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


def _observe(state: Descent) -> dict[str, Float[Tensor, "systems"]]:
    return {"potential energy (eV)": state.prediction.energy, "largest force (eV/Å)": state.fmax}
