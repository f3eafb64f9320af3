r"""The power spectrum of smeared neighbor densities: the meaning of SOAP, in plain torch.

    c_i,e n lm = w_0 delta_{e, e_i} g_n0(0) Y_00 + sum_{j of element e} f(r_ij) g_nl(r_ij) Y_lm(r_ij)
    p_i,ab l   = sum_m c_i,a lm c_i,b lm / sqrt(2l + 1),   times sqrt(2) for a != b,   a, b = (channel, n)

or, with ``bare`` products as in FLARE's B2, neither the root nor the factor; those of turbo SOAP, whose densities are
apart in radius and angle (``separable``), have the factor alone, and come in its order.

De, Bartók, Csányi and Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016); compressions: Darby, Kermode and Csányi, npj
Comput. Mater. 8, 166 (2022).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement, product

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .cutoffs import cosine_switch, quadratic_cutoff
from .density_projection import DensityProjection
from .separable_projection import SeparableProjection
from .spherical_harmonics import spherical_harmonics

COMPRESSIONS = ("none", "diagonal", "crossover", "mu1nu1", "mu2", "trivial")


@dataclass(frozen=True)
class PowerSpectrum:
    """Everything that defines the features of an atom; see ``descriptors.soap.SOAP`` for what the names mean."""

    n_elements: int
    cutoff: float
    transition: float
    n_max: int
    l_max: int
    sigma: float
    reach: float
    basis: str
    central_weight: float | tuple[float, ...]  # of all elements, or of each
    compression: str
    channels: tuple[tuple[float, ...], ...] | None  # weight of each element in each channel
    decay: tuple[float, float, float] | None  # exponent, length, rate
    bare: bool = False  # whether products are taken as they are
    quadratic: bool = False  # whether neighbors fade as (cutoff - r)² instead
    separable: tuple[SeparableProjection, ...] | None = None  # in place of the Gaussians, of all elements or of each

    def __post_init__(self):
        _ = self.projections  # which checks the basis

    @property
    def spec(self) -> str:
        """Itself as text, as operators of torch take it."""
        return json.dumps(asdict(self))

    @staticmethod
    @lru_cache(maxsize=64)
    def of(spec: str) -> PowerSpectrum:
        """The inverse of ``spec``."""
        table = json.loads(spec)
        for name in ("channels", "decay", "central_weight"):
            if isinstance(table[name], list):
                table[name] = tuple(tuple(x) if isinstance(x, list) else x for x in table[name])
        if table["separable"] is not None:
            table["separable"] = tuple(SeparableProjection(**x) for x in table["separable"])
        return PowerSpectrum(**table)

    @cached_property
    def projections(self) -> tuple[DensityProjection | SeparableProjection, ...]:
        """``g_nl`` of neighbors: one for all elements, or one for each."""
        return self.separable or (DensityProjection(self.n_max, self.l_max, self.sigma, self.reach, self.basis),)

    def radial(self, r: Float[Tensor, "edges"], element: Int[Tensor, "edges"]) -> Float[Tensor, "edges l n"]:
        """``f(r) g_nl(r)`` of neighbors of some elements."""
        g = [p(r) for p in self.projections]
        g = g[0] if len(g) == 1 else torch.stack(g, 1)[torch.arange(len(r), device=r.device), element]
        return g * self.weight(r)[:, None, None]

    @cached_property
    def mixing(self) -> Float[np.ndarray, "channels elements"]:
        """Channels as sums over elements; ``mu1nu1`` has that of all elements as its last."""
        if self.compression == "mu2":
            return np.ones((1, self.n_elements))
        W = np.eye(self.n_elements) if self.channels is None else np.array(self.channels, float)
        return np.concatenate([W, np.ones((1, self.n_elements))]) if self.compression == "mu1nu1" else W

    @cached_property
    def products(self) -> tuple[Int[np.ndarray, "P 2"], Float[np.ndarray, "P"]]:
        """Pairs ``(a, b)`` of (channel, n), ``a >= b`` where the order makes no difference, and their factors."""
        n, Q = self.n_max, len(self.mixing)
        match self.compression:
            case "mu1nu1":
                pairs = [(q * n + k, (Q - 1) * n + m) for q, k, m in product(range(Q - 1), range(n), range(n))]
                return np.array(pairs), np.ones(len(pairs))
            case "diagonal":
                pairs = [(a * n + k, b * n + k) for a in range(Q) for k in range(n) for b in range(a + 1)]
            case "crossover":
                pairs = [(q * n + k, q * n + m) for q in range(Q) for k in range(n) for m in range(k + 1)]
            case "trivial":
                pairs = [(a, b) for a, b in combinations_with_replacement(range(Q * n), 2) if 0 in (a % n, b % n)]
            case _ if self.separable:
                pairs = list(combinations_with_replacement(range(Q * n), 2))
            case _:
                pairs = sorted((b, a) for a, b in combinations_with_replacement(range(Q * n), 2))
        places = np.array(pairs)
        return places, np.where((places[:, 0] == places[:, 1]) | self.bare, 1.0, np.sqrt(2.0))

    @cached_property
    def of_l(self) -> Float[np.ndarray, "l"]:
        """Factors of the products of each l."""
        return np.ones(self.l_max + 1) if self.bare or self.separable else (2 * np.arange(self.l_max + 1) + 1) ** -0.5

    @property
    def n_features(self) -> int:
        return len(self.products[0]) * (self.l_max + 1)

    def weight(self, r: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """``f(r)``: how much a neighbor counts."""
        f = quadratic_cutoff(r, self.cutoff) if self.quadratic else cosine_switch(r, self.cutoff, self.transition)
        if self.decay is None:
            return f
        exponent, length, rate = self.decay
        return f * (rate if rate else 1.0) / (rate + (r / length) ** exponent)

    @cached_property
    def center(self) -> Float[np.ndarray, "elements n"]:
        """``w_0 g_n0(0) Y_00`` of the elements."""
        zero = torch.zeros((), dtype=torch.float64)
        own = np.stack([p(zero)[0].numpy() for p in self.projections]) / np.sqrt(4 * np.pi)
        weights = np.broadcast_to(self.central_weight, self.n_elements)
        return weights[:, None] * np.broadcast_to(own, (self.n_elements, self.n_max))

    def coefficients(
        self,
        vectors: Float[Tensor, "edges 3"],
        i: Int[Tensor, "edges"],
        j: Int[Tensor, "edges"],
        species: Int[Tensor, "atoms"],
    ) -> Float[Tensor, "atoms elements lm n"]:
        """``c`` of every atom, element by element."""
        r = torch.linalg.vector_norm(vectors, dim=-1)
        l_of = torch.tensor([l for l in range(self.l_max + 1) for _ in range(2 * l + 1)], device=r.device)
        g = self.radial(r, species[j])
        Y = spherical_harmonics(self.l_max, vectors / r[:, None])
        N, E = len(species), self.n_elements
        c = r.new_zeros(N * E, len(l_of), self.n_max)
        c = c.index_add(0, i * E + species[j], Y[:, :, None] * g[:, l_of])
        own = torch.arange(N, device=r.device) * E + species
        center = c.new_zeros(E, *c.shape[1:])
        center[:, 0] = torch.from_numpy(self.center).to(r)
        return c.index_add(0, own, center[species]).reshape(N, E, len(l_of), self.n_max)

    def __call__(
        self,
        vectors: Float[Tensor, "edges 3"],
        i: Int[Tensor, "edges"],
        j: Int[Tensor, "edges"],
        species: Int[Tensor, "atoms"],
    ) -> Float[Tensor, "atoms features"]:
        """``p`` of every atom, ``l`` running fastest."""
        c = self.coefficients(vectors, i, j, species)
        c = torch.einsum("aemn,qe->amqn", c, torch.from_numpy(self.mixing).to(c)).flatten(2)
        (a, b), factor = torch.from_numpy(self.products[0].T).to(c.device), torch.from_numpy(self.products[1]).to(c)
        both = c[:, :, a] * c[:, :, b] * factor
        p = [both[:, l * l : (l + 1) ** 2].sum(1) * float(x) for l, x in enumerate(self.of_l)]
        return torch.stack(p, -1).flatten(1)
