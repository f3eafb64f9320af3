"""Forces that constraints zeroed, that do not sum to zero, or that the energies of near frames contradict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .findings import Finding
from .units import same_cell, slope, work
from .view import View


def _sums(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Length of the net force of each frame, and what it would be if forces were independent."""
    net = np.linalg.norm(view.of_frames(view.forces), axis=1)
    return net, view.force_rms * np.sqrt(3 * view.counts)


def _zeroed(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Which frames have forces that are exactly zero on some atoms for no reason of symmetry, and on how many."""
    zero = (view.forces == 0).all(1)
    n_zero = view.of_frames(zero.astype(int))
    fixed = np.zeros(len(zero), dtype=bool)
    for k, info in enumerate(view.dataset.info):
        if "fixed" in info.get("arrays", {}):
            fixed[view.atoms(k)] = np.asarray(info["arrays"]["fixed"]).astype(bool).reshape(view.counts[k], -1).all(1)
    net, random = _sums(view)
    some = (n_zero > 0) & (n_zero < view.counts)
    marked = (
        some & (view.of_frames((zero & fixed).astype(int)) == n_zero) & (view.of_frames(fixed.astype(int)) == n_zero)
    )
    unbalanced = some & (net > 0.02 + 0.05 * random)
    return marked | unbalanced, n_zero


def zeroed_by_constraints(view: View) -> Iterator[Finding]:
    """Exact zeros on some atoms, with a net force left over or on just the atoms marked fixed; or zeros everywhere."""
    if not len(view):
        return
    zeroed, n_zero = _zeroed(view)
    if zeroed.any():
        frames = np.flatnonzero(zeroed)
        yield view.finding(
            "error",
            "zeroed forces",
            frames,
            f"forces of {n_zero[frames[0]]} of {view.counts[frames[0]]} atoms are exactly zero: zeroed by a constraint "
            f"({len(frames)} frames)",
            "export the raw forces again, get_forces(apply_constraint=False) in ASE",
        )
    empty = (n_zero == view.counts) & (view.counts > 1)
    if empty.sum() > 0.5 * (view.counts > 1).sum():
        yield view.finding(
            "error",
            "zeroed forces",
            np.flatnonzero(empty),
            f"all forces are exactly zero in {empty.sum()} frames of several atoms",
            "export the forces again, or ignore them with keys={'forces': None}",
        )


def net_forces(view: View) -> Iterator[Finding]:
    """Without an external field, forces sum to zero."""
    if not len(view):
        return
    net, random = _sums(view)
    high = np.flatnonzero((net > 0.05 + 0.1 * random) & ~_zeroed(view)[0] & (view.counts > 1))
    if len(high):
        worst = high[np.argmax(net[high])]
        yield view.finding(
            "warning",
            "net force",
            high,
            f"forces do not sum to zero: up to {net[worst]:.3g} eV/Å in {view.dataset.where(worst)} "
            f"({len(high)} frames)",
            "look for forces of fixed atoms that were changed, an external field, or a grid that is too coarse",
        )


def inconsistent_neighbors(view: View) -> Iterator[Finding]:
    """Single jumps of energy between frames that hardly differ: another electronic state, or no convergence."""
    s, _, n = slope(view)
    if n < 8 or abs(s - 1) >= 0.2:
        return
    pairs = same_cell(view)
    x, dx = np.array([work(view, p) for p in pairs]).T
    rest = np.abs(np.array([view.energy[p.b] - view.energy[p.a] for p in pairs]) - x)
    size = np.array([view.counts[p.a] for p in pairs])
    bad = rest > 10 * np.median(rest) + 0.2 * np.abs(x) + np.abs(dx) + 0.02 * np.sqrt(size)
    if bad.any():
        frames = sorted({k for p, b in zip(pairs, bad) if b for k in (p.a, p.b)})
        worst = pairs[int(np.argmax(np.where(bad, rest, 0)))]
        yield view.finding(
            "warning",
            "energy jumps",
            frames,
            f"energies of near frames jump by up to {rest[bad].max():.3g} eV beyond the work of the forces "
            f"(frames {view.dataset.info[worst.a]['frame']} and {view.dataset.info[worst.b]['frame']}; "
            f"{bad.sum()} pairs)",
            "recompute these frames: another electronic or magnetic state, unconverged, or another method",
        )
