"""Which of many inputs represent them all: the points of a sparse Gaussian process."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

METHODS = ("variance", "cur", "farthest", "kmeans", "uniform", "random")


def choose_points(
    x: Float[Tensor, "N D"], n: int, how: str, kernel: Callable[[Tensor, Tensor], Tensor], generator: torch.Generator
) -> Float[Tensor, "n D"]:
    """At most ``n`` points by one of these methods:

        variance  each next one is the input whose variance given the points so far is the largest (pivoted Cholesky
                  decomposition: S. Fine and K. Scheinberg, J. Mach. Learn. Res. 2, 243 (2001))
        cur       at random, by leverage on the leading singular vectors (Mahoney and Drineas, PNAS 106, 697 (2009))
        farthest  each next one is the input farthest from the points so far
        kmeans    the inputs nearest to the centers of ``n`` clusters
        uniform   evenly between the ends in one dimension; one input from each of ``n`` boxes in more
        random    any

    Args:
        x: the inputs.
        n: how many.
        how: one of the above.
        kernel: correlation of two sets of inputs, ``[N, M]``, 1 for equal inputs.
        generator: of random numbers.
    """
    if how == "uniform" and x.shape[1] == 1:
        return torch.linspace(float(x.min()), float(x.max()), n, dtype=torch.float64).to(x)[:, None]
    if n >= len(x):
        return x.unique(dim=0)
    chosen = {
        "variance": lambda: _variance(x, n, kernel),
        "cur": lambda: _cur(x, n, generator),
        "farthest": lambda: _farthest(x, n),
        "kmeans": lambda: _kmeans(x, n, generator),
        "uniform": lambda: _boxes(x, n, generator),
        "random": lambda: torch.randperm(len(x), generator=generator)[:n],
    }[how]()
    return x[chosen]


def _variance(x: Tensor, n: int, kernel: Callable) -> Int[Tensor, "_"]:
    left, chosen = x.new_ones(len(x)), []
    L = x.new_empty(len(x), n)
    for m in range(n):
        best = int(left.argmax())
        if left[best] < 1e-12:  # the rest repeats what is there
            break
        column = kernel(x, x[best : best + 1])[:, 0] - L[:, :m] @ L[best, :m]
        L[:, m] = column / left[best].sqrt()
        left = left - L[:, m].square()
        left[best] = 0
        chosen.append(best)
    return torch.tensor(chosen)


def _cur(x: Tensor, n: int, generator: torch.Generator) -> Int[Tensor, "n"]:
    values, vectors = torch.linalg.eigh(x.T @ x)
    keep = (values > 1e-12 * values[-1]).nonzero().flatten()[-n:]
    leverage = (x @ vectors[:, keep]).square().div(values[keep]).sum(1)
    return torch.multinomial(leverage.cpu(), n, generator=generator)


def _farthest(x: Tensor, n: int) -> Int[Tensor, "n"]:
    distance = (x - x.mean(0)).square().sum(1)
    chosen = [int(distance.argmax())]
    distance = (x - x[chosen[0]]).square().sum(1)
    while len(chosen) < n:
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (x - x[chosen[-1]]).square().sum(1))
    return torch.tensor(chosen)


def _kmeans(x: Tensor, n: int, generator: torch.Generator, iterations: int = 20) -> Int[Tensor, "_"]:
    centers = x[torch.randperm(len(x), generator=generator)[:n]]
    for _ in range(iterations):
        label = torch.cdist(x, centers).argmin(1)
        count = torch.bincount(label, minlength=n)[:, None]
        means = torch.zeros_like(centers).index_add(0, label, x) / count.clamp_min(1)
        centers = torch.where(count > 0, means, centers)
    return torch.cdist(x, centers).argmin(0).unique()


def _boxes(x: Tensor, n: int, generator: torch.Generator) -> Int[Tensor, "n"]:
    low, size = x.min(0).values, (x.max(0).values - x.min(0).values).clamp_min(1e-12)
    order = torch.randperm(len(x), generator=generator)
    for bins in range(2, 1000):
        box = ((x[order] - low) / size * bins).long().clamp_max(bins - 1)
        _, which = box.unique(dim=0, return_inverse=True)
        first = torch.full((int(which.max()) + 1,), len(x)).scatter_reduce(0, which, torch.arange(len(x)), "amin")
        if len(first) >= n:
            break
    return order[first[torch.randperm(len(first), generator=generator)[:n]]]
