"""DPA-1, ``se_atten``: D. Zhang et al., npj Comput. Mater. 10, 94 (2024).

The environment matrix is the one of Deep Potential (see ``deep_potential``), with its mean at zero; but one network
serves all elements, which enter by vectors that are learned. So what is learned of some elements helps with others, and
a potential that knows many can be fitted further to a few. Neighbors then attend to each other.

As in the program, not the paper: ``N_c`` counts places for neighbors; ``LayerNorm`` is taken of the sum; smooth weights
of the attention count places that are empty. The program's own empty places have the element of the first atom in the
box; with means other than zero the energy would depend on the order of the atoms, so here they are zero.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels.deep_potential import compress, embedded_products
from ..nn.attention import NeighborAttention, Places
from ..nn.cutoffs import quintic_switch
from .environment import ElementEmbedding, Environment


class DPA1(Descriptor):
    """``D = T T_<^T``, ``T_mc = 1/N_c sum_j G_jm R~_jc``, and the vector of the element of the center beside it.

    ``G`` begins as ``g(s~_j, t_j, t_i)``, a network of the distance and the vectors of both elements, or with ``strip``
    as ``g(s~_j) (1 + w_j h(t_j, t_i))``; then come layers of ``NeighborAttention``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        inner: where the switch begins, Å.
        embedding: nodes of the layers of the embedding network, and of ``h``.
        axis: number of rows in ``T_<``.
        sel: places for neighbors of any element; by default a tenth more than an atom of the training set has.
        channels: length of the vectors of the elements.
        strip: whether elements have a network ``h`` of their own.
        one_side: whether the element of the center is left out of the networks.
        layers: of attention.
        attention: width of their queries, keys and values.
        gate: whether weights of the attention are multiplied by cosines of angles.
        smooth: whether they, and ``h``, end at the cutoff; otherwise the energy jumps there.
        normalize: whether queries, keys and values have the length 1.
        temperature: factor of the products of queries and keys; by default ``1 / sqrt(attention)``.
        exclude: pairs of elements that do not see each other, such as ``[["O", "H"]]``.
        with_element: whether the vector of the center's element is a part of ``D``.
        activation: of the networks.
        timestep: whether their layers have timesteps.
        seed: of the starting weights.
    """

    small = {
        **{"elements": ["Si", "H"], "cutoff": 3.5, "embedding": [3, 6], "axis": 2},
        **{"channels": 3, "layers": 2, "attention": 4},
    }
    mixed = True  # one fitting network serves all elements

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        inner: float = 0.5,
        embedding: list[int] = (25, 50, 100),
        axis: int = 16,
        sel: int | list[int] | None = None,
        channels: int = 8,
        strip: bool = False,
        one_side: bool = False,
        layers: int = 2,
        attention: int = 128,
        gate: bool = True,
        smooth: bool = True,
        normalize: bool = True,
        temperature: float | None = None,
        exclude: list[list[str]] = (),
        with_element: bool = True,
        activation: str = "tanh",
        timestep: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        if not 1 <= axis <= embedding[-1]:
            raise ValueError(f"axis must be 1 to {embedding[-1]}, the width of the embedding, got {axis}")
        if unknown := [e for pair in exclude for e in pair if e not in elements]:
            raise ValueError(f"exclude names {unknown[0]}, which is not among {', '.join(elements)}")
        E, self.elements, self.cutoff, self.axis = len(elements), tuple(elements), float(cutoff), axis
        self.with_element, self.smooth, self.exclude = with_element, smooth, tuple(map(tuple, exclude))
        self.n_features = embedding[-1] * axis + channels * with_element
        self.environment = Environment(elements, cutoff, inner, sel, centered=False, mixed=True)
        generator = torch.Generator().manual_seed(seed)
        self.embedding = ElementEmbedding(
            E, embedding, channels, strip, one_side, smooth, activation, timestep, generator
        )
        self.layers = nn.ModuleList(
            NeighborAttention(embedding[-1], attention, gate, smooth, normalize, temperature, generator)
            for _ in range(layers)
        )
        meets = torch.ones(E, E, dtype=torch.bool)
        for a, b in exclude:
            i, j = self.elements.index(a), self.elements.index(b)
            meets[i, j] = meets[j, i] = False
        self.register_buffer("meets", meets if exclude else None, persistent=False)
        self.eval()  # a fit says train(); until then, the kernel and its tables serve

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        graph = graph.within(self.cutoff)
        env = self.environment
        z = env.species(graph.numbers)
        if self.layers:
            return self.of_atoms(graph.vectors, z, z[graph.j], graph.first)
        if self.meets is not None:
            graph = graph.only(self.meets[z[graph.i], z[graph.j]])
        D = embedded_products(self.definition, graph, z, env.numbers, self.embedding.curves, self.axis)
        return self.beside(D, z)

    def definition(self, graph: Graph) -> Float[Tensor, "atoms products"]:
        """The products without attention, as the kernel has them."""
        z = self.environment.species(graph.numbers)
        return self.products(graph.vectors, z[graph.i], z[graph.j], graph.first)

    def of_atoms(
        self,
        vectors: Float[Tensor, "edges 3"],
        z: Int[Tensor, "atoms"],
        neighbor: Int[Tensor, "edges"],
        first: Int[Tensor, "firsts"],
    ) -> Float[Tensor, "atoms features"]:
        """Features of some atoms, whose edges ``first[a]:first[a + 1]`` lead to these elements."""
        center = z.repeat_interleave(first.diff(), output_size=len(vectors))
        if self.meets is not None:
            keep = self.meets[center, neighbor]
            first = torch.cat([first.new_zeros(1), keep.cumsum(0)])[first]
            vectors, center, neighbor = vectors[keep], center[keep], neighbor[keep]
        return self.beside(self.products(vectors, center, neighbor, first), z)

    def beside(self, D: Float[Tensor, "atoms products"], z: Int[Tensor, "atoms"]) -> Float[Tensor, "atoms features"]:
        """The vectors of the elements beside the products."""
        return torch.cat([D, self.embedding.elements[z]], 1) if self.with_element else D

    def products(
        self,
        vectors: Float[Tensor, "edges 3"],
        center: Int[Tensor, "edges"],
        neighbor: Int[Tensor, "edges"],
        first: Int[Tensor, "firsts"],
    ) -> Float[Tensor, "atoms products"]:
        """``T T_<^T``."""
        env, places = self.environment, Places.of(first, len(vectors))
        r = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        w = quintic_switch(r, env.inner, env.cutoff)
        R = env.rows(vectors, center)
        G, R = places.spread(self.embedding(R[:, :1], w, center, neighbor)), places.spread(R)
        if self.layers:
            w, u = places.spread(w), places.spread(vectors / r)
            cosines, ww = u @ u.mT, w * w.mT
        for layer in self.layers:
            G = layer(G, cosines, ww, places.taken, env.sel[0])
        T = G.mT @ R / env.sel[0]  # [atoms, M, 4]
        return (T @ T[:, : self.axis].mT).flatten(1)

    def compress(self, shortest: float = 0.5) -> float:
        """As ``SeE2A.compress``; without attention alone are there tables."""
        if self.layers:
            raise TypeError("DPA1 with attention has no tables; only with layers = 0")
        return compress(self.embedding.curves, self.environment.numbers, shortest)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        self.environment.prepare(graphs)
