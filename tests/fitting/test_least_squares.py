import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from pair_basis import PairBasis, copper, labeled, water

from adlayer import Graph, Prediction, ReferenceEnergies, build, evaluate
from adlayer.data import Dataset
from adlayer.fitting import LeastSquares, fit
from adlayer.fitting.least_squares import Parts, Rows
from adlayer.fitting.regression import reduced, regress, triangle_by_normal_equations, triangle_by_qr
from adlayer.fitting.weights import Weights
from adlayer.potentials.lennard_jones import LennardJones

TRUE = [0.9, -0.4, 0.3, 0.25, -0.6, 0.1]


@pytest.fixture(scope="module")
def data():
    return labeled(copper(9), ReferenceEnergies({"Cu": -3.5}) + PairBasis(coefficients=TRUE))


def test_the_design_of_the_test_potential_is_its_derivative(data):
    potential = PairBasis(coefficients=TRUE)
    graph = Graph.of(data.structures, potential.cutoff)
    design, said = potential.design(graph), evaluate(potential, graph)
    torch.testing.assert_close(design.energy @ potential.coefficients, said.energy)
    torch.testing.assert_close(design.forces @ potential.coefficients, said.forces)


@pytest.mark.parametrize("ridge", [0.0, "evidence"])
@pytest.mark.parametrize("solver", ["qr", "normal"])
def test_known_coefficients_are_recovered(data, ridge, solver):
    fitted = LeastSquares(ridge=ridge, solver=solver)(PairBasis(), data)
    tolerance = 1e-9 if solver == "qr" else 1e-6
    torch.testing.assert_close(
        fitted.potential.parts[1].coefficients, torch.tensor(TRUE, dtype=torch.float64), atol=tolerance, rtol=0
    )
    assert fitted.energies["Cu"] == pytest.approx(-3.5, abs=tolerance)
    assert fitted.metrics["train"]["energy_rmse"] < tolerance
    assert fitted.metrics["train"]["forces_rmse"] < tolerance
    assert fitted.metrics["train"]["virial_rmse"] < tolerance


def test_each_kind_of_label_alone_is_enough():
    data = labeled(copper(24), ReferenceEnergies({"Cu": -3.5}) + PairBasis(coefficients=TRUE))
    for kind in ("energy", "forces", "stress"):
        weights = {"energy": 0.0, "forces": 0.0, "stress": 0.0, kind: 1.0}
        known = data[data.structures.pbc.any(1)] if kind == "stress" else data  # a cluster has no stress
        fitted = LeastSquares(ridge=0.0, weights=weights)(ReferenceEnergies({"Cu": -3.5}) + PairBasis(), known)
        torch.testing.assert_close(
            fitted.potential.parts[1].coefficients, torch.tensor(TRUE, dtype=torch.float64), atol=1e-7, rtol=0
        )


def test_what_is_passed_in_is_left_alone(data):
    potential = PairBasis()
    LeastSquares()(potential, data)
    assert not potential.coefficients.any()


def test_streamed_in_any_blocks_equals_in_memory(data):
    parts = Parts(PairBasis())
    whole = torch.cat(list(Rows(parts, data, Weights(), lambda *_: None)))
    rows = Rows(parts, data, Weights(), lambda *_: None, memory=1)
    blocks = list(rows)
    assert len(blocks) == len(data)
    assert rows.n == len(whole)
    torch.testing.assert_close(torch.cat(blocks).T @ torch.cat(blocks), whole.T @ whole)
    direct = torch.linalg.lstsq(whole[:, :-1], whole[:, -1:]).solution[:, 0]
    for triangle in (triangle_by_qr(blocks, rows=20), triangle_by_normal_equations(blocks)):
        solution = regress(reduced(triangle, rows.n), torch.ones(6, dtype=torch.float64), 0.0)
        torch.testing.assert_close(solution.mean, direct, atol=1e-8, rtol=1e-8)


def test_large_fits_take_normal_equations_unless_they_lose_too_much(data, monkeypatch):
    monkeypatch.setattr("adlayer.fitting.least_squares._AFFORDABLE", 0.0)
    assert LeastSquares()(PairBasis(), data).history[0]["solver"] == "normal equations"
    collinear = PairBasis(40)  # many functions of nearly the same shape
    assert LeastSquares()(collinear, data).history[0]["solver"] == "QR"


def test_ridge_solves_its_normal_equations(data):
    noisy = labeled(copper(9), PairBasis(coefficients=TRUE), noise=0.01)
    A, y = torch.cat(list(Rows(Parts(PairBasis()), noisy, Weights(energy=30.0), lambda *_: None))).split([6, 1], 1)
    D = torch.diag(0.1 * A.square().sum(0))
    expected = torch.linalg.solve(A.T @ A + D, A.T @ y)[:, 0]
    fitted = LeastSquares(ridge=0.1, energies="none")(PairBasis(), noisy)
    torch.testing.assert_close(fitted.potential.coefficients, expected)


def test_a_frame_of_weight_two_is_two_frames():
    data = labeled(copper(6), PairBasis(coefficients=TRUE), noise=0.05)
    twice = Dataset.cat([data, data[1]])
    heavy = dataclasses.replace(
        data, info=tuple({**d, "weight": 2.0 if k == 1 else 1.0} for k, d in enumerate(data.info))
    )
    a, b, c = (LeastSquares(ridge=1e-3)(PairBasis(), d).potential.coefficients for d in (twice, heavy, data))
    torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-8)
    assert (a - c).abs().max() > 1e-4


def test_weights_of_groups_are_weights_of_their_frames():
    data = labeled(copper(6), PairBasis(coefficients=TRUE), noise=0.05, groups=["a", "b"] * 3)
    by_group = LeastSquares(ridge=1e-3, weights={"groups": {"b": 3}})(PairBasis(), data)
    info = tuple({**d, "weight": 3.0 if d["group"] == "b" else 1.0} for d in data.info)
    by_frame = LeastSquares(ridge=1e-3)(PairBasis(), dataclasses.replace(data, info=info))
    torch.testing.assert_close(by_group.potential.coefficients, by_frame.potential.coefficients)
    assert set(by_group.metrics["train"]["groups"]) == {"a", "b"}
    without = LeastSquares(ridge=1e-3, weights={"groups": {"b": 0}})(PairBasis(), data)
    only = LeastSquares(ridge=1e-3)(PairBasis(), data[[0, 2, 4]])
    torch.testing.assert_close(without.potential.coefficients, only.potential.coefficients)


def test_labels_that_are_nan_do_not_count(data):
    energy, forces = data.labels.energy.clone(), data.labels.forces.clone()
    energy[2] = torch.nan
    forces[5:9] = torch.nan
    holes = Dataset(data.structures, Prediction(energy, forces, data.labels.stress), data.info)
    fitted = LeastSquares(ridge=0.0)(PairBasis(), holes)
    torch.testing.assert_close(
        fitted.potential.parts[1].coefficients, torch.tensor(TRUE, dtype=torch.float64), atol=1e-8, rtol=0
    )
    # 9 energies, 58 atoms, 9 components of 6 strained frames, less what is not known
    s = data.structures
    assert fitted.history[0]["rows"] == 8 + 3 * (s.n_atoms - 4) + 9 * int(s.pbc.any(1).sum())


def test_evidence_finds_the_noise_and_beats_no_prior_on_new_data():
    true = torch.zeros(40, dtype=torch.float64)
    true[10:16] = torch.tensor(TRUE)
    train = labeled(copper(4), PairBasis(40, coefficients=true), noise=0.02)
    test = labeled(copper(6, seed=5), PairBasis(40, coefficients=true))
    found = {r: LeastSquares(ridge=r)(PairBasis(40), train, test) for r in (1e-14, "evidence", "ard")}
    rmse = {r: f.metrics["valid"]["forces_rmse"] for r, f in found.items()}
    assert rmse["evidence"] < rmse[1e-14]
    assert rmse["ard"] < rmse[1e-14]
    assert found["evidence"].history[0]["ridge"] > 1e-12


def test_relevance_determination_prunes():
    true = torch.zeros(20, dtype=torch.float64)
    true[[8, 12]] = torch.tensor([0.7, -0.5], dtype=torch.float64)
    train = labeled(copper(9), PairBasis(20, coefficients=true), noise=1e-3)
    ard = LeastSquares(ridge="ard", energies="none")(PairBasis(20), train).potential.coefficients
    assert (ard != 0).sum() <= 8
    torch.testing.assert_close(ard[[8, 12]], true[[8, 12]], atol=0.05, rtol=0)


def test_the_posterior_covers_the_truth():
    """Of the coefficients divided by their standard deviations, few are beyond three."""
    true = PairBasis(coefficients=TRUE)
    z = []
    for seed in range(6):
        data = labeled(copper(6, seed), true, noise=0.05)
        fitted = LeastSquares(ridge=1e-9, energies="none", weights={"stress": 0.0, "energy": 0.0})(PairBasis(), data)
        posterior = fitted.posterior
        assert posterior.noise / (1 / (3 * data.structures.n_atoms)) ** 0.5 == pytest.approx(0.05, rel=0.2)
        std = posterior.factor.square().sum(1).sqrt()
        z.append((posterior.mean - torch.tensor(TRUE, dtype=torch.float64)) / std)
    z = torch.stack(z)
    assert 0.6 < z.square().mean().sqrt() < 1.6
    draws = posterior.sample(4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.std(0), std, rtol=0.1, atol=0)


def test_fixed_parts_are_subtracted(data):
    lj = LennardJones(0.05, 2.2, 5.0)
    both = labeled(copper(9), lj + PairBasis(coefficients=TRUE))
    fitted = LeastSquares(ridge=0.0, energies="none")(lj + PairBasis(), both)
    torch.testing.assert_close(
        fitted.potential.coefficients, torch.tensor(TRUE, dtype=torch.float64), atol=1e-8, rtol=0
    )
    assert fitted.potential.parts[0].epsilon.item() == 0.05


def test_reference_energies_given_are_kept(data):
    fitted = LeastSquares(energies={"Cu": -3.0})(PairBasis(), data)
    assert fitted.energies == {"Cu": -3.0}
    assert len(fitted.posterior.mean) == len(fitted.potential.coefficients) == 7
    assert not fitted.posterior.factor[0].any()
    assert fitted.potential.parts[0].energies.requires_grad


def test_energies_of_isolated_atoms_are_kept():
    atom = Atoms("Cu", cell=np.eye(3) * 20)
    data = labeled([*copper(6), atom], ReferenceEnergies({"Cu": -3.5}) + PairBasis(coefficients=TRUE), noise=0.01)
    fitted = LeastSquares()(PairBasis(), data)
    assert fitted.energies["Cu"] == data.labels.energy[-1].item()


def test_compositions_that_leave_energies_open_give_the_shortest():
    data = labeled(water(), ReferenceEnergies({"H": -13.0, "O": -430.0}))
    fitted = LeastSquares()(PairBasis(3), data)
    assert 2 * fitted.energies["H"] + fitted.energies["O"] == pytest.approx(-456.0, abs=1e-6)
    assert fitted.energies["H"] == pytest.approx(-456 * 2 / 5, rel=1e-6)


def test_reference_energies_alone():
    data = labeled(water() + copper(2), ReferenceEnergies({"H": -13.0, "O": -430.0, "Cu": -3.0}))
    fitted = LeastSquares(energies="none")(ReferenceEnergies({"H": 0.0, "O": -420.0, "Cu": 0.0}), data)
    assert fitted.energies["Cu"] == pytest.approx(-3.0)
    assert 2 * fitted.energies["H"] + fitted.energies["O"] == pytest.approx(-456.0)


def test_a_recipe_names_the_arguments_of_the_class(data):
    method = {"LeastSquares": {"ridge": 1e-9, "weights": {"energy": 10.0}, "solver": "qr"}}
    fitted = fit(PairBasis(), data, method=method)
    assert fitted.metrics["train"]["forces_rmse"] < 1e-6
    assert fit(PairBasis(), data).stopped.endswith("QR")
    with pytest.raises(ValueError, match="LeastSquares has no argument 'rigde'; did you mean 'ridge'"):
        build({"LeastSquares": {"rigde": 1.0}})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"ridge": -1.0}, "ridge must be a number from 0 upwards, a list of such, 'evidence' or 'ard', got -1.0"),
        ({"ridge": "evidense"}, "ridge must be"),
        ({"ridge": []}, "ridge must be"),
        ({"ridge": [1e-8, "evidence"]}, "ridge must be"),
        ({"weights": {"force": 1.0}}, "no argument 'force'; did you mean 'forces'"),
        ({"weights": {"energy": -1.0}}, "the weight of 'energy' is -1.0"),
        ({"weights": {"energy": 0.0, "forces": 0, "stress": 0}}, "all weights are zero"),
        ({"solver": "svd"}, "solver must be one of"),
    ],
)
def test_bad_arguments_are_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        build({"LeastSquares": arguments})


def test_bad_data_are_said(data):
    def broken(**labels):
        return Dataset(data.structures, data.labels._replace(**labels), data.info)

    ls = LeastSquares()
    with pytest.raises(TypeError, match="LennardJones is not; fit it by GradientDescent"):
        ls(LennardJones(), data)
    with pytest.raises(ValueError, match="the training set is empty"):
        ls(PairBasis(), data[[]])
    with pytest.raises(ValueError, match=r"no frame of the training set has labels of forces, .*weights.forces = 0"):
        ls(PairBasis(), broken(forces=None))
    with pytest.raises(ValueError, match="has labels of energy"):
        ls(PairBasis(), broken(energy=data.labels.energy * torch.nan))
    energy, forces = data.labels.energy.clone(), data.labels.forces.clone()
    energy[2], forces[data.structures.system == 2] = torch.nan, torch.nan
    with pytest.raises(ValueError, match=r"test.xyz, frame 2 has none of the labels"):
        ls(PairBasis(), broken(energy=energy, forces=forces))
    with pytest.raises(ValueError, match="no frame is of group 'slab'; the groups are: none"):
        fit(PairBasis(), data, method=LeastSquares(weights={"groups": {"slab": 2}}))
    with pytest.raises(ValueError, match="knows Si; the structures also hold Cu"):
        ls(ReferenceEnergies({"Si": 0.0}) + PairBasis(), data)
    with pytest.raises(ValueError, match="energies has no value for Cu; it has Si"):
        LeastSquares(energies={"Si": 1.0})(PairBasis(), data)
    with pytest.raises(ValueError, match="energies must be 'auto', 'shift', 'none' or a table"):
        LeastSquares(energies="least squares")(PairBasis(), data)
    info = tuple({**d, "weight": -2.0} for d in data.info)
    with pytest.raises(ValueError, match="frame 0 has the weight -2"):
        ls(PairBasis(), Dataset(data.structures, data.labels, info))
