"""What can go wrong when an adsorbate relaxes: it falls apart, leaves, moves, or the surface does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..surfaces.contacts import bonds, pairs
from ..surfaces.exposed import upward
from ..surfaces.sites import Site

BOND = 1.3  # times the sum of two covalent radii: atoms of a molecule nearer than this are bonded
TOUCH = 1.5  # and an adsorbate nearer than this to the surface is adsorbed


def anomalies(before: Atoms, after: Atoms, surface: Atoms, largest: float = 1.0) -> list[str]:
    """What became of the adsorbates: ``dissociated``, ``reacted``, ``desorbed``, ``surface reconstructed``, or nothing.

    Args:
        before: as built; the array ``adsorbate`` numbers the molecules.
        after: relaxed.
        surface: relaxed without adsorbates.
        largest: displacement of a surface atom, against the clean surface, above which that is reconstructed, Å.
    """
    of = before.arrays["adsorbate"]
    found = []
    if _fragments(after, of, within=True) > _fragments(before, of, within=True):
        found.append("dissociated")
    if _fragments(after, of, within=False) < _fragments(before, of, within=False):
        found.append("reacted")
    if not all(_touches(after, of, k) for k in range(1, of.max() + 1)):
        found.append("desorbed")
    if _displaced(after[of == 0], surface) > largest:
        found.append("surface reconstructed")
    return found


def _fragments(atoms: Atoms, of: np.ndarray, within: bool) -> int:
    """How many pieces the adsorbates are in, by bonds within molecules only or by all bonds between their atoms."""
    i, j, _ = bonds(atoms, BOND)
    kept = (of[i] > 0) & (of[j] > 0) & ((of[i] == of[j]) | (not within))
    graph = coo_array((np.ones(kept.sum()), (i[kept], j[kept])), shape=2 * (len(atoms),))
    return len(np.unique(connected_components(graph, directed=False)[1][of > 0]))


def _touches(atoms: Atoms, of: np.ndarray, k: int) -> bool:
    i, j, _ = bonds(atoms, TOUCH)
    return bool(((of[i] == k) & (of[j] == 0)).any())


def _displaced(after: Atoms, surface: Atoms) -> float:
    """The largest displacement between two forms of a surface; a free one may have drifted as a whole."""
    from ase.geometry import find_mic

    d = find_mic(after.positions - surface.positions, surface.cell, surface.pbc)[0]
    if not surface.constraints:
        d = d - d.mean(0)
    return float(np.linalg.norm(d, axis=1).max())


def occupied_sides(frames: Sequence[Atoms]) -> str:
    """On which sides of slabs there are adsorbates: ``"top"``, ``"bottom"`` or ``"both"``."""
    if frames[0].pbc.sum() != 2:
        return "both"
    above = set()
    for frame in frames:
        height, on = frame.positions @ upward(frame), frame.arrays["adsorbate"] > 0
        above |= set((height[on] > height[~on].mean()).tolist())
    return {(True,): "top", (False,): "bottom"}.get(tuple(above), "both")


def site_under(atoms: Atoms, sites: list[Site]) -> list[int]:
    """For each adsorbate the site, by its place in the list, above which its nearest atom to the surface is."""
    of = atoms.arrays["adsorbate"]
    feet = _feet(atoms, of)
    points = Atoms(f"X{len(feet) + len(sites)}", cell=atoms.cell, pbc=atoms.pbc)
    points.positions = np.concatenate([atoms.positions[feet], [s.position for s in sites]])
    i, j, D = pairs(points, 6.0)
    chosen = []
    for foot in range(len(feet)):
        here = (i == foot) & (j >= len(feet))
        which = j[here] - len(feet)
        normal = np.array([sites[s].normal for s in which]).reshape(-1, 3)
        height = -(D[here] * normal).sum(1)
        aside = np.linalg.norm(D[here] + height[:, None] * normal, axis=1) + 10.0 * (height < -1.0)
        chosen.append(int(which[aside.argmin()]) if len(which) else -1)
    return chosen


def _feet(atoms: Atoms, of: np.ndarray) -> list[int]:
    """Of each adsorbate the atom that is nearest to the surface, measured by covalent radii."""
    r = covalent_radii[atoms.numbers]
    i, j, D = pairs(atoms, 6.0)
    between = (of[i] > 0) & (of[j] == 0)
    i, gap = i[between], np.linalg.norm(D[between], axis=1) / (r[i[between]] + r[j[between]])
    feet = []
    for k in range(1, of.max() + 1):
        mine = of[i] == k
        feet.append(int(i[mine][gap[mine].argmin()]) if mine.any() else int(np.flatnonzero(of == k)[0]))
    return feet
