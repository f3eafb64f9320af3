"""A picture of adsorption: energies as levels, and the sites on the surface, seen from above."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

from .quantity import Findings

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12  # sites with numbers


def adsorption_figure(findings: Mapping[str, Findings]) -> Figure:
    """Levels of all candidates that compete, one column for each method, and a map of the first method's sites."""
    from matplotlib.figure import Figure

    first = next(iter(findings.values()))
    rows = _competing(first)
    surface = next((f for name, f in first.frames.items() if rows and name == rows[0]["surface"]), None)
    rows = [
        r for r in rows if r["name"] in first.frames and len(r["species"]) == 1 and r["surface"] == rows[0]["surface"]
    ]
    with_map = surface is not None and bool(rows) and surface.pbc.sum() == 2
    figure = Figure(figsize=(7.5 if with_map else 5, 3.8), layout="constrained")
    axes = figure.subplots(1, 2 if with_map else 1, squeeze=False)[0]
    _levels(axes[0], findings)
    if with_map:
        _map(axes[1], surface, rows[:MOST], first.frames)
    return figure


def _competing(found: Findings) -> list[dict[str, Any]]:
    return [row for row in found.data["candidates"] if row["competes"]]


def _levels(axes: Axes, findings: Mapping[str, Findings]) -> None:
    for column, found in enumerate(findings.values()):
        rows = _competing(found)[:MOST]
        text = _apart([row["energy"] for row in rows])
        for k, (row, height) in enumerate(zip(rows, text)):
            axes.hlines(row["energy"], column - 0.25, column + 0.25, color=f"C{k % 8}")
            what = f"{k + 1} {' + '.join(row['species'])} on {row['site']}" if len(row["species"]) < 3 else row["name"]
            axes.annotate(what, (column + 0.29, height), va="center", fontsize=7)
    axes.set_xticks(range(len(findings)), list(findings))
    axes.set_xlim(-0.4, len(findings) - 0.1)
    axes.set_ylabel("adsorption energy per adsorbate (eV)")


def _apart(heights: list[float]) -> np.ndarray:
    """Heights at which lines of text do not overlap, in the order of what they name."""
    y = np.array(heights, float)
    order = np.argsort(y, kind="stable")
    step = 0.05 * max(np.ptp(y), 0.1) if len(y) else 0.0
    for before, k in pairwise(order):
        y[k] = max(y[k], y[before] + step)
    return y


def _map(axes: Axes, surface: Atoms, rows: list[dict[str, Any]], frames: Mapping[str, Atoms]) -> None:
    from matplotlib.patches import Circle

    x, radii = surface.positions, covalent_radii[surface.numbers]
    depth = (x[:, 2].max() - x[:, 2]) / max(np.ptp(x[:, 2]), 1e-6)
    rows_of_cell = np.asarray(surface.cell)[surface.pbc]
    for a in np.argsort(x[:, 2], kind="stable"):
        color = (1 - 0.7 * depth[a]) * jmol_colors[surface.numbers[a]] + 0.7 * depth[a]
        for shift in ((m, n) for m in (-1, 0, 1) for n in (-1, 0, 1)):
            center = x[a, :2] + (np.array(shift) @ rows_of_cell)[:2]
            axes.add_patch(Circle(center, radii[a], facecolor=color, edgecolor="0.4", lw=0.4))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ rows_of_cell[:, :2]
    axes.plot(*corners.T, color="0.2", lw=0.8)
    for k, row in enumerate(rows):
        frame = frames[row["name"]]
        at = frame.positions[frame.arrays["adsorbate"] > 0]
        at = at[at[:, 2].argmin(), :2] @ np.linalg.inv(rows_of_cell[:, :2]) % 1.0 @ rows_of_cell[:, :2]
        axes.plot(*at, "o", ms=11, color=f"C{k % 8}", mec="white")
        axes.annotate(str(k + 1), at, ha="center", va="center", color="white", fontsize=7)
    low, high = corners.min(0) - 1.0, corners.max(0) + 1.0
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.axis("off")
