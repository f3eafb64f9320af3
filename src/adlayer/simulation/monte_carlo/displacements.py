"""Moves that take atoms, molecules and clusters elsewhere; all of them as likely as their reverse."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians

import torch
from jaxtyping import Bool
from torch import Tensor

from ...neighbors import find_pairs
from .geometry import rotations
from .move import Chance, Move, Proposal, of_kind, possible
from .state import Sampling, only_atoms, with_positions


def _shifted(state: Sampling, mask: Bool[Tensor, "atoms"], shift: Tensor, exists: Tensor) -> Proposal:
    """The chosen atoms elsewhere."""
    positions = torch.where(mask[:, None], state.structures.positions + shift, state.structures.positions)
    return Proposal(with_positions(state, positions), possible(exists), mask, mask)


@dataclass(frozen=True)
class Displacement(Move):
    """Move one free atom, or one molecule as a whole, evenly within a cube around where it is.

    Args:
        step: half the edge of the cube, Å; adapted during equilibration.
        of: element or gas; default: anything that is free.
        whole: whether molecules move as a whole; otherwise their atoms move one by one.
        weight: how often it is tried relative to other moves.
    """

    step: float = 0.2
    of: str | None = None
    whole: bool = True
    weight: float = 1.0
    acceptance = 0.4

    def check(self, state, gases) -> None:
        comes = bool(gases) if self.of is None else self.of in [gas.of for gas in gases]
        if not comes and not bool((of_kind(state, self.of, gases) & state.free).any()):
            what = "atom" if self.of is None else f"{self.of} atom"
            raise ValueError(f"Displacement has no {what} that it may move: none is there, or all are frozen")
        rigid = [g.of for g in gases if len(g.numbers) > 1 and not g.flexible and self.of in (None, g.of)]
        if rigid and not self.whole:
            raise ValueError(f"{rigid[0]} is rigid, so its atoms do not move one by one: give it flexible = true")

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        system = state.structures.system
        mask = of_kind(state, self.of, chance.gases)
        if self.whole:
            atom, count = chance.choose(mask & state.head & state.free_molecule[state.molecule], system)
            mask = state.members(atom, count > 0)
        else:
            atom, count = chance.choose(mask & state.free, system)
            mask = (torch.arange(len(mask)) == atom[system]) & (count > 0)[system]
        shift = (self.step * chance.scale)[:, None] * (2 * chance.uniform(len(count), 3) - 1)
        return _shifted(state, mask, shift[system], count > 0)


@dataclass(frozen=True)
class Rotation(Move):
    """Turn one free molecule about its center, by an angle up to ``step`` about any axis.

    Args:
        step: degrees; adapted during equilibration.
        of: gas; default: any molecule.
        weight: how often it is tried relative to other moves.
    """

    step: float = 30.0
    of: str | None = None
    weight: float = 1.0
    acceptance = 0.4

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        system, own = state.structures.system, state.molecule
        mask = of_kind(state, self.of, chance.gases) & state.head & ((state.size > 1) & state.free_molecule)[own]
        atom, count = chance.choose(mask, system)
        mask = state.members(atom, count > 0)
        axis = torch.nn.functional.normalize(chance.normal(len(count), 3), dim=-1)
        largest = (radians(self.step) * chance.scale).clamp_max(pi)
        half = 0.5 * largest * (2 * chance.uniform(len(count)) - 1)
        R = rotations(torch.cat([half.cos()[:, None], half.sin()[:, None] * axis], 1))
        arm = state.structures.positions - state.centers[own]
        return _shifted(state, mask, (arm[:, None, :] @ R[system])[:, 0, :] - arm, count > 0)


@dataclass(frozen=True)
class Cluster(Move):
    """Move a whole cluster of atoms rigidly: those connected by bonds to one atom that is chosen at random.

    If the cluster gained or lost atoms where it arrives, the way back would be another, so that is not proposed.

    Args:
        of: element or gas whose atoms form clusters.
        bond: longest distance between neighbors in a cluster, Å.
        step: half the edge of the cube in which it moves, Å; adapted during equilibration.
        weight: how often it is tried relative to other moves.
    """

    of: str
    bond: float = 3.2
    step: float = 0.3
    weight: float = 1.0
    acceptance = 0.3

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        system = state.structures.system
        mask = of_kind(state, self.of, chance.gases) & state.free
        atom, count = chance.choose(mask, system)
        cluster = self._grown(state, mask, atom) & (count > 0)[system]
        shift = (self.step * chance.scale)[:, None] * (2 * chance.uniform(len(count), 3) - 1)
        proposal = _shifted(state, cluster, shift[system], count > 0)
        same = self._grown(proposal.state, mask, atom) == cluster
        return proposal._replace(log_ratio=possible((count > 0) & (state.count(same) == state.structures.counts)))

    def _grown(self, state: Sampling, mask: Bool[Tensor, "atoms"], atom: Tensor) -> Bool[Tensor, "atoms"]:
        """The atoms connected with one of each system, through atoms of the mask."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        some = mask.nonzero()[:, 0]
        pairs = find_pairs(only_atoms(state.structures, mask), self.bond)
        graph = coo_array((torch.ones(len(pairs.i)).numpy(), (pairs.i.numpy(), pairs.j.numpy())), [len(some)] * 2)
        label = torch.full_like(state.kind, -1)
        label[some] = torch.from_numpy(connected_components(graph, directed=False)[1]).long()
        return mask & (label == label[atom][state.structures.system])
