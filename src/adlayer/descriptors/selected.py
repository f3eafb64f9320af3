"""A few features of many, chosen by what varies in the data: G. Imbalzano et al., J. Chem. Phys. 148, 241730 (2018)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..config import build, nearest
from ..descriptor import Descriptor
from ..graph import Graph
from ..nn.subsets import cur_rows, farthest_rows
from ..potential import Species

METHODS = ("cur", "farthest")
_MOST = 20_000  # environments of an element that are looked at


class Selected(Descriptor):
    """Those ``n`` features of another descriptor which represent all that it sees of the data, for each element.

    Chosen when a fit begins (``prepare``), from the matrix of features of all environments of an element: ``cur`` takes
    the columns of largest leverage on its leading singular vectors, one after another, each orthogonal to those before;
    ``farthest`` the columns farthest from those before. Before that, the first ``n``. Functions of ``ACSF`` that are
    not chosen are not computed.

    Args:
        of: the pool, in a recipe ``{ ACSF = { style = "pool", n_radial = 16, n_angular = 6 } }``.
        n: how many features of each element.
        by: cur or farthest.
        scaled: whether features are divided by their spread first, so that small ones have the same chance.
    """

    small = {
        "of": {"ACSF": {"elements": ["Si", "H"], "cutoff": 4.5, "n_radial": 4, "n_angular": 2, "zetas": [1]}},
        "n": 5,
    }

    def __init__(self, of: Descriptor, n: int = 32, by: Literal["cur", "farthest"] = "cur", scaled: bool = False):
        super().__init__()
        if by not in METHODS:
            raise ValueError(f"features are chosen by cur or farthest, got {by!r}{nearest(str(by), METHODS)}")
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.pool: Descriptor = build(of, Descriptor)
        self.by, self.scaled, self.elements = by, scaled, self.pool.elements
        self.species, self.n_features = Species(self.elements), min(n, self.pool.n_features)
        self.cutoff, self.continuity = self.pool.cutoff, getattr(self.pool, "continuity", 1)
        columns = torch.arange(self.n_features).repeat(len(self.elements), 1)
        self.register_buffer("columns", columns)  # of each element; -1: none
        self._take(columns)

    def _take(self, columns: Int[Tensor, "elements n"]) -> None:
        self.columns = columns.to(self.columns)
        self.alone = self.pool.only([[k for k in row if k >= 0] for row in columns.tolist()])

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        if self.alone is not None:
            return self._padded(self.alone(graph))
        return _gather(self.pool(graph), self.columns[self.species(graph.numbers)])

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if self.alone is not None:
            return self._padded(self.alone.jacobian(graph))
        J, columns = self.pool.jacobian(graph), self.columns[self.species(graph.numbers)][graph.i]
        return _gather(J, columns[:, None].expand(-1, 3, -1))

    def _padded(self, x: Float[Tensor, "*rows few"]) -> Float[Tensor, "*rows features"]:
        """With zeros, where fewer features vary than there are columns."""
        return nn.functional.pad(x, (0, self.n_features - x.shape[-1]))

    @torch.no_grad()
    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Choose the features; elements that do not occur keep those they have."""
        graphs = list(graphs)
        self.pool.prepare(graphs)
        x, z = (torch.cat(parts) for parts in zip(*((self.pool(g), self.species(g.numbers)) for g in graphs)))
        columns = self.columns.clone()
        for e in z.unique().tolist():
            chosen = choose_features(x[z == e], self.n_features, self.by, self.scaled)
            columns[e] = -1
            columns[e, : len(chosen)] = torch.tensor(chosen).to(columns)
        self._take(columns)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._take(self.columns)


def choose_features(x: Float[Tensor, "atoms F"], n: int, by: str = "cur", scaled: bool = False) -> list[int]:
    """Columns that represent all, the first chosen first; those that never vary are never chosen.

    Args:
        x: features, a row for each environment.
        n: how many, at most.
        by: cur or farthest.
        scaled: whether features are divided by their spread first.
    """
    x = x.double()
    if len(x) > _MOST:
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_MOST].to(x.device)]
    x = x - x.mean(0)
    spread = x.square().mean(0).sqrt()
    varies = (spread > 1e-9 * spread.max()).nonzero().flatten()
    x = x[:, varies] / (spread[varies] if scaled else 1.0)
    items = torch.linalg.qr(x, mode="r").R.T  # of each feature all that products with others need
    chosen = {"cur": cur_rows, "farthest": farthest_rows}[by](items, n)
    return varies[chosen].tolist()


def _gather(x: Tensor, columns: Int[Tensor, "*rows n"]) -> Tensor:
    return x.gather(-1, columns.clamp_min(0)) * (columns >= 0)


def select_functions(
    pool: Descriptor, graphs: Iterable[Graph], n: int, by: str = "cur", scaled: bool = False
) -> Descriptor:
    """The descriptor of those features of a pool that represent all: an ``ACSF`` with a short list of functions.

    Args:
        pool: with more features than are wanted.
        graphs: of what is to be described.
        n: how many features for each element.
        by: cur or farthest.
        scaled: whether features are divided by their spread first.
    """
    selected = Selected(pool, n, by, scaled)
    selected.prepare(graphs)
    if selected.alone is None:
        raise TypeError(f"features of {type(pool).__name__} cannot be computed alone; use Selected, which picks them")
    return selected.alone
