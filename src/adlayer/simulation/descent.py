"""Ways downhill: how FIRE and L-BFGS choose the next step, whatever the forces are that they follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..potential import Prediction
from ..structures import Structures
from .state import COORDINATES, SECOND, SYSTEMS, State, largest

CURVATURE = 70.0  # eV/Å², with which L-BFGS makes its first step: that of a stiff bond


@dataclass(frozen=True, eq=False)
class Descent(State):
    """Atoms and cells on their way down.

    The coordinates ``x`` of a system are its atoms at the deformation it started with, ``q = r F^-1``, and, after those
    of all atoms, ``n F`` with ``n`` its number of atoms, so that a step strains a cell as much as it moves atoms.
    Systems that belong together, such as the images of a path, are one point of a larger space: their scalar products
    are added up.
    """

    start: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # cell at the start, Å; now it is start @ F
    strained: Float[Tensor, "systems 3 3"] = field(metadata=SYSTEMS)  # projects on the directions a cell may strain in
    x: Float[Tensor, "coordinates 3"] = field(metadata=COORDINATES)
    f: Float[Tensor, "coordinates 3"] = field(metadata=COORDINATES)  # the forces that are followed, eV/Å

    @property
    def owner(self) -> Int[Tensor, "coordinates"]:
        """The system to which each coordinate belongs."""
        cells = torch.arange(self.structures.n_systems, device=self.x.device).repeat_interleave(3)
        return torch.cat([self.structures.system, cells])

    @property
    def fmax(self) -> Float[Tensor, "systems"]:
        """The largest force on an atom, or on the cell as a force per atom, eV/Å; of all that belong together."""
        size = torch.linalg.vector_norm(self.f, dim=-1)
        n = self.structures.n_atoms
        return self.over(torch.maximum(largest(size[:n], self.structures), size[n:].reshape(-1, 3).amax(-1)), "amax")

    def dot(self, a: Tensor, b: Tensor) -> Float[Tensor, "systems"]:
        """Scalar products, of each system or of all that belong together."""
        n = self.structures.n_systems
        if n == 1:
            return (a * b).sum().reshape(1)
        return self.over(a.new_zeros(n).index_add(0, self.owner, (a * b).sum(-1)), "sum")

    def capped(self, dx: Tensor, longest: float) -> Float[Tensor, "coordinates 3"]:
        """Steps, each as a whole shortened until its longest move is ``longest``."""
        own, length = self.owner, torch.linalg.vector_norm(dx, dim=-1)
        length = self.over(dx.new_zeros(self.structures.n_systems).scatter_reduce(0, own, length, "amax"), "amax")
        return dx * (longest / length.clamp_min(longest))[own, None]

    def forgetting(self, which: Bool[Tensor, "systems"]) -> Descent:
        """Without what was learned on the way, in systems whose forces are no longer those that it was learned from."""
        return self

    def over(self, x: Float[Tensor, "systems"], how: str) -> Float[Tensor, "systems"]:
        """The sum, or the largest (``"amax"``), of all systems that belong together, for each of them."""
        if (group := self.together) is None or not len(x):
            return x
        return x.new_zeros(int(group.max()) + 1).scatter_reduce(0, group, x, how, include_self=False)[group]


Move = Callable[[Tensor], Descent]
"""Moves the coordinates by a step and says what the forces are there."""


@dataclass(frozen=True, eq=False)
class FireState(Descent):
    """How fast, and how boldly."""

    v: Float[Tensor, "coordinates 3"] = field(metadata=COORDINATES)
    dt: Float[Tensor, "systems"] = field(metadata=SYSTEMS)
    mix: Float[Tensor, "systems"] = field(metadata=SYSTEMS)
    since: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # steps since it went uphill

    @staticmethod
    def begin(first: dict) -> dict:
        """What is remembered before the first step."""
        one = torch.ones_like(first["start"][:, 0, 0])
        return {"v": torch.zeros_like(first["x"]), "dt": 0.1 * one, "mix": 0.1 * one, "since": 0 * one}

    def forgetting(self, which: Bool[Tensor, "systems"]) -> FireState:
        return replace(self, v=self.v * ~which[self.owner, None])


def fire(state: FireState, move: Move, max_move: float) -> FireState:
    """One step of the fast inertial relaxation engine: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006)."""
    own, f, v = state.owner, state.f, state.v
    downhill = state.dot(f, v) > 0
    bold = downhill & (state.since > 5)
    length = (state.dot(v, v) / state.dot(f, f).clamp_min(1e-300)).sqrt()
    mixed = (1 - state.mix)[own, None] * v + (state.mix * length)[own, None] * f
    slower = 0.5 if state.step else 1.0  # the first step has no velocity, which is no reason for caution
    dt = torch.where(downhill, state.dt, slower * state.dt)
    dt = torch.where(bold, (1.1 * state.dt).clamp_max(1.0), dt)
    mix = torch.where(downhill, state.mix, torch.full_like(dt, 0.1))
    v = torch.where(downhill[own, None], mixed, torch.zeros_like(v)) + dt[own, None] * f
    moved = move(state.capped(dt[own, None] * v, max_move))
    since = torch.where(downhill, state.since + 1, torch.zeros_like(dt))
    return replace(moved, v=v, dt=dt, mix=torch.where(bold, 0.99 * mix, mix), since=since)


@dataclass(frozen=True, eq=False)
class LBFGSState(Descent):
    """The last steps, and what they did to the forces; newest first."""

    s: Float[Tensor, "memory coordinates 3"] = field(metadata=COORDINATES | SECOND)  # steps
    y: Float[Tensor, "memory coordinates 3"] = field(metadata=COORDINATES | SECOND)  # changes of the gradient
    rho: Float[Tensor, "memory systems"] = field(metadata=SYSTEMS | SECOND)  # 1 / (s . y), or 0 for one not used
    H: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # inverse curvature to begin with, Å²/eV

    @staticmethod
    def begin(first: dict, curvature: float = CURVATURE) -> dict:
        """What is remembered before the first step."""
        n, none = len(first["start"]), first["x"][None, :0].new_zeros(0, *first["x"].shape)
        return {"s": none, "y": none, "rho": none.new_zeros(0, n), "H": none.new_full((n,), 1 / curvature)}

    def forgetting(self, which: Bool[Tensor, "systems"]) -> LBFGSState:
        return replace(self, rho=self.rho * ~which, H=torch.where(which, 1 / CURVATURE, self.H))


def lbfgs(
    state: LBFGSState,
    move: Move,
    max_move: float,
    memory: int = 10,
    curvature: float = CURVATURE,
    rise: float = torch.inf,
) -> LBFGSState:
    """One step of limited-memory BFGS: Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4.

    A step that raises the energy by more than ``rise`` (eV) is taken back, though what it taught is kept.
    """
    own, z, a = state.owner, state.f, []
    for s, y, rho in zip(state.s, state.y, state.rho):
        a.append(rho * state.dot(s, z))
        z = z - a[-1][own, None] * y
    z = state.H[own, None] * z
    for s, y, rho, a_k in zip(state.s.flip(0), state.y.flip(0), state.rho.flip(0), reversed(a)):
        z = z + (a_k - rho * state.dot(y, z))[own, None] * s
    uphill = state.dot(z, state.f) < 0
    z = torch.where(uphill[own, None], state.f / curvature, z)
    moved = move(state.capped(z, max_move))
    s, y = moved.x - state.x, state.f - moved.f
    sy, yy = state.dot(s, y), state.dot(y, y)
    bent = sy > 1e-8 * yy / curvature  # only where the energy curves upward is a step worth remembering
    rho = torch.where(bent, 1 / sy, torch.zeros_like(sy))
    newest = [torch.cat([x[None], old[: memory - 1]]) for x, old in ((s, state.s), (y, state.y), (rho, state.rho))]
    H = torch.where(bent, sy / yy, state.H)
    back = moved.prediction.energy > state.prediction.energy + rise
    if not bool(back.any()):
        return replace(moved, s=newest[0], y=newest[1], rho=newest[2], H=H)
    blind = back & ~bent  # it would be made again
    H, rho = torch.where(blind, 0.1 * H, H), newest[2] * ~blind
    return replace(_taken_back(moved, state, back), s=newest[0], y=newest[1], rho=rho, H=H)


def steady(state: LBFGSState, move: Move, max_move: float) -> LBFGSState:
    """One step of L-BFGS for forces that are no gradient, as towards a path or a saddle: it forgets when they grow."""
    moved = lbfgs(state, move, max_move)
    grown = moved.dot(moved.f, moved.f) > 4 * state.dot(state.f, state.f)
    blind = moved.rho[0] == 0
    return moved.forgetting(grown | blind) if bool((grown | blind).any()) else moved


def _taken_back(moved: Descent, state: Descent, back: Bool[Tensor, "systems"]) -> Descent:
    """As it was before the step, in some systems."""
    both = Structures.cat([moved.structures, state.structures])
    said = Prediction.cat([(moved.structures, moved.prediction), (state.structures, state.prediction)])
    place = (torch.arange(len(back), device=back.device) + len(back) * back).tolist()
    here = back[state.owner, None]
    return replace(
        moved,
        structures=both[place],
        prediction=said.select(both, place),
        x=torch.where(here, state.x, moved.x),
        f=torch.where(here, state.f, moved.f),
    )
