"""What accuracy costs: errors of many against their price, and the front of those that no other beats in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..fitting.comparison import pareto_front
from .plots import _log_ticks
from .style import COLORS, INK, LINE, SOFT, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACES = ((7, 4), (7, -11), (-7, 4), (-7, -11), (0, 9), (0, -16), (7, 16), (-7, 16), (7, -23), (-7, -23))  # points


def pareto(names: Sequence[str], errors: Mapping[str, ArrayLike], prices: Mapping[str, ArrayLike]) -> Figure:
    """Each error against each price, both logarithmic; a line joins those that no other beats in both.

    Args:
        names: of the points.
        errors: by name with unit, such as ``"force MAE (meV/Å)"``; NaN where not known.
        prices: the same, such as ``"energy and forces (µs/atom)"``.
    """
    with style():
        fig, axes = figure(
            len(errors),
            len(prices),
            4.7 * len(prices),
            0.4 + 3.2 * len(errors),
            squeeze=False,
            sharex="col",
            sharey="row",
        )
        for row, y in zip(axes, errors.values()):
            for ax, x in zip(row, prices.values()):
                _panel(ax, np.asarray(x, float), np.asarray(y, float))
        for ax, price in zip(axes[-1], prices):
            ax.set_xlabel(price)
        for ax, error in zip(axes[:, 0], errors):
            ax.set_ylabel(error)
        fig.canvas.draw()  # axes have their places from now on
        fig.set_layout_engine("none")
        for row, y in zip(axes, errors.values()):
            for ax, x in zip(row, prices.values()):
                _label(ax, names, np.asarray(x, float), np.asarray(y, float))
        return fig


def _panel(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    front = pareto_front(x, y)
    ax.plot(x[front], y[front], drawstyle="steps-post", color=SOFT, lw=1, ls=(0, (4, 3)), zorder=1)
    for k, (a, b) in enumerate(zip(x, y)):
        face = COLORS[k % len(COLORS)]
        ax.plot(a, b, "o", color=face, mfc=face if k in front else "none", ms=7, mew=1.5, zorder=2)
    ax.set(xscale="log", yscale="log")
    ax.margins(0.18)
    for axis, values in ((ax.xaxis, x), (ax.yaxis, y)):
        good = values[np.isfinite(values) & (values > 0)]
        wide = len(good) and good.max() > 50 * good.min()
        _log_ticks(axis, (1,) if wide and good.max() > 1e3 * good.min() else (1, 3) if wide else (1, 2, 5))
    ax.grid(color=LINE, lw=0.6)


def _label(ax: Axes, names: Sequence[str], x: np.ndarray, y: np.ndarray) -> None:
    """Names beside the points, where they touch nothing."""
    fig, taken = ax.figure, []
    known = [k for k in range(len(names)) if np.isfinite(x[k]) and np.isfinite(y[k])]
    for px, py in ax.transData.transform([(x[k], y[k]) for k in known]):
        taken.append((px - 6, py - 6, px + 6, py + 6))
    for k in known:
        for place in PLACES:
            side = "left" if place[0] > 0 else "right" if place[0] < 0 else "center"
            text = ax.annotate(
                names[k], (x[k], y[k]), place, textcoords="offset points", ha=side, fontsize=8.6, color=INK
            )
            box, frame = text.get_window_extent(fig.canvas.get_renderer()), ax.bbox
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 + 12 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            free = not any(box.x0 < c + 3 and box.x1 > a - 3 and box.y0 < d and box.y1 > b for a, b, c, d in taken)
            if (inside and free) or place == PLACES[-1]:
                taken.append((box.x0, box.y0, box.x1, box.y1))
                break
            text.remove()
