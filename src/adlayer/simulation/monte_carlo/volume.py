"""The move that changes the cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from .geometry import lattice
from .move import Chance, Move, Proposal
from .state import Sampling


@dataclass(frozen=True)
class Volume(Move):
    """Stretch the cell along lattice vectors, and with it the centers of all molecules and atoms.

    The logarithm of the volume (of the area, for a slab) changes evenly within ``step``; the log ratio is that of the
    volume elements, ``(N + 1) ln(V'/V)`` with ``N`` molecules: Eppenga and Frenkel, Mol. Phys. 52, 1303 (1984).

    Args:
        step: largest change of ``ln V``; adapted during equilibration.
        axes: which lattice vectors change; those that are not periodic never do. Default: all.
        together: whether they are stretched alike; otherwise one of them, at random, each time.
        weight: how often it is tried relative to other moves.
    """

    step: float = 0.02
    axes: Literal["a", "b", "c", "ab", "ac", "bc", "abc"] = "abc"
    together: bool = True
    weight: float = 0.05
    acceptance = 0.4

    def check(self, state, gases) -> None:
        if not bool(state.free.all()):
            raise ValueError("Volume would move frozen atoms: free them, or leave this move out")
        if not bool((state.structures.pbc & self._chosen()).any(1).all()):
            raise ValueError(f"Volume has no periodic axis among {self.axes!r} in one of the systems")

    def _chosen(self) -> torch.Tensor:
        return torch.tensor([axis in self.axes for axis in "abc"])

    def propose(self, state: Sampling, chance: Chance) -> Proposal:
        old = state.structures
        axes = (old.pbc & self._chosen()).double()
        if not self.together:
            pick = (chance.uniform(len(axes), 3) * axes).argmax(1)
            axes = torch.nn.functional.one_hot(pick, 3).to(axes)
        change = self.step * chance.scale * (2 * chance.uniform(len(axes)) - 1)  # ln V'/V
        stretch = torch.exp(change[:, None] * axes / axes.sum(1, keepdim=True))
        box, inverse, _ = lattice(old)
        F = inverse @ (stretch[:, :, None] * box)
        centers = state.centers
        system = old.system[state.head]
        moved = (centers[:, None, :] @ F[system])[:, 0, :] - centers
        structures = replace(old, positions=old.positions + moved[state.molecule], cell=old.cell * stretch[:, :, None])
        n = state.count(state.head)
        return Proposal(replace(state, structures=structures), (n + 1) * change)
