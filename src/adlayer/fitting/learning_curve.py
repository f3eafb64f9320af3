"""Learning curves: how errors on held-out data fall with the number of frames, and how many more would be needed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..config import build
from ..potential import Potential
from .fit import Fit, Progress, default_method

if TYPE_CHECKING:
    from ..data import Dataset


@dataclass(frozen=True)
class LearningCurve:
    """Errors by number of frames.

    Args:
        rows: one for each fit: ``size``, ``seed``, ``seconds`` and the metrics of the validation set.
    """

    rows: tuple[dict[str, Any], ...]

    @property
    def sizes(self) -> list[int]:
        return sorted({row["size"] for row in self.rows})

    def of(self, metric: str = "forces_mae") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """To be plotted: sizes, the mean over the seeds at each, and its standard deviation."""
        values = [[row[metric] for row in self.rows if row["size"] == n and metric in row] for n in self.sizes]
        return np.array(self.sizes), np.array([np.mean(v) for v in values]), np.array([np.std(v) for v in values])

    def power_law(self, metric: str = "forces_mae") -> tuple[float, float]:
        """``a`` and ``b`` of ``error = a size^-b``, by least squares of the logarithms."""
        sizes, mean, _ = self.of(metric)
        if len(sizes) < 2:
            raise ValueError(f"a power law needs at least two sizes, got {len(sizes)}")
        slope, intercept = np.polyfit(np.log(sizes), np.log(mean), 1)
        return math.exp(intercept), -slope

    def needed(self, error: float, metric: str = "forces_mae") -> float:
        """How many frames the power law asks for to reach an error; infinite where it does not fall."""
        a, b = self.power_law(metric)
        return (a / error) ** (1 / b) if b > 0 else math.inf


def learning_curve(
    potential: Potential | Mapping | str,
    train: Dataset,
    valid: Dataset,
    method: Fit | Mapping | str | None = None,
    *,
    sizes: Sequence[int] | None = None,
    seeds: int = 3,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> LearningCurve:
    """Fit to growing parts of the training set; those of one seed contain each other.

    Args:
        potential: a potential, or ``{ClassName: {arguments}}``, then made anew from each seed.
        train: what parts are drawn from.
        valid: what judges all of them.
        method: a method, or ``{ClassName: {arguments}}``.
        sizes: frames of each part; by default doubled from a sixteenth up to all.
        seeds: how many orders of the frames.
        folder: where each result is kept, and found again, in ``learning_curve.jsonl``.
        progress: called as ``progress(done, total, message)``.
        seed: of the first order.
    """
    n = len(train)
    if sizes is None:
        sizes = sorted({max(1, math.ceil(n / 2**k)) for k in range(5)})
    if not sizes or not all(isinstance(k, int) and 0 < k <= n for k in sizes):
        raise ValueError(f"sizes must be numbers of frames from 1 to {n} (the training set), got {list(sizes)}")
    method = build(method, Fit) if method else default_method(build(potential, Potential))
    method.weights.check_groups(train)
    path = None if folder is None else Path(folder) / "learning_curve.jsonl"
    rows = _read(path)
    known = {(row["size"], row["seed"]): row for row in rows}
    todo = [(k, s) for s in range(seed, seed + seeds) for k in sorted(sizes)]
    for done, (size, s) in enumerate(todo):
        if (size, s) not in known:
            order = np.random.default_rng(s).permutation(n)[:size].tolist()
            with torch.random.fork_rng():
                torch.manual_seed(s)
                start = build(potential, Potential)
            fitted = method(start, train[order], valid, seed=s)
            metrics = {k: v for k, v in fitted.metrics["valid"].items() if k != "groups"}
            known[size, s] = {"size": size, "seed": s, "seconds": fitted.seconds, **metrics}
            _append(path, known[size, s])
        if progress:
            row = known[size, s]
            progress(done + 1, len(todo), f"{size} frames: forces {row.get('forces_mae', math.nan):.4g} eV/Å")
    return LearningCurve(tuple(known[key] for key in todo))


def _read(path: Path | None) -> list[dict[str, Any]]:
    if path is None or not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # a line that was cut off by an interruption
            continue
    return rows


def _append(path: Path | None, row: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")
