"""Radial and angular distributions against their definition by quadrature over the densities themselves."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.special import spherical_in, spherical_jn

from adlayer import Graph, Structures, evaluate, kernels
from adlayer.data import Dataset
from adlayer.descriptors.density_distributions import DensityDistributions
from adlayer.fitting import SparseGP
from adlayer.nn.density_projection import bessel_zeros
from adlayer.nn.spherical_harmonics import spherical_harmonics
from adlayer.potentials.jinnouchi import Jinnouchi
from adlayer.uncertainty import GaussianProcess

X = np.array([[0, 0, 0], [1.9, 0, 0], [0.3, 2.0, 0], [-1.0, -0.9, 1.2]])
SYMBOLS = ["Si", "H", "Si", "H"]
CUTOFF, CUTOFF_3, SIGMA, N_2, N_3, L = 4.0, 3.5, 0.5, 3, 2, 2


def h(n, l, r, cutoff):
    """Eq. for h_nl, integrated on a grid."""
    q = bessel_zeros(l, n + 1)[l, n] / cutoff
    s = np.linspace(0, cutoff, 20001)[1:]
    chi = spherical_jn(l, q * s) / np.sqrt(np.trapezoid(spherical_jn(l, q * s) ** 2 * s**2, s))
    bell = np.exp(-((s - r) ** 2) / (2 * SIGMA**2)) * spherical_in(l, r * s / SIGMA**2) * np.exp(-r * s / SIGMA**2)
    return 4 * np.pi * (2 * np.pi * SIGMA**2) ** -1.5 * np.trapezoid(chi * bell * s**2, s)


def test_definition():
    """Of one atom, neighbor by neighbor, without any pair of a neighbor with itself."""
    descriptor = DensityDistributions(["Si", "H"], CUTOFF, CUTOFF_3, SIGMA, N_2, N_3, L, weight_2=0.3)
    graph = Graph.of(Structures.from_ase(Atoms(SYMBOLS, X)), descriptor.cutoff)
    said = descriptor(graph)[0].numpy()
    c2 = np.zeros((2, N_2))
    parts = []  # of each neighbor
    for x, symbol in zip(X[1:], SYMBOLS[1:]):
        r, e = np.linalg.norm(x), ["Si", "H"].index(symbol)
        c2[e] += [0.5 * (np.cos(np.pi * r / CUTOFF) + 1) * h(n, 0, r, CUTOFF) / np.sqrt(4 * np.pi) for n in range(N_2)]
        Y = spherical_harmonics(L, torch.from_numpy(x / r)[None])[0].numpy()
        f = 0.5 * (np.cos(np.pi * r / CUTOFF_3) + 1)
        parts.append(
            (e, [[f * h(n, l, r, CUTOFF_3) * Y[l * l : (l + 1) ** 2] for l in range(L + 1)] for n in range(N_3)])
        )
    squares = 0.0  # of p, whatever the order of its entries
    for e in range(2):
        for g in range(2):
            for n in range(N_3):
                for m in range(N_3):
                    for l in range(L + 1):
                        p = sum(
                            a[n][l] @ b[m][l]
                            for j, (z, a) in enumerate(parts)
                            for k, (y, b) in enumerate(parts)
                            if j != k and (z, y) == (e, g)
                        )
                        squares += 8 * np.pi**2 / (2 * l + 1) * p**2
    assert said[: 2 * N_2] == pytest.approx(np.sqrt(0.3) * c2.ravel(), rel=1e-6)
    assert float((said[2 * N_2 :] ** 2).sum()) == pytest.approx(0.7 * squares, rel=1e-6)


def test_two_atoms_have_no_angles():
    descriptor = DensityDistributions(["Si"], CUTOFF, CUTOFF_3, n_2=N_2, n_3=N_3, l_max=L)
    said = descriptor(Graph.of(Structures.from_ase(Atoms("Si2", X[:2])), CUTOFF))
    assert float(said[:, N_2:].abs().max()) < 1e-12 * float(said.abs().max())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_derivatives(dtype):
    """The Jacobian of the fused kernels and that of the definition; single precision."""
    descriptor = DensityDistributions(**DensityDistributions.small).to(dtype)
    graph = Graph.of(Structures.from_ase(Atoms(SYMBOLS, X)), descriptor.cutoff).to(dtype)
    fused, values = descriptor.jacobian(graph), descriptor(graph)
    with kernels.plain():
        plain, same = descriptor.jacobian(graph), descriptor(graph)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(values, same, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(fused, plain, rtol=tolerance, atol=10 * tolerance)


def test_bayesian_linear_regression():
    """By evidence, from frames of copper: errors small beside the forces, and doubt of their size."""
    rng, frames = np.random.default_rng(0), []
    for _ in range(12):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += rng.normal(0, 0.12, (4, 3))
        copy = atoms.copy()
        copy.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=copy.get_potential_energy(), forces=copy.get_forces())
        frames.append(atoms)
    data = Dataset.from_ase(frames)
    potential = Jinnouchi(["Cu"], 5.0, 4.5, n_2=6, n_3=4, l_max=2, n_sparse=24)
    method = SparseGP(0.01, 0.1, None, hyperparameters="evidence")
    ensemble = GaussianProcess(calibrated=False).fit(potential, data[:9], method=method)
    said = evaluate(ensemble, data[9:].structures)
    error = float((said.forces - data[9:].labels.forces).square().mean().sqrt())
    assert error < 0.15 * float(data.labels.forces.square().mean().sqrt())
    assert 0.2 < error / float(said.std.forces.square().mean().sqrt() + ensemble.noise) < 3
