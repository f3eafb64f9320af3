"""How far an atom sees: the test of V. L. Deringer and G. Csányi, Phys. Rev. B 95, 094203 (2017), Sec. II B.

All atoms farther than ``r`` from one atom are displaced at random, those nearer stay: the spread of the force on it is
what no potential can know that sees only the inside. It is a property of the reference method, so it is measured before
anything is fitted; the same test shows what a fitted potential has made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase.geometry import get_distances

from ..potential import Evaluate
from ..structures import Structures
from .fit import Progress


@dataclass(frozen=True)
class Locality:
    """Spread of the force on the center by the radius within which everything stays.

    Args:
        radii: Å.
        spread: standard deviation of a force component of the center, eV/Å.
        tolerance: eV/Å.
    """

    radii: np.ndarray
    spread: np.ndarray
    tolerance: float

    @property
    def radius(self) -> float | None:
        """From here on the spread stays below the tolerance; None if it never does."""
        below = self.spread < self.tolerance
        first = len(below) - int(np.argmin(below[::-1])) if not below.all() else 0
        return float(self.radii[first]) if first < len(below) else None

    @property
    def cutoff(self) -> float | None:
        """The recommended cutoff (Å): an atom then sees directly everything that moves it by more than the tolerance.

        A many-body potential feels half as far again through its neighbors, up to twice its cutoff, so half of this is
        the least that can do.
        """
        return self.radius


def locality(
    evaluate: Evaluate,
    structures: Structures,
    radii: Sequence[float],
    *,
    centers: Sequence[int] = (0,),
    samples: int = 10,
    amplitude: float = 0.1,
    tolerance: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> Locality:
    """Measure how the force on an atom depends on what lies beyond each radius.

    Args:
        evaluate: a reference method or a potential.
        structures: one structure, much larger than the radii.
        radii: Å.
        centers: atoms whose forces are looked at; the spread is their mean.
        samples: random displacements for each center and radius.
        amplitude: standard deviation of a displacement along each axis, Å.
        tolerance: what spread is good enough, eV/Å.
        seed: of the displacements.
        progress: called as ``progress(done, total, message)``.
    """
    if len(structures) != 1:
        raise ValueError(f"the locality test takes one structure, got {len(structures)}")
    radii = np.sort(np.asarray(radii, float))
    distances = _distances(structures, centers)
    if not len(radii) or radii[-1] >= distances.max(1).min():
        last = f"{radii[-1]:g} Å" if len(radii) else "no radius"
        raise ValueError(
            f"beyond {last} there is no atom to displace: the farthest is at {distances.max(1).min():.2f} Å; "
            "take a larger structure or smaller radii"
        )
    generator = torch.Generator().manual_seed(seed)
    spread = np.zeros(len(radii))
    for k, r in enumerate(radii):
        for center, d in zip(centers, distances):
            moves = torch.from_numpy(d > r).to(structures.dtype)[:, None]
            forces = []
            for _ in range(samples):
                shift = torch.randn(structures.n_atoms, 3, dtype=structures.dtype, generator=generator)
                moved = structures.with_positions(structures.positions + amplitude * moves * shift)
                forces.append(evaluate(moved).forces[center].detach())
            spread[k] += float(torch.stack(forces).var(0).mean().sqrt()) / len(centers)
        if progress:
            progress(k + 1, len(radii), f"beyond {r:g} Å: {spread[k]:.3g} eV/Å")
    return Locality(radii, spread, tolerance)


def _distances(structures: Structures, centers: Sequence[int]) -> np.ndarray:
    atoms = structures.to_ase()[0]
    if bad := [c for c in centers if not 0 <= c < len(atoms)]:
        raise ValueError(f"there is no atom {bad[0]}: the structure has {len(atoms)}")
    d = get_distances(atoms.positions[list(centers)], atoms.positions, cell=atoms.cell, pbc=atoms.pbc)[1]
    d[np.arange(len(centers)), list(centers)] = 0.0
    return d
