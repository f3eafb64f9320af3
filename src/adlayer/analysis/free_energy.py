"""Free energy along a collective variable: from samples under biases, its doubt, and what one reads from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .quantity import Findings, Quantity
from .reweighting import free_energies, log_sum_exp

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def mbar(
    series: Sequence[np.ndarray], u: Sequence[np.ndarray], edges: np.ndarray, start=None
) -> tuple[np.ndarray, np.ndarray]:
    """Profile ``F / k_B T`` by the multistate Bennett acceptance ratio, and the free energies of the windows.

    Args:
        series: of each window, [samples], the variable.
        u: of each window, [windows, samples], the bias of every window there over ``k_B T``.
        edges: of the bins.
        start: free energies to begin with.
    """
    counts, u = np.array([len(s) for s in series]), np.concatenate(u, 1)
    f = free_energies(u, counts, start)
    log_w = -log_sum_exp((f + np.log(counts))[:, None] - u, axis=0)
    return profile(np.concatenate(series), log_w, edges), f


def wham(histograms: np.ndarray, u: np.ndarray, start=None) -> tuple[np.ndarray, np.ndarray]:
    """Profile ``F / k_B T`` by the weighted histogram analysis method, and the free energies of the windows.

    Args:
        histograms: [windows, bins].
        u: [windows, bins], the bias over ``k_B T`` at the centers of the bins.
        start: free energies to begin with.
    """
    counts, seen = histograms.sum(1), histograms.sum(0)
    f = free_energies(u[:, seen > 0], counts, start, seen[seen > 0])
    with np.errstate(divide="ignore"):
        return zeroed(log_sum_exp((f + np.log(counts))[:, None] - u, axis=0) - np.log(seen)), f


def profile(s: np.ndarray, log_weights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """``-ln p`` in bins, from weighted samples; infinite where there is none."""
    p, _ = np.histogram(s, edges, weights=np.exp(log_weights - log_weights.max()))
    with np.errstate(divide="ignore"):
        return zeroed(-np.log(p))


def zeroed(F: np.ndarray) -> np.ndarray:
    """Counted from its minimum."""
    return F - F.min()


def doubt(profiles: np.ndarray) -> np.ndarray:
    """Standard deviation of profiles [many, bins], each taken relative to its mean where all are finite."""
    common = np.isfinite(profiles).all(0)
    with np.errstate(invalid="ignore"):
        return (profiles - profiles[:, common].mean(1, keepdims=True)).std(0, ddof=1)


def resampled(n: int, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Places of a series made anew of its blocks, drawn with replacement (bootstrap)."""
    blocks = np.array_split(np.arange(n), min(blocks, n))
    return np.concatenate([blocks[k] for k in rng.integers(0, len(blocks), len(blocks))])


def landmarks(s: np.ndarray, F: np.ndarray, many: np.ndarray, kT: float, unit: str) -> list[Quantity]:
    """The two deepest valleys of a profile, the ridge between them and their populations.

    Args:
        s: centers of the bins.
        F: the profile, eV.
        many: [many, bins], profiles drawn by bootstrap, for standard deviations.
        kT: eV.
        unit: of the variable.
    """
    from scipy.signal import find_peaks

    deep = np.where(np.isfinite(F), -F, -np.max(F[np.isfinite(F)]) - kT)
    found, _ = find_peaks(np.concatenate([[-np.inf], deep, [-np.inf]]), prominence=kT)
    valleys = sorted(found - 1, key=lambda k: F[k])[:2]
    quantities = [Quantity("deepest valley at", float(s[valleys[0]]), unit)] if valleys else []
    if len(valleys) < 2:
        return quantities
    a, b = sorted(valleys)
    ridge = a + int(np.argmax(np.where(np.isfinite(F), F, -np.inf)[a : b + 1]))
    low, high = valleys

    def read(F: np.ndarray) -> tuple[float, float]:
        p = np.exp(-(F - F.min()) / kT)
        left, right = p[:ridge].sum(), p[ridge:].sum()
        difference = -kT * np.log(right / left) * (1 if high > low else -1)
        return difference, F[ridge] - F[low]

    where = f"from {s[low]:.3g} to {s[high]:.3g} {unit}".strip()
    with np.errstate(invalid="ignore"):
        drawn = np.array([read(one) for one in many]).reshape(-1, 2)
    for name, value, of in zip(("free energy", "barrier"), read(F), drawn.T):
        of = of[np.isfinite(of)]
        std = float(of.std(ddof=1)) if len(of) > 1 else None
        quantities.append(Quantity(f"{name} {where}", float(value), "eV", std))
    return quantities


def listed(x: np.ndarray) -> list[Any]:
    """For JSON: what is not finite becomes None."""
    return [listed(row) for row in x] if x.ndim > 1 else [float(v) if np.isfinite(v) else None for v in x]


def numbers(x: Sequence[Any]) -> np.ndarray:
    """The inverse of ``listed``."""
    return np.array(x, float)


def plot_profiles(findings: Mapping[str, Findings]) -> Figure:
    """Free energy with its doubt, and how it came to rest with the length of the runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for m, (method, found) in enumerate(findings.items()):
        d = found.data
        s, F, std = (numbers(d[key]) for key in ("s", "free energy (eV)", "std (eV)"))
        left.plot(s, F, color=f"C{m}", label=method)
        left.fill_between(s, F - std, F + std, color=f"C{m}", alpha=0.25, lw=0)
        if "other estimate (eV)" in d:
            left.plot(s, numbers(d["other estimate (eV)"]), "--", color=f"C{m}", lw=1, label=d["other estimate"])
        right.plot(d["share of the run"], d["rms change (eV)"], "o-", color=f"C{m}")
    left.set_xlabel(next(iter(findings.values())).data["variable"])
    left.set_ylabel("free energy (eV)")
    left.legend()
    right.set_xlabel("share of the run")
    right.set_ylabel("rms difference from all of it (eV)")
    right.set_ylim(bottom=0)
    return figure
