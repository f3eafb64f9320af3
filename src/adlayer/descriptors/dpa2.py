"""DPA-2: D. Zhang et al., npj Comput. Mater. 10, 293 (2024), with the updates that its authors recommend.

An atom begins with what ``DPA1`` sees of it without attention, and with angles between near neighbors. Then features of
atoms and of pairs are updated in turn, so that an atom feels others up to ``cutoff + layers * near_cutoff`` away. As in
the program, sums count places for neighbors; means of the environments are zero; of the updates of the paper those by
attention are left out, as in the models that DeePMD-kit gives for a start.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..config import build
from ..descriptor import Descriptor
from ..graph import Graph, sum_edges, triplets
from ..nn.cutoffs import quintic_switch
from ..nn.networks import ACTIVATIONS
from .environment import ElementEmbedding, Environment


class DPA2(Descriptor):
    """``f_i`` after ``layers`` of messages, from ``f_i = a(W (D_i, D3_i))``, and the vector of the element beside it.

    ``D`` is that of ``DPA1``, ``D3 = 1/N^2 sum_jk t_jk g(t_jk, t_j, t_k)`` with ``t_jk = R~_j . R~_k`` as in ``SeE3``.
    Pairs begin with ``p_ij = a(W s~_ij + b)``.

    Args:
        elements: chemical symbols.
        cutoff: of ``D``, Å.
        inner: where its switch begins, Å.
        embedding: nodes of the layers of its embedding network.
        axis: number of rows in ``T_<``.
        sel: places for neighbors of any element; by default a tenth more than an atom of the training set has.
        channels: length of the vectors of the elements.
        strip: whether elements have a network of their own.
        one_side: whether the element of the center is left out of the network of ``D``.
        angles: nodes of the layers of the embedding network of angles; none for no angles.
        near_cutoff: of angles and messages, Å.
        near_inner: where their switch begins, Å.
        near_sel: places for neighbors within it.
        layers: of messages.
        width: of the features of atoms.
        pair_width: of the features of pairs.
        near_axis: as ``axis``, in messages.
        activation: ``a``, and that of the networks.
        timestep: whether layers of the embedding networks have timesteps.
        seed: of the starting weights.
    """

    small = {
        **{"elements": ["Si", "H"], "cutoff": 3.5, "embedding": [3, 6], "axis": 2, "channels": 3, "angles": [2, 4]},
        **{"near_cutoff": 3.0, "near_inner": 1.5, "layers": 2, "width": 5, "pair_width": 4, "near_axis": 2},
    }
    mixed = True

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        inner: float = 0.5,
        embedding: list[int] = (25, 50, 100),
        axis: int = 12,
        sel: int | list[int] | None = None,
        channels: int = 8,
        strip: bool = False,
        one_side: bool = False,
        angles: list[int] = (2, 4, 8),
        near_cutoff: float = 4.0,
        near_inner: float = 3.5,
        near_sel: int | list[int] | None = None,
        layers: int = 6,
        width: int = 128,
        pair_width: int = 32,
        near_axis: int = 4,
        activation: str = "tanh",
        timestep: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        if near_cutoff > cutoff:
            raise ValueError(f"near_cutoff must not be above the cutoff of {cutoff} Å, got {near_cutoff}")
        if not 1 <= near_axis <= min(width, pair_width):
            raise ValueError(f"near_axis must be 1 to {min(width, pair_width)}, got {near_axis}")
        self.elements, self.cutoff, self.n_features = tuple(elements), float(cutoff), width + channels
        wide = {
            "elements": elements,
            "cutoff": cutoff,
            "inner": inner,
            "embedding": embedding,
            "axis": axis,
            "sel": sel,
        }
        wide |= {"channels": channels, "strip": strip, "one_side": one_side, "layers": 0, "with_element": False}
        wide |= {"sel": sel, "activation": activation, "timestep": timestep, "seed": seed}
        self.wide = build({"DPA1": wide}, Descriptor)
        self.near = Environment(elements, near_cutoff, near_inner, near_sel, centered=False, mixed=True)
        generator = torch.Generator().manual_seed(seed + 1)
        options = strip, False, True, activation, timestep, generator
        vectors = self.wide.embedding.elements
        self.angles = ElementEmbedding(len(elements), angles, channels, *options, vectors) if len(angles) else None
        n = self.wide.n_features + (angles[-1] if len(angles) else 0)
        self.activation = activation
        self.start = linear(n, width, False, generator)
        self.start_pairs = linear(1, pair_width, True, generator)
        self.layers = nn.ModuleList(
            Messages(width, pair_width, near_axis, activation, k < layers - 1, generator) for k in range(layers)
        )
        self.eval()  # a fit says train(); until then, the kernel and its tables serve

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        a = ACTIVATIONS[self.activation]
        seen = [self.wide(graph)]
        graph = graph.within(self.near.cutoff)
        z, R = self.near(graph)
        w = quintic_switch(graph.lengths[:, None], self.near.inner, self.near.cutoff)
        if self.angles is not None:
            seen.append(self.of_angles(graph, z, R, w))
        f, pairs = a(self.start(torch.cat(seen, 1))), a(self.start_pairs(R[:, :1]))
        for layer in self.layers:
            f, pairs = layer(f, pairs, R[:, 1:], w, graph, self.near.sel[0])
        return torch.cat([f, self.wide.embedding.elements[z]], 1)

    def of_angles(
        self, graph: Graph, z: Int[Tensor, "atoms"], R: Float[Tensor, "edges 4"], w: Float[Tensor, "edges 1"]
    ) -> Float[Tensor, "atoms M"]:
        """``D3``; each pair of neighbors both ways, and each neighbor with itself."""
        e, f = triplets(graph)
        here = torch.arange(graph.n_edges, device=e.device)
        e, f = torch.cat([e, f, here]), torch.cat([f, e, here])
        t = (R[e, 1:] * R[f, 1:]).sum(1, keepdim=True)
        g = self.angles(t, w[e] * w[f], z[graph.j[f]], z[graph.j[e]])
        return g.new_zeros(graph.n_atoms, g.shape[1]).index_add(0, graph.i[e], t * g) / self.near.sel**2

    def jacobian(self, graph: Graph) -> Tensor:
        raise TypeError(
            "DPA2 sees neighbors of neighbors; its features have no derivatives by an atom's own edges alone"
        )

    def prepare(self, graphs: Iterable[Graph]) -> None:
        graphs = list(graphs)
        self.wide.prepare(graphs)
        self.near.prepare(graphs)


class Messages(nn.Module):
    """One update: ``f += r_1 a(W f + b) + r_2 c + r_3 a(W' (S(p), S(f_j)) + b')`` and ``p += r_4 a(W'' p + b'')``.

    ``c_i = 1/N sum_j w_ij f_j (V p_ij)``; ``S(x) = H_<^T H / 3``, ``H = 1/sqrt(N) sum_j w_ij h_ij x_ij``, with the last
    three columns ``h`` of the environment matrix. In float64.

    Args:
        width: of the features ``f`` of atoms.
        pair_width: of the features ``p`` of pairs.
        axis: columns of ``H_<``.
        activation: name of ``a``.
        updates_pairs: whether pairs are updated; after the last they are not asked.
        generator: of the starting weights.
    """

    def __init__(
        self,
        width: int,
        pair_width: int,
        axis: int,
        activation: str,
        updates_pairs: bool,
        generator: torch.Generator,
    ):
        super().__init__()
        self.axis, self.activation = axis, activation
        self.alone = linear(width, width, True, generator)
        self.of_pairs = linear(pair_width, width, False, generator)
        self.products = linear((width + pair_width) * axis, width, True, generator)
        self.pairs = linear(pair_width, pair_width, True, generator) if updates_pairs else None
        steps = [width] * 3 + [pair_width] * updates_pairs
        self.steps = nn.ParameterList(
            nn.Parameter(0.01 * torch.randn(n, generator=generator, dtype=torch.float64)) for n in steps
        )

    def forward(
        self,
        f: Float[Tensor, "atoms F"],
        p: Float[Tensor, "edges P"],
        h: Float[Tensor, "edges 3"],
        w: Float[Tensor, "edges 1"],
        graph: Graph,
        n_places: Float[Tensor, ""],
    ) -> tuple[Float[Tensor, "atoms F"], Float[Tensor, "edges P"]]:
        a, r = ACTIVATIONS[self.activation], self.steps
        fj = f[graph.j]

        def S(x: Tensor) -> Tensor:
            H = sum_edges(h[:, :, None] * (w * x)[:, None, :], graph) / n_places.sqrt()  # [atoms, 3, X]
            return (H[:, :, : self.axis].mT @ H).flatten(1) / 3

        c = sum_edges(w * fj * self.of_pairs(p), graph) / n_places
        f = f + r[0] * a(self.alone(f)) + r[1] * c + r[2] * a(self.products(torch.cat([S(p), S(fj)], 1)))
        return f, p if self.pairs is None else p + r[3] * a(self.pairs(p))


def linear(n_in: int, n_out: int, bias: bool, generator: torch.Generator) -> nn.Linear:
    """A linear layer with weights as those of Deep Potentials start; in float64."""
    layer = nn.Linear(n_in, n_out, bias, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.normal_(0, 1 / sqrt(n_in + n_out), generator=generator)
        if bias:
            layer.bias.normal_(generator=generator)
    return layer
