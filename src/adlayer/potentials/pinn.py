"""Physically informed neural network: G. P. Purja Pun, R. Batra, R. Ramprasad, Y. Mishin, Nat. Commun. 10, 2339 (2019).

Parameters as a global part plus what a network adds to it: Purja Pun et al., Phys. Rev. Mater. 4, 113807 (2020).
Several elements as in the authors' LAMMPS package, whose equation numbers these are.
"""

from __future__ import annotations

from math import log

import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float
from torch import Tensor, exp, nn, pi

from ..graph import Graph, sum_edges, triplets
from ..nn.networks import MLP
from ..nn.spherical_harmonics import spherical_harmonics
from ..potential import PerAtom, Potential, Species

RANGE = 1.5  # of everything, over that of bonds: the farthest atom that can screen a bond


class PINN(Potential):
    r"""A bond-order potential whose parameters a network predicts for each atom from its environment.

    ``E_i = 1/2 sum_j [exp(A_i - alpha_i r_ij) - S_ij b_ij exp(B_i - beta_i r_ij)] f_c(r_ij) + W_i``

    with screening ``S``, bond order ``b``, promotion ``W`` and cutoff ``f_c``::

        S_ij   = prod_k (1 - f_c(x) exp(-lambda_i² x)), x = r_ik + r_jk - r_ij
        b_ij   = (1 + sum_k a_i² S_ik (cos theta_ijk - h_i)² f_c(r_ik))^(-1/2)
        W_i    = -sigma_i (sum_j S_ij b_ij f_c(r_ij))^(1/2)
        f_c(r) = (R_c - r)⁴ / (d⁴ + (R_c - r)⁴)

    ``(A, alpha, B, beta, h, sigma, a, lambda)`` are global numbers, one for each pair or triple of elements, plus the
    outputs of the network for this atom. It sees ``G = asinh(shift + sum_jk P_l(cos theta_ijk) f_s(r_ij) f_s(r_ik))``,
    ``f_s = exp(-(r - r_s)² / w²) f_c / r_s``, for each pair of elements of the neighbors. As ``a`` and ``lambda`` are
    squared (2019; the package of 2020 has their squares as parameters), ``S`` and ``b`` lie between 0 and 1.

    All that is fitted is fitted at once, by gradient descent. It reaches 1.5 times as far as its bonds, since atoms
    that far away can screen one.

    Args:
        elements: chemical symbols.
        bond_cutoff: ``R_c``, Å.
        softness: ``d``, over which bonds fade at the cutoff, Å.
        centers: ``r_s`` of the Gaussians, Å; 12 from ``R_c / 3`` to ``4 R_c / 3`` if not given.
        width: ``w`` of the Gaussians, Å.
        degrees: ``l`` of the Legendre polynomials.
        shift: within the asinh.
        hidden: nodes of each hidden layer.
        seed: of the starting weights.
    """

    small = {
        "elements": ["Si", "H"],
        "bond_cutoff": 3.0,
        "softness": 1.0,
        "centers": [1.5, 3.0],
        "degrees": [0, 2],
        "hidden": [5],
    }

    def __init__(
        self,
        elements: list[str],
        bond_cutoff: float = 6.0,
        softness: float = 1.5,
        centers: list[float] | None = None,
        width: float = 1.0,
        degrees: list[int] = (0, 1, 2, 4, 6),
        shift: float = 0.0,
        hidden: list[int] = (16, 16),
        seed: int = 0,
    ):
        super().__init__()
        for name, value in {"bond_cutoff": bond_cutoff, "softness": softness, "width": width}.items():
            if value <= 0:
                raise ValueError(f"PINN: {name} is a length above 0 Å, got {value}")
        if not degrees or any(l < 0 for l in degrees) or len(set(degrees)) < len(degrees):
            raise ValueError(f"PINN: degrees are different whole numbers from 0 on, got {list(degrees)}")
        r_s = torch.linspace(1 / 3, 4 / 3, 12, dtype=torch.float64) * bond_cutoff if centers is None else centers
        self.register_buffer("r_s", torch.as_tensor(r_s, dtype=torch.float64), persistent=False)
        if not bool((self.r_s > 0).all()):
            raise ValueError(f"PINN: centers are distances above 0 Å, got {self.r_s.tolist()}")
        self.elements, self.cutoff = tuple(elements), RANGE * bond_cutoff
        self.R_c, self.d, self.w, self.shift = bond_cutoff, softness, width, shift
        self.degrees, self.l_max = tuple(degrees), max(degrees)
        self.species = Species(elements)
        n = len(self.elements)
        columns = [l * l + m for l in degrees for m in range(2 * l + 1)]
        self.register_buffer("lm", torch.tensor(columns), persistent=False)
        self.register_buffer("pairs", torch.triu_indices(n, n), persistent=False)
        self.base = nn.Parameter(_typical_bonds(self.elements))
        sizes = [self.pairs.shape[1] * len(self.r_s) * len(self.degrees), *hidden, self.base.numel()]
        names = ["centered_logistic"] * len(hidden) + ["identity"]
        self.network = MLP(sizes, names, torch.Generator().manual_seed(seed))
        self.network.weights[-1].data *= 0.1  # it starts close to the global potential

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        p = self.parameters_of_atoms(graph)
        i, j = graph.i, self.species(graph.numbers)[graph.j]
        r = graph.lengths
        f = self.fade(r, self.R_c)

        e, k = triplets(graph)
        e, k = torch.cat([e, k]), torch.cat([k, e])  # the bond e = ij as k = ik sees it
        bonds = torch.nonzero(r[e] < self.R_c)[:, 0]
        e, k = e[bonds], k[bonds]
        ijk = (i[e], j[e], j[k])
        x = r[k] + torch.linalg.vector_norm(graph.vectors[k] - graph.vectors[e], dim=-1) - r[e]
        unscreened = torch.log1p(-self.fade(x, self.R_c) * exp(-(p["lambda"][ijk] ** 2) * x))
        S = exp(torch.zeros_like(r).index_add(0, e, unscreened))  # Eq. 2
        cos = (graph.vectors[e] * graph.vectors[k]).sum(-1) / (r[e] * r[k])
        z = (p["a"][ijk] * (cos - p["h"][ijk])) ** 2 * (S * f)[k]
        b = (1 + torch.zeros_like(r).index_add(0, e, z)) ** -0.5  # Eq. 3

        ij = (i, j)
        bond = exp(p["A"][ij] - p["alpha"][ij] * r) - S * b * exp(p["B"][ij] - p["beta"][ij] * r)
        psi = sum_edges(S * b * f, graph)
        alone = psi <= torch.finfo(psi.dtype).tiny ** 0.5  # where the root has no derivative
        W = -p["sigma"] * torch.where(alone, 0.0, torch.where(alone, 1.0, psi).sqrt())  # Eq. 4
        return PerAtom(0.5 * sum_edges(bond * f, graph) + W)  # Eq. 1

    def parameters_of_atoms(self, graph: Graph) -> dict[str, Tensor]:
        """``(A, alpha, B, beta, h, sigma, a, lambda)`` of each atom, for each element or pair of its neighbors."""
        n, z = len(self.elements), self.species(graph.numbers)
        change = self.network(self.features(graph)).reshape(-1, *self.base.shape)
        p = self.base[z] + change[torch.arange(graph.n_atoms, device=z.device), z]  # Eq. 6
        two, three = ("A", "alpha", "B", "beta"), ("h", "a", "lambda")
        columns = p.split([n] * 4 + [n * n] * 3 + [1], dim=1)
        named = dict(zip((*two, *three), columns))
        return named | {t: named[t].reshape(-1, n, n) for t in three} | {"sigma": columns[-1][:, 0]}

    def features(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        """``G`` of Eqs. 9 to 12; by the addition theorem ``P_l`` of pairs is a sum over ``m``, without pairs."""
        n, r = len(self.elements), graph.lengths
        f = exp(-(((r[:, None] - self.r_s) / self.w) ** 2)) * self.fade(r, self.cutoff)[:, None] / self.r_s
        Y = spherical_harmonics(self.l_max, graph.vectors / r[:, None])[:, self.lm]
        to = graph.i * n + self.species(graph.numbers)[graph.j]
        c = r.new_zeros(graph.n_atoms * n, len(self.r_s), len(self.lm)).index_add(0, to, f[:, :, None] * Y[:, None])
        c = c.reshape(graph.n_atoms, n, len(self.r_s), len(self.lm))
        products = (c[:, self.pairs[0]] * c[:, self.pairs[1]]).split([2 * l + 1 for l in self.degrees], dim=-1)
        sums = [4 * pi / (2 * l + 1) * x.sum(-1) for l, x in zip(self.degrees, products)]
        return torch.asinh(self.shift + torch.stack(sums, -1)).reshape(graph.n_atoms, -1)

    def fade(self, r: Tensor, cutoff: float) -> Tensor:
        """``f_c``, Eq. 5."""
        x = ((cutoff - r).clamp_min(0) / self.d) ** 4
        return x / (1 + x)


def _typical_bonds(elements: tuple[str, ...]) -> Float[Tensor, "elements parameters"]:
    """Where a fit starts: pairs bound by 0.5 eV at the sum of their covalent radii, as a Morse potential has it."""
    n, depth, stiffness = len(elements), 0.5, 1.2  # eV, 1/Å
    radii = torch.tensor([covalent_radii[atomic_numbers[e]] for e in elements], dtype=torch.float64)
    r_0 = radii[:, None] + radii
    same = torch.ones_like(r_0)
    A, alpha = log(depth) + 2 * stiffness * r_0, 2 * stiffness * same
    B, beta = log(2 * depth) + stiffness * r_0, stiffness * same
    h, a, sigma = (x * torch.ones(n, n * n, dtype=torch.float64) for x in (0.0, 0.5, 0.5))
    return torch.cat([A, alpha, B, beta, h, a, torch.ones_like(h), sigma[:, :1]], dim=1)
