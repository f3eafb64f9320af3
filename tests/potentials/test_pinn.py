"""PINN against its equations written once more as loops, its limits, and a fit."""

from itertools import product

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from numpy.polynomial.legendre import legval

from adlayer import Graph, Structures, evaluate
from adlayer.data import Dataset
from adlayer.fitting import GradientDescent
from adlayer.potentials.emt import EMT
from adlayer.potentials.pinn import PINN


def cluster() -> Atoms:
    rng = np.random.default_rng(1)
    corners = np.array(list(product((0.0, 1.6), repeat=3)))
    return Atoms("SiHSiSiHHSiH", positions=corners + rng.normal(0, 0.1, (8, 3)))


def small() -> PINN:
    pinn = PINN(
        ["Si", "H"], bond_cutoff=3.0, softness=1.1, centers=[1.2, 2.5], degrees=[0, 1, 3], shift=0.1, hidden=[4]
    )
    generator = torch.Generator().manual_seed(3)
    for x in pinn.parameters():
        x.data += 0.2 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return pinn


def test_features_are_sums_of_legendre_polynomials_over_pairs():
    atoms, pinn = cluster(), small()
    vectors, r = atoms.get_all_distances(vector=True), atoms.get_all_distances()
    z = ["Si", "H"].index

    def f_s(r, s):
        fade = ((4.5 - r) / 1.1) ** 4 if r < 4.5 else 0.0
        return np.exp(-((r - s) ** 2)) * fade / (1 + fade) / s

    expected = np.full((8, 3, 2, 3), 0.1)  # atoms, pairs of elements, centers, degrees
    for i, j, k in product(range(8), repeat=3):
        if i in (j, k) or (z(atoms[j].symbol), z(atoms[k].symbol)) == (1, 0):
            continue
        pair = [(0, 0), (0, 1), (1, 1)].index((z(atoms[j].symbol), z(atoms[k].symbol)))
        cos = vectors[i, j] @ vectors[i, k] / (r[i, j] * r[i, k])
        for s, l in product(range(2), range(3)):
            P = legval(cos, np.eye(4)[[0, 1, 3][l]])
            expected[i, pair, s, l] += P * f_s(r[i, j], (1.2, 2.5)[s]) * f_s(r[i, k], (1.2, 2.5)[s])
    G = pinn.features(Graph.of(Structures.from_ase(atoms), pinn.cutoff)).detach().numpy()
    np.testing.assert_allclose(G, np.arcsinh(expected).reshape(8, -1), atol=1e-12)


def test_energies_are_those_of_the_equations():
    atoms, pinn = cluster(), small()
    graph = Graph.of(Structures.from_ase(atoms), pinn.cutoff)
    p = {name: x.detach().numpy() for name, x in pinn.parameters_of_atoms(graph).items()}
    vectors, r = atoms.get_all_distances(vector=True), atoms.get_all_distances()
    z = [["Si", "H"].index(s) for s in atoms.symbols]

    def f_c(r):
        return (3.0 - r) ** 4 / (1.1**4 + (3.0 - r) ** 4) if r < 3.0 else 0.0

    def others(*left_out):
        return [k for k in range(8) if k not in left_out]

    def S(i, j):
        x = {k: r[i, k] + r[j, k] - r[i, j] for k in others(i, j)}
        return np.prod([1 - f_c(x[k]) * np.exp(-(p["lambda"][i, z[j], z[k]] ** 2) * x[k]) for k in x])

    def b(i, j):
        total = 0.0
        for k in others(i, j):
            cos = vectors[i, j] @ vectors[i, k] / (r[i, j] * r[i, k])
            jk = i, z[j], z[k]
            total += p["a"][jk] ** 2 * S(i, k) * (cos - p["h"][jk]) ** 2 * f_c(r[i, k])
        return 1 / np.sqrt(1 + total)

    energies = []
    for i in range(8):
        bonds, psi = 0.0, 0.0
        for j in others(i):
            repulsion = np.exp(p["A"][i, z[j]] - p["alpha"][i, z[j]] * r[i, j])
            attraction = np.exp(p["B"][i, z[j]] - p["beta"][i, z[j]] * r[i, j])
            bonds += (repulsion - S(i, j) * b(i, j) * attraction) * f_c(r[i, j])
            psi += S(i, j) * b(i, j) * f_c(r[i, j])
        energies.append(bonds / 2 - p["sigma"][i] * np.sqrt(psi))
    assert np.ptp(energies) > 0.1
    np.testing.assert_allclose(evaluate(pinn, graph).energies.numpy(), energies, rtol=1e-12, atol=1e-12)


def test_an_atom_between_two_others_screens_their_bond():
    pinn = PINN(["Si"], bond_cutoff=5.0, hidden=[4])
    r = np.array([2.2, 4.4])
    graph = Graph.of(Structures.from_ase(Atoms("Si3", positions=[[0, 0, 0], [r[0], 0, 0], [r[1], 0, 0]])), pinn.cutoff)
    p = {name: x.detach().numpy()[0] for name, x in pinn.parameters_of_atoms(graph).items()}
    fade = ((5.0 - r) / 1.5) ** 4 / (1 + ((5.0 - r) / 1.5) ** 4)
    leak = 1 - (5.0 / 1.5) ** 4 / (1 + (5.0 / 1.5) ** 4)  # S of the long bond: x = 0
    x = 2 * r[1] - 2 * r[0]
    S = np.array([1 - ((5 - x) / 1.5) ** 4 / (1 + ((5 - x) / 1.5) ** 4) * np.exp(-(p["lambda"][0, 0] ** 2) * x), leak])
    z = p["a"][0, 0] ** 2 * (1 - p["h"][0, 0]) ** 2 * (S * fade)[::-1]
    weight = S * fade / np.sqrt(1 + z)
    expected = 0.5 * (np.exp(p["A"] - p["alpha"] * r) * fade - weight * np.exp(p["B"] - p["beta"] * r)).sum()
    expected -= p["sigma"] * np.sqrt(weight.sum())
    assert float(evaluate(pinn, graph).energies[0]) == pytest.approx(expected, rel=1e-12)


def test_it_is_fitted_by_gradient_descent():
    rng = np.random.default_rng(0)
    frames = [bulk("Cu", cubic=True, a=a) for a in (3.5, 3.6, 3.7, 3.6, 3.65, 3.55)]
    for atoms in frames:
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    s = Structures.from_ase(frames)
    data = Dataset(s, evaluate(EMT(), s), [{"file": "", "frame": k, "group": ""} for k in range(len(frames))])
    pinn = PINN(["Cu"], bond_cutoff=3.2, centers=[2.0, 3.0], degrees=[0, 2], hidden=[4])
    before = evaluate(pinn, s).forces
    fitted = GradientDescent(epochs=25, batch=3, learning_rate=0.03)(pinn, data)
    truth, after = data.labels.forces, evaluate(fitted.potential, s).forces
    assert float((after - truth).square().mean().sqrt()) < 0.4 * float((before - truth).square().mean().sqrt())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bond_cutoff": 0.0}, "bond_cutoff is a length"),
        ({"degrees": [2, 2]}, "degrees"),
        ({"centers": [0.0]}, "centers"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PINN(["Si"], **arguments)
