"""Who moves: Lindemann's index of each atom, from the core of a particle to its surface."""

from __future__ import annotations

import numpy as np


def lindemann(positions: np.ndarray) -> np.ndarray:
    """``delta_i = mean_j sqrt(<r_ij²> - <r_ij>²) / <r_ij>`` of each atom of a particle, averages over the frames.

    About 0.03 to 0.08 in a solid, and above 0.1 where atoms change places: Lindemann, Phys. Z. 11, 609 (1910), in the
    form of Berry, Beck, Davis and Jellinek (1988).

    Args:
        positions: [frames, atoms, 3], Å.
    """
    n = positions.shape[1]
    mean, square = np.zeros((n, n)), np.zeros((n, n))
    for x in positions:
        r2 = ((x[:, None] - x[None]) ** 2).sum(-1)
        mean += np.sqrt(r2)
        square += r2
    mean /= len(positions)
    spread = np.sqrt(np.clip(square / len(positions) - mean**2, 0, None))
    np.fill_diagonal(mean, 1.0)
    np.fill_diagonal(spread, 0.0)
    return (spread / mean).sum(1) / max(n - 1, 1)


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
