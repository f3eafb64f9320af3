"""The plots of a report: arrays in, figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .style import COLORS, INK, LINE, SOFT, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Groups = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""For each group, what the reference says and what the potential says."""


def parity(energy: Groups | None = None, forces: Groups | None = None) -> Figure:
    """Potential against reference: energies per atom (eV) and force components (eV/Å), colored by group."""
    panels = [
        (groups, *words)
        for groups, words in (
            (energy, ("Energy per atom", "eV", 1000, "meV/atom")),
            (forces, ("Force components", "eV/Å", 1000, "meV/Å")),
        )
        if groups
    ]
    with style():
        fig, axes = figure(1, len(panels), width=4.5 * len(panels), height=4.1, squeeze=False)
        for ax, (groups, title, unit, factor, small) in zip(axes[0], panels):
            _parity(ax, groups, factor, small)
            ax.set(title=title, xlabel=f"reference ({unit})", ylabel=f"potential ({unit})")
        return fig


def _parity(ax: Axes, groups: Groups, factor: float, unit: str) -> None:
    arrays = {name: (np.ravel(a), np.ravel(b)) for name, (a, b) in groups.items()}
    both = np.concatenate([np.concatenate(ab) for ab in arrays.values()])
    low, high = both.min(), both.max()
    margin = 0.04 * (high - low or 1.0)
    limits = (low - margin, high + margin)
    ax.plot(limits, limits, color=SOFT, lw=0.8, zorder=0)
    many = sum(len(a) for a, _ in arrays.values()) > 600
    for k, (name, (a, b)) in enumerate(sorted(arrays.items(), key=lambda item: -len(item[1][0]))):
        error = factor * np.mean(np.abs(a - b))
        ax.plot(
            a,
            b,
            "o",
            color=COLORS[k % len(COLORS)],
            ms=2.2 if many else 4.0,
            alpha=0.45 if many else 0.75,
            mew=0,
            rasterized=True,
            label=f"{name}  {error:.3g}",
        )
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    legend = ax.legend(title=f"MAE ({unit})", loc="upper left", handletextpad=0.2, markerscale=2 if many else 1)
    legend.get_title().set(color=SOFT, fontsize=8.5)
    legend._legend_box.align = "left"
    for handle in legend.legend_handles:
        handle.set_alpha(1)


def learning_curve(
    sizes: ArrayLike,
    curves: Mapping[str, ArrayLike],
    xlabel: str = "labelled structures",
    targets: Mapping[str, float] | None = None,
) -> Figure:
    """Errors against the amount of data, both logarithmic; one panel for each, such as ``"forces (meV/Å)"``."""
    with style():
        fig, axes = figure(1, len(curves), width=4.5 * len(curves), height=3.1, squeeze=False)
        sizes = np.asarray(sizes, float)
        for k, (ax, (name, values)) in enumerate(zip(axes[0], curves.items())):
            values = np.asarray(values, float)
            ax.plot(sizes, values, "o-", color=COLORS[k], ms=5.5, mec="white", mew=1)
            for x, y in zip(sizes, values):
                ax.annotate(
                    f"{y:.3g}", (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=8.2, color=SOFT
                )
            if targets and name in targets:
                ax.axhline(targets[name], color=SOFT, lw=0.9, ls=(0, (4, 3)))
            ax.set(xscale="log", yscale="log", title=name, xlabel=xlabel)
            _plain_ticks(ax, sizes)
            good = values[np.isfinite(values) & (values > 0)]
            if len(good):
                ax.set_ylim(good.min() / 1.35, good.max() * 1.5)
        return fig


def history(curves: Mapping[str, ArrayLike], xlabel: str = "epoch") -> Figure:
    """How errors fell while a fit went on, one panel for each."""
    with style():
        fig, axes = figure(1, len(curves), width=4.5 * len(curves), height=2.8, squeeze=False)
        for k, (ax, (name, values)) in enumerate(zip(axes[0], curves.items())):
            values = np.asarray(values, float)
            ax.plot(np.arange(1, len(values) + 1), values, color=COLORS[k])
            best = int(np.nanargmin(values))
            ax.plot(best + 1, values[best], "o", color=COLORS[k], ms=6, mec="white")
            ax.annotate(
                f"{values[best]:.3g}", (best + 1, values[best]), (0, 8), textcoords="offset points", ha="center"
            )
            ax.set(yscale="log", title=name, xlabel=xlabel)
            _log_ticks(ax.yaxis)
            ax.grid(axis="y", color=LINE, lw=0.6)
        return fig


def _plain_ticks(ax: Axes, sizes: np.ndarray) -> None:
    """Ticks at the sizes themselves, those apart that would touch."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    apart = sizes[:1].tolist()
    for x in sizes[1:].tolist():
        if x > 1.12 * apart[-1]:
            apart.append(x)
    ax.xaxis.set_major_locator(FixedLocator(apart))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    _log_ticks(ax.yaxis)
    ax.grid(axis="y", color=LINE, lw=0.6)


def _log_ticks(axis, subs: tuple[int, ...] = (1, 2, 5)) -> None:
    """1, 2, 5, 10, 20 ... written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def calibration(quantities: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Whether standard deviations are honest: coverage against confidence, and errors found against those expected.

    Args:
        quantities: errors and their standard deviations by name, such as ``"forces (eV/Å)"``.
    """
    from ..uncertainty.scores import calibration_curve, miscalibration_area

    with style():
        fig, axes = figure(1, 1 + len(quantities), width=3.0 * (1 + len(quantities)), height=3.1, squeeze=False)
        levels = np.linspace(0, 1, 101)
        ax = axes[0][0]
        ax.plot([0, 100], [0, 100], color=SOFT, lw=0.8)
        for k, (name, (e, s)) in enumerate(quantities.items()):
            e, s = np.ravel(e), np.ravel(s)
            found = calibration_curve(e, s, levels)
            label = f"{name.split(' (')[0]}, area {miscalibration_area(e, s):.3f}"
            ax.plot(100 * levels, 100 * found, color=COLORS[k], label=label)
            ax.fill_between(100 * levels, 100 * levels, 100 * found, color=COLORS[k], alpha=0.12, lw=0)
            _reliability(axes[0][1 + k], e, s, COLORS[k], name)
        ax.legend(loc="upper left")
        ax.set(title="Coverage", xlabel="expected within interval (%)", ylabel="found (%)", aspect="equal")
        ax.set(xlim=(0, 100), ylim=(0, 100), xticks=range(0, 101, 25), yticks=range(0, 101, 25))
        return fig


def _reliability(ax: Axes, e: np.ndarray, s: np.ndarray, color: str, name: str, bins: int = 12) -> None:
    """Errors against standard deviations, with the root mean square in bins of equal size."""
    shown = np.random.default_rng(0).permutation(len(e))[:3000]
    ax.plot(s[shown], np.abs(e[shown]), ".", color=color, ms=2.5, alpha=0.25, mew=0, rasterized=True)
    parts = np.array_split(np.argsort(s), max(1, min(bins, len(s) // 4)))
    x = np.array([np.sqrt(np.mean(s[p] ** 2)) for p in parts])
    y = np.array([np.sqrt(np.mean(e[p] ** 2)) for p in parts])
    ax.plot(x, y, "o-", color=INK, ms=4, lw=1, mec="white", mew=0.7, label="RMS in bins", zorder=3)
    positive = np.concatenate([x, y, s[s > 0]])
    low, high = positive[positive > 0].min() / 2, max(positive.max(), np.abs(e).max()) * 1.5
    ax.plot([low, high], [low, high], color=SOFT, lw=0.8, zorder=0)
    title, _, unit = name.partition(" (")
    unit = f" ({unit}" if unit else ""
    ax.set(xscale="log", yscale="log", title=title.capitalize())
    ax.set(xlabel=f"standard deviation{unit}", ylabel=f"error{unit}")
    ax.set(xlim=(s.min() / 1.4, s.max() * 1.4), ylim=(max(low, np.quantile(np.abs(e), 0.02)), high))
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        _log_ticks(axis, (1, 2, 5) if limits[1] < 30 * limits[0] else (1,))
    ax.legend(loc="upper left")


def time_series(
    time: ArrayLike,
    series: Mapping[str, ArrayLike],
    limits: Mapping[str, float] | None = None,
    xlabel: str = "time (ps)",
) -> Figure:
    """Panels over one time axis, each with its distribution beside it.

    Args:
        time: ps.
        series: values by name, with the unit in the name; two-dimensional ones are drawn line by line, with their mean.
        limits: a dashed line in the panel of that name, such as the threshold of the uncertainty.
    """
    limits = limits or {}
    time = np.asarray(time, float)
    with style():
        n = len(series)
        fig, axes = figure(n, 2, width=9, height=0.5 + 1.45 * n, squeeze=False, sharey="row", width_ratios=(6, 1))
        for k, (name, values) in enumerate(series.items()):
            values, (ax, side), color = np.asarray(values, float), axes[k], COLORS[k % len(COLORS)]
            if values.ndim == 2:
                ax.plot(time, values, color=color, lw=0.7, alpha=0.35)
                ax.plot(time, values.mean(1), color=color, lw=1.8)
            else:
                ax.plot(time, values, color=color, lw=1.1)
            flat = values[np.isfinite(values)]
            side.hist(flat, bins=40, orientation="horizontal", color=color, alpha=0.75, density=True)
            if name in limits:
                for a in (ax, side):
                    a.axhline(limits[name], color=INK, lw=0.9, ls=(0, (4, 3)))
                top = max(limits[name], flat.max() if len(flat) else 0)
                ax.set_ylim(top=1.18 * top)
                ax.annotate(
                    "threshold", (time[0], limits[name]), (2, 3), textcoords="offset points", fontsize=8, color=SOFT
                )
            ax.set_title(name, fontsize=9.2)
            side.set_xticks([])
            side.spines["bottom"].set_visible(False)
            ax.margins(x=0.005)
            ax.tick_params(labelbottom=k == n - 1)
            ax.grid(axis="y", color=LINE, lw=0.6)
        axes[-1][0].set_xlabel(xlabel)
        return fig


def side_by_side(
    labels: Sequence[str], reference: ArrayLike, potential: ArrayLike, xlabel: str, std: ArrayLike | None = None
) -> Figure:
    """One row for each label, with what the reference says, what the potential says, and the gap between."""
    with style():
        fig, ax = figure(width=7, height=0.75 + 0.38 * len(labels))
        a, b, y = np.asarray(reference, float), np.asarray(potential, float), np.arange(len(labels))[::-1]
        ax.hlines(y, np.fmin(a, b), np.fmax(a, b), color=LINE, lw=3, zorder=0)
        ax.errorbar(b, y, xerr=std, fmt="o", color=COLORS[1], ms=6, capsize=2.5, lw=1, mew=0, label="potential")
        ax.plot(a, y, "o", color=INK, ms=10, mfc="none", mew=1.3, label="reference")
        ax.set(yticks=y, yticklabels=labels, xlabel=xlabel, ylim=(-0.6, len(labels) - 0.4))
        ax.grid(axis="x", color=LINE, lw=0.6)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1, handletextpad=0.2)
        return fig


def spectrum(
    reference: ArrayLike | None, potential: ArrayLike, width: float = 8.0, xlabel: str = "wavenumber (1/cm)"
) -> Figure:
    """Densities of vibrational states, broadened by Gaussians; imaginary modes as negative wavenumbers."""
    with style():
        fig, ax = figure(width=7.5, height=2.7)
        sets = {"reference": reference, "potential": potential}
        everything = np.concatenate([np.asarray(x, float) for x in sets.values() if x is not None])
        grid = np.linspace(min(0, everything.min()) - 5 * width, everything.max() + 5 * width, 1500)
        for (name, modes), color in zip(sets.items(), (INK, COLORS[1])):
            if modes is None:
                continue
            z = (grid[:, None] - np.asarray(modes, float)) / width
            density = np.exp(-0.5 * z**2).sum(1) / (width * np.sqrt(2 * np.pi))
            ax.plot(grid, density, color=color, label=name)
            if name == "reference":
                ax.fill_between(grid, density, color=color, alpha=0.1, lw=0)
        ax.set(xlabel=xlabel, ylabel="modes per 1/cm", ylim=(0, None), xlim=(grid[0], grid[-1]))
        ax.legend(loc="upper right")
        return fig
