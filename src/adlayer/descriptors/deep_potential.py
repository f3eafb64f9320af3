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

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph, sum_edges, triplets
from ..kernels.deep_potential import Curves, compress, embedded_products
from .environment import Embedding, Environment, Places


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
