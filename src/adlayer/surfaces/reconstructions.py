"""Reconstructions of clean fcc metals: missing rows of (110), hexagonal tops of (100)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import get_distances

from .generator import Generator, Made, take


@dataclass(frozen=True)
class MissingRow(Generator):
    """``(1 x n)`` of fcc(110): every ``n``-th row of the top layer stays, and below it more and more.

    ``n - k`` of ``n`` close-packed rows are missing in layer ``k``, which leaves (111) facets: the missing row of gold
    and platinum for ``n = 2``, deeper grooves for more. See W. Moritz and D. Wolf, Surf. Sci. 163, L655 (1985).

    Args:
        slab: name of earlier (110) slabs, with ``n`` layers or more.
        periods: n; a slab too small for one is repeated.
    """

    slab: str | list[str]
    periods: list[int] = (2,)

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [missing_row(atoms, n) for atoms in take(self.slab, made) for n in self.periods]


@dataclass(frozen=True)
class HexagonalTop(Generator):
    """``hex`` of fcc(100), as on gold, platinum and iridium: the top layer close-packed, its rows one more than below.

    ``rows`` rows of the square lattice become ``rows + 1`` of a hexagonal one, ``(1 x 5)`` by default; ``along`` cells
    along them hold ``along + extra`` atoms. Each atom rests on those below it as hard spheres do. See M. A. Van Hove et
    al., Surf. Sci. 103, 189 (1981).

    Args:
        slab: name of earlier (100) slabs; one too small is repeated.
        rows: of the square lattice, along the first vector, that the period holds.
        along: cells along the rows.
        extra: atoms that the rows hold more than those below them.
    """

    slab: str | list[str]
    rows: int = 5
    along: int = 1
    extra: int = 0

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [hexagonal_top(atoms, self.rows, self.along, self.extra) for atoms in take(self.slab, made)]


def missing_row(slab: Atoms, n: int = 2) -> Atoms:
    """The fcc(110) slab without those rows; see ``MissingRow``."""
    if n < 2:
        raise ValueError(f"rows are missing with a period of 2 or more, got {n}")
    tags = slab.get_tags()
    if tags.max() < n:
        raise ValueError(f"(1x{n}) needs a slab of {n} layers or more with its layers tagged, got {tags.max()}")
    lengths, cells = _square(slab, np.sqrt(2))
    across = int(np.argmax(lengths))  # rows are close-packed along the other vector
    wanted = [1, 1]
    wanted[across] = n // np.gcd(n, cells[across])
    slab = slab.repeat((*wanted, 1))
    u = np.asarray(slab.cell)[across] / np.linalg.norm(slab.cell[across])
    place = (slab.positions - slab.positions[slab.get_tags() == 1][0]) @ u / lengths[across]
    place = (place + n / 2) % n - n / 2  # 0 is the ridge; rows of layer k are at k/2 + 1/2 + whole numbers
    layer = slab.get_tags()
    del slab[(layer > 0) & (layer < n) & (_from_ridge(place, n) > layer / 2 - 0.25)]
    slab.info["pattern"] = f"missing row (1x{n})"
    return slab


def _from_ridge(place: np.ndarray, n: int) -> np.ndarray:
    """Distance from the nearest ridge's middle, counted so that ``n`` rows of a layer have ``n`` different ones."""
    return np.where(np.isclose(place, -n / 2, atol=1e-3), n / 2, abs(place))


def hexagonal_top(slab: Atoms, rows: int = 5, along: int = 1, extra: int = 0) -> Atoms:
    """The fcc(100) slab with its top layer close-packed; see ``HexagonalTop``."""
    if rows < 3 or along < 1 or extra < 0:
        raise ValueError(f"hex needs 3 rows or more, 1 cell along them or more, got {rows} and {along}, and extra >= 0")
    lengths, cells = _square(slab, 1.0)
    wanted = np.array([along, rows])
    slab = slab.repeat((*(wanted // np.gcd(wanted, cells)), 1))
    tags, plane = slab.get_tags(), np.asarray(slab.cell)[:2]
    cells = np.round(np.linalg.norm(plane, axis=1) / lengths).astype(int)
    below = slab[tags != 1]
    per_row = cells[0] // along * (along + extra)
    n_rows = cells[1] // rows * (rows + 1)
    row, atom = np.divmod(np.arange(n_rows * per_row), per_row)
    shift = np.round(n_rows / 2) / n_rows  # from row to row, in atoms: a half, or what closes after odd rows
    first = slab.positions[tags == 2][0]
    places = np.column_stack([(atom + row * shift) / per_row, row / n_rows]) @ plane + first
    contact = lengths[0]  # distance of neighbors in the crystal
    d = get_distances(places * [1, 1, 0], slab.positions[tags == 2] * [1, 1, 0], slab.cell, (1, 1, 0))[1]
    places[:, 2] = first[2] + np.sqrt((contact**2 - d**2).clip(0)).max(1)
    top = Atoms([slab[tags == 1][0].symbol] * len(places), places, tags=np.ones(len(places), dtype=int))
    below += top
    below.cell[2, 2] += places[:, 2].max() - slab.positions[tags == 1, 2].max()
    below.wrap()
    below.info["pattern"] = f"hex ({along}x{rows})"
    return below


def _square(slab: Atoms, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the sides of the rectangular 1x1 cell, Å, in the order of the slab's vectors, and cells along each."""
    plane = np.asarray(slab.cell)[:2, :2]
    sides, top = np.linalg.norm(plane, axis=1), slab.get_tags() == 1
    short = np.sqrt(sides.prod() / max(top.sum(), 1) / ratio)
    for lengths in (np.array([short, ratio * short]), np.array([ratio * short, short])):
        cells = np.round(sides / lengths)
        if top.any() and np.allclose(cells * lengths, sides, rtol=1e-3) and abs(plane[0] @ plane[1]) < 1e-3 * short:
            return lengths, cells.astype(int)
    kind = "(100)" if ratio == 1.0 else "(110)"
    raise ValueError(f"this reconstruction needs an ideal fcc{kind} slab with a rectangular cell, its layers tagged")
