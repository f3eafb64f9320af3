"""Divide a data set into parts that can judge each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from ..config import Part
from .dataset import Dataset


def split(
    dataset: Dataset, sizes: Sequence[float | int], by: Literal["random", "group"] = "random", seed: int = 0
) -> list[Dataset]:
    """Divide a data set; the same arguments give the same parts on every machine.

    Args:
        dataset: what to divide.
        sizes: fractions that add up to at most 1, or numbers of frames.
        by: ``random`` frames, or whole groups (``info["group"]``; frames that repeat another follow it), so that no
            part holds near-duplicates of another.
        seed: of the random order.
    """
    kinds = {"random": Random, "group": ByGroup}
    if by not in kinds:
        raise ValueError(f"by should be 'random' or 'group', got {by!r}")
    return kinds[by]()(dataset, sizes, seed)


class Split(Part, ABC):
    """A way to divide a data set."""

    @abstractmethod
    def __call__(self, dataset: Dataset, sizes: Sequence[float | int], seed: int = 0) -> list[Dataset]:
        """As many parts as there are sizes; frames in the order of the data set."""


class Random(Split):
    """Single frames at random: for frames that are independent of each other."""

    def __call__(self, dataset: Dataset, sizes: Sequence[float | int], seed: int = 0) -> list[Dataset]:
        counts = _counts(len(dataset), sizes)
        order = np.random.default_rng(seed).permutation(len(dataset))
        ends = np.cumsum([0, *counts])
        return [dataset[np.sort(order[a:b]).tolist()] for a, b in pairwise(ends)]


class ByGroup(Split):
    """Whole groups at random: for trajectories, surfaces, compositions whose frames resemble each other.

    Every group goes to the part that lacks most of what it should hold, the largest groups first (their order among
    equals is random), so the sizes are met as nearly as whole groups can.

    Args:
        key: entry of ``info`` that names the group, or ``composition``.
    """

    def __init__(self, key: str = "group"):
        self.key = key

    def __call__(self, dataset: Dataset, sizes: Sequence[float | int], seed: int = 0) -> list[Dataset]:
        counts = _counts(len(dataset), sizes)
        groups = self.groups(dataset)
        n_groups = groups.max() + 1 if len(groups) else 0
        if n_groups < sum(c > 0 for c in counts):
            raise ValueError(
                f"cannot divide {n_groups} group{'s' if n_groups != 1 else ''} into {len(counts)} parts: "
                f"{self.key!r} in info should tell apart what is independent, or split by='random'"
            )
        size = np.bincount(groups)
        order = np.random.default_rng(seed).permutation(n_groups)
        order = order[np.argsort(-size[order], kind="stable")]
        wanted = np.array([*counts, max(0, len(dataset) - sum(counts))], dtype=float)  # the last part is left out
        room, part = wanted.copy(), np.empty(n_groups, dtype=int)
        held = np.zeros(len(wanted), dtype=int)
        for k, group in enumerate(order):
            empty = (held == 0) & (wanted > 0)
            empty[-1] = False
            must = empty.sum() >= n_groups - k  # every part gets at least one group
            part[group] = np.argmax(np.where(empty if must else wanted > 0, room, -np.inf))
            room[part[group]] -= size[group]
            held[part[group]] += 1
        return [dataset[np.flatnonzero(part[groups] == p).tolist()] for p in range(len(counts))]

    def groups(self, dataset: Dataset) -> np.ndarray:
        """A number per frame; frames with the same one belong together. Repeated structures join their groups."""
        if self.key == "composition":
            names = [str(row) for row in dataset.composition().tolist()]
        else:
            if lacking := [k for k, d in enumerate(dataset.info) if self.key not in d]:
                raise ValueError(f"{dataset.where(lacking[0])} has no {self.key!r} in info, by which to split")
            names = [str(d[self.key]) for d in dataset.info]
        parent = {name: name for name in names}

        def root(name: str) -> str:
            while parent[name] != name:
                name = parent[name]
            return name

        from .doctor.repeats import repeated
        from .doctor.view import View

        for a, b in repeated(View(dataset)):
            parent[root(names[b])] = root(names[a])
        return np.unique([root(n) for n in names], return_inverse=True)[1]


def _counts(n: int, sizes: Sequence[float | int]) -> list[int]:
    """How many frames each part gets."""
    sizes = list(sizes)
    if not sizes or any(s < 0 for s in sizes):
        raise ValueError(f"sizes should be fractions or numbers of frames, got {sizes}")
    if all(isinstance(s, int | np.integer) for s in sizes) and not (sum(sizes) == 1 and len(sizes) == 1):
        if sum(sizes) > n:
            raise ValueError(f"sizes add up to {sum(sizes)} frames, but there are {n}")
        return [int(s) for s in sizes]
    if sum(sizes) > 1 + 1e-9:
        raise ValueError(f"fractions add up to {sum(sizes):g}, which is more than 1")
    ends = np.round(np.cumsum([0.0, *sizes]) * n).astype(int)
    counts = np.diff(ends).tolist()
    if any(c == 0 and s > 0 for c, s in zip(counts, sizes)):
        raise ValueError(f"{n} frames are too few for fractions {sizes}: a part would be empty")
    return counts
