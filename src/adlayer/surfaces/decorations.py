"""Ways to occupy sites that no symmetry makes the same: counted by Burnside's lemma, enumerated, or drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np


def count_decorations(permutations: np.ndarray, counts: Sequence[int]) -> int:
    """How many ways differ in which ``counts[s]`` sites hold species ``s``, by Pólya's theorem.

    The coefficient of ``Π x_s^counts[s]`` in ``1/|G| Σ_g Π_cycles (1 + Σ_s x_s^length)``.

    Args:
        permutations: of the sites, [operations, sites].
        counts: of each species.
    """
    total = 0
    for cycles, times in _cycle_types(permutations).items():
        poly = np.zeros([n + 1 for n in counts], dtype=object)
        poly[(0,) * len(counts)] = 1
        for length in cycles:
            more = poly.copy()
            for s in range(len(counts)):
                if length <= counts[s]:
                    source, target = [slice(None)] * len(counts), [slice(None)] * len(counts)
                    source[s], target[s] = slice(0, counts[s] + 1 - length), slice(length, None)
                    more[tuple(target)] += poly[tuple(source)]
            poly = more
        total += times * poly[tuple(counts)]
    return total // len(permutations)


def _cycle_types(permutations: np.ndarray) -> dict[tuple[int, ...], int]:
    types: dict[tuple[int, ...], int] = {}
    for p in permutations:
        seen, lengths = np.zeros(len(p), dtype=bool), []
        for start in range(len(p)):
            k, length = start, 0
            while not seen[k]:
                seen[k] = True
                k, length = p[k], length + 1
            if length:
                lengths.append(length)
        key = tuple(sorted(lengths))
        types[key] = types.get(key, 0) + 1
    return types


@dataclass(frozen=True)
class Decorations:
    """Occupations of sites, one of each class of those that symmetry makes the same.

    Args:
        sites: which sites are occupied, [decorations, adsorbates]; those of the first species first.
        multiplicities: how many occupations each stands for.
        complete: whether these are all.
    """

    sites: np.ndarray
    multiplicities: np.ndarray
    complete: bool


def decorations(
    permutations: np.ndarray,
    counts: Sequence[int],
    allowed: Sequence[np.ndarray],
    together: np.ndarray,
    rng: np.random.Generator,
    most: int = 5000,
    draws: int = 200,
) -> Decorations:
    """All ways to occupy sites that differ, or where these are too many, some that are drawn at random.

    Adsorbates are added one after another to what differs so far; what is found at random has no equal chance: the
    more symmetric a decoration, the rarer.

    Args:
        permutations: of the sites by symmetry, [operations, sites].
        counts: adsorbates of each species.
        allowed: which sites each species may occupy, [sites] true or false.
        together: which sites may be occupied at once, [sites, sites].
        rng: of the draws.
        most: when more than these differ at any stage, they are drawn.
        draws: how many are sought at random.
    """
    weights = np.random.default_rng(0).integers(0, 2**63, (len(counts), permutations.shape[1]), dtype=np.uint64)
    species = np.repeat(np.arange(len(counts)), counts)
    found = np.zeros((1, 0), dtype=int)
    for k, s in enumerate(species):
        free = allowed[s] & np.all(together[found], axis=1) if k else allowed[s][None]
        which, site = np.nonzero(free)
        if len(which) > 20 * most:
            return _drawn(permutations, weights, species, allowed, together, rng, draws)
        grown = np.column_stack([found[which], site])
        keys = _keys(permutations, weights, species[: k + 1], grown).min(0)
        found = grown[np.sort(np.unique(keys, return_index=True)[1])]
        if len(found) > most:
            return _drawn(permutations, weights, species, allowed, together, rng, draws)
    return Decorations(found, _multiplicities(permutations, weights, species, found), True)


def _keys(permutations: np.ndarray, weights: np.ndarray, species: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Sums of random weights, [operations, decorations]: equal, but for one chance in 2^64, for equal occupations."""
    keys = np.zeros((len(permutations), len(found)), dtype=np.uint64)
    for s, sites in zip(species, found.T):
        keys += weights[s][permutations[:, sites]]
    return keys


def _multiplicities(permutations, weights, species, found: np.ndarray) -> np.ndarray:
    keys = np.sort(_keys(permutations, weights, species, found), axis=0)
    return 1 + (np.diff(keys, axis=0) > 0).sum(0)


def _drawn(permutations, weights, species, allowed, together, rng, draws) -> Decorations:
    found: dict[int, list[int]] = {}
    for _ in range(20 * draws):
        sites: list[int] = []
        for s in species:
            free = np.flatnonzero(allowed[s] & together[sites].all(0))
            if not len(free):
                break
            sites.append(int(rng.choice(free)))
        if len(sites) == len(species):
            key = _keys(permutations, weights, species, np.array([sites])).min()
            found.setdefault(int(key), sites)
        if len(found) >= draws:
            break
    rows = np.array(list(found.values()), dtype=int).reshape(-1, len(species))
    return Decorations(rows, _multiplicities(permutations, weights, species, rows), False)


def ways(n: int, counts: Sequence[int]) -> int:
    """In how many ways ``counts`` of each species occupy ``n`` sites, symmetry aside."""
    total = 1
    for k in counts:
        total, n = total * comb(n, k), n - k
    return total
