"""Stillinger and Weber, Phys. Rev. B 31, 5262 (1985): tetrahedral bonds.

Several elements as in LAMMPS's ``pair_style sw``: entry ``i-j-j`` describes the bond of ``i`` and ``j``, entry
``i-j-k`` gives ``epsilon``, ``lambda`` and ``costheta0`` of the angle at ``i``.
"""

from __future__ import annotations

import torch
from torch import Tensor, exp, log, nn, where

from ..graph import Graph, sum_edges, triplets
from ..kernels.bonds import bond_energies
from ..kernels.stillinger_weber import stillinger_weber_kernel
from ..nn.tables import triple_tables
from ..potential import PerAtom, Potential, Species

LEARNED = ("epsilon", "lambda", "gamma", "costheta0", "A", "B", "p", "q")
FIXED = ("sigma", "a")  # they set the range of the interaction

SILICON = {
    "epsilon": 2.1683,
    "sigma": 2.0951,
    "a": 1.80,
    "lambda": 21.0,
    "gamma": 1.20,
    "costheta0": -1 / 3,
    "A": 7.049556277,
    "B": 0.6022245584,
    "p": 4.0,
    "q": 0.0,
}


class StillingerWeber(Potential):
    """``E_i = 1/2 sum_j v2(r_ij) + sum_{j<k} v3(r_ij, r_ik, theta_jik)``.

    ``v2(r) = epsilon A (B (sigma/r)^p - (sigma/r)^q) exp(sigma / (r - a sigma))``,
    ``v3 = epsilon lambda (cos theta - cos theta_0)^2 g(r_ij) g(r_ik)``, ``g(r) = exp(gamma sigma / (r - a sigma))``;
    everything ends at ``a sigma``.

    Args:
        parameters: for each ordered triple of elements, ``"Si-Si-Si"``, a table of ``epsilon`` (eV), ``sigma`` (Å),
            ``a``, ``lambda``, ``gamma``, ``costheta0``, ``A``, ``B``, ``p``, ``q``; silicon if not given.
    """

    trained = False
    small = {}

    def __init__(self, parameters: dict | None = None):
        super().__init__()
        parameters = {"Si-Si-Si": SILICON} if parameters is None else parameters
        self.elements, tables = triple_tables(parameters, LEARNED + FIXED)
        for angle in (tables["epsilon"] * tables["lambda"], tables["costheta0"]):
            if not torch.allclose(angle, angle.mT, rtol=1e-4):
                raise ValueError("epsilon lambda and costheta0 of i-j-k and of i-k-j must agree: it is one angle")
        self.species = Species(self.elements)
        self.learned = nn.ParameterDict({f"{name}_": tables[name] for name in LEARNED})  # lambda is a word of Python
        for name in FIXED:
            self.register_buffer(name, tables[name])
        self.cutoff = float(tables["sigma"].mul(tables["a"]).diagonal(dim1=1, dim2=2).max())

    @classmethod
    def silicon(cls) -> StillingerWeber:
        """The published parameters; diamond silicon then has -4.3366 eV/atom at 5.431 Å."""
        return cls()

    @property
    def tables(self) -> dict[str, Tensor]:
        """Each parameter as it is now, for every ordered triple of elements."""
        return {name: self.learned[f"{name}_"] for name in LEARNED} | {name: getattr(self, name) for name in FIXED}

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        z = self.species(graph.numbers)
        return PerAtom(bond_energies(stillinger_weber, stillinger_weber_kernel, graph, z, [*self.tables.values()]))


def stillinger_weber(graph: Graph, z, epsilon, lambda_, gamma, costheta0, A, B, p, q, sigma, a):
    """Energies of the atoms, from elements ``z`` and tables of parameters ``[i, j, k]``."""
    i, j = z[graph.i], z[graph.j]
    ij = (i, j, j)
    r = graph.lengths
    inside = r < (a * sigma)[ij]
    below = where(inside, r - (a * sigma)[ij], -torch.ones_like(r))  # negative; the cutoff itself is left out
    zero = torch.zeros_like(r)

    log_x = log(sigma[ij] / r)  # not x ** q: its second derivatives forget q where q = 0
    v2 = (epsilon * A)[ij] * (B[ij] * exp(p[ij] * log_x) - exp(q[ij] * log_x)) * exp(sigma[ij] / below)
    g = where(inside, exp((gamma * sigma)[ij] / below), zero)

    strength, costheta0 = (0.5 * (x + x.mT) for x in (epsilon * lambda_, costheta0))  # files have them rounded
    e, f = triplets(graph)
    ijk = (i[e], j[e], j[f])
    n = graph.vectors / r[:, None]
    cos = (n[e] * n[f]).sum(-1)
    v3 = strength[ijk] * (cos - costheta0[ijk]) ** 2 * g[e] * g[f]

    E = 0.5 * sum_edges(where(inside, v2, zero), graph)
    return E.index_add(0, graph.i[e], v3)
