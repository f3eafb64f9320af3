"""Point groups by name: A. Schoenflies, Krystallsysteme und Krystallstructur (1891)."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from .symmetry import rotations


def point_group(particle: Atoms, tolerance: float = 0.1) -> str:
    """The point group of a particle or molecule by Schoenflies' symbol, such as ``"Ih"`` or ``"D5h"``."""
    if particle.pbc.any():
        raise ValueError("a point group is asked of a particle, but this structure is periodic; see `symmetries`")
    x = particle.positions - particle.positions.mean(0)
    if len(particle) == 1:
        return "Kh"
    R = rotations(particle, tolerance)
    _, width, axes = np.linalg.svd(x)
    if len(x) == 2 or width[1] < tolerance:
        return "D∞h" if (np.einsum("a,nab,b", axes[0], R, axes[0]) < 0).any() else "C∞v"
    inversion = bool(np.any(np.abs(R + np.eye(3)).max((1, 2)) < 0.1))
    trace, proper = np.trace(R, axis1=1, axis2=2), np.linalg.det(R) > 0
    angle = np.arccos(np.clip((trace[proper] - 1) / 2, -1, 1))
    order = np.array([_order(a) for a in angle])
    n, size = order.max(), proper.sum()
    cubic = {12: "T", 24: "O", 60: "I"}.get(size)
    if cubic and n < size / 2:
        improper = not proper.all()
        return cubic + ("" if not improper else "h" if inversion or cubic != "T" else "d")
    kind = "C" if n == size else "D"
    if proper.all():
        return f"{kind}{n}"
    axis = _axis(R[proper][order.argmax()])
    mirrors = [_axis(-M) for M in R[~proper & (trace > 0.9)]]  # trace 1: a reflection
    across = [m for m in mirrors if n == 1 or abs(m @ axis) > 0.99]
    if n == 1:
        return "Ci" if inversion else "Cs"
    if across or (kind == "D" and n == 2 and inversion):
        return f"{kind}{n}h"
    return f"{kind}{n}{'d' if kind == 'D' else 'v'}" if mirrors else f"S{2 * n}"


def _order(angle: float) -> int:
    """How many turns by this angle (or one it is a multiple of) make a whole one."""
    return next((n for n in range(1, 61) if abs(n * angle / (2 * np.pi) - round(n * angle / (2 * np.pi))) < 0.01), 1)


def _axis(R: np.ndarray) -> np.ndarray:
    """The axis of a rotation."""
    return np.linalg.svd(R - np.eye(3))[2][-1]
