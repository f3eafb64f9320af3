"""Embedded atom: Daw and Baskes, Phys. Rev. B 29, 6443 (1984); Finnis and Sinclair, Philos. Mag. A 50, 45 (1984).

Tables are used as LAMMPS's ``pair_style eam``, ``eam/alloy``, ``eam/fs`` and ``eam/he`` use them.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import arange, float64, nan, where

from ..graph import Graph, sum_edges
from ..kernels.bonds import bond_energies
from ..kernels.eam import eam_kernel
from ..nn.splines import interpolate
from ..potential import PerAtom, Potential, Species

# Sutton and Chen, Philos. Mag. Lett. 61, 139 (1990): n, m, epsilon (eV), a (Å), c.
SUTTON_CHEN = {
    "Ni": (9, 6, 1.5707e-2, 3.52, 39.432),
    "Cu": (9, 6, 1.2382e-2, 3.61, 39.432),
    "Rh": (12, 6, 4.9371e-3, 3.80, 144.41),
    "Pd": (12, 7, 4.1790e-3, 3.89, 108.27),
    "Ag": (12, 6, 2.5415e-3, 4.09, 144.41),
    "Ir": (14, 6, 2.4489e-3, 3.84, 334.94),
    "Pt": (10, 8, 1.9833e-2, 3.92, 34.408),
    "Au": (10, 8, 1.2793e-2, 4.08, 34.408),
    "Pb": (10, 7, 5.5765e-3, 4.95, 45.778),
    "Al": (7, 6, 3.3147e-2, 4.05, 16.399),
}


class EAM(Potential):
    """``E_i = F_a(sum_j rho_ba(r_ij)) + 1/2 sum_j phi_ab(r_ij)``, each function the spline of a table.

    Tables are read from a file by ``adlayer.read_potential`` and saved with the potential. A new one holds the metals
    of Sutton and Chen (1990), mixed as by Rafii-Tabar and Sutton (1991) and truncated so that forces vanish; for other
    elements NaN, until tables are loaded.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        n_r: number of values of ``rho`` and ``r phi``.
        dr: step of their distance, Å.
        n_rho: number of values of ``F``.
        drho: step of its density, in the density's own unit.
        finnis_sinclair: whether an atom's density depends on the element that feels it.
        rho_min: density at which ``F`` begins, below zero for atoms that take density away, such as helium.
    """

    trained = False
    small = {
        "elements": ["Cu", "Ni"],
        "cutoff": 5.0,
        "n_r": 5005,
        "dr": 0.001,
        "n_rho": 5000,
        "drho": 0.06,
        "finnis_sinclair": True,
    }

    def __init__(
        self,
        elements: list[str] | tuple[str, ...],
        cutoff: float = 7.0,
        n_r: int = 2000,
        dr: float = 0.0036,
        n_rho: int = 2000,
        drho: float = 0.2,
        finnis_sinclair: bool = False,
        rho_min: float = 0.0,
    ):
        super().__init__()
        self.elements, self.cutoff, self.dr, self.drho, self.rho_min = tuple(elements), cutoff, dr, drho, rho_min
        if n_r * dr < cutoff * (1 - 1e-9):
            raise ValueError(f"EAM tables end at {n_r * dr:.6g} Å, before the cutoff of {cutoff} Å")
        self.species = Species(self.elements)
        density = (rho_min + _grid(n_rho, drho)).clamp(min=0)
        F, rho, rphi = _sutton_chen(self.elements, cutoff, _grid(n_r, dr), density, finnis_sinclair)
        self.register_buffer("F", F)  # [element, n_rho], eV
        self.register_buffer("rho", rho)  # [source, host or 1, n_r]
        self.register_buffer("rphi", rphi)  # r phi(r), eV Å; pairs in the order 00, 10, 11, 20, ...

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        z = self.species(graph.numbers)
        tables = [self.F, self.rho, self.rphi, self.rho_min, self.drho, self.dr, self.cutoff]
        return PerAtom(bond_energies(embedded_atom, eam_kernel, graph, z, tables))


def embedded_atom(graph: Graph, z, F, rho, rphi, rho_min, drho, dr, cutoff):
    """Energies of the atoms, from elements ``z`` and the tables of ``EAM``."""
    i, j = z[graph.i], z[graph.j]
    r = graph.lengths
    hosts = rho.shape[1]
    high, low = torch.maximum(i, j), torch.minimum(i, j)
    density = interpolate(rho.flatten(0, 1), j * hosts + (i if hosts > 1 else 0), r / dr)
    phi = interpolate(rphi, high * (high + 1) // 2 + low, r / dr) / r
    both = torch.stack([density, 0.5 * phi], dim=-1)
    density, pair = sum_edges(where((r < cutoff)[:, None], both, torch.zeros_like(both)), graph).unbind(-1)
    return interpolate(F, z, (density - rho_min) / drho) + pair


def _grid(n, step):
    return arange(n, dtype=float64) * step


def _sutton_chen(elements, cutoff, r, density, finnis_sinclair):
    """Tables of ``F = -epsilon c sqrt(rho)``, ``rho = (a/r)^m``, ``phi = epsilon (a/r)^n`` in the order of EAM's."""
    constants = [SUTTON_CHEN.get(e, (nan,) * 5) for e in elements]
    far = r.clamp(min=0.5)  # tables must be finite at zero distance

    def power(height, a, n):
        end = height * (a / cutoff) ** n
        return height * (a / far) ** n - end * (1 - n * (far - cutoff) / cutoff)  # value and slope vanish at the cutoff

    def mixed(x, y):
        return (x[0] + y[0]) / 2, (x[1] + y[1]) / 2, sqrt(x[2] * y[2]), (x[3] + y[3]) / 2

    F = torch.stack([-epsilon * c * density.sqrt() for _, _, epsilon, _, c in constants])
    rho, rphi = [], []
    for k, source in enumerate(constants):
        for host in constants if finnis_sinclair else [source]:
            _, m, _, a = mixed(source, host)
            rho.append(power(1.0, a, m))
        for other in constants[: k + 1]:
            n, _, epsilon, a = mixed(source, other)
            rphi.append(r * power(epsilon, a, n))
    return F, torch.stack(rho).unflatten(0, (len(elements), -1)), torch.stack(rphi)
