"""Insertion and deletion of atoms and whole molecules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...structures import Structures
from .geometry import nearest_image, rotations
from .move import Chance, Move, Proposal, gas_index
from .regions import Region, WholeCell
from .state import Sampling, only_atoms

if TYPE_CHECKING:
    from .gas import Gas


@dataclass(frozen=True)
class Exchange(Move):
    """Insert a particle of a gas, or delete one, each in half of the trials.

    A particle is inserted with its center evenly spread over a region of volume ``V``, in any orientation, in a
    conformation drawn from those of the molecule alone. Deleted is one of those ``N`` of its kind, never frozen, whose
    center is in the region. So the log ratio of an insertion is

        ln V / (N + 1) + (E_conformation - E_0) / k_B T

    With ``cavity`` the place is one of ``trials`` random points, and points nearer than that to an atom have a weight
    ``w`` of 1/1000 instead of 1 (M. Mezei, Mol. Phys. 40, 901 (1980), in the form of Rosenbluth's weights; Frenkel and
    Smit, Understanding Molecular Simulation, chapter 13): the log ratio gains ``ln <w> / w``. For a deletion the points
    are the place of the particle itself and random others.

    Args:
        of: the gas.
        region: where.
        cavity: how far a good place is from all atoms, Å; 0: any place is as good.
        trials: number of random points.
        confine: whether particles of this gas may not leave the region by other moves, as between hard walls (several
            regions of one gas together). Otherwise they may, into bulk or vacuum, where they are not deleted.
        weight: how often it is tried relative to other moves.
    """

    of: str
    region: Region = field(default_factory=WholeCell)
    cavity: float = 0.0
    trials: int = 32
    confine: bool = True
    weight: float = 1.0

    def __post_init__(self):
        if self.cavity < 0 or self.trials < 1:
            raise ValueError(f"cavity must be 0 Å or more and trials 1 or more, got {self.cavity} and {self.trials}")

    def check(self, state, gases) -> None:
        index = gas_index(self.of, gases)
        self.region.check(state, gases[index].size(state.library[index][0]))

    def holds(self, state: Sampling, kind: int) -> Bool[Tensor, "atoms"]:
        """Which atoms begin a particle that is in the region."""
        mine = state.head & (state.kind == kind)
        if all(self.region.endless):
            return mine
        where = mine.nonzero()[:, 0]
        centers, system = state.centers[state.molecule[where]], state.structures.system[where]
        return mine.index_put((where,), self.region.contains(state, centers, system))

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        s, kind = state.structures, chance.gas(self.of)
        n = len(s)
        insert = chance.uniform(n) < 0.5
        inside = self.holds(state, kind) & state.free_molecule[state.molecule]
        atom, count = chance.choose(inside, s.system)
        victim = state.members(atom, ~insert & (count > 0))

        points = self.region.sample(state, chance.uniform(n, self.trials if self.cavity else 1, 3))
        if self.cavity and s.n_atoms:
            own = state.centers[state.molecule[atom]]
            points[:, 0] = torch.where(insert[:, None], points[:, 0], own)
        place, log_bias = self._choose_place(state, chance, victim, points, insert)
        particle, strain = self._conformation(state, chance, kind, victim, insert, count > 0)

        log_volume = self.region.volume(state).log() + log_bias
        ratio = torch.where(insert, log_volume - (count + 1).log(), count.log() - log_volume)
        ratio = ratio + torch.where(insert, 1.0, -1.0) * state.beta * strain
        into = insert.nonzero()[:, 0]
        new = particle[into] + points[into, place[into]][:, None, :]
        state, changed = _exchanged(state, victim, into, new, chance.gases[kind].numbers, kind)
        return Proposal(state, torch.where(insert | (count > 0), ratio, -torch.inf), victim, changed)

    def _choose_place(
        self, state, chance, victim, points, insert
    ) -> tuple[Int[Tensor, "systems"], Float[Tensor, "systems"]]:
        """Which of the points is taken, and ``ln <w> / w`` of it."""
        first = torch.zeros(len(points), dtype=torch.long)
        if not self.cavity:
            return first, torch.zeros(len(points), dtype=torch.float64)
        rest = only_atoms(state.structures, ~victim)
        r, _ = nearest_image(points[rest.system] - rest.positions[:, None, :], rest, rest.system)
        least = points.new_full(points.shape[:2], torch.inf)
        index = rest.system[:, None].expand(-1, points.shape[1])
        least = least.scatter_reduce(0, index, torch.linalg.vector_norm(r, dim=-1), "amin")
        w = torch.where(least >= self.cavity, 1.0, 1e-3).to(points)
        drawn = (chance.uniform(len(w), 1) * w.sum(1, keepdim=True) >= w.cumsum(1)).sum(1).clamp_max(w.shape[1] - 1)
        place = torch.where(insert, drawn, first)
        return place, (w.mean(1) / w[torch.arange(len(w)), place]).log()

    def _conformation(self, state, chance, kind, victim, insert, exists) -> tuple[Tensor, Float[Tensor, "systems"]]:
        """A turned conformation for each system, and the energy by which it, or that of the victim, is strained, eV."""
        shapes, energies = state.library[kind]
        gas, n = chance.gases[kind], len(insert)
        pick = (chance.uniform(n) * shapes.shape[1]).long()
        particle, energy = shapes[state.bath, pick], energies[state.bath, pick]
        if shapes.shape[2] > 1:
            particle = particle @ rotations(chance.normal(n, 4))
        if gas.flexible and bool(victim.any()):
            off = (~insert & exists).nonzero()[:, 0]
            alone = only_atoms(state.structures, victim)
            alone = replace(alone, pbc=torch.zeros_like(alone.pbc), cell=torch.zeros_like(alone.cell))[off.tolist()]
            energy = energy.index_put((off,), chance.evaluate(alone).energy)
        return particle, energy - state.zero[kind]


def _exchanged(
    state: Sampling,
    victim: Tensor,
    into: Int[Tensor, "insertions"],
    new: Float[Tensor, "insertions particle 3"],
    numbers: Int[Tensor, "particle"],
    kind: int,
) -> tuple[Sampling, Tensor]:
    """The systems without the victims and with the new particles, which come last, and which atoms are new."""
    s, keep, m, n = state.structures, ~victim, len(numbers), len(into)
    system = torch.cat([s.system[keep], into.repeat_interleave(m)])
    order = torch.argsort(system, stable=True)

    def joined(old: Tensor, added: Tensor) -> Tensor:
        return torch.cat([old[keep], added.to(old.dtype)])[order]

    structures = Structures(
        numbers=joined(s.numbers, numbers.repeat(n)),
        positions=joined(s.positions, new.reshape(-1, 3)),
        cell=s.cell,
        pbc=s.pbc,
        system=system[order],
        charge=s.charge,
        spin=s.spin,
    )
    one = torch.ones(n * m, dtype=torch.long)
    changed = torch.cat([torch.zeros_like(s.system[keep]), one])[order].bool()
    first = (torch.arange(m) == 0).repeat(n)
    return (
        replace(
            state,
            structures=structures,
            free=joined(state.free, one),
            head=joined(state.head, first),
            kind=joined(state.kind, kind * one),
        ),
        changed,
    )


def confined(state: Sampling, moves: Sequence[Move], gases: Sequence[Gas]) -> Bool[Tensor, "systems"] | None:
    """Systems in which every particle that is confined is in its region; None where none is."""
    walls: dict[str, list[Exchange]] = {}
    for move in moves:
        if isinstance(move, Exchange):
            walls.setdefault(move.of, []).append(move)
    walls = {of: those for of, those in walls.items() if all(m.confine and not all(m.region.endless) for m in those)}
    if not walls:
        return None
    out = torch.zeros_like(state.temperature)
    for of, those in walls.items():
        kind = gas_index(of, gases)
        held = torch.stack([move.holds(state, kind) for move in those]).any(0)
        out = out + state.count(state.head & (state.kind == kind) & ~held)
    return out == 0
