"""All contractions of moment tensors to scalars up to a level, and the cheapest way found to compute them together."""

from __future__ import annotations

from collections import Counter
from functools import cache, lru_cache
from itertools import combinations, combinations_with_replacement, permutations, product
from math import factorial
from typing import NamedTuple

import numpy as np

FACTORS = 4  # tensors in a product, at most

Exponents = tuple[int, int, int]
Graph = tuple[tuple, tuple]  # what is known of each tensor, and how many indices each pair of them shares


class Contractions(NamedTuple):
    """Moments are numbered: first the basic ones, then the others, each a sum of products of two before it."""

    basic: np.ndarray  # [basic, 4] mu, and the exponents of x, y and z
    products: np.ndarray  # [products, 4] first and second factor, how often, and the moment it is added to
    depth: np.ndarray  # [moments] of how many multiplications in a row
    scalars: np.ndarray  # [K] which moments are scalars
    levels: np.ndarray  # [K] their levels
    names: tuple[Graph, ...]  # [K] mu of the tensors, and the indices they share


def select(level: int) -> list[tuple[int, Graph]]:
    """Scalars as graphs, with their levels: tensors are vertices, and shared indices edges between two of them.

    ``M_mu,nu`` has the level ``2 + 4 mu + nu``, and a product the sum of those of its factors.
    """
    found: dict[Graph, int] = {}
    for n in range(1, FACTORS + 1):
        for mu in combinations_with_replacement(range(level // 4 + 1), n):
            left = (level - sum(2 + 4 * m for m in mu)) // 2
            for shared in _shares(n * (n - 1) // 2, left):
                found[_canonical(mu, _matrix(n, shared))] = level - 2 * (left - sum(shared))
    return sorted((found[g], g) for g in found)


@lru_cache(maxsize=8)
def contractions(level: int) -> Contractions:
    """All scalars of products of up to four tensors whose level is at most this."""
    chosen = select(level)
    made = _Making()
    places = [made.moment(tuple((m, (0, 0, 0)) for m in mu), shared) for _, (mu, shared) in chosen]
    order = sorted(range(len(made.depth)), key=lambda p: (made.depth[p], made.names[p] if not made.depth[p] else ()))
    new = np.argsort(order)
    basic = [(mu, *e) for p in order if not made.depth[p] for mu, e in made.names[p][0]]
    products = [(new[x], new[y], times, new[out]) for x, y, times, out in made.products]
    products.sort(key=lambda p: p[3])
    return Contractions(
        np.array(basic),
        np.array(products, dtype=np.int64).reshape(-1, 4),
        np.array(made.depth)[order],
        new[places],
        np.array([lev for lev, _ in chosen]),
        tuple(g for _, g in chosen),
    )


class _Making:
    """Components of tensors that are contracted among themselves, each computed once."""

    def __init__(self):
        self.place: dict[Graph, int] = {}
        self.names: list[Graph] = []
        self.depth: list[int] = []
        self.products: list[tuple[int, int, int, int]] = []

    def moment(self, tensors: tuple[tuple[int, Exponents], ...], shared: tuple) -> int:
        """The component of some ``(mu, exponents of its free indices)`` that share indices; its place."""
        name = tensors, shared = _canonical(tensors, shared)
        if name in self.place:
            return self.place[name]
        terms: Counter = Counter()
        if len(tensors) > 1:
            ours = _cut(shared)
            theirs = tuple(v for v in range(len(tensors)) if v not in ours)
            across = [(i, j) for i in ours for j in theirs if shared[i][j]]
            for exponents in product(*(_exponents(shared[i][j]) for i, j in across)):
                free = [list(e) for _, e in tensors]
                times = 1
                for (i, j), e in zip(across, exponents):
                    times *= factorial(sum(e)) // (factorial(e[0]) * factorial(e[1]) * factorial(e[2]))
                    for v in (i, j):
                        free[v] = [a + b for a, b in zip(free[v], e)]
                x, y = (
                    self.moment(
                        tuple((tensors[v][0], tuple(free[v])) for v in part),
                        tuple(tuple(shared[v][w] for w in part) for v in part),
                    )
                    for part in (ours, theirs)
                )
                terms[min(x, y), max(x, y)] += times
        place = self.place[name] = len(self.names)
        self.names.append(name)
        self.depth.append(1 + max((self.depth[k] for pair in terms for k in pair), default=-1))
        self.products += [(x, y, times, place) for (x, y), times in terms.items()]
        return place


@cache
def _cut(shared: tuple) -> tuple[int, ...]:
    """One of two parts, between which the fewest sums are taken."""
    n = len(shared)

    def cost(part: tuple[int, ...]) -> tuple[int, int]:
        others = [v for v in range(n) if v not in part]
        return int(np.prod([len(_exponents(shared[i][j])) for i in part for j in others])), len(others) - len(part)

    return min((part for size in range(1, n // 2 + 1) for part in combinations(range(n), size)), key=cost)


def _canonical(tensors: tuple, shared: tuple) -> Graph:
    """The same whatever the order of the tensors."""
    return min(
        (tuple(tensors[p] for p in order), tuple(tuple(shared[p][q] for q in order) for p in order))
        for order in permutations(range(len(tensors)))
    )


def _matrix(n: int, shared: tuple[int, ...]) -> tuple:
    known = dict(zip(combinations(range(n), 2), shared))
    return tuple(tuple(known.get((min(i, j), max(i, j)), 0) for j in range(n)) for i in range(n))


def _shares(pairs: int, most: int):
    """All numbers of indices that pairs share, of a sum up to the most."""
    if most < 0:
        return
    if not pairs:
        yield ()
        return
    for first in range(most + 1):
        for rest in _shares(pairs - 1, most - first):
            yield (first, *rest)


def _exponents(n: int) -> list[Exponents]:
    return [(a, b, n - a - b) for a in range(n, -1, -1) for b in range(n - a, -1, -1)]
