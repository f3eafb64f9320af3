"""What the symmetry of a structure does to points on it: how sites are permuted, and which placements are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from .lattices import combinations
from .symmetry import Sites, primitive_lattice, symmetries

FROZEN = 200  # added to atomic numbers: atoms that may not move are of another kind


def with_frozen(atoms: Atoms) -> Atoms:
    """The same atoms, those that are held still of kinds of their own, for the symmetry they leave is another."""
    kinds = atoms.numbers.copy()
    for constraint in atoms.constraints:
        kinds[constraint.get_indices()] += FROZEN
    return Atoms(kinds, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


class Action:
    """All symmetries of a structure as it stands: of a supercell also the translations within it.

    Args:
        atoms: a slab, a wire or a particle, without adsorbates.
        tolerance: by how much an atom may miss its image, Å.
        flip: whether operations count that turn a slab over.
    """

    def __init__(self, atoms: Atoms, tolerance: float = 0.1, flip: bool = True):
        kinds = with_frozen(atoms)
        self.tolerance = tolerance
        self.rows = np.asarray(atoms.cell)[atoms.pbc]
        middle = atoms.positions.mean(0)
        self.middle = middle - (middle @ np.linalg.pinv(self.rows) @ self.rows if len(self.rows) else 0.0)
        operations = symmetries(kinds, tolerance)[0]
        steps = _steps(primitive_lattice(kinds, tolerance), self.rows)
        kept = [op for op in operations if _keeps(op.R, self.rows, tolerance) and (flip or not _flips(op.R, self.rows))]
        self.R = np.array([op.R for op in kept for _ in steps])
        self.t = np.array([op.t + s for op in kept for s in steps])

    def __len__(self) -> int:
        return len(self.R)

    def of(self, points: np.ndarray) -> np.ndarray:
        """Where each operation takes points, [operations, points, 3]."""
        return np.einsum("gxy,py->gpx", self.R, points - self.middle) + self.t[:, None] + self.middle

    def images(
        self,
        of: np.ndarray,
        among: np.ndarray,
        kinds: Sequence[int],
        others: Sequence[int],
        within: float | None = None,
    ) -> np.ndarray:
        """Which of the points ``among`` (of kinds ``others``) each becomes, [operations, points]; -1: none of them.

        ``within`` (Å) is the distance up to which it does; default: the tolerance of the symmetry.
        """
        sites = Sites(among - self.middle, np.asarray(others), self.rows, within or self.tolerance)
        moved = self.of(of) - self.middle
        return sites.find(moved.reshape(-1, 3), np.tile(kinds, len(self))).reshape(len(self), -1)

    def permutations(self, points: np.ndarray, kinds: Sequence[int] | None = None) -> np.ndarray:
        """The different ways in which points are permuted, [ways, points], by the operations that permute them."""
        kinds = np.zeros(len(points), int) if kinds is None else np.asarray(kinds)
        found = self.images(points, points, kinds, kinds)
        return np.unique(found[(found >= 0).all(1)], axis=0)

    def same(self, one: Atoms, other: Atoms, within: float | None = None) -> bool:
        """Whether an operation turns one set of atoms on the surface into another."""
        if sorted(one.numbers) != sorted(other.numbers):
            return False
        images = self.images(one.positions, other.positions, one.numbers, other.numbers, within)
        return bool((images >= 0).all(1).any())

    def multiplicity(self, atoms: Atoms, within: float | None = None) -> int:
        """How many different placements the operations make of one set of atoms on the surface."""
        images = self.images(atoms.positions, atoms.positions, atoms.numbers, atoms.numbers, within)
        return len(self) // int((images >= 0).all(1).sum())


def _steps(primitive: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The translations of the primitive lattice within one cell."""
    if not len(rows):
        return np.zeros((1, 3))
    size = round(abs(np.linalg.det(rows @ np.linalg.pinv(primitive))))
    f = combinations(primitive, 2 * size) @ np.linalg.pinv(rows) if size > 1 else np.zeros((1, len(rows)))
    f = f - np.floor(f + 1e-4)
    return f[np.unique(f.round(3), axis=0, return_index=True)[1]] @ rows


def _keeps(R: np.ndarray, rows: np.ndarray, tolerance: float) -> bool:
    """Whether a rotation turns the supercell's lattice into itself."""
    if not len(rows):
        return True
    turned = rows @ R.T
    return bool(np.abs(turned - np.round(turned @ np.linalg.pinv(rows)) @ rows).max() < tolerance)


def _flips(R: np.ndarray, rows: np.ndarray) -> bool:
    """Whether a rotation turns a slab over."""
    return len(rows) == 2 and float((R @ np.cross(*rows)) @ np.cross(*rows)) < 0
