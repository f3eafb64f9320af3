"""A picture of atoms: shaded spheres and bonds in matplotlib, from any side, colored by element or by a value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from ase.geometry import wrap_positions
from ase.neighborlist import neighbor_list
from numpy.typing import ArrayLike

from .style import INK, PAPER, SOFT, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VIEWS = {
    "side": (90.0, 0.0),
    "oblique": (62.0, -24.0),
    "top": (0.0, 0.0),
}  # tilt from the surface normal, turn about it


def picture(
    atoms: Atoms,
    values: ArrayLike | None = None,
    label: str = "",
    views: Sequence[str] = ("oblique", "top"),
    limits: tuple[float, float] | None = None,
    width: float = 9.0,
) -> Figure:
    """Atoms from one or more sides, far ones paler; colored by ``values``, one per atom, or else by element.

    Args:
        atoms: what is drawn, with the lines of its cell along periodic axes.
        values: one per atom, such as the standard deviation of its force.
        label: what the values are, with their unit.
        views: ``"side"`` (along y), ``"oblique"``, ``"top"`` (along z).
        limits: of the color scale.
        width: of the figure, inches.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    atoms = atoms.copy()
    atoms.positions = (
        wrap_positions(atoms.positions, atoms.cell, atoms.pbc, eps=1e-3) if atoms.pbc.any() else atoms.positions
    )
    if values is None:
        colors, shade = jmol_colors[atoms.numbers], None
    else:
        values = np.asarray(values, float)
        low, high = limits or (float(np.nanmin(values)), float(np.nanmax(values)))
        shade = ScalarMappable(Normalize(low, high if high > low else low + 1), colormaps["viridis"])
        colors = shade.to_rgba(values)[:, :3]
    turned = [_turn(atoms, *VIEWS[view]) for view in views]
    spans = [np.ptp(t.positions[:, :2], axis=0) + 3.5 for t in turned]
    ratios = [s[0] / s[1] for s in spans]
    with style():
        height = min(max((width - 0.9) / sum(ratios), 2.2), 5.5)
        fig, axes = figure(1, len(views), width=width, height=height, squeeze=False, width_ratios=ratios)
        for ax, view in zip(axes[0], turned):
            _draw(ax, view, colors)
        if shade is not None:
            bar = fig.colorbar(shade, ax=axes[0].tolist(), shrink=0.72, aspect=26, pad=0.015)
            bar.set_label(label)
            bar.outline.set_visible(False)
        return fig


def _turn(atoms: Atoms, tilt: float, turn: float) -> Atoms:
    """Rotate so that the viewer looks down z: ``turn`` degrees about the normal, then ``tilt`` it to the viewer."""
    turned = atoms.copy()
    turned.rotate(turn, "z", rotate_cell=True)
    turned.rotate(-tilt, "x", rotate_cell=True)
    return turned


def _draw(ax: Axes, atoms: Atoms, colors: np.ndarray) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle

    x = atoms.positions
    radii = 0.55 * covalent_radii[atoms.numbers]
    depth = (x[:, 2] - x[:, 2].min()) / max(np.ptp(x[:, 2]), 1.0)  # 0 far, 1 near
    fog = 0.55 * (1 - depth)[:, None]
    paper = np.array(_rgb(PAPER))
    face = (1 - fog) * colors[:, :3] + fog * paper
    edge = (1 - fog) * np.array(_rgb(INK)) + fog * paper
    _draw_cell(ax, atoms)
    order = np.argsort(x[:, 2], kind="stable")
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    for a, b in zip(*_bonds(atoms)):
        z = 2 + min(rank[a], rank[b]) / len(x)
        dark = 0.5 * (edge[a] + edge[b])
        for wide, shade in ((3.4, dark), (2.2, 0.55 * dark + 0.45 * np.array(_rgb(SOFT)))):
            ax.plot(x[[a, b], 0], x[[a, b], 1], color=shade, lw=wide, zorder=z, solid_capstyle="round")
    for a in order:
        z = 2 + (rank[a] + 0.5) / len(x)
        ball = [Circle(x[a, :2], radii[a])]
        ax.add_collection(PatchCollection(ball, facecolor=[0.82 * face[a]], edgecolor=[edge[a]], lw=0.7, zorder=z))
        shine = [  # smaller and lighter discs towards the light make a ball of a disc
            Circle(x[a, :2] + s * radii[a] * np.array([-0.5, 0.5]), (1 - s) * radii[a] * 0.93) for s in _STEPS
        ]
        lit = [face[a] * (1 - 0.5 * s**2) + 0.5 * s**2 for s in _STEPS]
        lit = [np.clip(c * (0.86 + 0.14 * min(1, 2.5 * s)), 0, 1) for c, s in zip(lit, _STEPS)]
        ax.add_collection(PatchCollection(shine, facecolors=lit, lw=0, zorder=z))
    low, high = x[:, :2].min(0) - 1.4, x[:, :2].max(0) + 1.4
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.axis("off")


_STEPS = np.linspace(0, 0.85, 10)


def _bonds(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Pairs closer than 1.2 times the sum of their covalent radii, those through the boundary left out."""
    i, j, S = neighbor_list("ijS", atoms, 1.2 * covalent_radii[atoms.numbers])
    keep = (i < j) & ~S.any(1)
    return i[keep], j[keep]


def _draw_cell(ax: Axes, atoms: Atoms) -> None:
    """The outline spanned by the periodic vectors, at the height of the lowest atom along the others."""
    vectors = np.asarray(atoms.cell)[atoms.pbc]
    base = np.zeros(3)
    if len(vectors) == 2:
        normal = np.cross(*vectors)
        normal /= np.linalg.norm(normal) or 1.0
        base = normal * (atoms.positions @ normal).min()
    for v, others in ((v, np.delete(vectors, k, axis=0)) for k, v in enumerate(vectors)):
        for chosen in product((0, 1), repeat=len(others)):
            start = base + np.array(chosen) @ others if len(others) else base
            ends = np.stack([start, start + v])
            ax.plot(ends[:, 0], ends[:, 1], color=SOFT, lw=0.8, ls=(0, (4, 3)), zorder=1)


def _rgb(color: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(color)
