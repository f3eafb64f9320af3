"""Tersoff, Phys. Rev. B 37, 6991 (1988); several elements: Phys. Rev. B 39, 5566 (1989), erratum 41, 3248 (1990).

Letters and multi-element entries as in LAMMPS's ``pair_style tersoff``: entry ``i-j-j`` describes the bond of ``i`` and
``j``, entry ``i-j-k`` how ``k`` weakens it.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, exp, log, logaddexp, nn, pi, sin, where

from ..graph import Graph, sum_edges, triplets
from ..kernels.bonds import bond_energies
from ..kernels.tersoff import tersoff_kernel
from ..nn.tables import triple_tables
from ..potential import PerAtom, Potential, Species

LEARNED = ("gamma", "lambda3", "c", "d", "costheta0", "n", "beta", "lambda2", "B", "lambda1", "A")
FIXED = ("m", "R", "D")  # a choice of formula, and what sets the range of the interaction

# Phys. Rev. B 37, 6991 (1988), in the letters of LAMMPS.
SILICON_1988 = {
    "m": 3.0,
    "gamma": 1.0,
    "lambda3": 1.3258,
    "c": 4.8381,
    "d": 2.0417,
    "costheta0": 0.0,
    "n": 22.956,
    "beta": 0.33675,
    "lambda2": 1.3258,
    "B": 95.373,
    "R": 3.0,
    "D": 0.2,
    "lambda1": 3.2394,
    "A": 3264.7,
}

# Phys. Rev. B 39, 5566 (1989), Table I: A and B in eV, lambda and mu in 1/Å, R and S in Å.
COLUMNS = ("A", "B", "lambda1", "lambda2", "beta", "n", "c", "d", "costheta0", "R", "S")
PUBLISHED = {
    "C": (1393.6, 346.7, 3.4879, 2.2119, 1.5724e-07, 0.72751, 38049.0, 4.3484, -0.57058, 1.8, 2.1),
    "Si": (1830.8, 471.18, 2.4799, 1.7322, 1.1e-06, 0.78734, 100390.0, 16.217, -0.59825, 2.7, 3.0),
    "Ge": (1769.0, 419.23, 2.4451, 1.7047, 9.0166e-07, 0.75627, 106430.0, 15.652, -0.43884, 2.8, 3.1),
}
CHI = {("C", "Si"): 0.9776, ("Ge", "Si"): 1.00061}


class Tersoff(Potential):
    """``E_i = 1/2 sum_j f_C(r_ij) (A exp(-lambda1 r_ij) - b_ij B exp(-lambda2 r_ij))``.

    ``b_ij = (1 + (beta zeta_ij)^n)^(-1/2n)``,
    ``zeta_ij = sum_{k != j} f_C(r_ik) g(theta_jik) exp((lambda3 (r_ij - r_ik))^m)``,
    ``g = gamma (1 + c^2/d^2 - c^2 / (d^2 + (cos theta - cos theta_0)^2))``;
    ``f_C`` falls from 1 at ``R - D`` to 0 at ``R + D`` as ``1/2 - 1/2 sin(pi/2 (r - R) / D)``.

    Args:
        parameters: for each ordered triple of elements, ``"Si-Si-C"``, a table of ``m`` (3 or 1), ``gamma``,
            ``lambda3`` (1/Å), ``c``, ``d``, ``costheta0``, ``n``, ``beta``, ``lambda2`` (1/Å), ``B`` (eV), ``R`` (Å),
            ``D`` (Å), ``lambda1`` (1/Å), ``A`` (eV); silicon (1989) if not given.
    """

    # The set of 1988: with its n, forces are smooth where a bond's first neighbor appears.
    trained = False
    small = {"parameters": {"Si-Si-Si": SILICON_1988}}

    def __init__(self, parameters: dict | None = None):
        super().__init__()
        parameters = published("Si") if parameters is None else parameters
        self.elements, tables = triple_tables(parameters, LEARNED + FIXED)
        if not torch.isin(tables["m"], torch.tensor([1.0, 3.0])).all():
            raise ValueError(f"Tersoff's m is 3 or 1, got {sorted(set(tables['m'].flatten().tolist()))}")
        self.species = Species(self.elements)
        self.learned = nn.ParameterDict({name: tables[name] for name in LEARNED})
        for name in FIXED:
            self.register_buffer(name, tables[name])
        self.cutoff = float((tables["R"] + tables["D"]).max())

    @classmethod
    def published(cls, *elements: str) -> Tersoff:
        """Any of C, Si and Ge, mixed as in the paper of 1989: ``Tersoff.published("Si", "C")``."""
        return cls(published(*elements))

    @classmethod
    def silicon(cls, year: int = 1989) -> Tersoff:
        """Silicon of 1989, -4.6296 eV/atom at 5.432 Å in diamond, or of 1988: better surfaces, worse elasticity."""
        sets = {1988: {"Si-Si-Si": SILICON_1988}, 1989: published("Si")}
        if year not in sets:
            raise ValueError(f"Tersoff published silicon in 1988 and 1989, not in {year}")
        return cls(sets[year])

    @property
    def tables(self) -> dict[str, Tensor]:
        """Each parameter as it is now, for every ordered triple of elements."""
        return {name: self.learned[name] for name in LEARNED} | {name: getattr(self, name) for name in FIXED}

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        z = self.species(graph.numbers)
        return PerAtom(bond_energies(tersoff, tersoff_kernel, graph, z, [*self.tables.values()]))


def tersoff(graph: Graph, z, gamma, lambda3, c, d, costheta0, n, beta, lambda2, B, lambda1, A, m, R, D):
    """Energies of the atoms, from elements ``z`` and tables of parameters ``[i, j, k]``."""
    i, j = z[graph.i], z[graph.j]
    r = graph.lengths
    u = graph.vectors / r[:, None]

    def f_C(r, R, D):
        x = ((r - R) / D).clamp(-1, 1)
        return 0.5 - 0.5 * sin(pi / 2 * x)

    e, f = triplets(graph)
    costheta = (u[e] * u[f]).sum(-1).repeat(2)
    e, f = torch.cat([e, f]), torch.cat([f, e])  # bond e = ij is weakened by f = ik
    ijk = (i[e], j[e], j[f])
    g = gamma[ijk] * (1 + (c / d)[ijk] ** 2 - c[ijk] ** 2 / (d[ijk] ** 2 + (costheta - costheta0[ijk]) ** 2))
    stretch = lambda3[ijk] * (r[e] - r[f])
    weakening = f_C(r[f], R[ijk], D[ijk]) * g * exp(where(m[ijk] == 3, stretch**3, stretch))
    zeta = torch.zeros_like(r).index_add(0, e, weakening)

    ij = (i, j, j)
    alone = zeta <= 0  # then b = 1; the logarithm must not see it
    x = n[ij] * log(beta[ij] * where(alone, torch.ones_like(zeta), zeta))
    b = where(alone, torch.ones_like(zeta), exp(-logaddexp(torch.zeros_like(x), x) / (2 * n[ij])))
    V = A[ij] * exp(-lambda1[ij] * r) - b * B[ij] * exp(-lambda2[ij] * r)
    return 0.5 * sum_edges(f_C(r, R[ij], D[ij]) * V, graph)


def published(*elements: str) -> dict[str, dict[str, float]]:
    """The parameters of 1989, mixed as there: arithmetic means in the exponents, geometric means elsewhere."""
    if unknown := [e for e in elements if e not in PUBLISHED]:
        raise ValueError(f"Tersoff's paper of 1989 has {', '.join(PUBLISHED)}, not {', '.join(unknown)}")
    parameters = {}
    for ei in elements:
        for ej in elements:
            for ek in elements:
                i, j, k = (dict(zip(COLUMNS, PUBLISHED[e])) for e in (ei, ej, ek))
                R, S = sqrt(i["R"] * k["R"]), sqrt(i["S"] * k["S"])
                parameters[f"{ei}-{ej}-{ek}"] = {
                    **{"m": 3.0, "gamma": 1.0, "lambda3": 0.0},
                    **{name: i[name] for name in ("c", "d", "costheta0", "n", "beta")},
                    **{name: (i[name] + j[name]) / 2 for name in ("lambda1", "lambda2")},
                    "A": sqrt(i["A"] * j["A"]),
                    "B": CHI.get(tuple(sorted((ei, ej))), 1.0) * sqrt(i["B"] * j["B"]),
                    "R": (R + S) / 2,
                    "D": (S - R) / 2,
                }
    return parameters
