"""Alloys on a frame of atoms: particles, slabs or crystals whose sites several elements share in a chemical order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ..config import nearest
from .contacts import atomic_number, bonds
from .generator import Generator, Made, take
from .particles import neighbor_distance
from .symmetry import orbits

ORDERINGS = ("random", "core-shell", "janus", "layered", "ordered", "symmetric")


@dataclass(frozen=True)
class Alloy(Generator):
    """Alloys: elements on the sites of earlier structures, in a given composition and chemical order.

    ``random``: any site to any element. ``core-shell``: elements from the inside out, in the order they are named (in a
    slab from the middle to its surfaces). ``janus``: side by side along a direction. ``layered``: planes normal to the
    direction in turn, as in L1_0 along [001]. ``ordered``: as many bonds between unlike atoms as an annealing of swaps
    finds. ``symmetric``: whole orbits of the frame's point group, so that the composition is met as nearly as their
    sizes allow.

    Args:
        of: names of earlier structures, the frames.
        composition: elements with their shares, ``{ Pt = 0.5, Ni = 0.5 }``, or numbers of atoms that add up.
        orderings: which; each makes ``n`` structures of every frame.
        n: how many of each ordering; only random elements differ.
        direction: of ``janus`` and ``layered``; default: z; for ``janus`` particles a random one.
        fit_size: whether the frame is scaled to the distance of neighbors that the composition has on average (Vegard).
    """

    of: str | list[str]
    composition: dict[str, float]
    orderings: list[str] = ("random",)
    n: int = 1
    direction: list[float] | None = None
    fit_size: bool = True

    def __post_init__(self):
        for ordering in self.orderings:
            _known(ordering)

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [
            alloy(frame, self.composition, ordering, rng, self.direction, self.fit_size)
            for frame in take(self.of, made)
            for ordering in self.orderings
            for _ in range(self.n)
        ]


def alloy(
    frame: Atoms,
    composition: Mapping[str, float],
    ordering: str = "random",
    rng: np.random.Generator | None = None,
    direction: list[float] | None = None,
    fit_size: bool = True,
) -> Atoms:
    """One alloy; see ``Alloy``. ``info["pattern"]`` names the ordering."""
    rng = np.random.default_rng(0) if rng is None else rng
    _known(ordering)
    counts = numbers_of(composition, len(frame))
    elements = np.repeat([atomic_number(s) for s in counts], list(counts.values()))
    found = frame.copy()
    tie = rng.random(len(frame))
    if ordering == "random":
        found.numbers = rng.permutation(elements)
    elif ordering == "core-shell":
        found.numbers[np.lexsort((tie, -depths(frame)))] = elements
    elif ordering == "janus":
        across = [0.0, 0.0, 1.0] if frame.pbc.any() else rng.normal(size=3)
        axis = np.asarray(across if direction is None else direction, float)
        found.numbers[np.lexsort((tie, (frame.positions @ axis).round(6)))] = elements
    elif ordering == "layered":
        found.numbers = _layered(frame, counts, [0, 0, 1] if direction is None else direction, tie)
    elif ordering == "ordered":
        found.numbers = _mixed(frame, rng.permutation(elements), rng)
    else:
        found.numbers = _symmetric(frame, counts, rng)
    if fit_size:
        _fit_size(found, frame)
    found.info |= {"pattern": ordering}
    return found


def numbers_of(composition: Mapping[str, float], n: int) -> dict[str, int]:
    """How many of ``n`` atoms each element has: shares are rounded, whole numbers must add up."""
    values = np.array(list(composition.values()), float)
    for symbol in composition:
        atomic_number(symbol)
    if not len(values) or values.min() < 0 or not values.sum() > 0:
        raise ValueError(
            f"a composition names elements with their shares, such as {{Pt = 0.5, Ni = 0.5}}, got {composition}"
        )
    if abs(values.sum() - 1) > 1e-6 and values.sum() != n:
        raise ValueError(f"a composition adds up to 1, or to the {n} atoms of the frame, but this to {values.sum():g}")
    exact = values / values.sum() * n
    counts = np.floor(exact + 1e-9).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    return {symbol: int(count) for symbol, count in zip(composition, counts)}


def depths(frame: Atoms) -> np.ndarray:
    """How many layers of atoms are above each: 0 at the surface, where atoms lack bonds, then one by one inward."""
    i, j, _ = bonds(frame)
    full = np.bincount(i, minlength=len(frame))
    depth = np.full(len(frame), -1)
    most = int(full.max(initial=0))
    depth[full <= most - max(1, most // 6)] = 0
    if (depth < 0).all():
        raise ValueError("no atom of this frame lacks bonds: it has no surface that could be a shell")
    for layer in range(1, len(frame)):
        outer = np.zeros(len(frame), bool)
        outer[j[depth[i] == layer - 1]] = True
        if not (outer & (depth < 0)).any():
            break
        depth[outer & (depth < 0)] = layer
    return np.maximum(depth, 0)


def _known(ordering: str) -> None:
    if ordering not in ORDERINGS:
        raise ValueError(
            f"there is no ordering {ordering!r}{nearest(ordering, ORDERINGS)}; there are {', '.join(ORDERINGS)}"
        )


def _layered(frame: Atoms, counts: Mapping[str, int], direction: list[float], tie: np.ndarray) -> np.ndarray:
    """Planes of atoms in turn; what the composition leaves over goes to the last of its planes."""
    n = np.asarray(direction, float) / np.linalg.norm(direction)
    height = frame.positions @ n
    order = np.argsort(height, kind="stable")
    plane = np.empty(len(frame), int)
    plane[order] = np.concatenate([[0], np.cumsum(np.diff(height[order]) > 0.3)])
    symbols = [s for s, c in counts.items() if c]
    wish = plane % len(symbols)
    left, numbers = dict(counts), np.zeros(len(frame), int)
    for k, symbol in enumerate(symbols):
        sites = np.flatnonzero(wish == k)
        sites = sites[np.argsort(tie[sites])][: left[symbol]]
        numbers[sites], left[symbol] = atomic_numbers[symbol], left[symbol] - len(sites)
    rest = np.repeat([atomic_numbers[s] for s in left], list(left.values()))
    numbers[numbers == 0] = rest
    return numbers


def _mixed(frame: Atoms, numbers: np.ndarray, rng: np.random.Generator, sweeps: int = 200) -> np.ndarray:
    """Annealed swaps that minimize the number of bonds between like atoms."""
    i, j, _ = bonds(frame)
    order = np.argsort(i, kind="stable")
    first = np.searchsorted(i[order], np.arange(len(frame) + 1))
    near = [j[order[a:b]] for a, b in pairwise(first)]
    numbers, n = numbers.copy(), len(frame)
    best, least, energy = numbers.copy(), np.inf, 0.5 * float(np.sum(numbers[i] == numbers[j]))
    for kT in np.geomspace(2.0, 0.1, sweeps):
        for a, b in rng.integers(0, n, (n, 2)):
            A, B = numbers[a], numbers[b]
            if A == B:
                continue
            before = _like(numbers, near, a, b)
            numbers[a], numbers[b] = B, A
            change = _like(numbers, near, a, b) - before
            if change > 0 and rng.random() > np.exp(-change / kT):
                numbers[a], numbers[b] = A, B
            else:
                energy += change
        if energy < least:
            best, least = numbers.copy(), energy
    return best


def _like(numbers: np.ndarray, near: list[np.ndarray], a: int, b: int) -> int:
    return int(np.sum(numbers[near[a]] == numbers[a]) + np.sum(numbers[near[b]] == numbers[b]))


def _symmetric(frame: Atoms, counts: Mapping[str, int], rng: np.random.Generator, tries: int = 300) -> np.ndarray:
    """Whole orbits to each element, of many random ways that which is nearest to the composition."""
    label = orbits(frame, elements=False)
    sizes = np.bincount(label)
    wanted = np.array(list(counts.values()))
    best, least = None, np.inf
    for _ in range(tries):
        left, of = wanted.copy(), np.zeros(len(sizes), int)
        for orbit in rng.permutation(len(sizes)):
            fits = np.flatnonzero(left >= sizes[orbit])
            of[orbit] = rng.choice(fits) if len(fits) else left.argmax()
            left[of[orbit]] -= sizes[orbit]
        if (miss := np.abs(left).sum()) < least:
            best, least = of, miss
    return np.array([atomic_number(s) for s in counts])[best][label]


def _fit_size(found: Atoms, frame: Atoms) -> None:
    """Scale to the mean distance of neighbors in the crystals of the elements, relative to what the frame has."""
    distance = {z: neighbor_distance(int(z)) for z in {*found.numbers, *frame.numbers}}
    factor = np.mean([distance[z] for z in found.numbers]) / np.mean([distance[z] for z in frame.numbers])
    periodic = frame.pbc[:, None]
    found.set_cell(np.where(periodic, factor * frame.cell, frame.cell))
    found.set_positions(frame.positions * factor, apply_constraint=False)
