"""Saddle points from one side: uphill along the softest mode, downhill in all others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..structures import Structures, sum_systems
from .curvature import lowest_modes
from .descent import LBFGSState, steady
from .engine import Engine, Evaluate
from .relaxation import begin
from .state import ATOMS, SYSTEMS, largest


@dataclass(frozen=True, eq=False)
class Climb(LBFGSState):
    """On the way to a saddle. ``f`` is what moves the atoms, not their forces."""

    mode: Float[Tensor, "atoms 3"] = field(metadata=ATOMS)  # the softest, of unit length
    curvature: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # along it, eV/Å²

    @property
    def fmax(self) -> Float[Tensor, "systems"]:
        """The largest true force, eV/Å."""
        return largest(torch.linalg.vector_norm(self.prediction.forces * self.free[:, None], dim=-1), self.structures)


@dataclass(frozen=True)
class Dimer(Engine):
    """Min-mode following, many searches at once: the force along the softest mode is turned round.

    ``f = F - 2 (F · N) N`` where the curvature along ``N`` is negative; where it is not, the longest move uphill along
    ``N``. Henkelman and Jónsson, J. Chem. Phys. 111, 7010 (1999). The dimer is turned in the space of its own
    direction and the forces that turn it (Lanczos's method), by one-sided differences.

    Args:
        fmax: a saddle is found when no force exceeds this, eV/Å, and the curvature is negative.
        max_steps: at most.
        rotations: how often the dimer is turned at each step, at most; before the first step ten times as often.
        tolerance: the dimer is turned no further when ``|H N - C N|`` is below this, eV/Å².
        delta: half its length, Å.
        push: length of a first displacement along the first guess at the mode, out of the minimum, Å.
        max_move: longest move of an atom in a step, Å.
    """

    fmax: float = 0.01
    max_steps: int = 500
    rotations: int = 2
    tolerance: float = 0.1
    delta: float = 0.01
    push: float = 0.1
    max_move: float = 0.1

    state = Climb

    def init(
        self,
        evaluate: Evaluate,
        structures: Structures,
        generator: torch.Generator | None = None,
        fixed: Bool[Tensor, "atoms"] | None = None,
        mode: Tensor | None = None,
    ) -> Climb:
        """The state before the first step; ``mode`` is where to go, of any length, or random."""
        generator = generator or torch.Generator().manual_seed(0)
        shape, own = structures.positions.shape, structures.system
        if mode is None:
            mode = torch.randn(shape, generator=generator, dtype=torch.float64)
        elif mode.shape != shape:
            raise ValueError(f"mode must have the shape of the positions, {tuple(shape)}, got {tuple(mode.shape)}")
        mode = mode.to(structures.positions)
        if fixed is not None:
            mode = mode * ~fixed[:, None]
        length = sum_systems(mode.square().sum(-1), structures).sqrt()
        if not bool((length > 0).all()):
            raise ValueError("a dimer needs a direction: its mode is zero, or all atoms are fixed")
        mode = mode / length[own, None]
        first = begin(evaluate, structures.with_positions(structures.positions + self.push * mode), fixed)
        zero = structures.positions.new_zeros(structures.n_systems)
        state = Climb(**first, **LBFGSState.begin(first), mode=mode, curvature=zero)
        return self._turned(evaluate, state, 10 * self.rotations)

    def step(self, evaluate: Evaluate, state: Climb, generator=None) -> Climb:
        def move(dx: Tensor) -> Climb:
            s, n = state.structures, state.structures.n_atoms
            longest = largest(torch.linalg.vector_norm(state.mode, dim=-1), s).clamp_min(1e-12)
            down = sum_systems((state.prediction.forces * state.mode).sum(-1), s)
            stride = torch.where(down > 0, -self.max_move, self.max_move) / longest
            convex = (state.curvature >= 0)[s.system, None]
            dx = torch.where(convex, stride[s.system, None] * state.mode, dx[:n])
            structures = s.with_positions(s.positions + dx)
            x = torch.cat([structures.positions, state.x[n:]])
            said = evaluate(structures)
            moved = replace(state, structures=structures, prediction=said, x=x, step=state.step + 1)
            return self._turned(evaluate, moved, self.rotations)

        moved = steady(state, move, self.max_move)
        changed = (state.curvature < 0) != (moved.curvature < 0)
        return moved.forgetting(changed) if bool(changed.any()) else moved

    def _turned(self, evaluate: Evaluate, state: Climb, rotations: int) -> Climb:
        """With the mode as it is here, and the force that follows it."""
        s, F = state.structures, state.prediction.forces * state.free[:, None]
        settings = {"delta": self.delta, "tolerance": self.tolerance, "max_products": rotations + 1}
        found = lowest_modes(evaluate, s, state.free, 1, state.mode, forces=F, **settings)
        N, C = found.directions[0], found.curvatures[:, 0]
        N = N * torch.where(sum_systems((N * state.mode).sum(-1), s) < 0, -1.0, 1.0).to(N)[s.system, None]
        along = sum_systems((F * N).sum(-1), s)[s.system, None] * N
        f = torch.where((C < 0)[s.system, None], F - 2 * along, -along)
        return replace(state, mode=N, curvature=C, f=torch.cat([f, torch.zeros_like(state.x[s.n_atoms :])]))

    @property
    def n_steps(self) -> int:
        return self.max_steps

    def finished(self, state: Climb) -> Bool[Tensor, "systems"]:
        return (state.fmax <= self.fmax) & (state.curvature < 0)

    def observe(self, state: Climb) -> dict[str, Float[Tensor, "systems"]]:
        return {
            "potential energy (eV)": state.prediction.energy,
            "largest force (eV/Å)": state.fmax,
            "lowest curvature (eV/Å²)": state.curvature,
        }
