"""Atomic cluster expansion: R. Drautz, Phys. Rev. B 99, 014104 (2019).

Basis, its selection by total degree, pair basis and smoothness prior: Dusson et al., J. Comput. Phys. 454, 110946
(2022), and Witt et al., J. Chem. Phys. 159, 164101 (2023). Embedding and tables of ``n_max`` and ``l_max`` per order:
Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021).
"""

from __future__ import annotations

from math import exp

import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float
from torch import Tensor

from ..graph import Graph
from ..nn.cluster_expansion import Channel
from ..nn.cluster_selection import select
from ..nn.embeddings import shifted_power
from ..nn.radial_polynomials import RadialPolynomials, RadialSets, preset
from ..potential import PerAtom, Species
from .cluster_potential import ClusterPotential


class ACE(ClusterPotential):
    r"""``E_i = rho_i``, or with embedding ``rho_i1 + sqrt(rho_i2)``, where ``rho_i = sum_k c_k B_ik``.

    ``B_ik`` are the invariant products of up to ``order`` sums over neighbors ``A_i,nlm = sum_j R_n(r_ij) Y_lm(r_ij)``:
    body order up to ``order + 1``. Products of one factor are a pair potential with functions of its own that diverge
    at short distance; the other functions stay finite. What the data do not show is still free: add ``ZBL()``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        order: largest number of factors in a product (correlation order), 1 to 6.
        degree: largest total degree ``sum_k (n_k + weight_l l_k)``, ``n = 1, 2 ..``, of a product; one for all orders,
            or one for each order from 2 on. Default: none where ``n_max`` is given, else 14, 12, 11, 10, 10, less one
            for each element beyond the first, but 6 at least.
        weight_l: what a unit of ``l`` counts in the degree; 1.5 suits metals, 1 covalent matter.
        n_max: number of radial functions at each order, 1 first.
        l_max: largest l at each order, 1 first.
        n_functions: keep so many functions per element, those of lowest degree.
        pair: number of functions of the pair potential; 0 takes those of the other orders.
        radial: bessel, agnesi, morse, inverse or chebyshev; see ``nn.radial_polynomials``.
        embedding: linear, or finnis-sinclair, which is not fitted by least squares.
        decay: two rates, of ``n`` and of ``l``, of an exponential prior in place of the algebraic one (see
            ``penalty``); (0.5, 0.25) suits molecules known from tens of frames; with a thousand it did not matter.
    """

    small = {"elements": ["Si", "H", "Cu", "O"], "cutoff": 4.0, "order": 2, "degree": 5.0, "pair": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.5,
        order: int = 3,
        degree: float | list | None = None,
        weight_l: float = 1.5,
        n_max: list | None = None,
        l_max: list | None = None,
        n_functions: int | None = None,
        pair: int = 12,
        radial: str = "bessel",
        embedding: str = "linear",
        decay: list | None = None,
    ):
        super().__init__()
        if not 1 <= order <= 6:
            raise ValueError(f"order must be 1 to 6, got {order}")
        if embedding not in EMBEDDINGS:
            raise ValueError(f"embedding must be one of {', '.join(EMBEDDINGS)}; got {embedding!r}")
        if decay is not None and (len(decay) != 2 or min(decay) < 0):
            raise ValueError(f"decay must be two rates from 0 upwards, of n and of l; got {decay!r}")
        self.embedding, self.weight_l, self.pair, self.decay = embedding, weight_l, pair, decay
        functions = select(len(elements), order, degree, weight_l, n_max, l_max, pair)
        n = 1 + max((c.n for f in functions for c in f), default=-1)
        many = preset(radial, max(n - pair, 0), float(cutoff))
        two = RadialPolynomials(pair, float(cutoff), many.transform, "repulsive")
        sets = [f for f in (two, many) if f.n]
        radii = covalent_radii[[atomic_numbers[e] for e in Species(elements).elements]]
        radial_sets = RadialSets(sets, radii[:, None] + radii[None, :])
        self._begin(elements, functions, radial_sets, 1 if embedding == "linear" else 2, n_functions)
        self._start()

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(EMBEDDINGS[self.embedding](self.densities(graph)))

    @property
    def linear(self) -> bool:
        return self.embedding == "linear"

    def penalty(self) -> Float[Tensor, "K"]:
        """Rough functions cost more: ``sum_k n_k^2 + (weight_l l_k)^2`` of each (after Witt et al.).

        With ``decay = (a, b)`` it is ``exp(2 sum_k (a n_k + b l_k))``, and 1 for the pair potential: what a function is
        expected to add, its coefficient times its root mean square over the data, falls by a factor for every step of
        ``n`` or ``l``, as the coefficients of an analytic function do.
        """
        if self.decay is None:
            cost = [sum(n * n + (self.weight_l * l) ** 2 for n, l in self.degrees(f)) for f in self.functions]
        else:
            a, b = self.decay
            steps = [sum(a * n + b * l for n, l in self.degrees(f)) for f in self.functions]
            cost = [1.0 if f[0].n < self.pair else exp(2 * x) for f, x in zip(self.functions, steps)]
        return torch.tensor(cost, dtype=self.c.dtype, device=self.c.device).repeat(len(self.elements))

    def degrees(self, function: tuple[Channel, ...]) -> list[tuple[int, int]]:
        """``(n, l)`` of the factors of a function, ``n`` counted from 1 in their own set."""
        return [(c.n + 1 - (self.pair if c.n >= self.pair else 0), c.l) for c in function]


EMBEDDINGS = {
    "linear": lambda rho: rho[:, 0],
    "finnis-sinclair": lambda rho: rho[:, 0] + shifted_power(rho[:, 1], 0.5),
}
