"""Which structures to take of many: those that differ most, represent most, or are least certain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from ..config import Part
from ..nn.subsets import cur_rows

Features = Float[np.ndarray, "items features"]


class Selection(Part, ABC):
    """A way to choose some of many by their features."""

    def __call__(
        self,
        features: Features | Sequence[Features],
        scores: Float[np.ndarray, "items"] | None = None,
        n: int = 10,
        rng: np.random.Generator | None = None,
    ) -> list[int]:
        """Indices of at most ``n`` items, the first chosen first.

        Args:
            features: one row per item, or per-atom rows of each (which are then averaged).
            scores: how much each is wanted, such as its uncertainty; None: all alike.
            n: how many.
            rng: where randomness comes from.
        """
        x = as_rows(features)
        if n < 0:
            raise ValueError(f"cannot choose {n} items")
        if not np.isfinite(x).all():
            raise ValueError(f"features of item {int(np.argmax(~np.isfinite(x).all(1)))} are not finite numbers")
        scores = np.ones(len(x)) if scores is None else np.asarray(scores, dtype=float)
        if scores.shape != (len(x),):
            raise ValueError(f"{scores.shape} scores for {len(x)} items")
        scores = np.where(np.isfinite(scores), np.clip(scores, 0, None), 0.0)
        return self.choose(standardized(x), scores, min(n, len(x)), rng or np.random.default_rng(0))

    @abstractmethod
    def choose(self, x: Features, scores: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
        """Choose by standardized features and scores of zero or more."""


def as_rows(features: Features | Sequence[Features]) -> Features:
    """One row per item; per-atom rows of each item become their mean."""
    if isinstance(features, np.ndarray) and features.ndim == 2:
        return features.astype(float)
    rows = [np.asarray(f, dtype=float) for f in features]
    return np.stack([f.mean(0) if f.ndim == 2 else f for f in rows]) if rows else np.zeros((0, 0))


def standardized(x: Features) -> Features:
    """Centered columns of unit spread; constant ones dropped."""
    spread = x.std(0) if len(x) else np.zeros(x.shape[1])
    keep = spread > 1e-12 * (1 + np.abs(x).max(initial=0.0))
    return (x[:, keep] - x[:, keep].mean(0)) / spread[keep] if len(x) else x


class FarthestPoints(Selection):
    """Each next item is the one farthest from those chosen; its distance is weighted by its score.

    Gonzalez, Theor. Comput. Sci. 38, 293 (1985). With uncertainties as scores: diverse and uncertain at once.

    Args:
        power: of the score; 0 ignores it.
    """

    def __init__(self, power: float = 1.0):
        self.power = power

    def choose(self, x: Features, scores: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
        weight = scores**self.power
        distance = np.linalg.norm(x - x.mean(0), axis=1) if len(x) else np.zeros(0)  # from the mean, to begin with
        chosen: list[int] = []
        while len(chosen) < n:
            wanted = np.where(np.isin(np.arange(len(x)), chosen), -1.0, weight * distance)
            best = int(np.argmax(wanted))
            if wanted[best] <= 0:  # all that is left repeats what is chosen, or nobody wants it
                break
            to_best = np.linalg.norm(x - x[best], axis=1)
            distance = np.minimum(distance, to_best) if chosen else to_best
            chosen.append(best)
        return chosen


class CUR(Selection):
    """Items of largest leverage on the leading singular vectors, each next orthogonal to those chosen.

    See ``nn.subsets.cur_rows``; scores multiply the squares of the items' lengths.

    Args:
        n_vectors: how many singular vectors count.
    """

    def __init__(self, n_vectors: int = 1):
        self.n_vectors = n_vectors

    def choose(self, x: Features, scores: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
        return cur_rows(torch.from_numpy(x * np.sqrt(scores)[:, None]), n, self.n_vectors)


class Clusters(Selection):
    """The most wanted item of each of ``n`` clusters (k-means from spread-out seeds): represents what is frequent, too.

    Seeds as in Arthur and Vassilvitskii, SODA (2007).

    Args:
        n_iterations: of Lloyd's algorithm, at most.
    """

    def __init__(self, n_iterations: int = 50):
        self.n_iterations = n_iterations

    def choose(self, x: Features, scores: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
        if n == 0 or not len(x):
            return []
        centers = x[_spread_seeds(x, n, rng)]
        for _ in range(self.n_iterations):
            label = _squared(x, centers).argmin(1)
            moved = np.stack([x[label == k].mean(0) if (label == k).any() else c for k, c in enumerate(centers)])
            if np.allclose(moved, centers):
                break
            centers = moved
        distance = _squared(x, centers)
        label = distance.argmin(1)
        chosen = []
        for k in np.argsort(-np.bincount(label, minlength=len(centers)), kind="stable"):
            members = np.flatnonzero((label == k) & (scores > 0))
            if len(members):
                order = np.lexsort((distance[members, k], -scores[members]))
                chosen.append(int(members[order[0]]))
        return chosen


def _squared(x: Features, centers: Features) -> np.ndarray:
    return np.maximum((x**2).sum(1)[:, None] - 2 * x @ centers.T + (centers**2).sum(1), 0.0)


def _spread_seeds(x: Features, n: int, rng: np.random.Generator) -> list[int]:
    seeds = [int(rng.integers(len(x)))]
    nearest = _squared(x, x[seeds])[:, 0]
    while len(seeds) < n and nearest.sum() > 1e-12:
        seeds.append(int(rng.choice(len(x), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, _squared(x, x[seeds[-1:]])[:, 0])
    return seeds


class MostUncertain(Selection):
    """The items of highest score that are not near-repeats of one already chosen.

    Args:
        apart: least distance between two that are chosen, in standard deviations per feature.
    """

    def __init__(self, apart: float = 0.05):
        self.apart = apart

    def choose(self, x: Features, scores: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
        chosen: list[int] = []
        for k in np.argsort(-scores, kind="stable").tolist():
            if len(chosen) == n or scores[k] <= 0:
                break
            if not chosen or np.sqrt(((x[chosen] - x[k]) ** 2).mean(1)).min() >= self.apart or not x.shape[1]:
                chosen.append(k)
        return chosen


def choose(
    features: Features | Sequence[Features],
    scores: Float[np.ndarray, "items"] | None = None,
    n: int = 10,
    rng: np.random.Generator | None = None,
    method: Selection | None = None,
) -> list[int]:
    """Indices of ``n`` items, diverse and uncertain (``FarthestPoints`` unless told otherwise)."""
    return (method or FarthestPoints())(features, scores, n, rng)
