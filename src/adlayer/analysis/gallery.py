"""Small portraits of structures for figures that show many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes


def draw_atoms(axes: Axes, atoms: Atoms) -> None:
    """Atoms as discs in the colors of their elements, the nearer in front: slabs from the side, others along z."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle

    across, up, depth = (0, 2, -atoms.positions[:, 1]) if atoms.pbc.sum() == 2 else (0, 1, atoms.positions[:, 2])
    order = np.argsort(depth, kind="stable")
    x, numbers, depth = atoms.positions[order], atoms.numbers[order], depth[order]
    size = 1.0
    if len(x) > 1:
        nearest = (np.linalg.norm(x[:, None] - x, axis=-1) + 1e9 * np.eye(len(x))).min(1)
        size = float(np.median(nearest / (2 * covalent_radii[numbers])))  # discs touch, in reduced units as well
    discs = [Circle((p[across], p[up]), size * covalent_radii[z]) for p, z in zip(x, numbers)]
    light = 0.55 + 0.45 * (depth - depth.min()) / max(np.ptp(depth), 1e-9)
    colors = jmol_colors[numbers] * light[:, None]
    axes.add_collection(PatchCollection(discs, facecolors=colors, edgecolors="0.2", linewidths=0.3))
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.set_axis_off()
