"""The one interface of all searches for minima: ``init`` and ``step`` on a population that carries the archive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import Part
from ...potential import Prediction
from ...structures import Structures
from ..state import SYSTEMS, State
from .geometry import radii
from .landscape import Landscape, Quenched
from .minima import Minima


@dataclass(frozen=True, eq=False)
class Population(State):
    """Where the walkers or members of a search are, each in a minimum, and all that was found on the way."""

    energy: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV; infinite for a member that is in no minimum
    features: Float[Tensor, "systems features"] = field(metadata=SYSTEMS)  # fingerprints
    minima: Minima  # the archive
    relaxed: int  # relaxations made
    evaluations: int  # structures evaluated

    def tell(
        self, landscape: Landscape, found: Quenched, rank: Float[Tensor, "found"] | None = None
    ) -> tuple[Any, list[bool]]:
        """The state with what was found in its archive, and which of it is new: the one place that adds to it.

        Args:
            landscape: tells minima apart.
            found: what was relaxed.
            rank: what minima are ordered by, eV; default: their energies.
        """
        batch = Minima.of(found, found.energy if rank is None else rank, self.relaxed)
        minima, new = self.minima.add(batch, found.good, landscape.fingerprint, landscape.keep)
        relaxed, evaluations = self.relaxed + len(new), self.evaluations + found.evaluations
        return replace(self, minima=minima, relaxed=relaxed, evaluations=evaluations), new

    def joined(self, found: Quenched, free: Bool[Tensor, "found_atoms"], **changes: Any) -> Any:
        """The members, and after them what was found; with whatever else changes thereby."""
        both = [(self.structures, self.prediction), (found.structures, found.prediction)]
        return replace(
            self,
            structures=Structures.cat(s for s, _ in both),
            prediction=Prediction.cat(both),
            free=torch.cat([self.free, free]),
            energy=torch.cat([self.energy, found.energy]),
            features=torch.cat([self.features, found.features]),
            **changes,
        )


class Search(Part, ABC):
    """Looks for low minima, with several structures at a time, all of which are relaxed in one batch.

    Like an engine, a search keeps nothing itself: all that a step needs of the last is in the state, and all its chance
    comes from the generator.
    """

    state: ClassVar[type[Population]] = Population

    @abstractmethod
    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Population:
        """The state before the first step, from seeds of one composition whose atoms are in the same order."""

    @abstractmethod
    def step(self, landscape: Landscape, state: Population, generator: torch.Generator) -> Population:
        """The state one step later."""

    @abstractmethod
    def n_steps(self, state: Population) -> int:
        """How many steps the whole search has, as far as is known in this state."""

    @property
    def numbers(self) -> Int[Tensor, "elements"]:
        """Atomic numbers of elements that the seeds may lack."""
        return torch.zeros(0, dtype=torch.long)


def populate(landscape: Landscape, structures: Structures, free: Bool[Tensor, "atoms"]) -> Population:
    """The population of the minima below some structures; raises ``ValueError`` if there is none."""
    found = landscape.quench(structures, free, radii(structures))
    if not bool(found.good.any()):
        raise ValueError(
            f"none of the {len(structures)} seeds came to rest in one piece within {landscape.max_steps} steps; give "
            "others, or a larger max_steps"
        )
    minima = Minima.none(structures, found.features.shape[1])
    first = Population(found.structures, found.prediction, free, 0, found.energy, found.features, minima, 0, 0)
    return first.tell(landscape, found)[0]


def repeated(
    structures: Structures, free: Bool[Tensor, "atoms"], n: int
) -> tuple[Structures, Bool[Tensor, "repeated_atoms"]]:
    """``n`` structures: the seeds, again and again; all of them if there are more."""
    places = [s % len(structures) for s in range(max(n, len(structures)))]
    return structures[places], free[: len(free) // len(structures)].repeat(len(places))


def within(state: Population) -> dict[str, Any]:
    """The fields of a population, to make one that knows more."""
    return {f.name: getattr(state, f.name) for f in fields(Population)}
