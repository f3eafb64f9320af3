"""Who sees whom: the one thing a potential is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .neighbors import NeighborList, pair_vectors
from .structures import Structures


@dataclass(frozen=True, eq=False)
class Graph:
    """All pairs within a cutoff; each pair appears twice, as i -> j and as j -> i.

    Edges are sorted by ``i``: those of atom ``a`` are ``first[a]:first[a + 1]``, and ``reverse[e]`` is the edge that
    goes back. An atom may be its own neighbor through an image. ``vectors`` is ``r_j - r_i`` (Å), the only way in which
    a local potential sees the positions.
    """

    structures: Structures
    i: Int[Tensor, "edges"]
    j: Int[Tensor, "edges"]
    shifts: Int[Tensor, "edges 3"]
    vectors: Float[Tensor, "edges 3"]
    first: Int[Tensor, "{structures.n_atoms}+1"]
    reverse: Int[Tensor, "edges"]
    cutoff: float

    @staticmethod
    def of(structures: Structures, cutoff: float, neighbors: NeighborList | None = None) -> Graph:
        """Find the neighbors within ``cutoff`` (Å); with a ``NeighborList``, search only when an atom has moved."""
        if neighbors is None:
            neighbors = NeighborList(cutoff, skin=0.0)
        return Graph(structures, **neighbors(structures)._asdict(), cutoff=cutoff)

    @property
    def n_atoms(self) -> int:
        return self.structures.n_atoms

    @property
    def n_systems(self) -> int:
        return self.structures.n_systems

    @property
    def n_edges(self) -> int:
        return self.i.shape[0]

    @property
    def numbers(self) -> Int[Tensor, "atoms"]:
        return self.structures.numbers

    @property
    def lengths(self) -> Float[Tensor, "edges"]:
        """``|r_j - r_i|`` (Å)."""
        return torch.linalg.vector_norm(self.vectors, dim=-1)

    def __repr__(self) -> str:
        return f"Graph({self.n_systems} systems, {self.n_atoms} atoms, {self.n_edges} edges within {self.cutoff} Å)"

    def with_vectors(self, vectors: Float[Tensor, "edges 3"]) -> Graph:
        """The same neighbors at other distances."""
        return replace(self, vectors=vectors)

    def of_structures(self, structures: Structures) -> Graph:
        """The same pairs, with vectors computed from (differentiable) positions and cells of ``structures``."""
        return replace(self, structures=structures, vectors=pair_vectors(structures, self.i, self.j, self.shifts))

    def within(self, cutoff: float) -> Graph:
        """Only the pairs closer than ``cutoff`` (Å)."""
        if cutoff >= self.cutoff:
            return self
        return replace(self.only(self.vectors.detach().square().sum(-1) < cutoff**2), cutoff=cutoff)

    def only(self, keep: Bool[Tensor, "edges"]) -> Graph:
        """Only some of the pairs, both ways."""
        place = keep.long().cumsum(0)
        first = torch.cat([place.new_zeros(1), place])[self.first]
        return Graph(
            self.structures,
            self.i[keep],
            self.j[keep],
            self.shifts[keep],
            self.vectors[keep],
            first,
            place[self.reverse[keep]] - 1,
            self.cutoff,
        )

    def to(self, *args, **kwargs) -> Graph:
        """Move to a device, or give the floating-point fields another dtype (as ``Tensor.to``)."""
        device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
        moved = {name: getattr(self, name).to(device) for name in ("i", "j", "shifts", "first", "reverse")}
        structures = self.structures.to(*args, **kwargs)
        return Graph(structures, **moved, vectors=self.vectors.to(device=device, dtype=dtype), cutoff=self.cutoff)

    @staticmethod
    def cat(graphs: Iterable[Graph]) -> Graph:
        """One graph of many: a batch is just a larger graph."""
        graphs = list(graphs)
        atoms, edges = [0], [0]
        for g in graphs:
            atoms.append(atoms[-1] + g.n_atoms)
            edges.append(edges[-1] + g.n_edges)
        return Graph(
            structures=Structures.cat(g.structures for g in graphs),
            i=torch.cat([g.i + a for g, a in zip(graphs, atoms)]),
            j=torch.cat([g.j + a for g, a in zip(graphs, atoms)]),
            shifts=torch.cat([g.shifts for g in graphs]),
            vectors=torch.cat([g.vectors for g in graphs]),
            first=torch.cat([g.first[:-1] + e for g, e in zip(graphs, edges)] + [graphs[-1].first[-1:] + edges[-2]]),
            reverse=torch.cat([g.reverse + e for g, e in zip(graphs, edges)]),
            cutoff=graphs[0].cutoff,
        )


def sum_edges(x: Float[Tensor, "edges *f"], graph: Graph) -> Float[Tensor, "atoms *f"]:
    """Add up what the edges of each atom ``i`` carry."""
    return x.new_zeros(graph.n_atoms, *x.shape[1:]).index_add(0, graph.i, x)


def triplets(graph: Graph) -> tuple[Int[Tensor, "triplets"], Int[Tensor, "triplets"]]:
    """Pairs of different edges that leave the same atom, each pair once: ``(e, f)`` with ``e < f``.

    The angle at ``i = graph.i[e]`` is between ``graph.vectors[e]`` and ``graph.vectors[f]``.
    """
    return _later(graph.first.index_select(0, graph.i + 1))


def triplets_among(
    edges: Int[Tensor, "E"], i: Int[Tensor, "edges"], first: Int[Tensor, "_"]
) -> tuple[Int[Tensor, "triplets"], Int[Tensor, "triplets"]]:
    """``triplets`` of some edges alone, such as the shorter ones, in ascending order."""
    e, f = _later(torch.searchsorted(edges, first).index_select(0, i[edges] + 1))
    return edges[e], edges[f]


def _later(last: Int[Tensor, "edges"]) -> tuple[Int[Tensor, "triplets"], Int[Tensor, "triplets"]]:
    """Each edge with those that come after it and before the last of the same atom."""
    here = torch.arange(last.shape[0], device=last.device)
    after = last - here - 1
    e = torch.repeat_interleave(here, after)
    start = torch.cumsum(after, 0) - after
    f = torch.arange(e.shape[0], device=e.device) - start.index_select(0, e) + e + 1
    return e, f
