"""PACE: Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021); Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022).

The atomic cluster expansion in the form of python-ace and LAMMPS's ``pair_style pace``: tabulated radial functions of
each pair of elements, any number of densities, and a core that takes over at short distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..config import check_arguments, nearest
from ..graph import Graph, sum_edges
from ..nn.cluster_expansion import Channel
from ..nn.cluster_selection import select
from ..nn.cutoffs import quintic_switch
from ..nn.embeddings import shifted_power, smoothed_power
from ..nn.pace_bonds import CORES, Bond
from ..nn.radial_tables import RadialTables
from ..potential import PerAtom
from .cluster_potential import ClusterPotential

EMBEDDINGS = {"linear": [[1.0, 1.0]], "finnis-sinclair": [[1.0, 1.0], [1.0, 0.5]]}


@dataclass(frozen=True)
class Embedding:
    """``F = sum_p w_p rho_p^m_p``, and where the energy of a core shuts it off.

    Args:
        terms: ``[w, m]`` of each density.
        shifted: whether powers are PACE's shifted and scaled ones, or those that are linear at zero.
        core: energy of the core from which on there is nothing else, and over which it fades, eV.
    """

    terms: tuple[tuple[float, float], ...]
    shifted: bool = True
    core: tuple[float, float] = (100000.0, 250.0)

    def __call__(self, rho: Float[Tensor, "atoms densities"]) -> Float[Tensor, "atoms"]:
        power = shifted_power if self.shifted else smoothed_power
        return sum(w * power(rho[:, p], m) for p, (w, m) in enumerate(self.terms))


class PACE(ClusterPotential):
    r"""``E_i = f_i F(rho_i1, rho_i2, ...) + V_i``, ``rho_ip = sum_k c_kp B_ik``, ``F = sum_p w_p rho_p^m_p``.

    ``B_ik`` are the invariant products of sums over neighbors ``A_i,nlm = sum_j R_nl(r_ij) Y_lm(r_ij)``; products of
    one factor take the functions ``g_n`` of which the ``R_nl`` are combinations. ``V_i`` is the energy of the core, a
    sum over pairs, and ``f_i`` falls from 1 to 0 as it rises (``embeddings``). With cores of kind

        distance   each pair has its repulsion up to ``inner`` and its radial functions from there on, smoothly
        density    radial functions end in a step at the inner end of ``inner``, where ``f_i`` should be 0
        zbl        ``E_i = s F + (1 - s) V_i``, ``V_i`` the screened repulsion of nuclei, ``s`` from 0 to 1 over
                   ``inner``, by the neighbor that is deepest in it

    Radial functions are cubics between knots, as in the original: its numbers are these numbers, to rounding.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        n_max: number of radial functions at each order, 1 first.
        l_max: largest l at each order, 1 first.
        n_functions: keep so many functions per element, those of lowest ``sum_k (n_k + 1.5 l_k)``.
        radial: SBessel, ChebExpCos, ChebPow or ChebLinear; see ``nn.pace_bonds``.
        embedding: linear, or finnis-sinclair: ``rho_1 + sqrt(rho_2)``, which is not fitted by least squares.
        core: distance, density or zbl.
        bonds: what pairs have of their own, ``{"Al-Ni": {...}, "Ni-Al": {...}, "all": {...}}`` with arguments of
            ``nn.pace_bonds.Bond``; the first element is the center; one order stands for both unless both are there.
        embeddings: what elements have of their own, ``{"Al": {"terms": [[w, m], ...], "shifted": true, "core": [energy,
            range]}, "all": ...}``.
        functions: the products ``[[l, element, n], ...]`` themselves, ``n`` from 0, or by element, each its own; not
            those of ``n_max`` and ``l_max``.
        spacing: of the knots, Å.
    """

    small = {
        "elements": ["Si", "H", "Cu", "O"],
        "cutoff": 4.0,
        "n_max": [4, 2, 1],
        "l_max": [0, 2, 1],
        "embedding": "finnis-sinclair",
        "bonds": {
            "all": {"repulsion": [10.0, 1.0], "inner": [1.3, 0.4]},
            "Si-Cu": {"cutoff": 3.5, "radial": "ChebExpCos"},
        },
        "spacing": 0.002,
    }

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        n_max: list | None = None,
        l_max: list | None = None,
        n_functions: int | None = None,
        radial: str = "SBessel",
        embedding: str = "linear",
        core: str = "distance",
        bonds: dict | None = None,
        embeddings: dict | None = None,
        functions: list | dict | None = None,
        spacing: float = 0.001,
    ):
        super().__init__()
        for name, given, known in (("embedding", embedding, EMBEDDINGS), ("core", core, CORES)):
            if given not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {given!r}{nearest(given, known)}")
        self.core, self.spacing = core, spacing
        self.bonds = _bonds(elements, bonds or {}, {"cutoff": float(cutoff), "radial": radial})
        self.embeddings = _embeddings(elements, embeddings or {}, EMBEDDINGS[embedding])
        if functions is None:
            n_max, l_max = n_max or [15, 6, 4, 3], l_max or [0, 3, 3, 2]
            labeled = select(len(elements), len(n_max), None, 1.5, n_max, l_max, 0)
        else:
            lists = functions if isinstance(functions, Mapping) else dict.fromkeys(elements, functions)
            of_each = {e: [tuple(sorted(Channel(*c) for c in f)) for f in lists.get(e, ())] for e in elements}
            labeled = list(dict.fromkeys(f for fs in of_each.values() for f in fs))
        n_densities = max(len(e.terms) for e in self.embeddings)
        kinds = list(dict.fromkeys(b for row in self.bonds for b in row))
        self.radial_of, tables = _radial(labeled, kinds, self.bonds, core, spacing)
        self.labels: dict[tuple[Channel, ...], tuple[Channel, ...]] = {}  # the products, and what they are for PACE
        for f in labeled:
            merged, order = self.arrange(f)
            self.labels.setdefault(merged, tuple(f[k] for k in order))
        self._begin(elements, list(self.labels), tables, n_densities, n_functions)
        if isinstance(functions, Mapping):
            theirs = [{self.arrange(f)[0] for f in of_each[e]} for e in elements]
            self.present = torch.tensor([[f in mine for f in self.functions] for mine in theirs])
        self._start()
        self.reach = max(b.reach(core) for b in kinds)
        self.repulsion = _repulsion(elements, self.bonds, core, spacing) if self.reach else None

    def arrange(self, labeled: Sequence[Channel]) -> tuple[tuple[Channel, ...], tuple[int, ...]]:
        """A product of PACE's radial functions in terms of the different ones, sorted, and where each factor was."""
        many = len(labeled) > 1
        merged = [Channel(c.l, c.element, self.radial_of[c.l if many else None, c.n]) for c in labeled]
        order = sorted(range(len(merged)), key=lambda k: (merged[k], labeled[k]))
        return tuple(merged[k] for k in order), tuple(order)

    def forward(self, graph: Graph) -> PerAtom:
        z, rho = self.species(graph.numbers), self.densities(graph)
        F = rho.new_zeros(len(rho))
        for embedding in dict.fromkeys(self.embeddings):
            F = torch.where(self._among(z, embedding), embedding(rho), F)
        if self.repulsion is None:
            return PerAtom(F)
        graph = graph.within(self.reach)
        i, j, r = z[graph.i], z[graph.j], graph.lengths
        V = sum_edges(self.repulsion(r, i, j)[:, 0], graph)
        if self.core == "zbl":
            s = self._depth(graph, r, i, j)
            return PerAtom(s * F + (1 - s) * V)
        for embedding in dict.fromkeys(self.embeddings):
            end, over = embedding.core
            f = quintic_switch(V, end - over, end)
            F = torch.where(self._among(z, embedding), f * F, F)
        return PerAtom(F + V)

    def _among(self, z: Int[Tensor, "atoms"], embedding: Embedding) -> Bool[Tensor, "atoms"]:
        """Which atoms have this embedding."""
        return torch.tensor([e == embedding for e in self.embeddings], device=z.device)[z]

    def _depth(
        self, graph: Graph, r: Float[Tensor, "edges"], i: Int[Tensor, "edges"], j: Int[Tensor, "edges"]
    ) -> Float[Tensor, "atoms"]:
        """``s``, of the neighbor with the least ``r - r_in``, ``r_in`` the inner end of its ``inner``."""
        ends, over = r.new_tensor([[b.inner for b in row] for row in self.bonds])[i, j].unbind(1)
        outside = r.detach() - ends + over
        least = outside.new_full((graph.n_atoms,), torch.inf).scatter_reduce(0, graph.i, outside, "amin")
        edge = torch.where(outside == least[graph.i], torch.arange(len(r), device=r.device), len(r))
        deepest = edge.new_full((graph.n_atoms,), len(r)).scatter_reduce(0, graph.i, edge, "amin")
        s = 1 - quintic_switch((r - ends) / over.clamp_min(1e-9), -1.0, 0.0)
        return torch.nn.functional.pad(s, (0, 1), value=1.0)[deepest]  # the last for atoms without neighbors

    @property
    def linear(self) -> bool:
        return self.repulsion is None and all(e.terms == ((1.0, 1.0),) for e in self.embeddings)

    def penalty(self) -> Float[Tensor, "K"]:
        """``sum_k n_k^2 + (1.5 l_k)^2``, ``n = 1, 2 ...``, as of ``ACE``."""
        cost = [float(sum((c.n + 1) ** 2 + (1.5 * c.l) ** 2 for c in self.labels[f])) for f in self.functions]
        return self.c.new_tensor(cost).repeat(len(self.elements))


def _bonds(elements: list[str], given: Mapping, default: dict) -> list[list[Bond]]:
    """The bond of each center with each neighbor."""
    known = {"all", *(f"{a}-{b}" for a in elements for b in elements)}
    for name, arguments in given.items():
        if name not in known:
            raise ValueError(
                f"bonds has no {name!r}{nearest(name, known)}; it takes all and pairs such as {max(known)}"
            )
        check_arguments(Bond, arguments)
    default = {**default, **given.get("all", {})}

    def bond(a: str, b: str) -> Bond:
        arguments = {**default, **given.get(f"{a}-{b}", given.get(f"{b}-{a}", {}))}
        return Bond(**{name: _frozen(x) for name, x in arguments.items()})

    return [[bond(a, b) for b in elements] for a in elements]


def _embeddings(elements: list[str], given: Mapping, terms: list) -> list[Embedding]:
    """The embedding of each element."""
    for name, arguments in given.items():
        if name not in (known := ("all", *elements)):
            raise ValueError(f"embeddings has no {name!r}{nearest(name, known)}; it takes {', '.join(known)}")
        check_arguments(Embedding, {"terms": terms, **arguments})
    default = {"terms": terms, **given.get("all", {})}
    return [Embedding(**{k: _frozen(x) for k, x in {**default, **given.get(e, {})}.items()}) for e in elements]


def _frozen(x: Any) -> Any:
    """Lists as tuples and whole numbers as real ones, so that equal bonds are equal."""
    if isinstance(x, list | tuple):
        return tuple(map(_frozen, x))
    return float(x) if isinstance(x, int) and not isinstance(x, bool) else x


def _radial(
    labeled: list[tuple[Channel, ...]], kinds: list[Bond], bonds: list[list[Bond]], core: str, spacing: float
) -> tuple[dict[tuple[int | None, int], int], RadialTables]:
    """Where each ``R_nl``, and with None for ``l`` each ``g_n``, that products need is among the different ones.

    Those that are the same for all kinds of bonds, as ``R_nl`` of all ``l`` are by default, are one; and their tables.
    """
    names = sorted({(c.l if len(f) > 1 else None, c.n) for f in labeled for c in f}, key=str)
    n_base = max(b.n_base(*name) for b in kinds for name in names)
    columns = [np.stack([b.combination(*name, n_base) for b in kinds]) for name in names]
    distinct = {x.tobytes(): x for x in columns}
    place = {name: list(distinct).index(x.tobytes()) for name, x in zip(names, columns)}
    combined = torch.from_numpy(np.stack(list(distinct.values()), -1))  # [kind, base, function]
    tables = RadialTables(
        [lambda r, b=b, C=C: b.functions(r, C, core) for b, C in zip(kinds, combined)],
        [b.cutoff for b in kinds],
        np.array([[kinds.index(b) for b in row] for row in bonds]),
        spacing,
    )
    return place, tables


def _repulsion(elements: list[str], bonds: list[list[Bond]], core: str, spacing: float) -> RadialTables:
    """The tables of ``V(r)``."""
    Z = [float(atomic_numbers[e]) for e in elements]
    pairs = [
        (b, *((Z[i], Z[j]) if core == "zbl" else (0.0, 0.0))) for i, row in enumerate(bonds) for j, b in enumerate(row)
    ]
    kinds = list(dict.fromkeys(pairs))
    return RadialTables(
        [lambda r, b=b, Zi=Zi, Zj=Zj: b.repels(r, core, Zi, Zj)[:, None] for b, Zi, Zj in kinds],
        [b.cutoff for b, _, _ in kinds],
        np.array([kinds.index(p) for p in pairs]).reshape(len(bonds), -1),
        spacing,
    )
