"""Sparse Gaussian processes against the formulas written out with dense matrices."""

import math

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer import Graph, evaluate
from adlayer.data import Dataset
from adlayer.descriptors.soap import SOAP
from adlayer.fitting import LeastSquares, SparseGP, fit
from adlayer.fitting.fit import default_method
from adlayer.fitting.sparse_gp import check_memory
from adlayer.nn.sparse_points import METHODS, choose_points
from adlayer.potentials.environment_gp import EnvironmentGP
from adlayer.potentials.gap import GAP, PairGP, TripletGP
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.saving import load, save
from adlayer.uncertainty import GaussianProcess

SMALL = {"elements": ["Al", "Cu"], "cutoff": 4.0, "n_max": 3, "l_max": 2, "n_sparse": 6, "pairs": 5}


def frames(n=6, seed=0):
    rng, out = np.random.default_rng(seed), []
    for k in range(n):
        atoms = bulk("Cu", "fcc", a=3.7, cubic=True)
        atoms.numbers[rng.permutation(4)[: k % 3]] = 13
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.04, 0.04, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.12, atoms.positions.shape)
        copy = atoms.copy()
        copy.calc = EMT()
        labels = {"energy": copy.get_potential_energy(), "forces": copy.get_forces(), "stress": copy.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info["group"] = "odd" if k % 2 else "even"
        out.append(atoms)
    return out


@pytest.fixture(scope="module")
def data():
    return Dataset.from_ase(frames())


def rows(potential, data, sigma=(0.002, 0.05, 0.02), odd=1.0):
    """Design matrix and labels over their sigmas, all at once."""
    s, N = data.structures, data.structures.counts.double()
    D = potential.design(Graph.of(s, potential.cutoff))
    K = D.energy.shape[1]
    factor = torch.tensor([odd if info["group"] == "odd" else 1.0 for info in data.info], dtype=torch.float64)
    W = 0.5 * (D.virial + D.virial.transpose(1, 2))
    virials = data.labels.stress * s.measure[:, None, None]
    of_forces = sigma[1] * factor[s.system].repeat_interleave(3)
    w = torch.cat([sigma[0] * N.sqrt(), of_forces, (sigma[2] * N.sqrt()).repeat_interleave(6)])
    a, b = torch.triu_indices(3, 3)
    A = torch.cat([D.energy, D.forces.reshape(-1, K), W[:, a, b].reshape(-1, K)])
    y = torch.cat([data.labels.energy, data.labels.forces.reshape(-1), virials[:, a, b].reshape(-1)])
    return A / w[:, None], y / w, w


def dense(A, y):
    """Mean, covariance and minus the log likelihood of the labels (times sigma), straight from the definitions."""
    precision = A.T @ A + torch.eye(A.shape[1], dtype=A.dtype)
    covariance = torch.linalg.inv(precision)
    marginal = A @ A.T + torch.eye(len(A), dtype=A.dtype)
    evidence = 0.5 * (y @ torch.linalg.solve(marginal, y) + torch.linalg.slogdet(marginal)[1])
    return covariance @ (A.T @ y), covariance, evidence


def test_posterior(data):
    """Sums of covariances, all kinds of labels, sigmas by group."""
    method = SparseGP(0.002, 0.05, 0.02, groups={"odd": {"forces": 0.1}}, energies="none")
    fitted = method(GAP(**SMALL, triplets=3), data)
    A, y, _ = rows(fitted.potential, data, odd=2.0)
    mean, covariance, _ = dense(A, y)
    predicted = A @ fitted.potential.coefficients
    torch.testing.assert_close(predicted, A @ mean, rtol=1e-6, atol=1e-5)
    S = fitted.posterior.factor
    torch.testing.assert_close(A @ S @ S.T @ A.T, A @ covariance @ A.T, rtol=1e-5, atol=1e-6)
    assert fitted.metrics["train"]["forces_rmse"] < 0.1


def test_all_points_are_the_full_process(data):
    """With every environment a point, it is Gaussian process regression on energies as in any textbook."""
    soap = SOAP(["Al", "Cu"], 4.0, 4, 3, normalize=False)
    p = EnvironmentGP(["Al", "Cu"], descriptor=soap, n_sparse=100, delta=0.5, zeta=2, jitter=1e-12)
    train, test = data[:4], data[4:]
    fitted = SparseGP(0.01, None, None, energies="none")(p, train)
    P = [fitted.potential.features(Graph.of(x.structures, 4.0)) for x in (train, test)]
    z = [x.structures.numbers for x in (train, test)]

    def kernel(a, b):
        k = 0.25 * (P[a] @ P[b].T) ** 2 * (z[a][:, None] == z[b])
        sums = [torch.nn.functional.one_hot(x.structures.system).double() for x in (train, test)]
        return sums[a].T @ k @ sums[b]

    noise = 0.01**2 * 4 * torch.eye(4, dtype=torch.float64)
    weights = torch.linalg.solve(kernel(0, 0) + noise, torch.stack([kernel(0, 1).T, kernel(0, 1).T])[0].T)
    expected = weights.T @ train.labels.energy
    said = evaluate(fitted.potential, test.structures)
    torch.testing.assert_close(said.energy, expected, rtol=1e-5, atol=1e-5)
    variance = (kernel(1, 1) - kernel(1, 0) @ weights).diagonal()
    ensemble = GaussianProcess(calibrated=False).fit(p, train, method=SparseGP(0.01, None, None, energies="none"))
    std = evaluate(ensemble, test.structures).std
    torch.testing.assert_close(std.energy, variance.sqrt(), rtol=1e-4, atol=1e-5)
    assert std.energies.shape == (8,)
    assert std.forces.shape == (8, 3)


def test_evidence(data):
    """The maximum of the likelihood of the labels, which other deltas and sigmas do not surpass."""
    given = {"energy": 0.01, "forces": 0.2, "virial": 0.1}
    potential = PairGP(["Al", "Cu"], 4.0, 5, delta=0.5) + EnvironmentGP(
        ["Al", "Cu"], descriptor=SOAP(["Al", "Cu"], 4.0, 3, 2, normalize=False), n_sparse=6, zeta=2, jitter=1e-6
    )
    fitted = SparseGP(**given, hyperparameters="evidence", energies="none")(potential, data)
    row = fitted.history[0]
    sigma = [row[f"sigma_{k}"] for k in given]

    def minus_log(sigma, factors):
        trial = fitted.potential
        for part, f in zip(trial.parts, factors):
            part.rescale(torch.tensor([f]))
        A, y, w = rows(trial, data, sigma)
        for part, f in zip(trial.parts, factors):
            part.rescale(torch.tensor([1 / f]))
        return float(dense(A, y)[2] + w.log().sum())

    best = minus_log(sigma, [1.0, 1.0])
    for k in range(3):
        for step in (0.8, 1.25):
            changed = [s * (step if i == k else 1) for i, s in enumerate(sigma)]
            assert minus_log(changed, [1.0, 1.0]) > best - 1e-3
    for factors in ([0.7, 1.0], [1.4, 1.0], [1.0, 0.7], [1.0, 1.4]):
        assert minus_log(sigma, factors) > best - 1e-3
    mean, _, _ = dense(*rows(fitted.potential, data, sigma)[:2])
    A = rows(fitted.potential, data, sigma)[0]
    torch.testing.assert_close(A @ fitted.potential.coefficients, A @ mean, rtol=1e-5, atol=1e-4)


def test_reference_energies_are_free_or_kept(data):
    free = fit(GAP(**SMALL), data)
    assert set(free.energies) == {"Al", "Cu"}
    assert free.metrics["train"]["energy_mae"] < 0.01
    kept = SparseGP(energies={"Al": 1.0, "Cu": 0.5})(GAP(**SMALL), data)
    assert kept.energies == {"Al": 1.0, "Cu": 0.5}


def test_other_descriptors(data, tmp_path):
    """Any descriptor may compare environments; what was fitted survives saving, however many points there are."""
    p = EnvironmentGP(
        ["Al", "Cu"], descriptor={"ACSF": {"elements": ["Al", "Cu"], "cutoff": 4.0, "n_radial": 4}}, n_sparse=5
    )
    fitted = fit(p, data).potential
    assert fitted.parts[1].points.shape == (10, p.descriptor.n_features)
    again = load(save(tmp_path / "p.adl", fitted))
    torch.testing.assert_close(evaluate(again, data.structures).energy, evaluate(fitted, data.structures).energy)


def test_features_are_selected_before_points(data, tmp_path):
    """A fit lets the descriptor choose its features by the data, and then chooses points among those."""
    soap = {"SOAP": {"elements": ["Al", "Cu"], "cutoff": 4.0, "n_max": 3, "l_max": 2, "normalize": False}}
    pairs = PairGP(["Al", "Cu"], 4.0, 5, delta=0.5)
    p = pairs + EnvironmentGP(["Al", "Cu"], descriptor={"Selected": {"of": soap, "n": 12}}, n_sparse=6, zeta=2)
    fitted = SparseGP(energies="none")(p, data).potential
    environments = fitted.parts[1]
    chosen = environments.descriptor.columns
    assert not torch.equal(chosen[0], torch.arange(12))
    assert not torch.equal(chosen[0], chosen[1])  # those of each element
    features, z = environments.instances(Graph.of(data.structures, 4.0))
    of_aluminum = environments.points[environments.group == 0]
    assert float(torch.cdist(of_aluminum, features[z == 0]).amin(1).max()) < 1e-7
    again = load(save(tmp_path / "p.adl", fitted))
    torch.testing.assert_close(evaluate(again, data.structures).forces, evaluate(fitted, data.structures).forces)


def test_what_fits_what(data):
    assert isinstance(default_method(GAP(**SMALL)), SparseGP)
    assert isinstance(default_method(LennardJones(0.1, 2.0, 4.0) + TripletGP(["Cu"])), SparseGP)
    by_least_squares = LeastSquares()(GAP(**SMALL), data)  # the points are chosen there as well
    assert by_least_squares.metrics["train"]["forces_rmse"] < 0.2


@pytest.mark.parametrize("how", METHODS)
def test_points(how):
    """Points are among the inputs, different, and cover them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(300, 2, generator=generator, dtype=torch.float64)

    def kernel(a, b):
        return torch.exp(-(torch.cdist(a, b) ** 2) / 0.08)

    points = choose_points(x, 25, how, kernel, generator)
    assert 20 <= len(points) <= 25
    assert len(points.unique(dim=0)) == len(points)
    distance = torch.cdist(x, points)
    assert bool((distance.min(0).values < 1e-7).all())
    k, K = kernel(x, points), kernel(points, points) + 1e-9 * torch.eye(len(points))
    left = 1 - (k * torch.linalg.solve(K, k.T).T).sum(1)
    if how == "variance":
        assert float(left.max()) < 0.2
    if how in ("farthest", "kmeans", "uniform"):
        assert float(distance.min(1).values.max()) < 0.3


def test_repeated_inputs_are_one_point():
    x = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    kernel = lambda a, b: torch.exp(-(torch.cdist(a, b) ** 2))  # noqa: E731
    assert len(choose_points(x, 5, "variance", kernel, generator)) == 2
    assert choose_points(x, 3, "uniform", kernel, generator)[:, 0].tolist() == [0.0, 0.5, 1.0]


def test_messages(data):
    with pytest.raises(TypeError, match="LennardJones is not one"):
        SparseGP()(LennardJones(0.1, 2.0, 4.0), data)
    with pytest.raises(ValueError, match="no sigma of 'force' for group 'odd'; did you mean 'forces'"):
        SparseGP(groups={"odd": {"force": 0.1}})
    with pytest.raises(ValueError, match="no frame is of group 'even2'"):
        fit(GAP(**SMALL), data, method=SparseGP(groups={"even2": {"forces": 0.1}}))
    with pytest.raises(ValueError, match="nothing would be fitted"):
        SparseGP(None, None, None)
    with pytest.raises(ValueError, match="must be positive"):
        SparseGP(energy=-1.0)
    with pytest.raises(ValueError, match="did you mean 'evidence'"):
        SparseGP(hyperparameters="evidenc")
    with pytest.raises(ValueError, match="did you mean 'farthest'"):
        GAP(["Cu"], points="furthest")
    with pytest.raises(ValueError, match="zeta must be at least 1"):
        EnvironmentGP(["Cu"], zeta=0.5)
    with pytest.raises(ValueError, match="those of the descriptor"):
        EnvironmentGP(["Cu"], descriptor={"SOAP": {"elements": ["Si"]}})
    with pytest.raises(ValueError, match="GB are free; about"):
        check_memory(int(math.sqrt(1e15)))
