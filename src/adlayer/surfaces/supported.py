"""Particles on a support: the contact facet down, at a given gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.spatial import ConvexHull, QhullError

from .generator import Generator, Made, take
from .interfaces import facing
from .liquids import check_slab
from .nanocrystals import facet_down


@dataclass(frozen=True)
class Supported(Generator):
    """Particles on slabs: each with a facet on the uppermost atoms, aligned with the slab's first vector.

    Particles that ``Winterbottom`` made lie on their contact facet, others on the largest one, or on that which a
    direction picks. ``arrays["part"]`` is 0 in the support and 1 in the particle.

    Args:
        particle: names of earlier particles.
        support: names of earlier slabs.
        facet: direction in the particle of the facet that is to lie on the support; default: see above.
        gap: between the facet's atoms and the uppermost ones of the support, Å; default: the sum of the covalent radii.
        turn: of the particle about the normal, degrees, from where its facet's nearest neighbors lie along x.
        shift: of its middle, in fractions of the support's surface cell.
        apart: least distance from the particle to its images, Å; the support is repeated as often as it takes.
        vacuum: above, Å.
    """

    particle: str | list[str]
    support: str | list[str]
    facet: list[float] | None = None
    gap: float | None = None
    turn: float = 0.0
    shift: list[float] = (0.0, 0.0)
    apart: float = 8.0
    vacuum: float = 10.0

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {k: getattr(self, k) for k in ("facet", "gap", "turn", "shift", "apart", "vacuum")}
        return [
            supported(particle, support, **settings)
            for particle in take(self.particle, made)
            for support in take(self.support, made)
        ]


class Facet(NamedTuple):
    """A flat side of a particle."""

    normal: np.ndarray
    area: float  # Å², of the polygon of its atoms
    atoms: np.ndarray


def facets(particle: Atoms, tolerance: float = 0.3) -> list[Facet]:
    """The flat sides of a particle, largest first: sides of its convex hull, those within ``tolerance`` (Å) as one."""
    x = particle.positions
    try:
        hull = ConvexHull(x)
    except (QhullError, ValueError):
        raise ValueError("a particle needs four atoms or more, not all in a plane, to have facets") from None
    found: dict[tuple[int, ...], Facet] = {}
    for *normal, offset in hull.equations:
        atoms = np.flatnonzero(x @ normal + offset > -tolerance)
        points = x[atoms] - x[atoms].mean(0)
        flat = np.linalg.svd(points)[2][2]
        flat = flat * np.sign(flat @ normal)
        area = ConvexHull(points @ np.linalg.svd(flat[None])[2][1:].T).volume
        found[tuple(atoms)] = Facet(flat, float(area), atoms)
    return sorted(found.values(), key=lambda f: (-round(f.area, 3), *(-f.normal).round(3)))


def supported(
    particle: Atoms,
    support: Atoms,
    facet: list[float] | None = None,
    gap: float | None = None,
    turn: float = 0.0,
    shift: list[float] = (0.0, 0.0),
    apart: float = 8.0,
    vacuum: float = 10.0,
) -> Atoms:
    """One particle on one slab; see ``Supported``. Tags of the support are kept, those of the particle are 0."""
    check_slab(support)
    if particle.pbc.any():
        raise ValueError("what is to lie on the support must be a particle, periodic in no direction")
    if facet is None and "contact" in particle.info:
        down = np.asarray(particle.info["contact"], float)
    else:
        sides = facets(particle)
        along = np.zeros(3) if facet is None else np.asarray(facet, float)
        down = (
            max(sides, key=lambda f: round(float(f.normal @ along), 6)).normal if facet is not None else sides[0].normal
        )
    lying = facet_down(particle, down)
    lying.rotate(turn - _direction(lying), "z")
    width = np.ptp(lying.positions[:, :2] @ _axes(support).T, axis=0)
    repeat = np.maximum(1, np.ceil((width + apart) / _widths(support) - 1e-9)).astype(int)
    whole = support.repeat((*repeat, 1))
    if gap is None:
        gap = facing(support, lying)
    unit = np.asarray(support.cell)[:2, :2]
    middle = (repeat // 2) @ unit + np.asarray(shift) @ unit + support.positions[support.positions[:, 2].argmax(), :2]
    lying.positions += [*middle, support.positions[:, 2].max() + gap]
    lying.set_tags(0)
    whole.set_array("part", np.zeros(len(whole), int))
    lying.set_array("part", np.ones(len(lying), int))
    whole.extend(lying)
    whole.cell[2] = [0.0, 0.0, whole.positions[:, 2].max() + vacuum]
    whole.pbc = (True, True, False)
    whole.info |= {"group": "supported particle", "gap": float(gap)}
    return whole


def _direction(lying: Atoms) -> float:
    """Angle with x of the nearest neighbors in the lowest layer, degrees, between -30 and 30 or the like."""
    low = lying.positions[lying.positions[:, 2] < 0.5, :2]
    if len(low) < 2:
        return 0.0
    difference = (low[:, None] - low)[~np.eye(len(low), dtype=bool)]
    length = np.linalg.norm(difference, axis=1)
    near = difference[length < length.min() * 1.05]
    angles = np.degrees(np.arctan2(near[:, 1], near[:, 0])).round(6)
    return float(angles[np.abs(angles).argmin()])


def _axes(slab: Atoms) -> np.ndarray:
    """Unit normals of the cell's sides in the plane: what lies across the first and the second vector's repeats."""
    a, b = np.asarray(slab.cell)[:2, :2]
    normals = np.array([[b[1], -b[0]], [-a[1], a[0]]])
    return normals / np.linalg.norm(normals, axis=1)[:, None]


def _widths(slab: Atoms) -> np.ndarray:
    """Distances between the cell's opposite sides, Å."""
    return np.abs(np.einsum("kx,kx->k", _axes(slab), np.asarray(slab.cell)[:2, :2]))
