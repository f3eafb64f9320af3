"""The same structure twice: within a data set, and across sets that must share nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from .findings import Finding
from .view import Near, View

_SAME = 2e-5  # distance of fingerprints: what positions rounded to 1e-5 Å leave


def duplicates(view: View) -> Iterator[Finding]:
    """Frames with the same fingerprint (so also shifted, turned, permuted), or displaced by less than 0.01 Å."""
    same = [(a, b) for a, b in _equal_pairs(view) if view.counts[a] > 1]
    apart = [(a, b) for a, b in same if abs(view.energy[a] - view.energy[b]) > 2e-3 * view.counts[a]]
    if apart:
        a, b = max(apart, key=lambda p: abs(view.energy[p[0]] - view.energy[p[1]]) / view.counts[p[0]])
        yield view.finding(
            "error",
            "duplicates",
            sorted({k for pair in apart for k in pair}),
            f"the same structure has two energies: {view.energy[a]:.6f} and {view.energy[b]:.6f} eV in "
            f"{view.dataset.where(a)} and {view.dataset.where(b)} ({len(apart)} pairs)",
            "keep one of each: different methods, settings, or electronic states",
        )
    agree = [pair for pair in same if pair not in set(apart)]
    if agree:
        yield view.finding(
            "note" if len(agree) < 0.3 * len(view) else "warning",
            "duplicates",
            sorted({b for _, b in agree}),
            f"{len(agree)} frames repeat another, perhaps shifted, turned or permuted (first: "
            f"{view.dataset.where(agree[0][0])} and {view.dataset.where(agree[0][1])})",
            "keep one of each; if kept, keep them in one set when splitting (by='group')",
        )
    near = [p for p in view.near if (p.a, p.b) not in set(same) and _hardly_moved(p)]
    if near:
        yield view.finding(
            "note" if len(near) < 0.3 * len(view) else "warning",
            "near-duplicates",
            sorted({p.b for p in near}),
            f"{len(near)} pairs of frames differ by less than 0.01 Å (first: {view.dataset.where(near[0].a)} and "
            f"{view.dataset.where(near[0].b)})",
            "thin out the trajectory; split it by group, or test errors will be too small",
        )


def repeated(view: View) -> list[tuple[int, int]]:
    """Pairs of frames that are the same, or differ by less than 0.01 Å."""
    return sorted({*_equal_pairs(view), *((p.a, p.b) for p in view.near if _hardly_moved(p))})


def _hardly_moved(pair: Near) -> bool:
    return np.abs(pair.moved).max() < 0.01 and np.abs(pair.strain).max() < 1e-4


def _equal_pairs(view: View) -> list[tuple[int, int]]:
    """Each frame with the nearest earlier-or-later one that equals it."""
    pairs = set()
    for kind in range(view.kinds.max() + 1 if len(view) else 0):
        members = np.flatnonzero(view.kinds == kind)
        if len(members) < 2 or view.counts[members[0]] < 2:
            continue
        x = _with_shape(view, members)
        distance, nearest = cKDTree(x).query(x, k=2)
        for row in np.flatnonzero(distance[:, 1] < _SAME).tolist():
            a, b = members[row], members[nearest[row][nearest[row] != row][0]]
            pairs.add((int(min(a, b)), int(max(a, b))))
    return sorted(pairs)


def _with_shape(view: View, members: np.ndarray) -> np.ndarray:
    """Fingerprints, and the measure of the cell, which sparse structures beyond the cutoff differ by."""
    return np.concatenate([view.fingerprints[members], np.log(view.measure[members])[:, None]], axis=1)


def leaks(view: View, other: View) -> Iterator[Finding]:
    """Frames that the other set holds too, the same or within 0.01 Å."""
    found, elements = [], set(np.unique(view.numbers)) | set(np.unique(other.numbers))
    rows = {}
    for name, v in (("view", view), ("other", other)):
        count = np.stack([v.of_frames((v.numbers == z).astype(float)) for z in sorted(elements)], axis=1)
        rows[name] = np.concatenate([count, v.states, v.fingerprints, np.log(v.measure)[:, None]], axis=1)
    distance, nearest = cKDTree(rows["other"]).query(rows["view"])
    for k in np.flatnonzero(distance < 0.05).tolist():
        j = int(nearest[k])
        if view.counts[k] > 1 and (distance[k] < _SAME or _displaced_little(view, k, other, j)):
            found.append((k, j))
    if found:
        k, j = found[0]
        yield view.finding(
            "error",
            "leaks",
            [k for k, _ in found],
            f"{len(found)} frames are in the other set too, or within 0.01 Å (first: {view.dataset.where(k)} is "
            f"{other.dataset.where(j)})",
            "remove them from one of the sets, and split by group: split(dataset, ..., by='group')",
        )


def _displaced_little(view: View, k: int, other: View, j: int) -> bool:
    from ..dataset import Dataset

    pair = View(Dataset.cat([view.dataset[k], other.dataset[j]])).compare(0, 1)
    return pair is not None and _hardly_moved(pair)
