"""How a crystal is cut along a plane: its smallest surface cell, its layers, and what was bonded to what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

TOLERANCE = 1e-4  # Å: positions closer than this are the same


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


def oriented(crystal: Atoms, miller: Sequence[int]) -> Atoms:
    """The crystal in its smallest cell whose first two vectors span the plane ``(h k l)``.

    The first vector lies along x and the plane's normal along z; the third vector climbs by one repeat of the stacking,
    and may lean. Miller indices refer to the cell that is given.
    """
    hkl = np.asarray(miller, dtype=int)
    if hkl.shape != (3,) or not hkl.any():
        raise ValueError(f"miller takes three integers that are not all zero, got {list(miller)}")
    hkl = hkl // np.gcd.reduce(hkl)
    N = int(abs(hkl).max()) + 1
    grid = np.stack(np.meshgrid(*3 * [np.arange(-N, N + 1)], indexing="ij"), -1).reshape(-1, 1, 3)
    moves = translations(crystal)
    f = (grid + moves).reshape(-1, 3)
    height = f @ hkl  # in units of the spacing of lattice planes of the cell given
    r = f @ np.asarray(crystal.cell)
    normal = np.linalg.inv(np.asarray(crystal.cell)) @ hkl
    normal = normal / np.linalg.norm(normal)
    a, b = _shortest_two(r[abs(height) < 1e-6], normal)
    up = r[np.isclose(height, height[height > 1e-6].min())]
    lateral = np.linalg.norm(up - np.outer(up @ normal, normal), axis=1)
    c = _first(up, lateral)
    cell = np.array([a, b, c])
    x = a / np.linalg.norm(a)
    axes = np.array([x, np.cross(normal, x), normal])
    whole = np.concatenate([crystal.positions + shift @ np.asarray(crystal.cell) for shift in moves])
    fractions = whole @ np.linalg.inv(cell)
    fractions = (fractions - np.floor(fractions + 1e-6)).round(9)
    keep = _unique(fractions, cell)
    numbers = np.tile(crystal.numbers, len(moves))[keep]
    expected = len(crystal) * abs(np.linalg.det(cell)) / crystal.get_volume()
    assert abs(len(keep) - expected) < 1e-3, "the surface cell lost or doubled atoms"
    return Atoms(numbers, fractions[keep] @ cell @ axes.T, cell=(cell @ axes.T).round(12), pbc=True)


def _first(vectors: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The vector of least size; among equals always the same one."""
    return vectors[np.lexsort((*(-vectors.round(6)).T[::-1], size.round(6)))[0]]


def _shortest_two(plane: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest basis of a plane's lattice, right-handed about the normal, rectangular where it can be."""
    length = np.linalg.norm(plane, axis=1)
    plane, length = plane[length > 1e-6], length[length > 1e-6]
    a = _first(plane, length)
    turned = np.cross(a, plane) @ normal
    aside = turned > 1e-6 * length * np.linalg.norm(a)
    slant = abs(plane[aside] @ a)
    return a, _first(plane[aside], length[aside] + 1e-3 * slant)


def _unique(fractions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    keep: list[int] = []
    for k, f in enumerate(fractions):
        df = fractions[keep] - f
        if not keep or np.linalg.norm((df - np.round(df)) @ cell, axis=1).min() > TOLERANCE:
            keep.append(k)
    return np.array(keep)


def layers_of(cell: Atoms, thickness: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Positions within one repeat of the stacking that cuts no layer in two, and the layer of each atom, 0 the highest.

    Args:
        cell: from ``oriented``.
        thickness: a gap in height of more than this starts a new layer, Å.
    """
    c, z = np.asarray(cell.cell[2]), cell.positions[:, 2]
    z = np.where(np.isclose(z % c[2], c[2], atol=TOLERANCE), 0.0, z % c[2])
    order = np.argsort(z, kind="stable")
    gaps = np.diff(np.append(z[order], z[order[0]] + c[2]))
    start = (int(np.argmax(gaps)) + 1) % len(order)  # the lowest atom: below it is the widest gap
    rise = np.floor((cell.positions[:, 2] - z[order[start]] + TOLERANCE) / c[2])
    positions = cell.positions - rise[:, None] * c
    order = np.argsort(positions[:, 2], kind="stable")[::-1]
    layer = np.empty(len(order), dtype=int)
    layer[order] = np.concatenate([[0], np.cumsum(-np.diff(positions[order, 2]) > thickness)])
    return positions, layer


def stack(cell: Atoms, layers: int, termination: int = 0) -> Atoms:
    """The topmost ``layers`` layers of the crystal, not periodic across them; tags number them from the top, 1, 2, ...

    Args:
        cell: from ``oriented``.
        layers: how many.
        termination: which of the layers in the cell is the top, 0 the highest.
    """
    positions, layer = layers_of(cell)
    n = int(layer.max()) + 1
    if not 0 <= termination < n:
        raise ValueError(f"termination {termination} does not exist: this cut has {n}, counted from 0")
    repeats = -(-(layers + termination) // n)
    blocks = [positions - k * np.asarray(cell.cell[2]) for k in range(repeats)]
    depth = np.concatenate([layer + k * n - termination for k in range(repeats)])
    keep = (depth >= 0) & (depth < layers)
    atoms = Atoms(np.tile(cell.numbers, repeats)[keep], np.concatenate(blocks)[keep], cell=cell.cell, pbc=(1, 1, 0))
    atoms.set_tags(depth[keep] + 1)
    return atoms[np.argsort(-depth[keep], kind="stable")]  # from the bottom up


def bonded(atoms: Atoms, factor: float = 1.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bonds ``i, j, vector``, each in both directions: atoms closer than ``factor`` times the sum of covalent radii."""
    radii = factor * covalent_radii[atoms.numbers]
    i, j, vectors = neighbor_list("ijD", atoms, list(radii))
    return i, j, vectors
