"""Atoms too close, periodic axes that do not fit the cell, elements seen once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase.data import chemical_symbols

from .findings import Finding
from .view import View


def short_distances(view: View) -> Iterator[Finding]:
    """Atoms nearer than half the sum of their covalent radii."""
    short = np.flatnonzero(view.closest < 0.5)
    if len(short):
        worst = short[np.argmin(view.closest[short])]
        yield view.finding(
            "error" if view.closest[worst] < 0.35 else "warning",
            "short distances",
            short,
            f"atoms come as near as {view.closest[worst]:.2f} of the sum of their covalent radii, in "
            f"{view.dataset.where(worst)} ({len(short)} frames)",
            "remove overlapping frames; keep those meant for short-range repulsion, with ZBL added to the potential",
        )


def _gaps(view: View, k: int) -> np.ndarray:
    """Along each cell vector: the widest slice of the cell without an atom, Å; NaN where there is no vector."""
    cell, out = view.cells[k], np.full(3, np.nan)
    if abs(np.linalg.det(cell)) < 1e-6:
        return out
    inverse = np.linalg.inv(cell)
    heights = 1 / np.linalg.norm(inverse, axis=0)
    s = np.sort((view.positions[view.atoms(k)] @ inverse) % 1.0, axis=0)
    return np.diff(np.concatenate([s, s[:1] + 1]), axis=0).max(0) * heights


def vacuum(view: View) -> Iterator[Finding]:
    """Axes that are not periodic though atoms fill the cell; slabs and molecules that nearly touch their images."""
    lost, close, open_axes = [], [], []
    for k in range(len(view)):
        if not np.abs(view.cells[k]).any() or view.counts[k] < 2:
            continue
        gap = _gaps(view, k)
        outside = _extent(view, k)
        if ((~view.pbc[k]) & (gap < 2.7) & (outside < 1.5)).any():
            lost.append(k)
        elif (view.pbc[k] & (gap > 4.0) & (gap < 6.0)).any():
            close.append((k, gap[view.pbc[k] & (gap > 4.0)].min()))
        elif (view.pbc[k] & (gap >= 6.0)).any():
            open_axes.append(k)
    if lost:
        yield view.finding(
            "warning",
            "periodicity",
            lost,
            f"atoms fill the cell along an axis that is not periodic ({len(lost)} frames): was pbc lost?",
            "set pbc to T along it; or take the cell vector away if this is a cluster",
        )
    if close:
        yield view.finding(
            "note",
            "periodicity",
            [k for k, _ in close],
            f"a periodic axis has a gap of only {min(g for _, g in close):.2g} Å: "
            "a surface that feels its image, or layers",
            "with 8 Å of vacuum or more a local potential sees one surface at a time",
        )
    if open_axes:
        yield view.finding(
            "note",
            "periodicity",
            open_axes,
            f"{len(open_axes)} frames have vacuum along a periodic axis: their stress is per volume of the whole cell",
            "nothing for a fit; with pbc F along the vacuum, stress is per area of the slab",
        )


def _extent(view: View, k: int) -> np.ndarray:
    """How far the atoms reach beyond one cell, in cells: about 1 or less where they fill or sit in it."""
    cell = view.cells[k]
    if abs(np.linalg.det(cell)) < 1e-6:
        return np.full(3, np.inf)
    return np.ptp(view.positions[view.atoms(k)] @ np.linalg.inv(cell), axis=0)


def rare_elements(view: View) -> Iterator[Finding]:
    """Elements that one frame alone holds cannot be learned, nor tested."""
    bound = view.counts > 1
    if bound.sum() < 5:
        return
    present = view.composition[bound] > 0
    for z, n in zip(np.unique(view.numbers), present.sum(0)):
        if n == 1:
            k = np.flatnonzero(bound)[np.flatnonzero(present[:, np.unique(view.numbers) == z][:, 0])]
            yield view.finding(
                "warning",
                "rare elements",
                k,
                f"{chemical_symbols[z]} is in one frame alone",
                "add frames with it, or remove this one (a slip of the pen?)",
            )
