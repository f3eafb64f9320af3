"""Si(111) (2n+1)x(2n+1) with dimers, adatoms and a stacking fault: K. Takayanagi et al., Surf. Sci. 164, 367 (1985).

Sites ``(i, j)`` of the lower half of the top bilayer are counted along the sides of the rhombic cell of ``N x N``, from
its corner. Its short diagonal parts a faulted triangle, ``i + j < N``, from an unfaulted one, ``i + j > N``; both are
the same but for a half turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from .contacts import bonds
from .generator import Generator, Made, take


@dataclass(frozen=True)
class DAS(Generator):
    """Dimer-adatom-stacking-fault reconstructions of ideal (111) slabs of silicon or its kin.

    The top bilayer of an ``N x N`` cell loses its corner atom, half of it is turned into a stacking fault, dimers form
    along the seams, and ``(N^2 - 1) / 4`` adatoms cap what is left: 12 adatoms, 9 dimers, 6 rest atoms and a corner
    hole for ``N = 7``, which is the lowest in energy.

    Args:
        slab: name of earlier slabs, which end in a whole bilayer.
        sizes: N, odd, 3 or more; a slab too small for one is repeated.
        dimer: length of the dimers, Å; default: as in the crystal, and 4 % more.
        adatom: length of the adatoms' bonds, Å; default: as in the crystal, and 10 % more.
    """

    slab: str
    sizes: list[int] = (3, 5, 7, 9)
    dimer: float | None = None
    adatom: float | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [das(atoms, size, self.dimer, self.adatom) for atoms in take(self.slab, made) for size in self.sizes]


def das(slab: Atoms, size: int = 7, dimer: float | None = None, adatom: float | None = None) -> Atoms:
    """The slab with its top bilayer reconstructed; see ``DAS``. Tags: 1 adatoms, 2 the layer they cap, 3 dimers."""
    if size < 3 or size % 2 == 0:
        raise ValueError(f"the size of a DAS reconstruction is an odd number, 3 or more, got {size}")
    slab = slab.repeat((*(size // np.gcd(size, _surface(slab)[0])), 1))
    basis = _surface(slab)[1]
    length = np.linalg.norm(basis[0])
    bond = length * np.sqrt(3 / 8)  # of the crystal
    tags, z = slab.get_tags(), slab.positions[:, 2]
    origin = slab.positions[tags == 2][0]
    ij = np.round((slab.positions[tags == 2] - origin)[:, :2] @ np.linalg.inv(basis)).astype(int)
    i, j = (ij % size).T
    inside = (i > 0) & (j > 0)
    faulted, regular = inside & (i + j <= size), inside & (i + j >= size)
    uppers = np.concatenate([ij[faulted] - 1 / 3, ij[regular] + 1 / 3])
    capped = (i % 2 == 1) & (j % 2 == 1) & (i + j < size) | (i % 2 == 0) & (j % 2 == 0) & (i + j > size)
    lowers = (ij + _pairing(i, j, size, (dimer or 1.04 * bond) / length))[(i > 0) | (j > 0)]
    rise = np.sqrt(max((adatom or 1.1 * bond) ** 2 - length**2 / 3, 0.0))
    new = Atoms(cell=slab.cell, pbc=slab.pbc)
    heights = (z[tags == 2].mean(), z[tags == 1].mean(), z[tags == 1].mean() + rise)
    for tag, sites, height in zip((3, 2, 1), (lowers, uppers, ij[capped]), heights):
        places = np.column_stack([sites @ basis + origin[:2], np.full(len(sites), height)])
        new += Atoms([slab[tags == 1][0].symbol] * len(places), places, tags=[tag] * len(places))
    slab.set_tags(np.where(tags > 0, tags + 1, 0))
    del slab[(tags == 1) | (tags == 2)]
    slab += new
    slab.cell[2] += [0.0, 0.0, rise]  # as much vacuum as before
    slab.wrap()
    slab.info["pattern"] = f"DAS {size}x{size}"
    return slab


def _pairing(i: np.ndarray, j: np.ndarray, size: int, dimer: float) -> np.ndarray:
    """By how much the sites on the three seams move to form dimers, in lattice vectors; ``dimer`` in their length."""
    moves = np.zeros((len(i), 2))
    for seam, place, along in ((j == 0, i, (1, 0)), (i == 0, j, (0, 1)), (i + j == size, i, (1, -1))):
        toward = np.where(place % 2 == 1, 0.5, -0.5) * (1 - dimer)
        moves += (seam * toward)[:, None] * along
    return moves


def _surface(slab: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Surface cells along each vector, and the vectors of one: at 60 degrees, the regular upper atoms at thirds."""
    tags, plane = slab.get_tags(), np.asarray(slab.cell)[:2, :2]
    i, _, vectors = bonds(slab)
    n = np.bincount(i, minlength=len(slab))
    top = np.flatnonzero(tags == 1)
    spacing = np.sqrt(abs(np.linalg.det(plane)) / max(len(top), 1) / np.sqrt(0.75))
    cells = np.round(np.linalg.norm(plane, axis=1) / spacing).astype(int).clip(1)
    basis = plane / cells[:, None]
    if basis[0] @ basis[1] < 0:
        basis[1] += basis[0]
    hexagonal = np.allclose(basis @ basis.T, spacing**2 * np.array([[1, 0.5], [0.5, 1]]), rtol=1e-3)
    if not hexagonal or set(n[top]) != {3} or set(n[tags == 2]) != {4} or len(set(slab.numbers[tags > 0])) > 1:
        raise ValueError(
            "DAS needs an ideal (111) slab of one tetrahedral element, as Slab makes it: ending in a whole bilayer "
            "(three bonds per top atom, termination 0 or 1), its surface cell a rhomb of 60 or 120 degrees"
        )
    offset = vectors[i == top[0]][0][:2] @ np.linalg.inv(basis)  # down to a lower atom
    return cells, basis if np.allclose((offset + 1 / 3) % 1.0 % 1.0, 0, atol=0.01) else -basis
