"""A pair potential that is given as a table: DeePMD-kit's ``pairtab``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations_with_replacement
from os import PathLike

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline
from torch import Tensor

from ..graph import Graph, sum_edges
from ..nn.tables import elements_of, pair_table
from ..potential import PerAtom, Potential, Species

_PAIRS = ("Si-Si", "Si-H", "H-H")


class PairTable(Potential):
    """``V_ab(r)``, half of it to either atom: the cubic spline of a table for each pair of elements, flat at both ends.

    Before its first distance a table goes on as it begins; at the cutoff it should have come to zero.

    Args:
        energies: for each pair, ``{"O-O" = [...], "O-H" = [...]}``, what it has at the distances of the table, eV.
        start: first distance, Å.
        step: from one distance to the next, Å.
        cutoff: Å; beyond it there is nothing. By default the last distance.
    """

    trained = False
    small = {
        **{"start": 0.5, "step": 0.005},
        "energies": {pair: [(k + 2) * (1 - n / 500) ** 4 for n in range(501)] for k, pair in enumerate(_PAIRS)},
    }

    def __init__(self, energies: dict[str, list[float]], start: float, step: float, cutoff: float | None = None):
        super().__init__()
        self.elements, self.start, self.step = elements_of(energies), float(start), float(step)
        if not step > 0:
            raise ValueError(f"step must be above 0 Å, got {step}")
        names = list(energies)
        which = pair_table("energies", {name: k for k, name in enumerate(names)}, self.elements)
        if len(lengths := {len(v) for v in energies.values()}) != 1 or min(lengths) < 3:
            raise ValueError(f"each pair needs a table of the same length, of 3 or more, got {sorted(lengths)}")
        V = np.array([energies[name] for name in names], float)  # [tables, n]
        end = start + step * (V.shape[1] - 1)
        self.cutoff = end if cutoff is None else min(float(cutoff), end)
        self.species = Species(self.elements)
        self.register_buffer("which", which.long(), persistent=False)
        spline = CubicSpline(np.arange(V.shape[1]), V, axis=1, bc_type="clamped")
        knots = np.stack([V, spline(spline.x, 1)], 2)  # [tables, n, 2]: values and slopes per step
        self.register_buffer("knots", torch.from_numpy(knots), persistent=False)
        left = self.of(torch.arange(len(names)), torch.full((len(names),), self.cutoff, dtype=torch.float64))
        if (step := float(left.abs().max())) > 1e-3:
            warnings.warn(f"PairTable: energies end in a step of {step:.2g} eV at {self.cutoff:g} Å", stacklevel=2)

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        z, r = self.species(graph.numbers), graph.lengths
        V = self.of(self.which[z[graph.i], z[graph.j]], r)
        return PerAtom(0.5 * sum_edges(torch.where(r < self.cutoff, V, torch.zeros_like(V)), graph))

    def of(self, table: Int[Tensor, "edges"], r: Float[Tensor, "edges"]) -> Float[Tensor, "edges"]:
        """Energies of pairs at distances in Å."""
        n = self.knots.shape[1]
        x = ((r - self.start) / self.step).clamp(0, n - 1)
        m = x.detach().long().clamp(max=n - 2)
        (f0, s0), (f1, s1) = (self.knots[table, m + k].unbind(-1) for k in (0, 1))
        p, d = x - m, f1 - f0
        return f0 + p * (s0 + p * (3 * d - 2 * s0 - s1 + p * (s0 + s1 - 2 * d)))

    @classmethod
    def read(cls, path: str | PathLike, elements: Sequence[str], cutoff: float | None = None) -> PairTable:
        """A text file of DeePMD-kit: distance (Å), then the energy (eV) of each pair, ``aa ab .. bb ..`` in order."""
        rows = np.loadtxt(path, ndmin=2)
        pairs = ["-".join(pair) for pair in combinations_with_replacement(elements, 2)]
        if rows.shape[1] != 1 + len(pairs):
            raise ValueError(f"{path} has {rows.shape[1] - 1} columns of energies, not those of {', '.join(pairs)}")
        r, *columns = rows.T
        return cls({p: V.tolist() for p, V in zip(pairs, columns)}, float(r[0]), float(r[1] - r[0]), cutoff)
