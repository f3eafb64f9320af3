"""Random search: many starts, each relaxed. Pickard and Needs, J. Phys.: Condens. Matter 23, 053201 (2011)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...structures import Structures
from .geometry import radii
from .landscape import Landscape
from .search import Population, Search, populate, within


@dataclass(frozen=True, eq=False)
class Waiting(Population):
    """Starts that have not been relaxed yet."""

    starts: Float[Tensor, "starts atoms_of_one 3"]  # Å


@dataclass(frozen=True)
class RandomSearch(Search):
    """Every seed is relaxed, a batch at a time; the chance is in the generator that made the seeds.

    Args:
        batch: how many are relaxed together.
    """

    batch: int = 32

    state = Waiting

    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Waiting:
        if self.batch < 1:
            raise ValueError(f"RandomSearch: batch must be 1 or more, got {self.batch}")
        n = min(self.batch, len(seeds))
        first = populate(landscape, seeds[:n], free[: n * len(free) // len(seeds)])
        starts = seeds.positions.reshape(len(seeds), -1, 3)
        return Waiting(**within(first), starts=starts[n:])

    def step(self, landscape: Landscape, state: Waiting, generator: torch.Generator) -> Waiting:
        now = state.starts[: self.batch]
        places = list(range(len(now)))
        structures = state.structures[places].with_positions(now.reshape(-1, 3))
        found = landscape.quench(structures, state.free[: structures.n_atoms], radii(structures))
        state, _ = state.tell(landscape, found)
        return replace(state, starts=state.starts[self.batch :])

    def n_steps(self, state: Waiting) -> int:
        return state.step + -(-len(state.starts) // self.batch)
