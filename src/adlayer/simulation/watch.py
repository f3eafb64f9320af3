"""What a run is watched for, so that it stops, and says why, before its numbers mean nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import Part
from ..neighbors import NeighborList
from .state import State, largest


class Watch(Part, ABC):
    """A quantity of each system that must not pass a limit."""

    limit: float
    what: str  # the quantity and its unit, for the message
    below: bool = False  # whether it is too low rather than too high that is bad

    @abstractmethod
    def measure(self, state: State) -> Float[Tensor, "systems"]:
        """The quantity now."""

    def alarm(self, state: State) -> dict[int, str]:
        """The systems in which the limit is passed, and the reason as a sentence. What is not a number passes any."""
        value = self.measure(state)
        fine = value >= self.limit if self.below else value <= self.limit
        if bool(fine.all()):
            return {}
        name, unit = self.what.split(" (")
        side = "below" if self.below else "above"
        return {
            s: f"{name} {float(value[s]):.3g} {unit[:-1]} is {side} the limit of {self.limit:g}"
            for s in (~fine).nonzero()[:, 0].tolist()
        }


@dataclass(frozen=True)
class MaxTemperature(Watch):
    """Stop when the kinetic temperature runs away.

    Args:
        limit: K.
    """

    limit: float = 5000.0
    what = "temperature (K)"

    def measure(self, state: State) -> Float[Tensor, "systems"]:
        return _known(self, state, "kinetic_temperature", "dynamics")


@dataclass(frozen=True)
class MinDistance(Watch):
    """Stop when two atoms come too close.

    Args:
        limit: Å.
    """

    limit: float = 0.7
    neighbors: NeighborList = field(init=False, repr=False)
    what = "distance between two atoms (Å)"
    below = True

    def __post_init__(self):
        object.__setattr__(self, "neighbors", NeighborList(self.limit, skin=1.0))

    def measure(self, state: State) -> Float[Tensor, "systems"]:
        pairs = self.neighbors(state.structures)
        length = torch.linalg.vector_norm(pairs.vectors, dim=-1)
        least = state.structures.positions.new_full((state.structures.n_systems,), torch.inf)
        return least.scatter_reduce(0, state.structures.system[pairs.i], length, "amin")


@dataclass(frozen=True)
class MaxUncertainty(Watch):
    """Stop when the standard deviation of a force becomes too large: the largest norm of all atoms that move.

    Args:
        limit: eV/Å.
    """

    limit: float = 0.5
    what = "uncertainty of a force (eV/Å)"

    def measure(self, state: State) -> Float[Tensor, "systems"]:
        std = state.prediction.std
        if std is None and state.step > 0:  # a step at which nobody was asked
            return state.structures.positions.new_zeros(state.structures.n_systems)
        if std is None or std.forces is None:
            raise ValueError(
                "MaxUncertainty needs predictions with standard deviations of forces: evaluate with an ensemble"
            )
        return largest(torch.linalg.vector_norm(std.forces, dim=-1) * state.free, state.structures)


@dataclass(frozen=True)
class MaxDrift(Watch):
    """Stop when what the equations of motion conserve is lost: the time step is too long, or forces are no derivatives.

    Args:
        limit: eV/atom.
    """

    limit: float = 0.01
    what = "drift of the conserved energy (eV/atom)"

    def measure(self, state: State) -> Float[Tensor, "systems"]:
        start = _known(self, state, "origin", "dynamics")
        return (state.conserved - start).abs() / state.structures.counts


@dataclass(frozen=True)
class MaxStrain(Watch):
    """Stop when a cell has strained too far from where it started: the largest element of the strain.

    Args:
        limit: of the strain.
    """

    limit: float = 0.3
    what = "strain of the cell (Å/Å)"

    def measure(self, state: State) -> Float[Tensor, "systems"]:
        start = _known(self, state, "start", "a run in which cells move")
        pbc = state.structures.pbc[:, :, None]
        now, start = pbc * state.structures.cell, pbc * start
        return (torch.linalg.pinv(start) @ (now - start)).abs().amax((1, 2))


def _known(watch: Watch, state: State, name: str, where: str) -> Tensor:
    if not hasattr(state, name):
        raise ValueError(f"{type(watch).__name__} can only watch {where}, where it knows its quantity")
    return getattr(state, name)
