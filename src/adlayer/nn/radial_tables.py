"""Radial functions of pairs of elements as tables, with cubics between the knots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class RadialTables:
    """Functions of the distance that are cubics from knot to knot, with the values and slopes of others at the knots.

    Knots are at ``k r_c / n``, ``n = floor(r_c / spacing)``. At the last one all is zero; before the first, where the
    functions may diverge, they go on along their tangents. Value and slope are continuous.

    Args:
        functions: of several distances (Å) at once, one for each kind of pair; all give equally many values.
        cutoffs: of each kind, Å.
        kinds: which kind a pair of elements is.
        spacing: of the knots, at least, Å.
    """

    def __init__(
        self,
        functions: Sequence[Callable[[Float[Tensor, "r"]], Float[Tensor, "r n"]]],
        cutoffs: Sequence[float],
        kinds: Int[np.ndarray, "center neighbor"],
        spacing: float,
    ):
        self.kinds, self.n_elements, self.cutoff = np.asarray(kinds), len(kinds), max(cutoffs)
        bins = np.array([int(cutoff / spacing) for cutoff in cutoffs])
        self.scale = bins / np.asarray(cutoffs, float)  # 1/Å
        self.start = np.concatenate([[0], np.cumsum(bins + 1)])  # of the knots of each kind
        self.knots = np.concatenate([_knots(f, n, scale) for f, n, scale in zip(functions, bins, self.scale)])
        self.n = self.knots.shape[2]  # knots are [knot, (value, slope times spacing), n]

    def __call__(
        self, r: Float[Tensor, "edges"], center: Int[Tensor, "edges"], neighbor: Int[Tensor, "edges"]
    ) -> Float[Tensor, "edges n"]:
        def here(x: np.ndarray) -> Tensor:
            return torch.from_numpy(x).to(r.device)

        kind = here(self.kinds)[center, neighbor]
        x = r * here(self.scale).to(r)[kind]
        bins = here(np.diff(self.start) - 1)[kind]
        k = torch.minimum(x.detach().long(), bins - 1)
        inside, place = x < bins, here(self.start)[kind] + k
        t = (x - k)[:, None]
        knots = here(self.knots).to(r)
        (a, da), (b, db) = (knots[place + step].unbind(1) for step in (0, 1))
        found = (1 - t) ** 2 * ((1 + 2 * t) * a + t * da) + t**2 * ((3 - 2 * t) * b + (t - 1) * db)
        return torch.where(inside[:, None], found, torch.zeros_like(found))

    def combined(self, weights: Float[np.ndarray, "kind n m"]) -> RadialTables:
        """Linear combinations of the functions, others for each kind of pair."""
        new = copy(self)
        new.knots = np.concatenate([self.knots[a:b] @ w for a, b, w in zip(self.start, self.start[1:], weights)])
        new.n = weights.shape[2]
        return new

    def __deepcopy__(self, memo: dict) -> RadialTables:
        return self  # never changes


def _knots(function: Callable, n: int, scale: float) -> Float[np.ndarray, "knot 2 n"]:
    r = (torch.arange(1, n, dtype=torch.float64) / scale).requires_grad_()
    f = function(r)
    slopes = [torch.autograd.grad(f[:, k].sum(), r, retain_graph=True)[0] for k in range(f.shape[1])]
    inner = torch.stack([f, torch.stack(slopes, 1) / scale], 1).detach()
    value, slope = inner[:1].unbind(1)
    return torch.cat([torch.stack([value - slope, slope], 1), inner, torch.zeros_like(inner[:1])]).numpy()
