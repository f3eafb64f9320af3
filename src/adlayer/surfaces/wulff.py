"""Equilibrium shapes: G. Wulff, Z. Kristallogr. 34, 449 (1901).

On a support: W. L. Winterbottom, Acta Metall. 15, 303 (1967).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection, QhullError

from .symmetry import rotations


@dataclass(frozen=True)
class Polyhedron:
    """What lies within all of the half-spaces ``n_f · r <= d_f``.

    Args:
        normals: unit vectors outward.
        distances: of the facets from the origin, signed.
        vertices: corners of the body.
        names: of the facets; those of one name are one family.
    """

    normals: np.ndarray
    distances: np.ndarray
    vertices: np.ndarray
    names: tuple[str, ...]

    @cached_property
    def areas(self) -> np.ndarray:
        """Area of each facet; 0 for those that others cut away."""
        return np.array([_area(self._corners(f), n) for f, n in enumerate(self.normals)])

    def _corners(self, f: int) -> np.ndarray:
        size = np.abs(self.vertices).max()
        return self.vertices[np.abs(self.vertices @ self.normals[f] - self.distances[f]) < 1e-6 * size]

    @property
    def volume(self) -> float:
        """``(1/3) Σ d_f A_f``, the origin inside or not."""
        return float(self.distances @ self.areas) / 3

    @property
    def fractions(self) -> dict[str, float]:
        """Share of each family of facets in the whole surface."""
        found = dict.fromkeys(self.names, 0.0)
        for name, area in zip(self.names, self.areas / self.areas.sum()):
            found[name] += float(area)
        return found

    def height(self, direction: Sequence[float]) -> float:
        """Extent along a direction."""
        n = np.asarray(direction, float) / np.linalg.norm(direction)
        return float(np.ptp(self.vertices @ n))


def polyhedron(normals: np.ndarray, distances: np.ndarray, names: Sequence[str] | None = None) -> Polyhedron:
    """The body within the half-spaces ``n · r <= d``; an error if there is none, or if it has no end."""
    normals, distances = np.asarray(normals, float), np.asarray(distances, float)
    # the largest ball inside: maximize r with n · x + r <= d
    n = len(normals)
    widest = linprog([0, 0, 0, -1], np.column_stack([normals, np.ones(n)]), distances, bounds=[(None, None)] * 4)
    if widest.status == 3:
        raise ValueError("these facets do not close a body; give energies for facets on all sides")
    if widest.status != 0 or widest.x[3] < 1e-9 * np.abs(distances).max():
        raise ValueError("nothing lies within all these facets")
    halves = np.column_stack([normals, -distances])
    try:
        vertices = HalfspaceIntersection(halves, widest.x[:3]).intersections
    except QhullError:
        vertices = np.full((1, 3), np.inf)
    if not np.isfinite(vertices).all() or np.abs(vertices).max() > 1e6 * np.abs(distances).max():
        raise ValueError("these facets do not close a body; give energies for facets on all sides")
    return Polyhedron(normals, distances, vertices, tuple(names or map(str, range(n))))


def _area(corners: np.ndarray, normal: np.ndarray) -> float:
    """Area of a convex polygon."""
    if len(corners) < 3:
        return 0.0
    x = corners - corners.mean(0)
    a = x[np.linalg.norm(x, axis=1).argmax()]
    b = np.cross(normal, a)
    x = x[np.argsort(np.arctan2(x @ b, x @ a))]
    return float(0.5 * np.cross(x, np.roll(x, -1, axis=0)).sum(0) @ normal)


Energies = Mapping[str | tuple[int, ...], float]


def miller(indices: str | Sequence[int]) -> tuple[int, int, int]:
    """``(h, k, l)`` from ``"1-10"``, ``"1 -1 0"``, ``(1, -1, 0)`` or four hexagonal indices ``h k i l``."""
    if isinstance(indices, str):
        spaced = re.search(r"[ ,]", indices.strip("()[] "))
        found = [int(x) for x in re.findall(r"-?\d+" if spaced else r"-?\d", indices)]
    else:
        found = [int(x) for x in indices]
    if len(found) == 4 and found[0] + found[1] + found[2] == 0:
        found.pop(2)
    if len(found) != 3 or not any(found):
        raise ValueError(f"Miller indices are like '111', '1 -1 0' or, hexagonal, '10-10'; got {indices!r}")
    return tuple(found)


def wulff_shape(
    crystal: Atoms, energies: Energies, contact: Sequence[int] | str | None = None, adhesion: float = 0.0
) -> Polyhedron:
    """The shape of least surface energy, its facets as far from the center as their energies are large.

    ``n · r <= γ(n)`` for each facet and all that the crystal's point group makes of it. On a support the contact
    facet lies at ``γ - W`` instead, with ``W`` the work of adhesion (Dupré; Kaichew's theorem ``Δh / h = W / γ``).

    Args:
        crystal: whose cell the Miller indices refer to.
        energies: surface energy of each family of facets, in any one unit.
        contact: facet that lies on the support, one of the families or another with energy of its own in ``energies``.
        adhesion: work of adhesion ``W`` in the unit of ``energies``.
    """
    if not energies:
        raise ValueError("a Wulff shape needs the energy of at least one facet")
    if bad := [f"{k} has {v:g}" for k, v in energies.items() if not v > 0]:
        raise ValueError(f"surface energies must be positive, but {', '.join(bad)}")
    operations = rotations(crystal)
    reciprocal = np.linalg.inv(np.asarray(crystal.cell))
    families = {miller(key): gamma for key, gamma in energies.items()}
    normals, distances, names = [], [], []
    for hkl, gamma in families.items():
        n = reciprocal @ hkl
        star = np.unique((operations @ (n / np.linalg.norm(n))).round(6), axis=0)
        normals += list(star / np.linalg.norm(star, axis=1)[:, None])
        distances += [gamma] * len(star)
        names += ["".join(map(str, hkl))] * len(star)
    if contact is not None:
        hkl = miller(contact)
        n = reciprocal @ hkl / np.linalg.norm(reciprocal @ hkl)
        at = np.array(normals) @ n
        if at.max() < 1 - 1e-4:
            raise ValueError(f"the contact facet {hkl} needs its surface energy among those of {', '.join(names)}")
        k = int(at.argmax())
        if adhesion >= 2 * distances[k]:
            raise ValueError(
                f"with a work of adhesion of {adhesion:g}, twice the surface energy {distances[k]:g} of the contact "
                "facet or more, the crystal wets the support and has no shape"
            )
        distances[k], names[k] = distances[k] - adhesion, "contact"
    return polyhedron(np.array(normals), np.array(distances), names)
