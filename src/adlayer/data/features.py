"""Features of whole data sets and their derivatives by positions, as arrays for others to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from torch import Tensor

from ..config import nearest
from ..descriptor import Descriptor
from ..graph import Graph
from ..memory import gigabytes, require_memory
from ..structures import Structures, chunks, sum_systems

Derivatives = Literal["none", "sparse", "dense"]
DERIVATIVES = ("none", "sparse", "dense")


def features(
    descriptor: Descriptor,
    structures: Structures,
    *,
    average: bool = False,
    derivatives: Derivatives = "none",
    dtype: type = np.float64,
    memory: float | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, np.ndarray]:
    """Features of every atom, or their mean over the atoms of each structure, and their derivatives by positions.

    Gives the arrays

    - ``features``: ``[atoms, F]``, or ``[systems, F]`` of the means;
    - ``offsets``: atoms of structure ``k`` are ``offsets[k]:offsets[k + 1]``;
    - ``derivatives``: sparse, ``[pairs, 3, F]``: of the features of atom ``derivatives_of[p]`` by the position of
      atom ``derivatives_by[p]``, both counted through all structures, 1/Å; of the means ``[atoms, 3, F]``, by the
      position of each atom of the structure. Dense, one array for each structure: ``derivatives_k``, ``[N, N, 3, F]``.

    Memory is estimated before anything is computed.

    Args:
        descriptor: what describes.
        structures: any number.
        average: whether to take the mean over the atoms of each structure.
        derivatives: none, sparse (atoms that see each other only) or dense.
        dtype: of the arrays.
        memory: how much there may be, bytes; what is free if not given.
        progress: called as ``progress(done, total, message)``.
    """
    if derivatives not in DERIVATIVES:
        near = nearest(str(derivatives), DERIVATIVES)
        raise ValueError(f"derivatives must be none, sparse or dense, got {derivatives!r}{near}")
    check_known(descriptor, structures)
    check_memory(descriptor, structures, average, derivatives, np.dtype(dtype).itemsize, memory)
    n, offsets = len(structures), structures.offsets.numpy()
    found: dict[str, list[np.ndarray]] = {}
    at_once = 2000 if derivatives == "none" else 1 + 40_000 // descriptor.n_features  # some 100 MB by edges
    for chunk in chunks(structures, at_once):
        batch = structures[list(chunk)]
        graph = Graph.of(batch.to(torch.float64), descriptor.cutoff)
        with torch.no_grad():
            x = descriptor(graph)
        found.setdefault("features", []).append(_mean(x, batch).numpy() if average else x.numpy())
        if derivatives != "none":
            for name, part in _derivatives(descriptor, graph, average, derivatives, chunk.start).items():
                found.setdefault(name, []).append(
                    part + offsets[chunk.start] if name.endswith(("_of", "_by")) else part
                )
        if progress:
            progress(chunk.stop, n, "")
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    arrays = {name: x.astype(dtype) if x.dtype.kind == "f" else x for name, x in arrays.items()}
    return {**arrays, "offsets": offsets, "numbers": structures.numbers.numpy()}


def by_positions(
    descriptor: Descriptor, graph: Graph
) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"], Float[Tensor, "pairs 3 features"]]:
    """Derivatives ``d f_i / d r_k``, 1/Å, for every pair ``(i, k)`` of atoms within the cutoff, and ``i = k``.

    ``sum_e J_e (delta_jk - delta_ik)`` over the edges ``e`` from ``i`` to ``j``, ``J_e`` the derivatives by their
    vectors: an atom that is seen twice, through images, is one pair. Of what sees more than edges, every pair.
    """
    graph = graph.within(descriptor.cutoff)
    if not descriptor.local:
        return _of_all_pairs(descriptor, graph)
    J, n = descriptor.jacobian(graph).detach(), graph.n_atoms
    own = torch.arange(n, device=graph.i.device)
    keys, place = torch.cat([graph.i * n + graph.j, own * n + own]).unique(return_inverse=True)
    D = J.new_zeros(len(keys), *J.shape[1:])
    D.index_add_(0, place[: len(J)], J).index_add_(0, place[len(J) :][graph.i], J, alpha=-1)
    return keys // n, keys % n, D


def _of_all_pairs(descriptor: Descriptor, graph: Graph):
    s = graph.structures
    i, k = (s.system[:, None] == s.system).nonzero(as_tuple=True)
    D = graph.vectors.new_zeros(len(i), 3, descriptor.n_features)
    place = k - s.offsets[s.system[k]]
    for a, c, slope in descriptor.along_positions(graph):
        D[place == a, c] = slope[i[place == a]]
    return i, k, D


def _derivatives(
    descriptor: Descriptor, graph: Graph, average: bool, derivatives: Derivatives, first: int
) -> dict[str, np.ndarray]:
    if average:
        return {"derivatives": _of_means(descriptor, graph).numpy()}
    of, by, D = by_positions(descriptor, graph)
    if derivatives == "sparse":
        return {"derivatives": D.numpy(), "derivatives_of": of.numpy(), "derivatives_by": by.numpy()}
    found, offsets = {}, graph.structures.offsets
    system = graph.structures.system[of]
    for s, N in enumerate(graph.structures.counts.tolist()):
        here = system == s
        dense = D.new_zeros(N, N, *D.shape[1:])
        dense[of[here] - offsets[s], by[here] - offsets[s]] = D[here]
        found[f"derivatives_{first + s}"] = dense.numpy()
    return found


def _of_means(descriptor: Descriptor, graph: Graph) -> Float[Tensor, "atoms 3 features"]:
    graph = graph.within(descriptor.cutoff)
    if not descriptor.local:
        _, by, D = by_positions(descriptor, graph)
        D = D.new_zeros(graph.n_atoms, *D.shape[1:]).index_add_(0, by, D)
        return D / graph.structures.counts[graph.structures.system][:, None, None]
    J = descriptor.jacobian(graph).detach()
    D = J.new_zeros(graph.n_atoms, *J.shape[1:]).index_add_(0, graph.j, J).index_add_(0, graph.i, J, alpha=-1)
    return D / graph.structures.counts[graph.structures.system][:, None, None]


def _mean(x: Float[Tensor, "atoms F"], structures: Structures) -> Float[Tensor, "systems F"]:
    return sum_systems(x, structures) / structures.counts.clamp_min(1)[:, None].to(x)


def check_known(descriptor: Descriptor, structures: Structures) -> None:
    """Raise ``ValueError`` where structures hold an element that the descriptor does not know."""
    present = {chemical_symbols[z] for z in structures.numbers.unique().tolist()}
    if unknown := sorted(present - set(descriptor.elements)):
        name, known = type(descriptor).__name__, ", ".join(descriptor.elements)
        raise ValueError(f"{name} knows {known}; the structures also hold {', '.join(unknown)}")


def check_memory(
    descriptor: Descriptor, structures: Structures, average: bool, derivatives: str, size: int, memory: float | None
) -> None:
    """Raise ``ValueError`` where the arrays do not fit, and say what would.

    Args:
        descriptor: whose features.
        structures: of these.
        average: of each structure.
        derivatives: none, sparse or dense.
        size: of a number, bytes.
        memory: what there is, bytes; what is free if not given.
    """
    atoms, counts, number = structures.n_atoms, structures.counts.double(), 2.0 * size * descriptor.n_features
    # Twice, for there are the parts, and then the arrays they are put together to.
    needed = {"no derivatives": number * atoms, "means over structures": number * len(structures)}
    if derivatives != "none":
        pairs = float(counts.square().sum())
        edges = sum(Graph.of(structures[list(c)], descriptor.cutoff).n_edges for c in chunks(structures))
        edges = edges if descriptor.local else pairs
        needed |= {"sparse derivatives": 3 * number * (edges + atoms), "derivatives of means": 3 * number * atoms}
        needed["dense derivatives"] = 3 * number * pairs
    plain = "means over structures" if average else "no derivatives"
    asked = plain if derivatives == "none" else "derivatives of means" if average else f"{derivatives} derivatives"

    def remedy(free: float) -> str:
        fit = [f"{name} ({gigabytes(x)})" for name, x in sorted(needed.items(), key=lambda y: -y[1]) if x <= free]
        return f"{' or '.join(fit) or 'fewer atoms'} would fit"

    require_memory(needed[asked], f"{descriptor.n_features} features of {atoms} atoms, {asked},", remedy, memory)
