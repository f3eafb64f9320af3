"""Who moves: Lindemann's index of each atom, from the core of a particle to its surface."""

from __future__ import annotations

import numpy as np


def lindemann(positions: np.ndarray, reach: float | None = None) -> np.ndarray:
    """``delta_i = mean_j sqrt(<r_ij²> - <r_ij>²) / <r_ij>`` of each atom of a particle, averages over the frames.

    In the form of Berry, Beck, Davis and Jellinek, Adv. Chem. Phys. 70, 75 (1988), after Lindemann (1910). Over all
    pairs it tells a solid particle, below about 0.08, from a liquid one; over the neighbors in the first frame it tells
    atoms that change their places from those that do not, within a picosecond.

    Args:
        positions: [frames, atoms, 3], Å.
        reach: how far neighbors are in the first frame, in units of the median distance to the nearest; default: all
            pairs.
    """
    n = positions.shape[1]
    mean, square = np.zeros((n, n)), np.zeros((n, n))
    for x in positions:
        r2 = ((x[:, None] - x[None]) ** 2).sum(-1)
        mean += np.sqrt(r2)
        square += r2
    mean /= len(positions)
    spread = np.sqrt(np.clip(square / len(positions) - mean**2, 0, None))
    np.fill_diagonal(mean, np.inf)
    counted = np.isfinite(mean)
    if reach is not None:
        first = np.linalg.norm(positions[0][:, None] - positions[0][None], axis=-1)
        np.fill_diagonal(first, np.inf)
        counted = first < reach * np.median(first.min(1))
    return (counted * spread / mean).sum(1) / counted.sum(1).clip(1)


def shells(positions: np.ndarray, n: int) -> np.ndarray:
    """The shell of each atom, by its mean distance to the center: ``n`` shells of equal numbers of atoms, 0 innermost.

    Args:
        positions: [frames, atoms, 3], Å.
        n: how many.
    """
    radius = np.linalg.norm(positions - positions.mean(1, keepdims=True), axis=-1).mean(0)
    rank = np.empty(len(radius), int)
    rank[radius.argsort(kind="stable")] = np.arange(len(radius))
    return rank * n // len(radius)
