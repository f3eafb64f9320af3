"""Lengths of kernels by the likelihood of the data, where every other length means another design matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from typing import Protocol

import numpy as np
from scipy.optimize import minimize


class Stretchable(Protocol):
    """A kernel whose lengths can be multiplied by a factor."""

    def stretch(self, factor: float) -> None: ...


def find_lengths(
    kernels: Sequence[Stretchable], objective: Callable[[], float], most: float = 5.0, evaluations: int = 40
) -> list[float]:
    """Stretch each kernel by the factor at which all together make ``objective`` least, and return the factors.

    By the simplex of Nelder and Mead on their logarithms: few factors, and no derivatives of chosen points.

    Args:
        kernels: which are stretched in place.
        objective: minus the log likelihood of the data with the kernels as they are.
        most: largest factor, and the inverse of the smallest.
        evaluations: of the objective, at most.
    """
    now = np.zeros(len(kernels))

    def stretch(x: np.ndarray) -> None:
        for kernel, old, new in zip(kernels, now, x):
            kernel.stretch(exp(new - old))
        now[:] = x

    def value(x: np.ndarray) -> float:
        stretch(x)
        return objective()

    n, end = len(kernels), log(most)
    simplex = np.vstack([np.zeros(n), 0.5 * np.eye(n)])
    options = {"initial_simplex": simplex, "maxfev": evaluations, "xatol": 0.02, "fatol": 0.05}
    found = minimize(value, now.copy(), method="Nelder-Mead", bounds=[(-end, end)] * n, options=options)
    stretch(found.x)
    return [exp(x) for x in found.x]
