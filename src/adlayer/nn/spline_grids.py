"""Where splines of pairs and triplets have their knots."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .splines import b_spline_coefficients

THIRDS = ("side", "cosine")


class SplineGrid(NamedTuple):
    """Knots of ``e2(r_ij)`` for each pair of elements and of ``e3(r_ij, r_ik, q)`` for each triple.

    Values and slopes vanish at the cutoffs, which are those of ``r_ij`` and ``r_ik``, and of ``q`` where it is a side.
    """

    n_elements: int
    cutoff: float  # Å
    cutoff_3: float  # Å; 0: no triplets
    begin: float  # first knot of distances, Å
    pairs: int  # knots
    triplets: int  # knots along each direction
    third: str  # what q is: the side r_jk, or the cosine of the angle at i

    def check(self) -> None:
        """Raise ``ValueError`` where such a grid cannot be."""
        if self.third not in THIRDS:
            raise ValueError(f"third must be one of {', '.join(THIRDS)}, got {self.third!r}")
        if not 0 <= self.begin < self.cutoff or (self.cutoff_3 and not self.begin < self.cutoff_3 <= self.cutoff):
            raise ValueError(
                f"tables must begin before both cutoffs, and cutoff_3 be 0 or at most the cutoff; got {self.begin}, "
                f"{self.cutoff_3} and {self.cutoff} Å"
            )

    @property
    def triples(self) -> list[tuple[int, int, int]]:
        """Elements of ``i``, ``j`` and ``k`` of each table of triplets, ``j <= k``."""
        every = product(range(self.n_elements), repeat=3)
        return [(i, j, k) for i, j, k in every if j <= k] if self.cutoff_3 else []

    @property
    def triple(self) -> Int[Tensor, "n n n"]:
        """The table of each three elements."""
        table = torch.zeros(*[self.n_elements] * 3, dtype=torch.long)
        for g, (i, j, k) in enumerate(self.triples):
            table[i, j, k] = table[i, k, j] = g
        return table

    @property
    def ranges(self) -> list[float | bool]:
        """What ``spline_energies`` wants to know of it, after the tables."""
        cosine, side = self.third == "cosine", (self.cutoff_3 - self.begin) / (self.triplets - 1)
        q = [-1.0, 1.0, 2 / (self.triplets - 1)] if cosine else [self.begin, self.cutoff_3, side]
        return [self.begin, self.cutoff, (self.cutoff - self.begin) / (self.pairs - 1), self.cutoff_3, side, *q, cosine]

    def of_pairs(self) -> Float[Tensor, "knots"]:
        """Distances of the knots, Å."""
        return torch.linspace(self.begin, self.cutoff, self.pairs, dtype=torch.float64)

    def of_triplets(self) -> Float[Tensor, "n n n 3"]:
        """``r_ij``, ``r_ik`` and ``q`` at the knots."""
        r = torch.linspace(self.begin, self.cutoff_3, self.triplets, dtype=torch.float64)
        q = torch.linspace(-1, 1, self.triplets, dtype=torch.float64) if self.third == "cosine" else r
        return torch.stack(torch.meshgrid(r, r, q, indexing="ij"), -1)

    def empty(self, *functions: int) -> tuple[Tensor, Tensor]:
        """Coefficients of zero, of pairs and of triplets; with a last axis where there are several functions."""
        n, n_3 = self.pairs + 2, self.triplets + 2
        shapes = (self.n_elements**2, n), (len(self.triples), n_3, n_3, n_3)
        return tuple(torch.zeros(*shape, *functions, dtype=torch.float64) for shape in shapes)

    def coefficients(
        self, pairs: Float[Tensor, "pairs knots *m"], triplets: Float[Tensor, "triples n n n *m"]
    ) -> tuple[Tensor, Tensor]:
        """Of the B-splines through energies at the knots; those at the cutoffs are taken to be zero."""
        pairs, triplets = pairs.clone(), triplets.clone()
        pairs[:, -1] = 0
        sides = (1, 2, 3) if self.third == "side" else (1, 2)
        for axis in sides:
            triplets.select(axis, -1).zero_()
        for axis in (1, 2, 3):
            triplets = b_spline_coefficients(triplets, axis, flat=axis in sides)
        return b_spline_coefficients(pairs, 1, flat=True), triplets

    def example(self) -> tuple[Tensor, Tensor]:
        """Energies at the knots that bend: what a table is before it is given any."""
        r, x = self.of_pairs(), self.of_triplets()
        e2 = 0.1 * (1 - r / self.cutoff) ** 2 * torch.sin(3 * r)
        sides = x if self.third == "side" else x[..., :2]
        e3 = 0.1 * (1 - sides / max(self.cutoff_3, self.begin)).square().prod(-1)
        e3 = e3 * torch.cos(x[..., 0] + x[..., 1] + 0.5 * x[..., 2])
        return e2.expand(self.n_elements**2, -1), e3.expand(len(self.triples), -1, -1, -1)
