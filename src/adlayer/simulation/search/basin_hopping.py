"""Basin hopping: Monte Carlo on the minima. Wales and Doye, J. Phys. Chem. A 101, 5111 (1997)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...potential import Prediction
from ...structures import Structures
from ...units import BOLTZMANN
from ..motion import temperatures
from ..state import SYSTEMS
from .geometry import radii
from .landscape import Landscape
from .perturbations import Here, Permutation, Relocate, Shake, Twist, choose, perturbed
from .search import Population, Search, populate, repeated, within

MOVES = (Shake(), Relocate(), Twist(), Permutation())


@dataclass(frozen=True, eq=False)
class Walkers(Population):
    """How hot each walker is, and how far it reaches."""

    temperature: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # K
    reach: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # factor of its moves


@dataclass(frozen=True)
class BasinHopping(Search):
    """Walkers hop from minimum to minimum: each is moved, relaxed, and stays with ``min(1, exp(-(E' - E) / k_B T))``.

    Every walker makes its moves greater after a hop that was accepted and smaller after one that was not, so that half
    of them are. Walkers of neighboring temperatures may exchange their minima, with
    ``min(1, exp((1/k_B T_a - 1/k_B T_b) (E_a - E_b)))``: Strodel et al., J. Am. Chem. Soc. 132, 13300 (2010).

    Args:
        hops: of each walker.
        walkers: how many; their starts are the seeds, again and again.
        temperature: K; a list is spread evenly over the walkers (two numbers: from the one to the other).
        moves: each hop makes one of them, drawn at random; default: shakes, relocation where there is a surface, twists
            of clusters, and swaps where there are several elements.
        exchange: hops between exchanges of walkers; 0: none.
    """

    hops: int = 100
    walkers: int = 8
    temperature: float | list[float] = 2000.0
    moves: list | None = None
    exchange: int = 0

    state = Walkers

    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Walkers:
        choose(self.moves, Here(seeds[0], free[: int(seeds.counts[0])], radii(seeds[0])), MOVES)
        first = populate(landscape, *repeated(seeds, free, self.walkers))
        T = temperatures(self.temperature, first.structures)
        return Walkers(**within(first), temperature=T, reach=torch.ones_like(T))

    def step(self, landscape: Landscape, state: Walkers, generator: torch.Generator) -> Walkers:
        size = radii(state.structures)
        moved = [
            perturbed(state, s, size, self.moves, MOVES, generator, reach)
            for s, reach in enumerate(state.reach.tolist())
        ]
        trial = state.structures.with_positions(torch.cat(moved))
        found = landscape.quench(trial, state.free, size)
        state, _ = state.tell(landscape, found)
        u = torch.rand(len(trial), generator=generator, dtype=state.energy.dtype)
        accept = u < boltzmann_factor(found.energy, state.energy, state.temperature)
        state = take_over(state, accept, found.structures, found.prediction, found.energy, found.features)
        reach = (state.reach * torch.where(accept, 1.05, 1 / 1.05)).clamp(0.2, 3.0)
        state = replace(state, reach=reach)
        return self._exchanged(state, generator) if self.exchange and (state.step + 1) % self.exchange == 0 else state

    def _exchanged(self, state: Walkers, generator) -> Walkers:
        """Walkers whose exchange is accepted trade their temperatures, which is the same and cheaper."""
        T, order = state.temperature.clone(), torch.argsort(state.temperature, stable=True).tolist()
        for a, b in pairwise(order):
            gain = (1 / T[a] - 1 / T[b]) * (state.energy[a] - state.energy[b]) / BOLTZMANN
            if float(torch.rand((), generator=generator, dtype=T.dtype)) < float(gain.clamp_max(0).exp()):
                T[[a, b]] = T[[b, a]]
        return replace(state, temperature=T)

    def n_steps(self, state: Population) -> int:
        return self.hops


def boltzmann_factor(
    new: Float[Tensor, "systems"], old: Float[Tensor, "systems"], temperature: Float[Tensor, "systems"]
) -> Float[Tensor, "systems"]:
    """``min(1, exp(-(E' - E) / k_B T))``, 0 to what is no minimum and 1 from there; at 0 K only downhill."""
    gap = torch.where(old.isinf(), torch.where(new.isinf(), torch.inf, -torch.inf), new - old)
    return (-gap.clamp_min(0) / (BOLTZMANN * temperature).clamp_min(1e-300)).exp()


def take_over(
    state: Population,
    accept: Bool[Tensor, "systems"],
    structures: Structures,
    prediction: Prediction,
    energy: Float[Tensor, "systems"],
    features: Float[Tensor, "systems d"],
) -> Any:
    """The walkers that accept go to their new minima; the others stay."""
    atoms = accept[state.structures.system]
    both = Prediction.cat([(state.structures, state.prediction), (structures, prediction)])
    n, m = len(accept), state.structures.n_atoms
    which, where = torch.arange(n) + n * accept, torch.arange(m) + m * atoms
    return replace(
        state,
        structures=state.structures.with_positions(
            torch.where(atoms[:, None], structures.positions, state.structures.positions)
        ),
        prediction=both.map(lambda x: x[which], lambda x: x[where]),
        energy=torch.where(accept, energy, state.energy),
        features=torch.where(accept[:, None], features, state.features),
    )
