"""A genetic algorithm on structures: Deaven and Ho, Phys. Rev. Lett. 75, 288 (1995)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...structures import Structures
from .crossover import cut_and_splice
from .fingerprint import distance
from .geometry import radii
from .landscape import Landscape
from .perturbations import Here, Mirror, Permutation, Relocate, Shake, Twist, choose, perturbed
from .search import Population, Search, populate, repeated

MUTATIONS = (Shake(), Relocate(), Twist(), Mirror(), Permutation())


@dataclass(frozen=True)
class GeneticAlgorithm(Search):
    """A population of distinct minima; children are spliced of two of them, or are mutants of one.

    Parents are drawn with weight ``(1 - tanh(2 rho - 1)) / 2``, ``rho = (E - E_min) / (E_max - E_min)`` (Johnston,
    Dalton Trans. 2003, 4193). All children of a generation are relaxed in one batch; then the lowest stay that differ
    from all lower ones by more than ``diversity``.

    Args:
        generations: how many.
        population: how many members, at most; those that the seeds lack are seeds that were shaken hard.
        children: of each generation.
        mutants: the fraction of the children that are mutants.
        mutations: perturbations, one of which makes a mutant; default: shakes, relocation where there is a surface,
            twists and mirror images of clusters, and permutations where there are several elements.
        diversity: least distance of the fingerprints of two members.
    """

    generations: int = 50
    population: int = 20
    children: int = 16
    mutants: float = 0.3
    mutations: list | None = None
    diversity: float = 0.03

    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Population:
        if self.population < 2 or self.children < 1 or not 0 <= self.mutants <= 1:
            raise ValueError(
                "a genetic algorithm needs a population of 2 or more, 1 child or more and a fraction of mutants from 0 "
                f"to 1, got {self.population}, {self.children} and {self.mutants}"
            )
        one = Here(seeds[0], free[: int(seeds.counts[0])], radii(seeds[0]))
        choose(self.mutations, one, MUTATIONS)
        n_seeds, n_atoms = len(seeds), int(seeds.counts[0])
        seeds, free = repeated(seeds, free, self.population)
        positions = seeds.positions.reshape(len(seeds), n_atoms, 3).clone()
        for s in range(n_seeds, len(seeds)):
            positions[s] = Shake(1.0)(replace(one, structures=seeds[s]), 1.0, generator)
        return self._survivors(populate(landscape, seeds.with_positions(positions.reshape(-1, 3)), free))

    def step(self, landscape: Landscape, state: Population, generator: torch.Generator) -> Population:
        size = radii(state.structures)
        parents = torch.multinomial(fitness(state.energy), 2 * self.children, replacement=True, generator=generator)
        trial = state.structures[parents[: self.children].tolist()]
        n_atoms = state.structures.n_atoms // len(state.structures)
        free = state.free[:n_atoms].repeat(self.children)
        pairs = zip(parents[: self.children].tolist(), parents[self.children :].tolist())
        trial = trial.with_positions(torch.cat([self._child(state, size, m, f, generator) for m, f in pairs]))
        found = landscape.quench(trial, free, size[:n_atoms].repeat(self.children))
        state, _ = state.tell(landscape, found)
        return self._survivors(state.joined(found, free))

    def _child(self, state: Population, size, m: int, f: int, generator) -> Float[Tensor, "atoms 3"]:
        chance = float(torch.rand((), generator=generator, dtype=torch.float64))
        if chance < self.mutants or m == f:
            return perturbed(state, m, size, self.mutations, MUTATIONS, generator)
        mother, father = state.structures[m], state.structures[f]
        return cut_and_splice(mother, father, state.free[: mother.n_atoms], generator)

    def _survivors(self, state: Population) -> Population:
        return state.select(distinct(state.energy, state.features, self.population, self.diversity))

    def n_steps(self, state: Population) -> int:
        return self.generations


def fitness(energy: Float[Tensor, "systems"]) -> Float[Tensor, "systems"]:
    """``(1 - tanh(2 rho - 1)) / 2``: about 0.88 for the lowest, 0.12 for the highest."""
    rho = (energy - energy.min()) / (energy.max() - energy.min()).clamp_min(1e-12)
    return 0.5 * (1 - torch.tanh(2 * rho - 1))


def distinct(energy: Float[Tensor, "systems"], features: Float[Tensor, "systems d"], n: int, apart: float) -> list[int]:
    """The lowest ``n`` that differ from all lower ones by more than ``apart``."""
    chosen: list[int] = []
    for s in torch.argsort(energy, stable=True).tolist():
        if bool(energy[s].isfinite()) and (not chosen or bool((distance(features[s], features[chosen]) > apart).all())):
            chosen.append(s)
        if len(chosen) == n:
            break
    return chosen
