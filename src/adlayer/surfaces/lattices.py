"""Lattices and their planes: which vectors span a plane, and which climb to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

TOLERANCE = 1e-4  # Å: positions closer than this are the same


def whole_indices(miller: Sequence[int]) -> np.ndarray:
    """Miller indices without a common divisor; four of a hexagonal crystal, ``h k i l``, become three."""
    hkl = np.asarray(miller)
    if hkl.shape == (4,) and hkl[:3].sum() == 0:
        hkl = hkl[[0, 1, 3]]
    if hkl.shape != (3,) or not np.issubdtype(hkl.dtype, np.integer) or not hkl.any():
        allowed = "three integers that are not all zero, or four whose first three sum to zero"
        raise ValueError(f"miller takes {allowed}, got {list(miller)}")
    return hkl // np.gcd.reduce(hkl)


def translations(crystal: Atoms) -> np.ndarray:
    """Translations, in fractions of the cell, which bring the crystal onto itself; several unless it is primitive."""
    f = crystal.get_scaled_positions(wrap=True)
    numbers = crystal.numbers
    rarest = min(set(numbers), key=lambda z: (np.sum(numbers == z), z))
    first, *others = f[numbers == rarest]
    found = [np.zeros(3)]
    for t in others - first if others else []:
        distance = _least_image((f + t)[:, None] - f[None], crystal)
        if np.all(np.any((distance < TOLERANCE) & (numbers[:, None] == numbers[None]), axis=1)):
            found.append(t % 1.0)
    return np.array(found)


def _least_image(df: np.ndarray, crystal: Atoms) -> np.ndarray:
    return np.linalg.norm((df - np.round(df)) @ np.asarray(crystal.cell), axis=-1)


def lattice_along(crystal: Atoms, hkl: np.ndarray) -> np.ndarray:
    """A basis of all translations, in fractions of the cell: one that climbs to the next plane ``hkl``, two within it.

    Euclid's algorithm on the rows ``[height, u, v, w]`` of all generators, column after column.
    """
    moves = translations(crystal)
    n = len(moves)
    f = np.concatenate([n * np.eye(3), n * moves]).round().astype(int)
    rows = np.column_stack([f @ hkl, f])
    basis: list[np.ndarray] = []
    for column in range(4):
        while (live := np.flatnonzero(rows[:, column])).size > 1:
            least = live[np.argmin(abs(rows[live, column]))]
            others = live[live != least]
            rows[others] -= (rows[others, column] // rows[least, column])[:, None] * rows[least]
        if live.size and len(basis) < 3:
            basis.append(rows[live[0]] * np.sign(rows[live[0], column]))
            rows[live[0]] = 0
    return np.array(basis)[:, 1:] / n


def reduced(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same lattice by its two shortest vectors (Lagrange and Gauss)."""
    while True:
        if a @ a > b @ b:
            a, b = b, a
        m = np.round(a @ b / (a @ a))
        if m == 0 or abs(abs(a @ b / (a @ a)) - 0.5) < 1e-9:
            return a, b
        b = b - m * a


def combinations(basis: Sequence[np.ndarray], most: int = 2) -> np.ndarray:
    """All sums of up to ``most`` times each vector, their opposites too; the first is zero."""
    m = np.arange(-most, most + 1)
    m = m[np.argsort(abs(m), kind="stable")]
    return np.stack(np.meshgrid(*len(basis) * [m], indexing="ij"), -1).reshape(-1, len(basis)) @ np.array(basis)


def first(vectors: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The vector of least size; among equals always the same one."""
    return vectors[np.lexsort((*(-vectors.round(6)).T[::-1], size.round(6)))[0]]


def shortest_two(plane: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest basis of a plane's lattice, right-handed about the normal, rectangular where it can be."""
    length = np.linalg.norm(plane, axis=1)
    plane, length = plane[length > 1e-6], length[length > 1e-6]
    a = first(plane, length)
    turned = np.cross(a, plane) @ normal
    aside = turned > 1e-6 * length * np.linalg.norm(a)
    slant = abs(plane[aside] @ a)
    return a, first(plane[aside], length[aside] + 1e-3 * slant)
