"""Chemical orderings of a particle, a slab or a crystal under its symmetry: which element on which orbit of sites.

Han, Barcaro, Fortunelli, Lysgaard, Vegge and Hansen, npj Comput. Mater. 8, 121 (2022).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from ase.data import atomic_numbers
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import nearest
from ...structures import Structures, sum_systems
from ..state import SYSTEMS
from .genetic import fitness
from .landscape import Landscape, Quenched
from .minima import Minima
from .search import Population, Search, within


@dataclass(frozen=True, eq=False)
class Orderings(Population):
    """Members by their genes: for each orbit the place of its element in the list."""

    genes: Int[Tensor, "systems orbits"] = field(metadata=SYSTEMS)
    rank: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # E - sum mu N, eV
    tried: Int[Tensor, "tried orbits"]  # all that were ever relaxed
    potentials: Float[Tensor, "elements"]  # mu, eV
    exhausted: bool  # nothing new can be made


@dataclass(frozen=True)
class SymmetryConstrainedGA(Search):
    """A genetic algorithm whose genes are the elements of whole orbits, so that every structure keeps the symmetry.

    Children take each gene from either parent, and a few genes change at random; no ordering is relaxed twice. The
    orderings compete by ``E - sum_A mu_A N_A``; where no chemical potentials are given these are the energies per atom
    of the pure structures, so that it is the excess energy of mixing.

    Args:
        orbits: for each atom the label of its orbit, 0, 1, ...
        elements: symbols of what may sit on them.
        composition: numbers of atoms of each element; default: any.
        chemical_potentials: of each element, eV; default: from the pure structures (0 for a given composition).
        generations: how many.
        population: how many members, at most.
        children: of each generation.
        mutation: probability that a gene changes; default: one gene of each child, on average.
    """

    orbits: list[int]
    elements: list[str]
    composition: dict[str, int] | None = None
    chemical_potentials: dict[str, float] | None = None
    generations: int = 30
    population: int = 20
    children: int = 16
    mutation: float | None = None

    state = Orderings

    def __post_init__(self):
        if len(set(self.elements)) < 2:
            raise ValueError(f"orderings need two elements or more, got {', '.join(self.elements) or 'none'}")
        for symbol in (*self.elements, *(self.composition or {}), *(self.chemical_potentials or {})):
            if symbol not in atomic_numbers:
                raise ValueError(f"{symbol!r} is not a chemical symbol{nearest(symbol, atomic_numbers)}")
            if symbol not in self.elements:
                raise ValueError(f"{symbol} is not among the elements {', '.join(self.elements)}")
        if sorted(set(self.orbits)) != list(range(max(self.orbits, default=-1) + 1)) or not len(self.orbits):
            raise ValueError("orbits must be labels 0, 1, ... without gaps, one for each atom")
        if self.composition is not None and sum(self.composition.values()) != len(self.orbits):
            total = sum(self.composition.values())
            raise ValueError(f"the composition has {total} atoms and the orbits have {len(self.orbits)}")
        if self.composition is None and self.chemical_potentials and len(self.chemical_potentials) < len(self.elements):
            missing = ", ".join(e for e in self.elements if e not in self.chemical_potentials)
            raise ValueError(f"for any composition every element needs a chemical potential; {missing} has none")

    @property
    def sizes(self) -> list[int]:
        """How many atoms each orbit has."""
        return torch.bincount(torch.tensor(self.orbits)).tolist()

    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Orderings:
        frame, n, k = seeds[0], len(self.sizes), len(self.elements)
        if frame.n_atoms != len(self.orbits):
            raise ValueError(f"the orbits are those of {len(self.orbits)} atoms; the structure has {frame.n_atoms}")
        none, anything = torch.zeros(0, n, dtype=torch.long), self.composition is None
        pure = torch.arange(k)[:, None].expand(k, n) if anything else none
        genes = torch.cat([pure, self._unseen(pure, None, self.population, generator)])
        trial, all_free = self._decorated(frame, free[: frame.n_atoms], genes)
        found = landscape.quench(trial, all_free)
        mu = found.energy.new_tensor([(self.chemical_potentials or {}).get(e, 0.0) for e in self.elements])
        if anything and self.chemical_potentials is None:
            if not bool(found.good[:k].all()):
                raise ValueError("a pure structure did not come to rest; give chemical_potentials, or more max_steps")
            mu = found.energy[:k] / frame.n_atoms
        minima = Minima.none(found.structures, found.features.shape[1])
        begin = Population(found.structures, found.prediction, all_free, 0, found.energy, found.features, minima, 0, 0)
        nobody = {"genes": none, "rank": mu[:0], "tried": none, "potentials": mu, "exhausted": False}
        return self._joined(landscape, Orderings(**within(begin.select([])), **nobody), found, all_free, genes)

    def step(self, landscape: Landscape, state: Orderings, generator: torch.Generator) -> Orderings:
        genes = self._unseen(state.tried, state, self.children, generator)
        if not len(genes):
            return replace(state, exhausted=True)
        trial, free = self._decorated(state.structures[0], state.free[: len(self.orbits)], genes)
        return self._joined(landscape, state, landscape.quench(trial, free), free, genes)

    def _decorated(self, frame: Structures, free, genes) -> tuple[Structures, Bool[Tensor, "all_atoms"]]:
        """The structure once for each ordering."""
        numbers = self.numbers[genes][:, torch.tensor(self.orbits)].reshape(-1)
        return replace(frame[[0] * len(genes)], numbers=numbers), free.repeat(len(genes))

    @property
    def numbers(self) -> Int[Tensor, "elements"]:
        return torch.tensor([atomic_numbers[e] for e in self.elements])

    def _joined(self, landscape: Landscape, state: Orderings, found: Quenched, free, genes) -> Orderings:
        """The population with new members, of which the best stay."""
        is_element = (found.structures.numbers[:, None] == self.numbers).to(found.energy)
        rank = found.energy - sum_systems(is_element, found.structures) @ state.potentials
        state, _ = state.tell(landscape, found, rank)
        everyone = state.joined(
            found,
            free,
            genes=torch.cat([state.genes, genes]),
            rank=torch.cat([state.rank, rank]),
            tried=torch.cat([state.tried, genes]),
        )
        best = [s for s in torch.argsort(everyone.rank, stable=True).tolist() if bool(everyone.rank[s].isfinite())]
        if not best:
            raise ValueError(f"no ordering came to rest within {landscape.max_steps} steps; give a larger max_steps")
        return everyone.select(best[: self.population])

    def _unseen(self, seen, parents: Orderings | None, n: int, generator) -> Int[Tensor, "new orbits"]:
        """Up to ``n`` orderings that were not seen: random ones, or children with a random one now and then."""
        known, made = set(map(tuple, seen.tolist())), []
        weights = None if parents is None else fitness(parents.rank)
        rate = 1 / len(self.sizes) if self.mutation is None else self.mutation
        for _ in range(100 * n):
            if len(made) == n:
                break
            wish = torch.randint(len(self.elements), (len(self.sizes),), generator=generator)
            chance = torch.rand(3, len(self.sizes), generator=generator)
            if weights is not None and float(chance[2, 0]) > 0.1:
                a, b = parents.genes[torch.multinomial(weights, 2, replacement=True, generator=generator)]
                wish = torch.where(chance[0] < rate, wish, torch.where(chance[1] < 0.5, a, b))
            genes = tuple(wish.tolist() if self.composition is None else self._repaired(wish.tolist(), generator))
            if genes not in known:
                known.add(genes)
                made.append(genes)
        return torch.tensor(made, dtype=torch.long).reshape(-1, len(self.sizes))

    def _repaired(self, wish: list[int], generator) -> list[int]:
        """The genes, changed where they must be to give the composition; raises ``ValueError`` if none does.

        Element after element, the orbits are gone through in random order, and one is taken as wished as long as those
        that follow can fill what is left: ``sums[k]`` has the bit ``n`` where orbits ``k, k + 1, ...`` can hold ``n``.
        """
        genes, left = [len(self.elements) - 1] * len(wish), torch.randperm(len(wish), generator=generator).tolist()
        for element, symbol in enumerate(self.elements[:-1]):
            need, sums = (self.composition or {}).get(symbol, 0), [1]
            for orbit in reversed(left):
                sums.append(sums[-1] | sums[-1] << self.sizes[orbit])
            sums.reverse()
            if not sums[0] >> need & 1:
                sizes = ", ".join(map(str, sorted(self.sizes)))
                raise ValueError(f"orbits of {sizes} atoms cannot hold {need} {symbol}; change the composition")
            stay = []
            for k, orbit in enumerate(left):
                size = self.sizes[orbit]
                can_take, can_leave = need >= size and sums[k + 1] >> (need - size) & 1, sums[k + 1] >> need & 1
                if can_take and (wish[orbit] == element or not can_leave):
                    genes[orbit], need = element, need - size
                else:
                    stay.append(orbit)
            left = stay
        return genes

    def n_steps(self, state: Orderings) -> int:
        return state.step if state.exhausted else self.generations
