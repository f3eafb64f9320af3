"""What is missing from a surface and what is on it: vacancies and pits, adatoms and islands, kinks in steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.geometry import get_distances

from .contacts import bonds
from .generator import Generator, Made, take


@dataclass(frozen=True)
class Vacancies(Generator):
    """Slabs with atoms missing: here and there, or together, as a pit.

    Args:
        slab: name of earlier slabs.
        n: how many atoms are missing.
        layer: from which layer, 1 the top.
        together: whether they are neighbors.
        element: of the missing atoms; default: any.
        frames: how many slabs, of each given; those scattered differ by chance.
    """

    slab: str | list[str]
    n: int = 1
    layer: int = 1
    together: bool = False
    element: str | None = None
    frames: int = 1

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [
            without(atoms, self.n, self.layer, self.together, self.element, rng)
            for atoms in take(self.slab, made)
            for _ in range(self.frames)
        ]


@dataclass(frozen=True)
class Adatoms(Generator):
    """Ideal slabs with atoms on the sites of their next layer: here and there, or together, as an island.

    Args:
        slab: name of earlier slabs, two repeats of the stacking thick or more.
        n: how many atoms are added.
        together: whether they are neighbors.
        element: of the atoms added; default: what the crystal has there.
        frames: how many slabs, of each given; those scattered differ by chance.
    """

    slab: str | list[str]
    n: int = 1
    together: bool = False
    element: str | None = None
    frames: int = 1

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [
            with_adatoms(atoms, self.n, self.together, self.element, rng)
            for atoms in take(self.slab, made)
            for _ in range(self.frames)
        ]


@dataclass(frozen=True)
class Kinks(Generator):
    """Stepped slabs with a part of one edge missing, between two kinks.

    The edge is the longest row of neighbors among the top layer's atoms of fewest bonds.

    Args:
        slab: name of earlier slabs, such as those of ``Vicinal``.
        n: how many atoms of the edge are missing.
    """

    slab: str | list[str]
    n: int = 1

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [kinked(atoms, self.n) for atoms in take(self.slab, made)]


def without(
    slab: Atoms,
    n: int = 1,
    layer: int = 1,
    together: bool = False,
    element: str | None = None,
    rng: np.random.Generator | None = None,
) -> Atoms:
    """The slab without ``n`` atoms of a layer; see ``Vacancies``."""
    mine = slab.get_tags() == layer
    if not mine.any():
        raise ValueError(f"layer {layer} does not exist: the slab's layers are {_spelled(slab)}, counted from the top")
    mine &= (slab.symbols == element) if element else True
    chosen = _choose(slab, np.flatnonzero(mine), n, together, rng)
    left = slab.copy()
    del left[chosen]
    return left


def with_adatoms(
    slab: Atoms, n: int = 1, together: bool = False, element: str | None = None, rng: np.random.Generator | None = None
) -> Atoms:
    """The slab with ``n`` more atoms where its crystal has them, tagged 1, other layers one more; see ``Adatoms``."""
    if element is not None and element not in atomic_numbers:
        raise ValueError(f"{element!r} is not a chemical symbol")
    more = grown(slab)
    new = np.flatnonzero(more.get_tags() == 1)
    chosen = _choose(more, new, n, together, rng)
    if element is not None:
        more.symbols[chosen] = element
    del more[np.setdiff1d(new, chosen)]
    return more


def grown(slab: Atoms) -> Atoms:
    """An ideal slab with one more layer of its crystal on top, tagged 1, the other layers' tags one more."""
    tags = slab.get_tags()
    last = tags == tags.max()
    capped = not set(slab.numbers[last]) & set(slab.numbers[~last])  # what passivates the bottom is no layer of it
    own = (tags > 0) & ~(last & capped)
    crystal = slab[own]
    layer = np.unique(tags[own], return_inverse=True)[1]
    n = layer.max(initial=0) + 1
    for period in range(1, n):  # the shift that carries the layers below onto those above, if there are enough to tell
        below, above = crystal[layer >= period], crystal[layer < n - period]
        if len(below) != len(above):
            continue
        top = crystal[layer == 0]
        for shift in top.positions - crystal.positions[layer == period][0]:
            d = get_distances(below.positions + shift, above.positions, slab.cell, (1, 1, 0))[1]
            nearest = d.argmin(1)
            if d.min(1).max() < 0.05 and np.array_equal(below.numbers, above.numbers[nearest]):
                new = crystal[layer == period - 1]
                new.positions += shift
                new.set_tags(1)
                new.set_constraint()
                more = slab.copy()
                more.set_tags(np.where(tags > 0, tags + 1, 0))
                more += new
                more.cell[2, 2] += np.ptp(more.positions[:, 2]) - np.ptp(slab.positions[:, 2])
                more.wrap()
                return more
    raise ValueError(
        "the next layer cannot be told from this slab: it must be ideal, its layers tagged, and more than one repeat "
        "of the stacking thick"
    )


def kinked(slab: Atoms, n: int = 1) -> Atoms:
    """The slab without ``n`` neighboring atoms of a step's edge; see ``Kinks``."""
    i, j, _ = bonds(slab)
    degree = np.bincount(i, minlength=len(slab))
    top = slab.get_tags() == 1
    if not top.any():
        raise ValueError("the slab's layers must be tagged, 1 the top, as Vicinal does")
    edge = np.flatnonzero(top & (degree == degree[top].min()))
    if len(edge) == top.sum():
        raise ValueError("this surface has no steps: all atoms of its top layer have as many bonds")
    link = np.isin(i, edge) & np.isin(j, edge)
    row = _connected(edge[0], i[link], j[link])
    if not 1 <= n < len(row):
        raise ValueError(f"of an edge of {len(row)} atoms fewer, but one or more, can be taken: repeat it, got {n}")
    left = slab.copy()
    del left[_compact(slab, row, n)]
    return left


def _connected(start: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    found = np.array([start])
    while True:
        more = np.union1d(found, j[np.isin(i, found)])
        if len(more) == len(found):
            return found
        found = more


def _choose(slab: Atoms, among: np.ndarray, n: int, together: bool, rng: np.random.Generator | None) -> np.ndarray:
    if not len(among):
        raise ValueError("there is no such atom in this layer")
    if not 1 <= n <= len(among):
        raise ValueError(f"1 to {len(among)} atoms are possible here, got {n}; repeat the slab for more")
    if together:
        return _compact(slab, among, n)
    if rng is None:
        raise ValueError("atoms scattered by chance need a random generator, rng")
    return np.sort(rng.choice(among, n, replace=False))


def _compact(slab: Atoms, among: np.ndarray, n: int) -> np.ndarray:
    """``n`` atoms with as many neighbors among each other as can be had one by one, from the cell's middle on."""
    d = slab.get_all_distances(mic=True)[np.ix_(among, among)]
    middle = slab.cell[:2].sum(0) / 2
    start = int(np.argmin(np.linalg.norm((slab.positions[among] - middle)[:, :2], axis=1).round(3)))
    near = d < 1.2 * np.where(d > 0, d, np.inf).min()
    chosen = [start]
    while len(chosen) < n:
        score = near[:, chosen].sum(1) - 1e-3 * d[:, chosen].sum(1)
        score[chosen] = -np.inf
        chosen.append(int(np.argmax(score.round(6))))
    return np.sort(among[chosen])


def _spelled(slab: Atoms) -> str:
    tags = [t for t in np.unique(slab.get_tags()) if t > 0]
    return f"{tags[0]} to {tags[-1]}" if tags else "not tagged"
