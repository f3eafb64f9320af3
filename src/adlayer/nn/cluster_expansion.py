r"""The atomic cluster expansion: sums over neighbors, their products, and which products make an invariant.

    A_v = sum_j R_n(r_ij) Y_lm(r_ij),  v = (element of j, n, l, m);    AA_t = prod_k A_{t_k};    B_k = sum_t C_kt AA_t

Drautz, Phys. Rev. B 99, 014104 (2019); Dusson et al., J. Comput. Phys. 454, 110946 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations, count
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .couplings import symmetric_invariants
from .radial_polynomials import RadialSets
from .radial_tables import RadialTables
from .spherical_harmonics import spherical_harmonics

KNOWN: WeakValueDictionary[int, ClusterExpansion] = WeakValueDictionary()  # for custom operators, which take no objects
_keys = count()


class Channel(NamedTuple):
    """A one-particle function with ``m`` left open."""

    l: int
    element: int
    n: int


class ClusterBasis:
    """Invariants ``B_k`` of the given products of channels, and the products ``AA_t`` they are made of.

    Args:
        functions: products of channels, each sorted; one may give several invariants, or none.
        n_elements: number of elements a neighbor may have.
        n_radial: number of radial functions.
        n_most: stop at so many invariants.
    """

    def __init__(
        self, functions: Sequence[tuple[Channel, ...]], n_elements: int, n_radial: int, n_most: int | None = None
    ):
        ls: list[list[int]] = [[] for _ in range(n_radial)]
        for channel in {c for f in functions for c in f}:
            ls[channel.n].append(channel.l)
        self.low = np.array([min(x, default=0) ** 2 for x in ls], np.int64)  # the first (l, m) of each radial function
        self.high = np.array([(max(x, default=0) + 1) ** 2 for x in ls], np.int64)  # and the one after the last
        ends = np.cumsum(self.high - self.low)
        # Where l = 0 of each would be among those of one element, and the number of all.
        self.start = np.append(ends - self.high, ends[-1] if len(ends) else 0)
        self.n_A = n_elements * int(self.start[-1])
        products, rows, columns, values, of = [], [], [], [], []
        n_products = 0
        for function in functions:
            if n_most is not None and len(of) >= n_most:
                break
            names = sorted(set(function))
            m, C = symmetric_invariants(tuple(c.l for c in function), tuple(names.index(c) for c in function))
            C = C if n_most is None else C[: n_most - len(of)]
            if not len(C):
                continue
            row, column = np.nonzero(C)
            rows.append(row + len(of))
            columns.append(column + n_products)
            values.append(C[row, column])
            products.append(np.sort(m + [self._center(c) for c in function], axis=1))
            n_products += len(m)
            of += [function] * len(C)
        self.functions: list[tuple[Channel, ...]] = of  # the channels of each invariant
        self.products: list[tuple[int, ...]] = [tuple(t) for block in products for t in block.tolist()]
        self.rows, self.columns, self.values = (
            np.concatenate(x) if x else np.zeros(0, kind)
            for x, kind in ((rows, np.int64), (columns, np.int64), (values, float))
        )

    def __len__(self) -> int:
        return len(self.functions)

    def _center(self, c: Channel) -> int:
        """Where ``m = 0`` of a channel is among the ``A``."""
        return c.element * int(self.start[-1]) + int(self.start[c.n]) + c.l * (c.l + 1)

    @cached_property
    def recursive(self) -> Recursive:
        """The products as a graph of products of two (Dusson et al., Section 5.4)."""
        return Recursive.of(self.products, self.n_A)


class Recursive(NamedTuple):
    """Each node is a product of two nodes before it; the first are the ``A`` themselves.

    Nodes that are factors of others come first, by depth; the rest are leaves.
    """

    left: Int[np.ndarray, "nodes"]
    right: Int[np.ndarray, "nodes"]
    levels: list[int]  # nodes levels[k]:levels[k + 1] need only what is before them; the last are the leaves
    place: Int[np.ndarray, "products"]  # the node of each product, counted from the first A

    @staticmethod
    def of(products: list[tuple[int, ...]], n_A: int) -> Recursive:
        """Build each product from two that are there already, where there are such, or else from new ones."""
        known: dict[tuple[int, ...], int] = {(a,): a for a in range(n_A)}
        factors: list[tuple[int, int]] = []

        def insert(t: tuple[int, ...]) -> int:
            if t in known:
                return known[t]
            pair = _split(t, known) or (insert(t[: len(t) - len(t) // 2]), insert(t[len(t) - len(t) // 2 :]))
            known[t] = n_A + len(factors)
            factors.append(pair)
            return known[t]

        for t in sorted(products, key=len):
            insert(t)
        pairs = np.array(factors, np.int64).reshape(-1, 2)
        depth = np.zeros(n_A + len(pairs), np.int64)
        for k, (l, r) in enumerate(pairs.tolist()):
            depth[n_A + k] = 1 + max(depth[l], depth[r])
        inner = np.zeros(n_A + len(pairs), bool)
        inner[pairs] = True
        depth = np.where(inner, depth, depth.max(initial=0) + 1)[n_A:]
        order = np.lexsort((pairs[:, 0], depth))
        renamed = np.concatenate([np.arange(n_A), n_A + np.argsort(order)])
        left, right = renamed[pairs[order]].reshape(-1, 2).T
        levels = np.searchsorted(depth[order], np.arange(depth.max(initial=0) + 2)).tolist()
        place = renamed[np.array([known[t] for t in products], np.int64)]
        return Recursive(left.copy(), right.copy(), levels, place)


def _split(t: tuple[int, ...], known: dict[tuple[int, ...], int]) -> tuple[int, int] | None:
    """Two known nodes whose product is ``t``."""
    for size in range(len(t) - 1, (len(t) - 1) // 2, -1):
        for chosen in combinations(range(len(t)), size):
            part = tuple(t[k] for k in chosen)
            if part in known:
                rest = tuple(t[k] for k in range(len(t)) if k not in chosen)
                if rest in known:
                    return known[part], known[rest]
    return None


class ClusterExpansion:
    """Sums, products and their graph for given elements: plain torch here, the same again in ``kernels.ace``.

    Args:
        functions: products of channels.
        radial: the radial functions.
        n_most: keep at most so many invariants, the first.
        shared: whether neighbors of all elements add to the same ``A``; the element of all channels is 0 then.
        shift: what is subtracted from the ``A`` of ``l = 0`` of atoms of each element; by default nothing.
    """

    def __init__(
        self,
        functions: Sequence[tuple[Channel, ...]],
        radial: RadialSets | RadialTables,
        n_most: int | None = None,
        shared: bool = False,
        shift: Float[np.ndarray, "center n"] | None = None,
    ):
        self.arguments = functions, radial, n_most, shared, shift
        self.radial, self.n_elements = radial, radial.n_elements
        self.block = np.zeros(self.n_elements, np.int64) if shared else np.arange(self.n_elements)
        self.n_blocks = 1 if shared else self.n_elements
        self.basis = ClusterBasis(functions, self.n_blocks, radial.n, n_most)
        self.nodes = self.basis.recursive
        self.n_A, self.n_nodes = self.basis.n_A, self.basis.n_A + len(self.nodes.left)
        low, high = self.basis.low, self.basis.high
        self.n_of = np.repeat(np.arange(len(low)), high - low)  # radial function of each A of one block
        self.lm_of = np.concatenate([np.arange(a, b) for a, b in zip(low, high)])  # and its harmonic
        self.l_max = int(np.sqrt(high.max(initial=1))) - 1
        self.shift = np.zeros((self.n_elements, self.n_A))
        if shift is not None:
            self.shift += np.tile(np.where(self.lm_of == 0, shift[:, self.n_of], 0.0), self.n_blocks)
        self.key = next(_keys)
        KNOWN[self.key] = self

    def __reduce__(self):
        return ClusterExpansion, self.arguments  # a copy is made anew, under its own key

    def one_particle(self, vectors: Float[Tensor, "edges 3"], i: Tensor, j: Tensor, species: Tensor) -> Tensor:
        """``A_v`` of every atom, [atoms, A]."""
        r = torch.linalg.vector_norm(vectors, dim=-1)
        R = self.radial(r, species[i], species[j])
        Y = spherical_harmonics(self.l_max, vectors / r[:, None])
        RY = R[:, self.n_of] * Y[:, self.lm_of]  # [edges, A of one block]
        block, shift = torch.from_numpy(self.block).to(i.device), torch.from_numpy(self.shift).to(RY)
        A = RY.new_zeros(len(species) * self.n_blocks, RY.shape[1])
        A = A.index_add(0, i * self.n_blocks + block[species[j]], RY)
        return A.reshape(len(species), -1) - shift[species]

    def products(self, A: Float[Tensor, "atoms A"]) -> Float[Tensor, "atoms nodes"]:
        """All nodes, the ``A`` first."""
        left, right = (torch.from_numpy(x).to(A.device) for x in (self.nodes.left, self.nodes.right))
        for start, end in zip(self.nodes.levels, self.nodes.levels[1:]):
            A = torch.cat([A, A[:, left[start:end]] * A[:, right[start:end]]], 1)
        return A

    def densities(
        self,
        vectors: Float[Tensor, "edges 3"],
        weights: Float[Tensor, "elements densities nodes"],
        i: Int[Tensor, "edges"],
        j: Int[Tensor, "edges"],
        species: Int[Tensor, "atoms"],
    ) -> Float[Tensor, "atoms densities"]:
        """``rho = weights . AA`` with the weights of each atom's element."""
        AA = self.products(self.one_particle(vectors, i, j, species))
        rho = torch.einsum("an,edn->aed", AA, weights)
        return rho[torch.arange(len(species), device=species.device), species]
