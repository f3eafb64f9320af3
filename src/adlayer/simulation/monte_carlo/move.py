"""What a move is: a proposal for every system of a batch at once, with the logarithm of its proposal ratio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from ase.data import atomic_numbers
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import Part, nearest
from ...potential import Evaluate, Prediction
from .state import Sampling, names

if TYPE_CHECKING:
    from .gas import Gas


class Proposal(NamedTuple):
    """What a move would have become of each system.

    Atoms that are not ``gone`` from the old systems or ``changed`` in the new ones are the same, in the same order.
    """

    state: Sampling  # its prediction is still that of before
    log_ratio: Float[Tensor, "systems"]  # ln q(old | new) / q(new | old); -inf where there was nothing to propose
    gone: Bool[Tensor, "old_atoms"] | None = None  # atoms whose place or element is left; None: any
    changed: Bool[Tensor, "new_atoms"] | None = None  # atoms that are new, elsewhere or of another element; None: any
    prediction: Prediction | None = None  # where the move had to evaluate it


class Move(Part, ABC):
    """A way from one configuration to another. It proposes; whether that is accepted is decided in one place.

    ``weight`` is how often it is tried relative to the others. A move with a ``step`` is widened or narrowed during
    equilibration until ``acceptance`` of its proposals are accepted.
    """

    weight: float
    acceptance: ClassVar[float | None] = None

    def check(self, state: Sampling, gases: Sequence[Gas]) -> None:
        """Raise ``ValueError`` where the move makes no sense for these systems."""

    @abstractmethod
    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        """One proposal for each system."""


@dataclass(frozen=True)
class Chance:
    """What a move draws from, and whom it may ask.

    Args:
        generator: of all random numbers.
        evaluate: for moves that follow forces, or need the energy of something apart.
        gases: what is exchanged with reservoirs.
        scale: of each system, the step size in units of the move's own.
    """

    generator: torch.Generator
    evaluate: Evaluate
    gases: Sequence[Gas]
    scale: Float[Tensor, "systems"]

    def uniform(self, *shape: int) -> Tensor:
        """Between 0 and 1."""
        return torch.rand(*shape, generator=self.generator, dtype=torch.float64).to(self.scale)

    def normal(self, *shape: int) -> Tensor:
        """Of mean 0 and variance 1."""
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64).to(self.scale)

    def choose(
        self, mask: Bool[Tensor, "things"], system: Int[Tensor, "things"]
    ) -> tuple[Int[Tensor, "systems"], Float[Tensor, "systems"]]:
        """One of the things of each system for which the mask is true, and how many those are.

        Where there is none, any index of a thing is given: look at the number.
        """
        n = len(self.scale)
        count = torch.bincount(system[mask], minlength=n)
        start = count.cumsum(0) - count
        place = start + (self.uniform(n) * count).long().minimum(count - 1).clamp_min(0)
        candidates = torch.cat([mask.nonzero()[:, 0], count.new_zeros(1)])
        return candidates[place.clamp_max(len(candidates) - 1)], count.to(self.scale)

    def gas(self, of: str) -> int:
        """The place of a gas in the list."""
        return gas_index(of, self.gases)


def gas_index(of: str, gases: Sequence[Gas]) -> int:
    """The place of the gas named so."""
    known = [gas.of for gas in gases]
    if of not in known:
        raise ValueError(
            f"there is no gas {of!r} to exchange with{nearest(of, known)}; among the reservoirs are {names(known)}"
        )
    return known.index(of)


def of_kind(state: Sampling, of: str | None, gases: Sequence[Gas]) -> Bool[Tensor, "atoms"]:
    """Atoms that belong to a gas, or are of an element, of that name; all of them for None."""
    if of is None:
        return torch.ones_like(state.free)
    if of in [gas.of for gas in gases]:
        return state.kind == gas_index(of, gases)
    if of not in atomic_numbers:
        known = [gas.of for gas in gases]
        raise ValueError(f"{of!r} is neither an element nor a gas{nearest(of, known)}; gases: {names(known)}")
    return state.structures.numbers == atomic_numbers[of]


def possible(exists: Bool[Tensor, "systems"], log_ratio: Tensor | float = 0.0) -> Float[Tensor, "systems"]:
    """The log ratio where there was something to propose, and -inf elsewhere."""
    ratio = torch.zeros(len(exists), dtype=torch.float64) + log_ratio
    return torch.where(exists, ratio, torch.full_like(ratio, -torch.inf))
