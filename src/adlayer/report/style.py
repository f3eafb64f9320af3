"""One look for all figures."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, LINE, PAPER = "#22262b", "#6a717a", "#d9d6ce", "#fbfaf7"
COLORS = ("#2f6690", "#d1772e", "#2d7d5b", "#a23b4f", "#6c5b9e", "#8a7434", "#3f9aa8", "#7a7f87")
LETTERS = ("Inter", "Source Sans 3", "Helvetica Neue", "Arial", "DejaVu Sans")


@contextmanager
def style():
    """Everything drawn inside has the look of the reports."""
    import logging

    import matplotlib
    from cycler import cycler

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a missing font is no news
    look = {
        "font.family": "sans-serif",
        "font.sans-serif": LETTERS,
        "font.size": 9.5,
        "axes.prop_cycle": cycler(color=COLORS),
        "axes.edgecolor": SOFT,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlecolor": INK,
        "axes.axisbelow": True,
        "text.color": INK,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.direction": "out",
        "ytick.direction": "out",
        "legend.frameon": False,
        "legend.fontsize": 8.8,
        "lines.linewidth": 1.6,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "none",
    }
    with matplotlib.rc_context(look):
        yield


def figure(
    rows: int = 1, columns: int = 1, width: float = 9.0, height: float = 3.2, **kwargs: Any
) -> tuple[Figure, Any]:
    """A figure without a screen, and its axes; inches. Use inside ``style()``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height))
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, **kwargs)
