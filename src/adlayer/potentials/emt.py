"""Effective medium theory of metals: Jacobsen, Stoltze and Nørskov, Surf. Sci. 366, 394 (1996).

Parameters, cutoff and zero of energy are those of ASE's calculator, whose numbers these are.
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import exp, nn, sigmoid, where

from ..graph import Graph, sum_edges
from ..kernels.bonds import bond_energies
from ..kernels.emt import emt_kernel
from ..potential import PerAtom, Potential, Species

BOHR = 0.5291772105638411  # Å, as ASE has it (CODATA 2014): the published parameters are in bohr
BETA = 1.809  # (16 pi / 3)^(1/3) / sqrt(2), with the digits to which the parameters were made

# E0 (eV), s0 (bohr), V0 (eV), eta2, kappa, lambda (1/bohr), n0 (1/bohr³). The last four are no fits, but stand-ins.
PARAMETERS = {
    "Al": (-3.28, 3.00, 1.493, 1.240, 2.000, 1.169, 0.00700),
    "Cu": (-3.51, 2.67, 2.476, 1.652, 2.740, 1.906, 0.00910),
    "Ag": (-2.96, 3.01, 2.132, 1.652, 2.790, 1.892, 0.00547),
    "Au": (-3.80, 3.00, 2.321, 1.674, 2.873, 2.182, 0.00703),
    "Ni": (-4.44, 2.60, 3.673, 1.669, 2.757, 1.948, 0.01030),
    "Pd": (-3.90, 2.87, 2.773, 1.818, 3.107, 2.155, 0.00688),
    "Pt": (-5.85, 2.90, 4.067, 1.812, 3.145, 2.192, 0.00802),
    "H": (-3.21, 1.31, 0.132, 2.652, 2.790, 3.892, 0.00547),
    "C": (-3.50, 1.81, 0.332, 1.652, 2.790, 1.892, 0.01322),
    "N": (-5.10, 1.88, 0.132, 1.652, 2.790, 1.892, 0.01222),
    "O": (-4.60, 1.95, 0.332, 1.652, 2.790, 1.892, 0.00850),
}
UNITS = (1, BOHR, 1, 1 / BOHR, 1 / BOHR, 1 / BOHR, BOHR**-3)

# Everything is switched off by a Fermi function between the third and fourth neighbors of the largest atom, silver.
NEAREST = BETA * PARAMETERS["Ag"][1] * BOHR  # Å
MIDDLE = NEAREST * (sqrt(3) + 2) / 2  # Å
STEEPNESS = log(1e4 - 1) / (2 * NEAREST - MIDDLE)  # 1/Å; 1e-4 is left at the fourth neighbors


class EMT(Potential):
    """``E_i = E_c(n_i) + E_AS,i``: the cohesion of an atom in the density of its neighbors, and what fcc has less.

    ``sigma1_i = sum_j (n0_j / n0_i) exp(-eta2_j (r_ij - beta s0_j)) w(r_ij)`` gives the neutral radius
    ``ds_i = -ln(sigma1_i / 12 gamma1_i) / (beta eta2_i)``; then
    ``E_c = E0 ((1 + lambda ds) exp(-lambda ds) - 1)`` and
    ``E_AS = 6 V0 exp(-kappa ds) - 1/2 sum_j (V0_i / gamma2_i (n0_j / n0_i) exp(-kappa_j (r_ij / beta - s0_j)) w)``,
    half of each term of the sum given to either atom. ``gamma1`` and ``gamma2`` are the sums of an fcc crystal of
    neighbor distance ``beta s0``. Free atoms have the energy ``-E0``, perfect crystals nearly 0.

    Args:
        elements: of Al, Cu, Ag, Au, Ni, Pd, Pt; and, of no physical worth, H, C, N, O.
    """

    trained = False
    small = {"elements": ["Cu", "Au"]}

    def __init__(self, elements: list[str] | tuple[str, ...] = ("Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt")):
        super().__init__()
        if unknown := [e for e in elements if e not in PARAMETERS]:
            raise ValueError(f"EMT has no parameters of {', '.join(unknown)}; it knows {', '.join(PARAMETERS)}")
        self.elements, self.cutoff = tuple(elements), MIDDLE + 0.5
        self.species = Species(self.elements)
        table = torch.tensor([PARAMETERS[e] for e in self.elements], dtype=torch.float64)
        self.constants = nn.Parameter(table * torch.tensor(UNITS, dtype=torch.float64))  # [element, 7], eV and Å

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        z = self.species(graph.numbers)
        parameters = [self.constants, BETA, MIDDLE, STEEPNESS, self.cutoff]
        return PerAtom(bond_energies(effective_medium, emt_kernel, graph, z, parameters))


def effective_medium(graph: Graph, z, constants, beta, middle, steepness, cutoff):
    """Energies of the atoms, from elements ``z`` and a table of ``E0, s0, V0, eta2, kappa, lambda, n0``."""
    E0, s0, V0, eta2, kappa, lambda_, n0 = constants.unbind(-1)

    def w(r):
        return sigmoid(steepness * (middle - r))

    count = constants.new_tensor([12.0, 6.0, 24.0])
    shells = beta * s0[:, None] * constants.new_tensor([1.0, 2.0, 3.0]).sqrt()  # of fcc
    beyond = shells - beta * s0[:, None]
    gamma1 = (count * w(shells) * exp(-eta2[:, None] * beyond)).sum(-1) / 12
    gamma2 = (count * w(shells) * exp(-kappa[:, None] / beta * beyond)).sum(-1) / 12

    i, j = z[graph.i], z[graph.j]
    r = graph.lengths
    weight = where(r < cutoff, w(r), torch.zeros_like(r))
    x = r - beta * s0[j]
    chi = n0[j] / n0[i] * weight
    forth = V0[i] / gamma2[i] * chi * exp(-kappa[j] / beta * x)
    back = V0[j] / gamma2[j] * (n0[i] / n0[j]) * weight * exp(-kappa[i] / beta * (r - beta * s0[i]))
    sums = sum_edges(torch.stack([chi * exp(-eta2[j] * x), forth + back], dim=-1), graph)
    sigma1, pairs = sums.unbind(-1)

    alone = sigma1 <= 0  # a free atom: the neutral radius is infinite
    ds = -torch.log(where(alone, torch.ones_like(sigma1), sigma1) / (12 * gamma1)[z]) / (beta * eta2)[z]
    cohesion = E0[z] * (1 + lambda_[z] * ds) * exp(-lambda_[z] * ds) + 6 * V0[z] * exp(-kappa[z] * ds)
    return where(alone, torch.zeros_like(sigma1), cohesion) - 0.25 * pairs - E0[z]
