"""Minimum energy paths: the nudged elastic band and the string, all images of all paths in one batch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..potential import Prediction
from ..structures import Structures, sum_systems
from .descent import Descent, FireState, LBFGSState, fire, steady
from .engine import Engine, Evaluate
from .interpolation import continuous, is_first, is_last
from .relaxation import begin
from .state import SYSTEMS


@dataclass(frozen=True, eq=False)
class Path(Descent):
    """Images one after another, path after path, ends included. ``f`` is what moves them, not the atoms' forces."""

    path: Int[Tensor, "systems"] = field(metadata=SYSTEMS)  # to which path each image belongs
    climbs: Bool[Tensor, "systems"] = field(metadata=SYSTEMS)  # whether the highest image of its path climbs

    @property
    def together(self) -> Int[Tensor, "systems"]:
        return self.path

    @property
    def inner(self) -> Bool[Tensor, "systems"]:
        """All images but the ends of paths."""
        return ~(is_first(self.path) | is_last(self.path))

    @property
    def top(self) -> Bool[Tensor, "systems"]:
        """The image between the ends that is the highest of its path and climbs; none where an end is the highest."""
        E = self.prediction.energy
        here = self.path[:, None] == self.path
        highest = torch.where(here, E, -torch.inf).amax(1)
        top = self.climbs & self.inner & (highest == E)
        return top & ~(here & top).tril(-1).any(1)

    @property
    def steps(self) -> tuple[Float[Tensor, "atoms 3"], Float[Tensor, "atoms 3"]]:
        """Ways to the next and from the last image, ``R_(i+1) - R_i`` and ``R_i - R_(i-1)``, Å; zero at the ends."""
        s = self.structures
        forward, backward = torch.zeros_like(s.positions), torch.zeros_like(s.positions)
        late = (~is_first(self.path))[s.system].nonzero()[:, 0]
        early = late - s.counts[s.system[late]]
        forward[early] = backward[late] = s.positions[late] - s.positions[early]
        return forward, backward

    def tangents(self, forward: Tensor, backward: Tensor) -> Float[Tensor, "atoms 3"]:
        """Unit vectors along the path, with the higher neighbor: Henkelman and Jónsson (2000), Eqs. 8 to 11."""
        E, inner = self.prediction.energy, self.inner
        to_next, to_last = E.roll(-1) - E, E.roll(1) - E
        larger, smaller = (pick(to_next.abs(), to_last.abs()) for pick in (torch.maximum, torch.minimum))
        up = to_next > to_last
        extreme = (to_next > 0) == (to_last > 0)
        a = torch.where(extreme, torch.where(up, larger, smaller), up.to(E))
        b = torch.where(extreme, torch.where(up, smaller, larger), 1 - up.to(E))
        flat = (a + b == 0) | ~inner
        a, b = (torch.where(flat, torch.ones_like(x), x)[self.structures.system, None] for x in (a, b))
        tangent = a * forward + b * backward
        length = sum_systems(tangent.square().sum(-1), self.structures).sqrt().clamp_min(1e-300)
        return tangent / length[self.structures.system, None]


@dataclass(frozen=True, eq=False)
class FirePath(Path, FireState):
    """A path moved by FIRE."""


@dataclass(frozen=True, eq=False)
class LBFGSPath(Path, LBFGSState):
    """A path moved by L-BFGS."""


class _Paths(Engine):
    """What the band and the string share: ends that stay, a tangent, an image that climbs, one optimizer per path."""

    fmax: float
    max_steps: int
    climb: bool
    climb_below: float
    optimizer: str
    max_move: float

    def __post_init__(self):
        if self.optimizer not in ("LBFGS", "FIRE"):
            raise ValueError(f"optimizer must be 'LBFGS' or 'FIRE', got {self.optimizer!r}")

    @property
    def state(self) -> type[Path]:
        return FirePath if self.optimizer == "FIRE" else LBFGSPath

    def init(
        self, evaluate: Evaluate, structures: Structures, generator=None, fixed=None, path: Tensor | None = None
    ) -> Path:
        """The state before the first step; ``path`` says to which path each image belongs, by default all to one."""
        path = torch.zeros(len(structures), dtype=torch.long) if path is None else torch.as_tensor(path).long()
        if len(path) != len(structures):
            raise ValueError(f"path must say for each of the {len(structures)} images to which it belongs")
        path = path.to(structures.device)
        first = begin(evaluate, continuous(structures, path), fixed)
        state = self.state(**first, **self.state.begin(first), path=path, climbs=torch.zeros_like(path).bool())
        return self._climbing(self._led(state))

    def step(self, evaluate: Evaluate, state: Path, generator=None) -> Path:
        def move(dx: Tensor) -> Path:
            s = state.structures
            moved = self._spread(replace(state, structures=s.with_positions(s.positions + dx[: s.n_atoms])))
            said = _of_inner(evaluate, moved)
            x = torch.cat([moved.structures.positions, state.x[s.n_atoms :]])
            return self._led(replace(moved, prediction=said, x=x, step=state.step + 1))

        moved = fire(state, move, self.max_move) if self.optimizer == "FIRE" else steady(state, move, self.max_move)
        other = (moved.top != state.top) & state.climbs  # another image climbs now
        return self._climbing(moved, moved.over(other.to(moved.x), "amax").bool())

    def _climbing(self, state: Path, new: Tensor | None = None) -> Path:
        """Let paths begin to climb that are near enough; where another image climbs, nothing learned holds."""
        new = torch.zeros_like(state.climbs) if new is None else new
        ready = (state.fmax < max(self.climb_below, self.fmax)) & ~state.climbs & self.climb
        if bool(ready.any()):
            state = self._led(replace(state, climbs=state.climbs | ready))
        return state.forgetting(new | ready) if bool((new | ready).any()) else state

    def _led(self, state: Path) -> Path:
        """With ``f``: the force across the path and what keeps images apart; the image that climbs, up along it."""
        s, (forward, backward) = state.structures, state.steps
        tangent, own = state.tangents(forward, backward), state.structures.system
        F = state.prediction.forces * state.free[:, None]
        along, top = sum_systems((F * tangent).sum(-1), s), state.top
        lengths = [sum_systems(d.square().sum(-1), s).sqrt() for d in (forward, backward)]
        pull = torch.where(top, -2 * along, self._spring(state, *lengths) - along)
        f = (F + pull[own, None] * tangent) * (state.inner[own] & state.free)[:, None]
        return replace(state, f=torch.cat([f, torch.zeros_like(state.x[s.n_atoms :])]))

    @abstractmethod
    def _spring(self, state: Path, ahead: Tensor, behind: Tensor) -> Float[Tensor, "systems"]:
        """The force along the path that keeps images apart, from the distances to their neighbors."""

    @abstractmethod
    def _spread(self, state: Path) -> Path:
        """Images put in their places along the path."""

    @property
    def n_steps(self) -> int:
        return self.max_steps

    def finished(self, state: Path) -> Bool[Tensor, "systems"]:
        return (state.fmax <= self.fmax) & (state.climbs | (not self.climb))

    def observe(self, state: Path) -> dict[str, Float[Tensor, "systems"]]:
        return {"potential energy (eV)": state.prediction.energy, "largest force on the path (eV/Å)": state.fmax}


@dataclass(frozen=True)
class NEB(_Paths):
    """Nudged elastic band with improved tangents and a climbing image, all images of one or many paths at once.

    ``f_i = F_i - (F_i · t_i) t_i + (k_(i+1) |R_(i+1) - R_i| - k_i |R_i - R_(i-1)|) t_i``; the highest image instead
    climbs, ``f = F - 2 (F · t) t``. Henkelman and Jónsson, J. Chem. Phys. 113, 9978 (2000); Henkelman, Uberuaga and
    Jónsson, J. Chem. Phys. 113, 9901 (2000). The systems are the images, ends included; ``run`` takes ``path``, which
    says to which path each belongs, and lets a path go when it has converged. Ends stay and cost nothing.

    Args:
        fmax: a path is found when no ``f`` on an atom exceeds this, eV/Å.
        max_steps: at most.
        climb: whether the highest image climbs to the saddle.
        climb_below: it begins when ``f`` has fallen below this, eV/Å.
        spring: constant of the springs between images, eV/Å². They do not move the path, but one as stiff as the bonds
            is found in fewest steps. Two: of the lowest and the highest image, in between by the energy above the
            higher end, so that images gather where it is high.
        optimizer: ``"LBFGS"``, or ``"FIRE"``, slower and harder to upset.
        max_move: longest move of an atom in a step, Å.
    """

    fmax: float = 0.02
    max_steps: int = 500
    climb: bool = True
    climb_below: float = 0.5
    spring: float | list[float] = 5.0
    optimizer: Literal["LBFGS", "FIRE"] = "LBFGS"
    max_move: float = 0.2

    def _spring(self, state: Path, ahead: Tensor, behind: Tensor) -> Float[Tensor, "systems"]:
        if isinstance(self.spring, int | float):
            return self.spring * (ahead - behind)
        weak, stiff = self.spring
        E, over = state.prediction.energy, state.over
        base = over(torch.where(state.inner, -torch.inf, E), "amax")
        height = ((E - base) / (over(E, "amax") - base).clamp_min(1e-12)).clamp(0, 1)
        k = weak + (stiff - weak) * height
        return torch.maximum(k, k.roll(-1)) * ahead - torch.maximum(k, k.roll(1)) * behind

    def _spread(self, state: Path) -> Path:
        return state


@dataclass(frozen=True)
class StringMethod(_Paths):
    """Zero-temperature string: images move across the path only, and are put at equal distances along it each step.

    E, Ren and Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007); the places come from a cubic spline through the
    images. Once the highest image climbs (Ren and Vanden-Eijnden, J. Chem. Phys. 138, 134105 (2013)) it stays where it
    is, and distances are equal on either side of it.

    Args:
        fmax: a path is found when no force across it exceeds this, eV/Å.
        max_steps: at most.
        climb: whether the highest image climbs to the saddle.
        climb_below: it begins when forces have fallen below this, eV/Å.
        optimizer: ``"LBFGS"``, or ``"FIRE"``, slower and harder to upset.
        max_move: longest move of an atom in a step, Å.
    """

    fmax: float = 0.02
    max_steps: int = 500
    climb: bool = True
    climb_below: float = 0.5
    optimizer: Literal["LBFGS", "FIRE"] = "LBFGS"
    max_move: float = 0.2

    def _spring(self, state: Path, ahead: Tensor, behind: Tensor) -> Float[Tensor, "systems"]:
        return torch.zeros_like(ahead)

    def _spread(self, state: Path) -> Path:
        positions, offsets, top = state.structures.positions.clone(), state.structures.offsets, state.top
        for p in state.path.unique().tolist():
            of = (state.path == p).nonzero()[:, 0]
            rows = slice(int(offsets[of[0]]), int(offsets[of[-1] + 1]))
            points = positions[rows].reshape(len(of), -1)
            positions[rows] = _equally_far(points, top[of].nonzero()[:, 0].tolist()).reshape(-1, 3)
        positions = torch.where(state.free[:, None], positions, state.structures.positions)
        return replace(state, structures=state.structures.with_positions(positions))


def _equally_far(points: Float[Tensor, "images n"], held: list[int]) -> Float[Tensor, "images n"]:
    """Points at equal distances along the spline through them, between the ends and those that are held."""
    from scipy.interpolate import CubicSpline

    s = torch.cat([points.new_zeros(1), torch.linalg.vector_norm(points.diff(dim=0), dim=1).cumsum(0)])
    stops = [0, *held, len(points) - 1]
    places = s.clone()
    for a, b in pairwise(stops):
        places[a : b + 1] = s[a] + (s[b] - s[a]) * torch.linspace(0, 1, b - a + 1).to(s)
    spline = CubicSpline(s.cpu().numpy(), points.cpu().numpy())
    moved = torch.as_tensor(spline(places.cpu().numpy())).to(points)
    moved[stops] = points[stops]
    return moved


def _of_inner(evaluate: Evaluate, state: Path) -> Prediction:
    """What is said of the images between the ends, and was said of the ends."""
    s, inner = state.structures, state.inner
    part = s[inner.nonzero()[:, 0].tolist()]
    atoms, systems = inner[s.system], inner

    def put(old: Prediction, new: Prediction) -> Prediction:
        values = {}
        for name, x in old._asdict().items():
            y = getattr(new, name)
            if x is None or y is None:
                values[name] = None
            elif name == "std":
                values[name] = put(x, y)
            else:
                values[name] = x.clone()
                values[name][atoms if name in ("forces", "energies", "charges") else systems] = y.to(x)
        return Prediction(**values)

    return put(state.prediction, evaluate(part))
