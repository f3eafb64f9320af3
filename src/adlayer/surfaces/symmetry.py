"""Symmetry found from the atoms themselves: of particles, wires, slabs and crystals by one method.

An operation is fixed by what it does to two vectors and by its handedness, so candidates come from the shortest lattice
vectors and the rarest atoms; each is kept if it brings every atom onto one like it, modulo the lattice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

GRID = np.stack(np.meshgrid(*3 * [np.arange(-2, 3)], indexing="ij"), -1).reshape(-1, 3)


class Operation(NamedTuple):
    """``x -> R x + t`` about the middle of the atoms; site ``a`` goes where site ``image[a]`` was."""

    R: np.ndarray
    t: np.ndarray
    image: np.ndarray


class Sites:
    """Points modulo a lattice, found again by position.

    Args:
        points: Å.
        kinds: which of them are alike.
        lattice: its vectors, one row for each periodic direction.
        tolerance: distance up to which two points are the same, Å.
    """

    def __init__(self, points: np.ndarray, kinds: np.ndarray, lattice: np.ndarray, tolerance: float):
        self.points, self.kinds, self.lattice, self.tolerance = points, kinds, lattice, tolerance
        normal = np.linalg.svd(lattice)[2][len(lattice) :] if len(lattice) else np.eye(3)
        self.across = normal.T @ normal  # projects on the directions that are not periodic
        self.basis = np.concatenate([lattice, normal])
        self.scale = np.linalg.norm(self.basis, axis=1)
        box = self.scale * (np.arange(3) < len(lattice))  # 0: does not repeat
        self.tree = cKDTree(self._wrapped(points), boxsize=box)

    def _wrapped(self, points: np.ndarray) -> np.ndarray:
        f = points @ np.linalg.inv(self.basis)
        k = len(self.lattice)
        f[:, :k] -= np.floor(f[:, :k])
        f[:, :k][f[:, :k] >= 1.0] = 0.0
        return f * self.scale

    def find(self, points: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Which site each point is; -1 if it is none, or one of another kind."""
        index = self.tree.query(self._wrapped(points))[1]
        df = (points - self.points[index]) @ np.linalg.inv(self.basis)
        df[:, : len(self.lattice)] -= np.round(df[:, : len(self.lattice)])
        same = np.linalg.norm(df @ self.basis, axis=1) < self.tolerance
        return np.where(same & (self.kinds[index] == kinds), index, -1)

    def reached(self, turned: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Translations along the lattice that bring turned points onto sites, each with the images."""
        rare = _rarest(self)
        moves = self.points[rare] - turned[rare[0]] if len(self.lattice) else np.zeros((1, 3))
        moves = moves - moves @ self.across
        for probe in range(min(4, len(turned))):  # most fail at once
            moves = moves[self.find(turned[probe] + moves, np.full(len(moves), self.kinds[probe])) >= 0]
        images = [(t, self.find(turned + t, self.kinds)) for t in moves]
        return [(t, image) for t, image in images if image.min() >= 0]


def symmetries(atoms: Atoms, tolerance: float = 0.1, elements: bool = True) -> tuple[list[Operation], np.ndarray]:
    """The operations that leave a structure as it is, and the site of each atom.

    Of a particle they are its point group, of a slab its layer group, of a crystal its space group, in both latter
    cases modulo translations of the primitive cell: atoms a translation apart are one site.

    Args:
        atoms: of any periodicity.
        tolerance: by how much an atom may miss its image, Å.
        elements: whether atoms of different elements differ; if not, the symmetry is that of the frame alone.
    """
    if not len(atoms):
        raise ValueError("a structure without atoms has no symmetry to find")
    kinds = atoms.numbers if elements else np.zeros(len(atoms), int)
    whole = _sites(atoms, tolerance, kinds)
    lattice = _primitive(whole)
    folded = Sites(whole.points, kinds, lattice, tolerance)
    site = np.unique([hits[0] for hits in _coincident(folded)], return_inverse=True)
    sites = Sites(whole.points[site[0]], kinds[site[0]], lattice, tolerance)
    found: list[Operation] = []
    for R in _rotations(sites):
        if not found or np.abs(np.array([op.R for op in found]) - R).max((1, 2)).min() > 0.03:
            found += _translated(sites, R)
    return found, site[1]


def orbits(atoms: Atoms, tolerance: float = 0.1, elements: bool = True) -> np.ndarray:
    """Label of each atom: atoms have the same one if a symmetry of the structure turns one into the other.

    Symmetry is the point group of a particle, the layer group of a slab, the space group of a crystal. Labels count
    from the center outward in particles and wires, from the top down in slabs.

    Args:
        atoms: of any periodicity.
        tolerance: by how much an atom may miss its image, Å.
        elements: whether atoms of different elements differ; False for the frame on which elements are to be arranged.
    """
    operations, site = symmetries(atoms, tolerance, elements)
    n = site.max() + 1
    images = np.concatenate([op.image for op in operations])
    links = coo_array((np.ones(len(images)), (np.tile(np.arange(n), len(operations)), images)), shape=(n, n))
    label = connected_components(links, directed=False)[1][site]
    x = atoms.positions - atoms.positions.mean(0)
    if atoms.pbc.sum() < 2:
        axis = np.asarray(atoms.cell)[atoms.pbc]
        x = x - x @ np.linalg.pinv(axis) @ axis if len(axis) else x
        height = np.linalg.norm(x, axis=1)
    else:
        normal = np.cross(*np.asarray(atoms.cell)[atoms.pbc][:2])
        height = -np.sign(normal[2] or 1.0) * x @ normal / np.linalg.norm(normal)
    first = [height[label == k].min().round(3) for k in range(label.max() + 1)]
    return np.argsort(np.argsort(first, kind="stable"), kind="stable")[label]


def rotations(crystal: Atoms, tolerance: float = 0.1) -> np.ndarray:
    """The matrices [n, 3, 3] of the point group of a crystal, slab, wire or particle: its class, translations aside."""
    return np.array([op.R for op in symmetries(crystal, tolerance)[0]])


def primitive_lattice(atoms: Atoms, tolerance: float = 0.1) -> np.ndarray:
    """The shortest vectors of all translations that leave a structure as it is, one for each periodic direction."""
    return _primitive(_sites(atoms, tolerance, atoms.numbers))


def _sites(atoms: Atoms, tolerance: float, kinds: np.ndarray) -> Sites:
    rows = np.asarray(minkowski_reduce(atoms.cell, atoms.pbc)[0])[atoms.pbc]
    return Sites(_centered(atoms.positions, rows), kinds, rows, tolerance)


def _centered(positions: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions relative to the middle of the atoms in the directions that are not periodic."""
    middle = positions.mean(0)
    return positions - (middle - middle @ np.linalg.pinv(rows) @ rows if len(rows) else middle)


def _coincident(sites: Sites) -> list[list[int]]:
    """For each point all points, itself among them, that are the same modulo the lattice."""
    u = sites.tree.data
    return [sorted(hits) for hits in sites.tree.query_ball_point(u, sites.tolerance)]


def _rarest(sites: Sites) -> np.ndarray:
    kinds, counts = np.unique(sites.kinds, return_counts=True)
    return np.flatnonzero(sites.kinds == kinds[counts.argmin()])


def _primitive(sites: Sites) -> np.ndarray:
    """The lattice of all translations that leave the points as they are, by its shortest vectors."""
    k = len(sites.lattice)
    moves = np.array([t for t, _ in sites.reached(sites.points)])
    if len(moves) <= 1:
        return sites.lattice
    vectors = (moves[:, None] + np.unique(GRID[:, :k], axis=0) @ sites.lattice).reshape(-1, 3)
    vectors = vectors[np.linalg.norm(vectors, axis=1) > sites.tolerance]
    basis: list[np.ndarray] = []
    for v in vectors[np.argsort(np.linalg.norm(vectors, axis=1).round(6), kind="stable")]:
        if np.linalg.svd([*basis, v], compute_uv=False)[-1] > 10 * sites.tolerance / k:
            basis.append(v)
        if len(basis) == k:
            break
    return np.array(basis)


def _rotations(sites: Sites) -> Iterator[np.ndarray]:
    """Candidates: what turns two chosen vectors, lattice vectors first, into two like them, with either handedness."""
    (u, us), (v, vs) = _two(sites)
    frame = np.linalg.inv(np.array([u, v, np.cross(u, v)]))
    loose = 4 * sites.tolerance * max(np.linalg.norm(u), np.linalg.norm(v))
    for a in us:
        for b in vs[abs(vs @ a - u @ v) < loose]:
            for sign in (1, -1):
                left, s, right = np.linalg.svd((frame @ np.array([a, b, sign * np.cross(a, b)])).T)
                R = left @ right
                if s.min() > 0.5 and _keeps(sites, R):
                    yield R


def _keeps(sites: Sites, R: np.ndarray) -> bool:
    """Whether a rotation leaves the lattice as it is."""
    turned = sites.lattice @ R.T
    f = (turned @ np.linalg.inv(sites.basis)).round() * (np.arange(3) < len(sites.lattice))
    return bool(np.all(np.linalg.norm(turned - f @ sites.basis, axis=1) < sites.tolerance))


def _two(sites: Sites) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two vectors that are not parallel, each with all those like it."""
    k, tolerance = len(sites.lattice), sites.tolerance
    lengths = np.linalg.norm(sites.lattice, axis=1)
    vectors = GRID[(GRID[:, k:] == 0).all(1)][:, :k] @ sites.lattice if k else np.zeros((0, 3))
    size = np.linalg.norm(vectors, axis=1)
    chosen = [(v, vectors[abs(size - length) < tolerance]) for v, length in zip(sites.lattice[:2], lengths)]
    x = sites.points @ sites.across
    r = np.linalg.norm(x, axis=1)
    like = [(sites.kinds == z) & (abs(r - d) < 2 * tolerance) for z, d in zip(sites.kinds, r)] if k < 2 else []
    for a in sorted(range(len(like)), key=lambda a: (like[a].sum(), -r[a].round(3))):
        aside = not chosen or np.linalg.norm(np.cross(chosen[0][0], x[a])) > 0.3 * r[a] * np.linalg.norm(chosen[0][0])
        if len(chosen) < 2 and r[a] > 5 * tolerance and aside:
            chosen.append((x[a], x[like[a]]))
    while len(chosen) < 2:  # one atom, or all on a line: no other direction counts
        axis = chosen[0][0] if chosen else np.array([0.0, 0.0, 1.0])
        other = np.cross(axis, np.eye(3)[abs(axis).argmin()])
        chosen.append((other, other[None]))
    return chosen


def _translated(sites: Sites, R: np.ndarray) -> list[Operation]:
    """The operation with this rotation, if there is one: a primitive cell has no two."""
    reached = sites.reached(sites.points @ R.T)
    return [Operation(R, t, image) for t, image in reached if len(np.unique(image)) == len(image)][:1]
