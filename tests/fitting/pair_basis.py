"""A linear potential small enough to be understood at a glance, and data made with it."""

import numpy as np
import torch
from ase.build import bulk, fcc111, molecule
from torch import nn

from adlayer import Design, PerAtom, Potential, Prediction, Structures, evaluate
from adlayer.data import Dataset
from adlayer.graph import sum_edges
from adlayer.structures import sum_systems


class PairBasis(Potential):
    """``E_i = 1/2 Σ_j Σ_k c_k exp(-4 (r_ij - r_k)²) (1 - r/r_c)²``."""

    linear = True

    def __init__(self, n: int = 6, cutoff: float = 4.5, coefficients=None):
        super().__init__()
        self.cutoff = cutoff
        self.centers = torch.linspace(1.0, cutoff, n, dtype=torch.float64)
        start = torch.zeros(n) if coefficients is None else torch.as_tensor(coefficients, dtype=torch.float64)
        self.c = nn.Parameter(start.double())

    def basis(self, r):
        inside = (1 - r / self.cutoff).clamp_min(0).square()
        return torch.exp(-4 * (r[:, None] - self.centers) ** 2) * inside[:, None]

    def forward(self, graph):
        return PerAtom(0.5 * sum_edges(self.basis(graph.lengths) @ self.c, graph))

    @property
    def coefficients(self):
        return self.c.detach()

    @coefficients.setter
    def coefficients(self, values):
        self.c.data.copy_(values)

    def design(self, graph, forces=True, virial=True):
        r = graph.lengths
        phi, slope = torch.func.jvp(self.basis, (r,), (torch.ones_like(r),))
        pull = slope[:, None, :] * (graph.vectors / r[:, None])[:, :, None]  # dphi/dvector, [edges, 3, K]
        W = graph.vectors[:, :, None, None] * pull[:, None, :, :]
        return Design(
            sum_systems(0.5 * sum_edges(phi, graph), graph.structures),
            sum_edges(pull, graph) if forces else None,
            sum_systems(0.5 * sum_edges(W, graph), graph.structures) if virial else None,
        )


def copper(n=8, seed=0):
    """Bulk, slabs and clusters of copper, rattled."""
    frames = []
    for k in range(n):
        kind = k % 3
        if kind == 0:
            atoms = bulk("Cu", cubic=True) * (1 + k % 2, 1, 1)
            atoms.set_cell(atoms.cell * (1 + 0.02 * (k % 4 - 1.5)), scale_atoms=True)
        elif kind == 1:
            atoms = fcc111("Cu", (1, 2, 3), vacuum=5.0, orthogonal=True)
            atoms.pbc = (True, True, False)
        else:
            atoms = bulk("Cu", cubic=True)
            atoms.pbc = False
        atoms.rattle(0.12, seed=1000 * seed + k)
        frames.append(atoms)
    return frames


def labeled(frames, by, noise=0.0, groups=None):
    """A dataset whose labels are what ``by`` says."""
    structures = Structures.from_ase(frames)
    said = evaluate(by, structures)
    rng = np.random.default_rng(0)

    def shake(x):
        return None if x is None else x + noise * torch.from_numpy(rng.normal(size=tuple(x.shape)))

    labels = Prediction(shake(said.energy), shake(said.forces), shake(said.stress))
    info = [{"file": "test.xyz", "frame": k, "group": groups[k] if groups else ""} for k in range(len(structures))]
    return Dataset(structures, labels, tuple(info))


def water(n=4):
    frames = []
    for k in range(n):
        atoms = molecule("H2O")
        atoms.rattle(0.05, seed=k)
        frames.append(atoms)
    return frames


class PairNetwork(Potential):
    """A small network on the radial functions of ``PairBasis``."""

    def __init__(self, n: int = 6, hidden: int = 8, cutoff: float = 4.5, seed: int = 0):
        super().__init__()
        self.cutoff = cutoff
        self.basis = PairBasis(n, cutoff)
        self.basis.requires_grad_(False)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(n, hidden), nn.Tanh(), nn.Linear(hidden, 1)).double()
        self.register_buffer("scale", torch.ones(n, dtype=torch.float64))

    def prepare(self, graphs):
        x = torch.cat([sum_edges(self.basis.basis(g.lengths), g) for g in graphs])
        self.scale = (1 / x.std(0).clamp_min(1e-6)).to(self.scale)

    def forward(self, graph):
        x = sum_edges(self.basis.basis(graph.lengths), graph) * self.scale
        return PerAtom(self.layers(x.to(self.scale.dtype)).squeeze(-1))
