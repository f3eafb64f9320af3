"""Atom-centered symmetry functions: J. Behler, J. Chem. Phys. 134, 074106 (2011)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import torch
from ase.data import atomic_numbers
from jaxtyping import Float, Int
from torch import Tensor

from ..config import describe, nearest
from ..descriptor import Descriptor
from ..graph import Graph, triplets
from ..kernels import acsf as kernel
from ..kernels.custom import fused
from ..potential import Species
from .symmetry_functions import (
    CUTOFF_FUNCTIONS,
    AngularCompact,
    AngularGaussian,
    RadialGaussian,
    SymmetryFunction,
    bump,
    cutoff_function,
    default_functions,
    symmetry_function,
)


class ACSF(Descriptor):
    """Symmetry functions of every atom, from a grid or from an explicit list.

    An element with fewer functions than another has zeros in its last columns.

    Args:
        elements: chemical symbols.
        cutoff: of the grid, Å.
        n_radial: radial functions of the grid, for each element of neighbors.
        n_angular: widths of the angular functions of the grid.
        zetas: sharpnesses in angle of the grid.
        style: the grid: "gastegger" (even), "imbalzano" (geometric), or "pool": geometric, with centered radial
            functions too, from which ``Selected`` takes a few.
        weighted: one set of functions for all neighbors, weighted by atomic number (wACSF), not one for each pair.
        functions: the functions themselves, instead of a grid: ``RadialGaussian``, ``AngularGaussian``,
            ``RadialCompact`` and ``AngularCompact``, in a recipe
            ``{ RadialGaussian = { center = "Si", neighbor = "H", eta = 0.5 } }``.
        cutoff_function: of the Gaussian functions: hard, cos, tanhu, tanh, exp, poly1, poly2, poly3 or poly4.
        inner: fraction of the cutoff up to which the cutoff function is 1.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.5, "n_radial": 3, "n_angular": 2, "zetas": [1, 4]}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        n_radial: int = 8,
        n_angular: int = 3,
        zetas: list[float] = (1, 4, 16),
        style: str = "gastegger",
        weighted: bool = False,
        functions: list | None = None,
        cutoff_function: str = "poly2",
        inner: float = 0.0,
    ):
        super().__init__()
        if cutoff_function not in CUTOFF_FUNCTIONS:
            known = ", ".join(CUTOFF_FUNCTIONS)
            raise ValueError(
                f"no cutoff function {cutoff_function!r}{nearest(cutoff_function, CUTOFF_FUNCTIONS)}; there are {known}"
            )
        if not 0 <= inner < 1:
            raise ValueError(f"inner is a fraction of the cutoff, from 0 to below 1, got {inner!r}")
        if functions is None:
            functions = default_functions(elements, cutoff, n_radial, n_angular, zetas, style, weighted)
        self.functions: tuple[SymmetryFunction, ...] = tuple(map(symmetry_function, functions))
        self.elements = tuple(elements)
        _check(self.functions, self.elements)
        self.cutoff = max((f.cutoff for f in self.functions), default=0.0)
        self.of_element = {e: [f for f in self.functions if f.center == e] for e in self.elements}
        self.n_features = max(len(fs) for fs in self.of_element.values())
        self.cutoff_function, self.inner = cutoff_function, inner
        self.species = Species(self.elements)
        self._spec = json.dumps(
            {
                "elements": self.elements,
                "numbers": [atomic_numbers[e] for e in self.elements],
                "n_features": self.n_features,
                "cutoff_function": cutoff_function,
                "inner": inner,
                "functions": [describe(f) for f in self.functions],
            }
        )

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        return symmetry_functions(
            graph.vectors, [graph.i, graph.j, graph.first, self.species(graph.numbers)], self._spec
        )

    def only(self, columns: Sequence[Sequence[int]]) -> ACSF:
        functions = [self.of_element[e][k] for e, chosen in zip(self.elements, columns) for k in chosen]
        described = [describe(f) for f in functions]
        return ACSF(list(self.elements), functions=described, cutoff_function=self.cutoff_function, inner=self.inner)


class _Edges(NamedTuple):
    i: Tensor
    j: Tensor
    first: Tensor
    n_edges: int


def definition(
    vectors: Float[Tensor, "edges 3"], index: Sequence[Int[Tensor, "_"]], spec: str
) -> Float[Tensor, "atoms features"]:
    """Symmetry functions as sums over edges and over pairs of edges: the meaning of the fused kernel."""
    i, j, first, species = index
    elements, numbers, n_features, kind, inner, functions = _parse(spec)
    place = {e: k for k, e in enumerate(elements)}
    Z = vectors.new_tensor(numbers)
    center, neighbor = species[i], species[j]
    r = torch.linalg.vector_norm(vectors, dim=-1)
    e, f = triplets(_Edges(i, j, first, len(i)))

    def R(r: Tensor, fs: Sequence[SymmetryFunction]) -> Float[Tensor, "n F"]:
        cutoff = r.new_tensor([x.cutoff for x in fs])
        if isinstance(fs[0], RadialGaussian | AngularGaussian):
            eta, shift = (r.new_tensor([getattr(x, name) for x in fs]) for name in ("eta", "shift"))
            return torch.exp(-eta * (r[:, None] - shift) ** 2) * cutoff_function(r, cutoff, kind, inner)
        return bump(r, r.new_tensor([x.inner for x in fs]), cutoff, fs[0].shape, fs[0].asymmetric)

    def A(cos: Tensor, fs: Sequence[SymmetryFunction]) -> Float[Tensor, "n F"]:
        if isinstance(fs[0], AngularGaussian):
            zeta, sign = (cos.new_tensor([getattr(x, name) for x in fs]) for name in ("zeta", "sign"))
            base = 1 + sign * cos[:, None]
            base = torch.where(zeta == zeta.round(), base, base.clamp_min(0))
            return 2 ** (1 - zeta) * base**zeta
        inside = cos.abs() < 1
        theta = torch.acos(torch.where(inside, cos, 0.0))
        left, right = (torch.deg2rad(cos.new_tensor([getattr(x, name) for x in fs])) for name in ("left", "right"))
        return bump(theta, left, right, fs[0].shape, False) * inside[:, None]

    G = vectors.new_zeros(len(first) - 1, n_features)
    for (c, others, narrow), fs in _groups(functions):
        columns = vectors.new_tensor([k for k, _ in fs], dtype=torch.long)
        fs = [x for _, x in fs]
        if not isinstance(fs[0], AngularGaussian | AngularCompact):
            chosen = center == place[c]
            if others is not None:
                chosen = chosen & (neighbor == place[others])
            s = torch.nonzero(chosen)[:, 0]
            terms = R(r[s], fs)
            terms = terms * Z[neighbor[s]][:, None] if others is None else terms
        else:
            chosen = center[e] == place[c]
            if others is not None:
                a, b = (place[x] for x in others)
                chosen = chosen & (
                    ((neighbor[e] == a) & (neighbor[f] == b)) | ((neighbor[e] == b) & (neighbor[f] == a))
                )
            s = torch.nonzero(chosen)[:, 0]
            s, t = e[s], f[s]
            cos = (vectors[s] * vectors[t]).sum(-1) / (r[s] * r[t])
            terms = R(r[s], fs) * R(r[t], fs) * A(cos, fs)
            if narrow:
                terms = terms * R(torch.linalg.vector_norm(vectors[t] - vectors[s], dim=-1), fs)
            if others is None:
                terms = terms * (Z[neighbor[s]] * Z[neighbor[t]])[:, None]
        here = vectors.new_zeros(len(first) - 1, len(fs)).index_add(0, i[s], terms)
        G = G.index_add(1, columns, here)
    return G


symmetry_functions = fused("acsf", kernel.run, definition, kernel.shape)


@lru_cache(maxsize=32)
def _parse(spec: str):
    table = json.loads(spec)
    table["functions"] = tuple(map(symmetry_function, table["functions"]))
    return tuple(table.values())


@lru_cache(maxsize=32)
def _groups(functions: tuple[SymmetryFunction, ...]):
    """Functions that sum over the same neighbors in the same way, with their columns."""
    column: dict[str, int] = {}
    rows = []
    for x in functions:
        k = column[x.center] = column.get(x.center, -1) + 1
        others = x.neighbor if hasattr(x, "neighbor") else x.neighbors
        form = (getattr(x, "shape", ""), getattr(x, "asymmetric", False))
        rows.append(((x.center, others, getattr(x, "narrow", False)), type(x).__name__, form, k, x))
    rows.sort(key=lambda row: repr(row[:3]))
    return [(key[0], [(row[3], row[4]) for row in group]) for key, group in groupby(rows, key=lambda row: row[:3])]


def _check(functions: Sequence[SymmetryFunction], elements: Sequence[str]) -> None:
    for x in functions:
        others = (x.neighbor,) if hasattr(x, "neighbor") else x.neighbors
        for e in (x.center, *(others or ())):
            if e is not None and e not in elements:
                raise ValueError(f"{x} names {e}, which is not among the elements {', '.join(elements)}")
