"""How a crystal is cut along a plane: its smallest surface cell and its layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from .lattices import TOLERANCE, combinations, first, lattice_along, reduced, shortest_two, whole_indices


def oriented(crystal: Atoms, miller: Sequence[int]) -> Atoms:
    """The crystal in its smallest cell whose first two vectors span the plane ``(h k l)``.

    The first vector lies along x and the plane's normal along z; the third vector climbs by one repeat of the stacking,
    and may lean. Miller indices refer to the cell that is given.
    """
    hkl = whole_indices(miller)
    if not all(crystal.pbc) or crystal.cell.rank < 3:
        raise ValueError("a slab is cut from a crystal that is periodic in three directions, which this one is not")
    old = np.asarray(crystal.cell)
    up, *plane = lattice_along(crystal, hkl) @ old
    normal = np.linalg.inv(old) @ hkl
    normal = normal / np.linalg.norm(normal)
    plane = combinations(reduced(*plane))
    a, b = shortest_two(plane, normal)
    up = up - np.round(up @ np.linalg.pinv([a, b])) @ [a, b] + plane
    c = first(up, np.linalg.norm(up - np.outer(up @ normal, normal), axis=1))
    cell = np.array([a, b, c])
    x = a / np.linalg.norm(a)
    axes = np.array([x, np.cross(normal, x), normal])
    fractions = crystal.positions @ np.linalg.inv(cell)
    fractions = (fractions - np.floor(fractions + 1e-6)).round(9)
    keep = _unique(fractions, cell)
    expected = len(crystal) * abs(np.linalg.det(cell)) / crystal.get_volume()
    assert abs(len(keep) - expected) < 1e-3, "the surface cell lost or doubled atoms"
    return Atoms(crystal.numbers[keep], fractions[keep] @ cell @ axes.T, cell=(cell @ axes.T).round(12), pbc=True)


def rectangular(cell: Atoms, largest: int = 40) -> Atoms:
    """The smallest surface cell with a right angle.

    Args:
        cell: from ``oriented``.
        largest: how many times the area may grow.
    """
    plane = np.asarray(cell.cell)[:2, :2]
    area = abs(np.linalg.det(plane))
    r = combinations(plane, largest)[1:]
    r = r[np.lexsort((-r[:, 0].round(6), np.linalg.norm(r, axis=1).round(6)))]
    length = np.linalg.norm(r, axis=1)
    best, least = None, largest + 0.5
    for u in r[length**2 <= largest * area + TOLERANCE]:  # the shorter of the two vectors
        size = (u[0] * r[:, 1] - u[1] * r[:, 0]) / area
        size[(size < 0.5) | (abs(r @ u) > 1e-5 * length * np.linalg.norm(u))] = np.inf
        if size.min() < least - 0.5:
            best, least = np.array([u, r[np.argmin(size)]]), size.min()
    if best is None:
        raise ValueError(f"this plane has no rectangular cell up to {largest} times its smallest one: leave it oblique")
    P = np.eye(3)
    P[:2, :2] = best @ np.linalg.inv(plane)
    wide = make_supercell(cell, np.round(P).astype(int))
    wide.rotate(-np.degrees(np.arctan2(best[0, 1], best[0, 0])), "z", rotate_cell=True)
    return wide


def _unique(fractions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    keep: list[int] = []
    for k, f in enumerate(fractions):
        df = fractions[keep] - f
        if not keep or np.linalg.norm((df - np.round(df)) @ cell, axis=1).min() > TOLERANCE:
            keep.append(k)
    return np.array(keep)


def layers_of(cell: Atoms, gap: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Positions within one repeat of the stacking that cuts no layer in two, and the layer of each atom, 0 the highest.

    Args:
        cell: from ``oriented``.
        gap: a difference in height of more than this starts a new layer, Å.
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
    layer[order] = np.concatenate([[0], np.cumsum(-np.diff(positions[order, 2]) > gap)])
    return positions, layer


def stack(cell: Atoms, layers: int, termination: int = 0, gap: float = 0.1) -> Atoms:
    """The topmost ``layers`` layers of the crystal, not periodic across them; tags number them from the top, 1, 2, ...

    Args:
        cell: from ``oriented``.
        layers: how many.
        termination: which of the layers in the cell is the top, 0 the highest.
        gap: between layers, Å, as for ``layers_of``.
    """
    positions, layer = layers_of(cell, gap)
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
