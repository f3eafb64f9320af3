"""Descriptors of Deep Potential: L. Zhang et al., NeurIPS 31 (2018); J. Zeng et al., J. Chem. Phys. 159, 054801 (2023).

An atom sees its neighbors by the rows of its environment matrix ``R_j = (s, s x/r, s y/r, s z/r)`` with the inverse
distance ``s(r) = w(r) / r``, switched off smoothly between ``inner`` and ``cutoff``. Rows are taken relative to mean
and width over a training set, ``R~ = (R - mean) / width``, and go through embedding networks ``g``. Sums over neighbors
are divided by ``N_c``, the number of places ``sel`` that an atom has for them. A place that stays empty counts as a
neighbor at the cutoff, with ``s = 0``; so what the original pads with is part of the function. There is no upper limit
here: an atom may have more neighbors than places, where the original forgets the farthest.

Where the first paper and the programs differ, this follows the programs: the polynomial of ``w``, ``N_c`` in place of
the number of neighbors, networks chosen by the neighbor's element alone (``one_side``), a factor 1/5 in D(2,r), and no
radial column in D(3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, pi

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ..descriptor import Descriptor
from ..graph import Graph, sum_edges, triplets
from ..kernels.deep_potential import Curves, Environments, compress, embedded_products
from ..nn.cutoffs import quintic_switch
from ..nn.residual import ResidualNetwork, of_kind
from ..potential import Species

Places = Sequence[int] | Mapping[str, int] | int | None


class SeE2A(Descriptor):
    """D(2,a), ``se_e2_a``: ``D = T T_<^T``, ``T_mc = 1/N_c sum_j g_m(s~_j) R~_jc``; ``T_<`` is the first ``axis`` rows.

    Angles between neighbors enter through the scalar products of the columns 2 to 4.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        inner: where the switch begins, Å.
        embedding: nodes of the layers of the embedding networks.
        axis: number of rows in ``T_<``.
        sel: places for neighbors, of each element; by default a tenth more than an atom of the training set has.
        one_side: networks for each element of the neighbor; otherwise for each pair of center and neighbor.
        activation: of the embedding networks.
        timestep: whether their layers have timesteps.
        centered: whether rows are taken relative to their mean; otherwise empty places count for nothing.
        seed: of the starting weights.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "embedding": [3, 6], "axis": 2}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        inner: float = 0.5,
        embedding: list[int] = (25, 50, 100),
        axis: int = 16,
        sel: Places = None,
        one_side: bool = True,
        activation: str = "tanh",
        timestep: bool = False,
        centered: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        if not 1 <= axis <= embedding[-1]:
            raise ValueError(f"axis must be 1 to {embedding[-1]}, the width of the embedding, got {axis}")
        self.elements, self.cutoff, self.axis = tuple(elements), float(cutoff), axis
        self.n_features = embedding[-1] * axis
        self.environment = Environment(elements, cutoff, inner, sel, centered)
        self.embedding = Embedding(len(elements), embedding, one_side, activation, timestep, seed)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        z = self.environment.species(graph.numbers)
        return embedded_products(self.definition, graph, z, self.environment.numbers, self.curves, self.axis)

    @property
    def curves(self) -> Curves:
        """The embedding networks, for the kernel."""
        return Curves(self.embedding, [*self.embedding.networks], self.embedding.one_side)

    def definition(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        """What ``forward`` computes, in the letters of the paper."""
        graph = graph.within(self.cutoff)
        env = self.environment
        z, R = env(graph)
        G = self.embedding(R[:, :1], z[graph.i], z[graph.j])  # [edges, M]
        T = sum_edges(G[:, :, None] * R[:, None, :], graph)  # [atoms, M, 4]
        s0 = env.empty
        at_rest = self.embedding.of_empty(s0) * s0[:, None, None]  # [elements, elements, M]
        padding = (env.n_empty(graph, z)[:, :, None] * at_rest[z]).sum(1)
        T = torch.cat([T[:, :, :1] + padding[:, :, None], T[:, :, 1:]], 2) / env.sel.sum()
        return (T @ T[:, : self.axis].mT).flatten(1)

    def compress(self, shortest: float = 0.5) -> float:
        """Tabulate the embedding networks now, down to a distance in Å, and not when they are first evaluated.

        Returns the largest error of a table, in units of the largest output of its network.
        """
        return compress(self.curves, self.environment.numbers, shortest)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        self.environment.prepare(graphs)


class SeE2R(Descriptor):
    """D(2,r), ``se_e2_r``: ``D = 1/(5 N_c) sum_j g(s~_j)``, of distances alone.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        inner: where the switch begins, Å.
        embedding: nodes of the layers of the embedding networks.
        sel: places for neighbors, of each element; by default a tenth more than an atom of the training set has.
        one_side: networks for each element of the neighbor; otherwise for each pair of center and neighbor.
        activation: of the embedding networks.
        timestep: whether their layers have timesteps.
        centered: whether rows are taken relative to their mean; otherwise empty places count for nothing.
        seed: of the starting weights.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "embedding": [3, 6]}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        inner: float = 0.5,
        embedding: list[int] = (5, 10, 20),
        sel: Places = None,
        one_side: bool = True,
        activation: str = "tanh",
        timestep: bool = False,
        centered: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.elements, self.cutoff, self.n_features = tuple(elements), float(cutoff), embedding[-1]
        self.environment = Environment(elements, cutoff, inner, sel, centered)
        self.embedding = Embedding(len(elements), embedding, one_side, activation, timestep, seed)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        graph = graph.within(self.cutoff)
        env = self.environment
        z, R = env(graph)
        G = self.embedding(R[:, :1], z[graph.i], z[graph.j])
        padding = (env.n_empty(graph, z)[:, :, None] * self.embedding.of_empty(env.empty)[z]).sum(1)
        return (sum_edges(G, graph) + padding) / (5 * env.sel.sum())

    def prepare(self, graphs: Iterable[Graph]) -> None:
        self.environment.prepare(graphs)


class SeE3(Descriptor):
    """D(3), ``se_e3``: ``D = sum_ab 1/(N_a N_b) sum_jk g_ab(t_jk) t_jk``, ``t_jk = R~_j . R~_k``.

    ``j`` and ``k`` run over the neighbors of elements ``a <= b``, ``j = k`` included; ``t`` is the scalar product of
    the last three columns, ``s_j s_k`` times the cosine of the angle. Used together with ``SeE2A``, in a ``Hybrid``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        inner: where the switch begins, Å.
        embedding: nodes of the layers of the embedding networks.
        sel: places for neighbors, of each element; by default a tenth more than an atom of the training set has.
        activation: of the embedding networks.
        timestep: whether their layers have timesteps.
        centered: whether rows are taken relative to their mean.
        seed: of the starting weights.
    """

    small = {"elements": ["Si", "H"], "cutoff": 3.5, "embedding": [2, 4]}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 4.0,
        inner: float = 0.5,
        embedding: list[int] = (2, 4, 8),
        sel: Places = None,
        activation: str = "tanh",
        timestep: bool = False,
        centered: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.elements, self.cutoff, self.n_features = tuple(elements), float(cutoff), embedding[-1]
        self.environment = Environment(elements, cutoff, inner, sel, centered)
        self.embedding = Embedding(len(elements), embedding, False, activation, timestep, seed)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        graph = graph.within(self.cutoff)
        env = self.environment
        z, R = env(graph)
        e, f = triplets(graph)
        here = torch.arange(graph.n_edges, device=e.device)
        e, f = torch.cat([e, here]), torch.cat([f, here])
        j, k = z[graph.j[e]], z[graph.j[f]]
        t = (R[e, 1:] * R[f, 1:]).sum(1)
        G = self.embedding(t[:, None], torch.minimum(j, k), torch.maximum(j, k))
        twice = torch.where((j == k) & (e != f), 2.0, 1.0).to(t)  # j, k and k, j, of which the triplets hold one
        terms = (twice * t / (env.sel[j] * env.sel[k]))[:, None] * G
        return G.new_zeros(graph.n_atoms, G.shape[1]).index_add(0, graph.i[e], terms)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        self.environment.prepare(graphs)


class Environment(nn.Module):
    """The rows ``R~`` of environment matrices, and the statistics that belong to them.

    Statistics of an element are taken once, and with them the places: those of a potential that was fitted before are
    what its networks know.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        inner: where the switch begins, Å.
        sel: places for neighbors, of each element; of all together if they are mixed.
        centered: whether the mean is subtracted.
        mixed: whether places are for neighbors of any element.
    """

    def __init__(
        self,
        elements: Sequence[str],
        cutoff: float,
        inner: float,
        sel: Places,
        centered: bool = True,
        mixed: bool = False,
    ):
        super().__init__()
        if not 0 <= inner < cutoff:
            raise ValueError(f"inner must be from 0 to below the cutoff, {cutoff} Å, got {inner}")
        if isinstance(sel, Mapping):
            if missing := [e for e in elements if e not in sel]:
                raise ValueError(f"sel has no number for {', '.join(missing)}")
            sel = [sel[e] for e in elements]
        if mixed and sel is not None:
            sel = [sel] if isinstance(sel, int) else [sum(sel)]
        E, S = len(elements), 1 if mixed else len(elements)
        if sel is not None and (isinstance(sel, int) or len(sel) != S or min(sel) < 0 or not sum(sel)):
            wanted = "a number above 0" if mixed else f"a number for each of {', '.join(elements)}"
            raise ValueError(f"sel needs {wanted}, got {sel}")
        self.cutoff, self.inner, self.centered, self.mixed = float(cutoff), float(inner), centered, mixed
        self.learns_sel = sel is None
        self.species = Species(elements)
        places = [_places(4 / 3 * pi * cutoff**3 * 0.08 / S)] * S if sel is None else sel  # until prepare knows better
        self.register_buffer("sel", torch.tensor(places, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(E, dtype=torch.float64))  # of s, by element of the center, 1/Å
        self.register_buffer("width", torch.ones(E, 2, dtype=torch.float64))  # of s and of the others, 1/Å
        self.register_buffer("known", torch.zeros(E, dtype=torch.bool))  # elements whose statistics were taken

    def forward(self, graph: Graph) -> tuple[Int[Tensor, "atoms"], Float[Tensor, "edges 4"]]:
        """Elements of the atoms, and a row for each neighbor."""
        z = self.species(graph.numbers)
        return z, self.rows(graph.vectors, z[graph.i])

    def rows(self, vectors: Float[Tensor, "edges 3"], center: Int[Tensor, "edges"]) -> Float[Tensor, "edges 4"]:
        """A row for each vector, with the element of its center."""
        r = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        s = quintic_switch(r, self.inner, self.cutoff) / r
        mean, width = self.mean[center][:, None], self.width[center]
        return torch.cat([(s - mean) / width[:, :1], s * vectors / r / width[:, 1:]], 1)

    @property
    def numbers(self) -> Environments:
        """All of it, for the kernel, with places by element."""
        sel = self.sel.expand(len(self.mean)) / len(self.mean) if self.mixed else self.sel
        return Environments(self.mean, self.width, sel, self.inner, self.cutoff)

    @property
    def empty(self) -> Float[Tensor, "elements"]:
        """``s~`` of an empty place, by element of the center."""
        return -self.mean / self.width[:, 0]

    def n_empty(self, graph: Graph, z: Int[Tensor, "atoms"]) -> Float[Tensor, "atoms elements"]:
        """How many places for neighbors of each element are empty; below 0 where there are too few."""
        return self.sel - self._count(graph, z)

    def _count(self, graph: Graph, z: Int[Tensor, "atoms"]) -> Float[Tensor, "atoms places"]:
        n = sum_edges(one_hot(z[graph.j], len(self.mean)).to(self.sel), graph)
        return n.sum(1, keepdim=True) if self.mixed else n

    def set(self, mean: Float[Tensor, "elements"], width: Float[Tensor, "elements 2"]) -> None:
        """Statistics that are known from elsewhere."""
        self.mean.copy_(mean)
        self.width.copy_(width)
        self.known.fill_(True)

    @torch.no_grad()
    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Take places and statistics from a training set, of elements that are in it and not yet known."""
        E = len(self.mean)
        n, sums, most = self.mean.new_zeros(E), self.mean.new_zeros(E, 3), torch.zeros_like(self.sel)
        for graph in graphs:
            graph = graph.to(self.sel.dtype).within(self.cutoff)
            z = self.species(graph.numbers)
            n += torch.bincount(z, minlength=E)
            if graph.n_edges:
                r = graph.lengths
                s = quintic_switch(r, self.inner, self.cutoff) / r
                sums.index_add_(0, z[graph.i], torch.stack([s, s * s, s * s / 3], 1))
                most = torch.maximum(most, self._count(graph, z).amax(0))
        if self.learns_sel and most.any() and not self.known.any():
            self.sel.copy_(most.new_tensor([_places(1.1 * x) for x in most.tolist()]))
        new = (n > 0) & ~self.known
        mean, square, third = (sums / (n.clamp_min(1) * self.sel.sum())[:, None]).unbind(1)  # over empty places as well
        width = torch.stack([square - mean**2, third], 1).clamp_min(0).sqrt()
        if self.centered:
            self.mean[new] = mean[new]
        self.width[new] = width.clamp_min(0.01)[new]
        self.known |= new


def _places(n: float) -> int:
    return max(4 * ceil(n / 4), 4)


class Embedding(nn.Module):
    """The embedding networks, of one number, for neighbors or for pairs of elements.

    Args:
        n_elements: number of elements.
        nodes: of the layers.
        one_side: a network for each second element alone, not for each pair.
        activation: name of the function.
        timestep: whether layers have timesteps.
        seed: of the starting weights.
    """

    def __init__(
        self, n_elements: int, nodes: Sequence[int], one_side: bool, activation: str, timestep: bool, seed: int
    ):
        super().__init__()
        self.n_elements, self.one_side = n_elements, one_side
        generator = torch.Generator().manual_seed(seed)
        self.networks = nn.ModuleList(
            ResidualNetwork([1, *nodes], activation, timestep, generator=generator)
            for _ in range(n_elements if one_side else n_elements**2)
        )
        self.eval()  # a fit says train(); until then, the kernel and its tables serve

    def kind(self, first: Int[Tensor, "rows"], second: Int[Tensor, "rows"]) -> Int[Tensor, "rows"]:
        """Which network."""
        return second if self.one_side else first * self.n_elements + second

    def forward(
        self, x: Float[Tensor, "rows 1"], first: Int[Tensor, "rows"], second: Int[Tensor, "rows"]
    ) -> Float[Tensor, "rows M"]:
        return of_kind(self.networks, x, self.kind(first, second))

    def of_empty(self, s0: Float[Tensor, "elements"]) -> Float[Tensor, "elements elements M"]:
        """What empty places give, by element of the center and of the place."""
        E = len(s0)
        pair = torch.arange(E * E, device=s0.device)
        center, neighbor = pair // E, pair % E
        return self(s0[center][:, None], center, neighbor).reshape(E, E, -1)
