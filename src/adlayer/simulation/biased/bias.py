"""Dynamics under a bias: forces along collective variables, beside those of the potential."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ...potential import Prediction
from ...structures import Structures
from ..engine import Engine, Evaluate
from ..motion import Dynamics, Motion
from ..state import ATOMS, SYSTEMS
from .variables import CollectiveVariable, names, values


@dataclass(frozen=True, eq=False)
class Biased(Motion):
    """Atoms that move under a bias. ``prediction`` is what the potential alone says."""

    variables: Float[Tensor, "systems D"] = field(metadata=SYSTEMS)
    bias: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV
    bias_forces: Float[Tensor, "atoms 3"] = field(metadata=ATOMS)  # eV/Å
    bias_stress: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # eV per measure
    work: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV, put in by changes of the bias so far

    @property
    def conserved(self) -> Float[Tensor, "systems"]:
        return super().conserved + self.bias - self.work


@functools.cache
def biased(extra: type[Biased], kind: type[Motion]) -> type[Biased]:
    """The state of dynamics of one kind under a bias of the other."""
    return dataclass(frozen=True, eq=False)(type(f"{extra.__name__}{kind.__name__}", (extra, kind), {}))


class Bias(Engine, ABC):
    """Any dynamics with a bias. All that the bias has become is in the state, so a run goes on where it was killed."""

    dynamics: Dynamics
    extra: type[Biased] = Biased

    @property
    @abstractmethod
    def along(self) -> Sequence[CollectiveVariable]:
        """All variables on which the bias depends."""

    @abstractmethod
    def energy(self, state: Biased, s: Float[Tensor, "systems D"]) -> Float[Tensor, "systems"]:
        """The bias at values of the variables, eV, such that torch can differentiate it."""

    @abstractmethod
    def first(self, state: Motion, s: Float[Tensor, "systems D"]) -> dict[str, Tensor]:
        """What ``extra`` adds to ``Biased``, at the start."""

    def change(self, state: Biased) -> Biased | None:
        """The state with the bias of the coming step; None where it stays as it is."""
        return None

    @property
    def state(self) -> type[Biased]:
        return biased(self.extra, self.dynamics.state)

    @property
    def timestep(self) -> float:
        return self.dynamics.timestep

    @property
    def n_steps(self) -> int:
        return self.dynamics.n_steps

    def init(self, evaluate, structures, generator, fixed=None, **settings) -> Biased:
        """The first state of the dynamics, and the bias there."""
        bare = self.dynamics.init(evaluate, structures, generator, fixed=fixed, **settings)
        s, zero = values(self.along, structures), torch.zeros_like(bare.temperature)
        own = {"variables": s, "bias": zero, "work": zero, "bias_forces": torch.zeros_like(structures.positions)}
        own |= {"bias_stress": torch.zeros_like(structures.cell)} | self.first(bare, s)
        state = self.state(**{f.name: getattr(bare, f.name) for f in fields(bare)}, **own)
        state = replace(state, **self.evaluate(state, structures))
        return replace(state, origin=state.conserved)

    def step(self, evaluate: Evaluate, state: Biased, generator: torch.Generator) -> Biased:
        if (changed := self.change(state)) is not None:
            now = self.evaluate(changed, changed.structures)
            state = replace(changed, **now, work=state.work + now["bias"] - state.bias)
        last = {}

        def both(structures: Structures) -> Prediction:
            last["said"], last["bias"] = evaluate(structures), self.evaluate(state, structures)
            return _add(last["said"], last["bias"])

        together = _add(state.prediction, {f.name: getattr(state, f.name) for f in fields(Biased)})
        moved = self.dynamics.step(both, replace(state, prediction=together), generator)
        return replace(moved, prediction=last["said"], **last["bias"])

    def evaluate(self, state: Biased, structures: Structures) -> dict[str, Tensor]:
        """The variables, the bias, its forces and its stress."""
        with torch.enable_grad():
            x = structures.positions.detach().requires_grad_()
            e = torch.zeros_like(structures.cell).requires_grad_()
            positions = x + (x[:, None] @ e[structures.system])[:, 0]
            strained = replace(structures, positions=positions, cell=structures.cell + structures.cell @ e)
            s = values(self.along, strained)
            energy = self.energy(state, s)
            if energy.requires_grad:
                dx, de = torch.autograd.grad(energy.sum(), [x, e])
            else:
                dx, de = torch.zeros_like(x), torch.zeros_like(e)
        P = structures.periodic_projector
        stress = P @ (0.5 * (de + de.mT)) @ P / structures.measure[:, None, None]
        return {"variables": s.detach(), "bias": energy.detach(), "bias_forces": -dx, "bias_stress": stress}

    def observe(self, state: Biased) -> dict[str, Float[Tensor, "systems"]]:
        seen = self.dynamics.observe(state) | {"bias (eV)": state.bias}
        return seen | dict(zip(names(self.along), state.variables.unbind(-1)))


def _add(said: Prediction, bias: dict[str, Tensor]) -> Prediction:
    stress = None if said.stress is None else said.stress + bias["bias_stress"]
    return said._replace(energy=said.energy + bias["bias"], forces=said.forces + bias["bias_forces"], stress=stress)
