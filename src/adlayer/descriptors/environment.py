"""What Deep Potentials are made of: rows of environment matrices, and the networks that they go through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import ceil, pi, sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ..graph import Graph, sum_edges
from ..kernels.deep_potential import Curves, Environments
from ..nn.cutoffs import quintic_switch
from ..nn.residual import ResidualNetwork, of_kind
from ..potential import Species

Places = Sequence[int] | Mapping[str, int] | int | None


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


class ElementEmbedding(nn.Module):
    """A network of a distance and of two elements, ``g(s, t_j, t_i)`` or ``g(s) (1 + w h(t_j, t_i))``; in float64.

    Args:
        n_elements: number of elements.
        nodes: of the layers.
        channels: length of the vectors of the elements.
        strip: whether elements have a network ``h`` of their own.
        one_side: whether it is a network of the neighbor alone.
        smooth: whether ``w`` is the switching function, and not 1.
        activation: name of the function.
        timestep: whether layers have timesteps.
        generator: of the starting weights.
        elements: the vectors of the elements, where another network has them as well.
    """

    def __init__(
        self,
        n_elements: int,
        nodes: Sequence[int],
        channels: int,
        strip: bool,
        one_side: bool,
        smooth: bool,
        activation: str,
        timestep: bool,
        generator: torch.Generator,
        elements: nn.Parameter | None = None,
    ):
        super().__init__()
        self.one_side, self.smooth = one_side, smooth
        vectors = torch.randn(n_elements, channels, generator=generator, dtype=torch.float64)
        self.elements = nn.Parameter(vectors / sqrt(n_elements + channels)) if elements is None else elements
        n = channels if one_side else 2 * channels

        def network(n_in: int) -> ResidualNetwork:
            return ResidualNetwork([n_in, *nodes], activation, timestep, generator=generator)

        self.network = network(1 if strip else 1 + n)
        self.factors = network(n) if strip else None

    def forward(
        self,
        s: Float[Tensor, "edges 1"],
        w: Float[Tensor, "edges 1"],
        center: Int[Tensor, "edges"],
        neighbor: Int[Tensor, "edges"],
    ) -> Float[Tensor, "edges M"]:
        if self.factors is None:
            return self.network(torch.cat([s, self.ends(center, neighbor)], 1))
        h = self.gates[neighbor if self.one_side else center * len(self.elements) + neighbor]
        return self.network(s) * (1 + (w * h if self.smooth else h))

    @property
    def gates(self) -> Float[Tensor, "kinds M"]:
        """``h``, for each pair of elements."""
        return self.factors(self.ends(*self.kinds))

    def ends(self, center: Int[Tensor, "rows"], neighbor: Int[Tensor, "rows"]) -> Float[Tensor, "rows n"]:
        """The vectors of elements."""
        t = self.elements
        return t[neighbor] if self.one_side else torch.cat([t[neighbor], t[center]], 1)

    @property
    def kinds(self) -> tuple[Int[Tensor, "kinds"], Int[Tensor, "kinds"]]:
        """Each element as center and each as neighbor; with one side, neighbors alone."""
        E = len(self.elements)
        kind = torch.arange(E if self.one_side else E * E, device=self.elements.device)
        return kind // E, kind % E

    @property
    def curves(self) -> Curves:
        """For the kernel: a network of one number for each pair of elements, or one and the gates."""
        if self.factors is not None and self.smooth:
            return Curves(self, [self.network], self.one_side, self.gates)

        def at(ends: tuple[Tensor, Tensor], s: Tensor) -> Tensor:
            return self(s, torch.ones_like(s), *(x.expand(len(s)) for x in ends))

        return Curves(self, [partial(at, ends) for ends in zip(*self.kinds)], self.one_side)
