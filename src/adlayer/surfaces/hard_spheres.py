"""Atoms as spheres that touch where they are bonded, and how many each touches."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from .contacts import pairs


def hard_spheres(atoms: Atoms) -> np.ndarray:
    """Radii with which bonded atoms touch, Å: covalent ones, scaled to the median of what nearest neighbors need."""
    r = covalent_radii[atoms.numbers]
    i, j, D = pairs(atoms, 4 * r.max())
    ratio = _least(np.linalg.norm(D, axis=1) / (r[i] + r[j]), i, len(atoms))
    ratio = ratio[np.isfinite(ratio)]
    return r * (np.median(ratio) if len(ratio) else 1.0)


def coordination(atoms: Atoms) -> np.ndarray:
    """Bonds of each atom: its hard sphere nearly touches another, which is not much farther than the nearest atom."""
    r = hard_spheres(atoms)
    i, j, D = pairs(atoms, 4 * r.max())
    length = np.linalg.norm(D, axis=1)
    nearest = _least(length, i, len(atoms))
    bonded = (length < 1.12 * (r[i] + r[j])) & (length < 1.3 * np.maximum(nearest[i], nearest[j]))
    return np.bincount(i[bonded], minlength=len(atoms))


def _least(x: np.ndarray, i: np.ndarray, n: int) -> np.ndarray:
    least = np.full(n, np.inf)
    np.minimum.at(least, i, x)
    return least
