"""Moves that change which element an atom is; all of them as likely as their reverse."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from ase.data import atomic_numbers
from jaxtyping import Bool
from torch import Tensor

from ...config import nearest
from .move import Chance, Move, Proposal, possible
from .state import Sampling, names


def _alone(state: Sampling) -> Bool[Tensor, "atoms"]:
    """Free atoms that belong to no molecule and are not exchanged with a gas."""
    return state.free & (state.kind < 0) & (state.size == 1)[state.molecule]


def _relabeled(state: Sampling, numbers: Tensor, exists: Tensor) -> Proposal:
    changed = numbers != state.structures.numbers
    structures = replace(state.structures, numbers=numbers)
    return Proposal(replace(state, structures=structures), possible(exists), changed, changed)


def _of_elements(state: Sampling, elements: list[str]) -> Bool[Tensor, "atoms"]:
    z = torch.tensor([atomic_numbers[e] for e in elements])
    return _alone(state) & torch.isin(state.structures.numbers, z)


@dataclass(frozen=True)
class Swap(Move):
    """Two free atoms of unlike elements change places.

    Args:
        elements: those that take part; default: all.
        weight: how often it is tried relative to other moves.
    """

    elements: list = field(default_factory=list)
    weight: float = 1.0

    def __post_init__(self):
        _check_elements("Swap", self.elements)

    def check(self, state, gases) -> None:
        mask = _of_elements(state, self.elements) if self.elements else _alone(state)
        if len(state.structures.numbers[mask].unique()) < 2:
            raise ValueError("Swap needs free atoms of two elements; the others are frozen, or of molecules or gases")

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        system, numbers = state.structures.system, state.structures.numbers
        mask = _of_elements(state, self.elements) if self.elements else _alone(state)
        # The second is chosen among those unlike the first: the number of these is the same on the way back.
        a, n_a = chance.choose(mask, system)
        b, n_b = chance.choose(mask & (numbers != numbers[a][system]), system)
        exists = (n_a > 0) & (n_b > 0)
        a, b = a[exists], b[exists]
        swapped = numbers.clone()
        swapped[a], swapped[b] = numbers[b], numbers[a]
        return _relabeled(state, swapped, exists)


@dataclass(frozen=True)
class Flip(Move):
    """One free atom becomes another element (transmutation).

    Args:
        elements: those that may become each other.
        weight: how often it is tried relative to other moves.
    """

    elements: list
    weight: float = 1.0

    def __post_init__(self):
        _check_elements("Flip", self.elements)
        if len(set(self.elements)) < 2:
            raise ValueError(f"Flip needs two elements or more, got {names(self.elements)}")

    def check(self, state, gases) -> None:
        if not bool(_of_elements(state, self.elements).any()):
            raise ValueError(f"Flip finds no free atom of {names(self.elements)}: none is there, or all are frozen")

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        system, numbers = state.structures.system, state.structures.numbers
        z = torch.tensor([atomic_numbers[e] for e in self.elements])
        atom, count = chance.choose(_of_elements(state, self.elements), system)
        exists = count > 0
        atom = atom[exists]
        now = (numbers[atom][:, None] == z).long().argmax(1)
        other = (now + 1 + (chance.uniform(len(count))[exists] * (len(z) - 1)).long()) % len(z)
        flipped = numbers.clone()
        flipped[atom] = z[other]
        return _relabeled(state, flipped, exists)


def _check_elements(move: str, elements: list[str]) -> None:
    for e in elements:
        if e not in atomic_numbers:
            raise ValueError(f"{move}: {e!r} is not a chemical symbol{nearest(e, atomic_numbers)}")
