"""The one interface of everything that moves atoms: ``init`` and ``step`` on a frozen state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..config import Part
from ..potential import Evaluate
from ..structures import Structures
from .state import State


class Engine(Part, ABC):
    """Moves a batch of structures step by step; whatever evaluates structures may drive it.

    An engine keeps nothing itself: all that one step needs of the last is in the state, and all its chance comes from
    the generator. So a run can be written down after any step and repeats its digits when it is taken up again.
    """

    state: ClassVar[type[State]]

    @abstractmethod
    def init(
        self,
        evaluate: Evaluate,
        structures: Structures,
        generator: torch.Generator,
        fixed: Bool[Tensor, "atoms"] | None = None,
    ) -> State:
        """The state before the first step; ``fixed`` atoms stay where they are."""

    @abstractmethod
    def step(self, evaluate: Evaluate, state: State, generator: torch.Generator) -> State:
        """The state one step later."""

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """How many steps a whole run has, at most."""

    def finished(self, state: State) -> Bool[Tensor, "systems"] | None:
        """Which systems need no more steps; None where only the number of steps ends a run."""
        return None

    @abstractmethod
    def observe(self, state: State) -> dict[str, Float[Tensor, "systems"]]:
        """What is worth a line in the log: names with units to one number for each system."""


def free_atoms(structures: Structures, fixed: Bool[Tensor, "atoms"] | None) -> Bool[Tensor, "atoms"]:
    """The atoms that may move."""
    if fixed is None:
        return torch.ones(structures.n_atoms, dtype=torch.bool, device=structures.device)
    if fixed.shape != (structures.n_atoms,):
        raise ValueError(f"fixed must say true or false for each of the {structures.n_atoms} atoms, got {len(fixed)}")
    return ~fixed.to(structures.device)
