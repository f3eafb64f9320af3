import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pair_basis import PairBasis, PairNetwork, copper, labeled

from adlayer import Graph, Prediction, ReferenceEnergies, evaluate
from adlayer.data import Dataset
from adlayer.fitting import GradientDescent, LeastSquares
from adlayer.fitting.batches import Batches
from adlayer.fitting.loss import loss
from adlayer.fitting.schedules import ConstantRate, CosineDecay, ExponentialDecay, Plateau
from adlayer.fitting.weights import Weights
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.saving import load

TRUE = [0.9, -0.4, 0.3, 0.25, -0.6, 0.1]


@pytest.fixture(scope="module")
def data():
    return labeled(copper(9), ReferenceEnergies({"Cu": -3.5}) + PairBasis(coefficients=TRUE))


@pytest.fixture(scope="module")
def test_set():
    return labeled(copper(6, seed=3), ReferenceEnergies({"Cu": -3.5}) + PairBasis(coefficients=TRUE))


def rows(fitted):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]


def test_lbfgs_finds_what_least_squares_finds(data):
    noisy = labeled(copper(9), PairBasis(coefficients=TRUE), noise=0.02)
    expected = LeastSquares(ridge=0.0, energies="none")(PairBasis(), noisy).potential.coefficients
    fitted = GradientDescent(epochs=60, optimizer="lbfgs", energies="none", batch=4)(PairBasis(), noisy)
    torch.testing.assert_close(fitted.potential.coefficients, expected, atol=5e-4, rtol=0)


def test_parameters_of_a_physical_potential_are_recovered():
    data = labeled(copper(6), LennardJones(0.12, 2.3, 5.0))
    fitted = GradientDescent(epochs=40, optimizer="lbfgs", energies="none")(LennardJones(0.1, 2.25, 5.0), data)
    assert fitted.potential.epsilon.item() == pytest.approx(0.12, rel=1e-4)
    assert fitted.potential.sigma.item() == pytest.approx(2.3, rel=1e-4)


@pytest.mark.parametrize("with_own", [False, True])
def test_what_has_learned_elsewhere_is_shifted(data, with_own):
    """To another zero of energy, beside its own reference energies where it has some."""
    known = PairBasis(coefficients=TRUE)
    start = ReferenceEnergies({"Cu": 20.0}) + known if with_own else known
    fitted = GradientDescent(epochs=1, learning_rate=1e-12, energies="shift")(start, data)
    assert len(fitted.potential.parts) == 2
    assert fitted.energies == pytest.approx({"Cu": -3.5}, abs=1e-6)
    assert fitted.metrics["train"]["energy_rmse"] < 1e-6


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "amsgrad"])
def test_a_network_learns(data, test_set, optimizer):
    method = GradientDescent(epochs=40, batch=3, optimizer=optimizer, learning_rate=0.03, average=0.9)
    fitted = method(PairNetwork(), data, test_set)
    start = LeastSquares()(ReferenceEnergies({"Cu": 0.0}), data, test_set)
    assert fitted.metrics["valid"]["forces_rmse"] < 0.4 * start.metrics["valid"]["forces_rmse"]
    assert fitted.energies == pytest.approx(
        {"Cu": float((data.labels.energy / data.structures.counts).mean())}, rel=0.1
    )
    assert len(fitted.history) == 40
    best = min(row["valid_loss"] for row in fitted.history)
    batches = Batches(test_set, method.weights, 4.5)
    graph, labels, precisions = batches[range(6)]
    assert float(loss(evaluate(fitted.potential, graph), labels, precisions, graph.structures)) == pytest.approx(best)


def test_preparation_comes_first(data):
    fitted = GradientDescent(epochs=1)(PairNetwork(), data)
    assert (fitted.potential.parts[1].scale != 1).all()


@pytest.mark.parametrize("shape", ["l2", "l1", "huber"])
def test_the_gradient_of_the_loss_is_its_difference_quotient(data, shape):
    potential, weights = PairNetwork(), Weights(energy=2.0, forces=1.0, stress=0.5)
    graph, labels, precisions = Batches(data, weights, 4.5)[[0, 1, 2, 3]]

    def value(create_graph=False):
        said = evaluate(potential, graph, create_graph=create_graph)
        return loss(said, labels, precisions, graph.structures, shape, delta=0.3)

    value(create_graph=True).backward()
    parameter = potential.layers[0].weight
    for k in (0, 7, 23):
        change = torch.zeros(parameter.numel(), dtype=torch.float64)
        change[k] = 1e-5
        change = change.reshape(parameter.shape)
        with torch.no_grad():
            parameter += change
            up = float(value())
            parameter -= 2 * change
            down = float(value())
            parameter += change
        assert parameter.grad.flatten()[k].item() == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-9)


def test_the_loss_of_batches_adds_up_to_that_of_all_and_skips_nan(data):
    energy, forces = data.labels.energy.clone(), data.labels.forces.clone()
    energy[1], forces[7] = torch.nan, torch.nan
    holes = Dataset(data.structures, Prediction(energy, forces, data.labels.stress), data.info)
    potential, batches = PairNetwork(), Batches(holes, Weights(), 4.5)

    def of(frames):
        graph, labels, precisions = batches[frames]
        return float(loss(evaluate(potential, graph), labels, precisions, graph.structures))

    assert of(range(9)) == pytest.approx(sum(of([k]) for k in range(9)), rel=1e-12)
    s, said = data.structures, evaluate(potential, data.structures)
    e, f = (said.energy - energy) / s.counts, said.forces - forces
    W = (said.stress - data.labels.stress) * (s.measure / s.counts)[:, None, None]
    expected = sum(w * x[x.isfinite()].square().mean() for w, x in ((1.0, e), (1.0, f), (0.1, W)))
    assert of(range(9)) == pytest.approx(float(expected), rel=1e-12)
    assert rows(GradientDescent(epochs=2)(potential, holes))[-1]["train_loss"] > 0


def test_a_frame_of_weight_two_is_two_frames(data):
    info = tuple({**d, "weight": 2.0 if k == 1 else 1.0} for k, d in enumerate(data.info))
    values = []
    for d in (Dataset.cat([data, data[1]]), dataclasses.replace(data, info=info), data):
        graph, labels, precisions = Batches(d, Weights(), 4.5)[range(len(d))]
        values.append(float(loss(evaluate(PairNetwork(), graph), labels, precisions, graph.structures)))
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert values[0] != pytest.approx(values[2], rel=1e-4)


def test_shapes_of_the_loss():
    data = labeled(copper(1), PairBasis(coefficients=TRUE))
    off = data.labels._replace(energy=data.labels.energy + 0.5 * data.structures.counts)
    graph, labels, precisions = Batches(data, Weights(forces=0.0, stress=0.0), 4.5)[[0]]

    def of(shape, delta):
        return float(loss(off, labels, precisions, graph.structures, shape, delta))

    assert of("l2", 0) == pytest.approx(0.25)
    assert of("l1", 0) == pytest.approx(0.5)
    assert of("huber", 1.0) == pytest.approx(0.25)
    assert of("huber", 0.1) == pytest.approx(0.1 * (2 * 0.5 - 0.1))


def test_neighbor_lists_beyond_the_memory_are_made_anew(data):
    kept, anew = Batches(data, Weights(), 4.5), Batches(data, Weights(), 4.5, memory=0.0)
    assert len(kept._kept) == 9
    assert not anew._kept
    graph, again, whole = kept[[3, 1]].graph, anew[[3, 1]].graph, Graph.of(data.structures[[3, 1]], 4.5)
    for name in ("i", "j", "shifts", "vectors", "first", "reverse"):
        assert torch.equal(getattr(graph, name), getattr(again, name))
        torch.testing.assert_close(getattr(graph, name), getattr(whole, name))


def test_fixed_parts_are_subtracted_once(data):
    lj = LennardJones(0.05, 2.2, 5.0).requires_grad_(False)
    both = labeled(copper(9), lj + PairBasis(coefficients=TRUE))
    fitted = GradientDescent(epochs=60, optimizer="lbfgs", energies="none")(lj + PairBasis(), both)
    assert fitted.metrics["train"]["forces_rmse"] < 1e-3
    assert fitted.potential.parts[0].epsilon.item() == 0.05


def test_single_precision(data):
    fitted = GradientDescent(epochs=20, precision="float32", learning_rate=0.02)(PairNetwork(), data)
    assert fitted.potential.parts[1].layers[0].weight.dtype == torch.float32
    assert fitted.potential.parts[0].energies.dtype == torch.float64
    assert fitted.history[-1]["train_loss"] < 0.5 * fitted.history[0]["train_loss"]


def test_schedules():
    assert ConstantRate()(3.0, 10, []) == 1
    assert [CosineDecay()(e, 10, []) for e in (0, 5, 10)] == pytest.approx([1, 0.5, 0])
    assert [ExponentialDecay(0.01)(e, 10, []) for e in (0, 5, 10)] == pytest.approx([1, 0.1, 0.01])
    plateau = Plateau(factor=0.5, patience=2)
    assert plateau(0, 0, [3, 2, 1, 1, 1]) == 1
    assert plateau(0, 0, [3, 2, 1, 1, 1, 1]) == 0.5
    assert plateau(0, 0, [3, 2, 1, 1, 1, 1, 0.5, 1, 1, 1]) == 0.25
    assert plateau(0, 0, [1.0] * 1000) == 1e-3


def test_warmup_and_schedule_set_the_rate(data):
    method = GradientDescent(epochs=6, batch=3, warmup=2, schedule="CosineDecay", learning_rate=0.01)
    rates = [row["learning_rate"] for row in method(PairNetwork(), data).history]
    cosine = [CosineDecay()(e + 2 / 3, 6, []) for e in range(6)]
    assert rates == pytest.approx([0.01 * c * w for c, w in zip(cosine, [0.5, 1, 1, 1, 1, 1])])


def test_it_stops_early(data, test_set):
    noisy = labeled(copper(3), PairNetwork(seed=5), noise=0.5)
    method = GradientDescent(epochs=400, patience=5, learning_rate=0.05, average=0.0)
    fitted = method(PairNetwork(hidden=32), noisy, test_set)
    losses = [row["valid_loss"] for row in fitted.history]
    assert fitted.stopped == "no better for 5 epochs"
    assert len(losses) < 400
    assert losses.index(min(losses)) == len(losses) - 6


def test_it_keeps_to_a_budget_of_time(data):
    start = time.perf_counter()
    fitted = GradientDescent(epochs=100_000, seconds=0.5)(PairNetwork(), data)
    assert time.perf_counter() - start < 2.0
    assert fitted.stopped == "the wall-clock budget of 0.5 s is spent"
    with pytest.raises(ValueError, match="budget of 1e-09 s ended in the first epoch, after 0 of 2 steps"):
        GradientDescent(seconds=1e-9)(PairNetwork(), data)


def test_gradients_are_clipped(data):
    """Adam divides by the size of the gradient plus 1e-8: only one far below that makes its first step short."""
    steps = []
    for clip in (1.0, 1e-12):
        fitted = GradientDescent(epochs=1, batch=9, clip=clip, average=0.0, energies="none")(PairNetwork(), data)
        change = fitted.potential.layers[0].weight - PairNetwork().layers[0].weight
        steps.append(float(change.detach().abs().max()))
    assert steps[0] == pytest.approx(1e-3, rel=1e-3)
    assert steps[1] < 1e-6


def test_what_it_leaves_in_its_folder(data, test_set, tmp_path):
    said = []
    method = GradientDescent(epochs=5, learning_rate=0.01)
    fitted = method(PairNetwork(), data, test_set, folder=tmp_path, progress=lambda *a: said.append(a))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == fitted.history
    assert [s[:2] for s in said] == [(k, 5) for k in range(1, 6)]
    assert "valid forces mae" in said[-1][2]
    best = load(tmp_path / "best.adl")
    for a, b in zip(best.parameters(), fitted.potential.parameters()):
        assert torch.equal(a, b)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.adl", "last.pt", "metrics.jsonl"]


def test_interrupted_anywhere_it_repeats_the_digits(data, test_set, tmp_path):
    method = GradientDescent(epochs=6, batch=2, learning_rate=0.01, warmup=1, save_every=0.0, optimizer="amsgrad")
    whole = method(PairNetwork(), data, test_set)

    class Stop(Exception):
        pass

    def after(n):
        def progress(done, total, message):
            if done == n:
                raise Stop

        return progress

    for n in (1, 2, 4):
        with pytest.raises(Stop):
            method(PairNetwork(), data, test_set, folder=tmp_path, progress=after(n))
    resumed = method(PairNetwork(), data, test_set, folder=tmp_path)
    assert rows(resumed) == rows(whole)
    for a, b in zip(resumed.potential.parameters(), whole.potential.parameters()):
        assert torch.equal(a, b)


def long_fit(folder):
    data, valid = (labeled(copper(9, s), PairBasis(coefficients=TRUE)) for s in (0, 3))
    method = GradientDescent(epochs=20, batch=2, learning_rate=0.01, save_every=0.0, precision="float32")
    return method(PairNetwork(), data, valid, folder=folder, seed=3)


def test_killed_it_goes_on_to_the_same_digits(tmp_path):
    """A process that trains is killed with SIGKILL wherever it is; another goes on from what it left."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import torch; torch.set_num_threads(1);"
    script += f"from test_gradient_descent import long_fit; long_fit({str(tmp_path)!r})"
    killed = subprocess.Popen([sys.executable, "-c", script])
    metrics = tmp_path / "metrics.jsonl"
    while killed.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 5):
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert metrics.read_text().count("\n") < 20
    resumed, whole = long_fit(tmp_path), long_fit(None)
    assert rows(resumed) == rows(whole)
    assert metrics.read_text().count("\n") == len(whole.history) == 20
    for a, b in zip(resumed.potential.parameters(), whole.potential.parameters()):
        assert torch.equal(a, b)


def test_more_epochs_go_on_and_another_fit_is_refused(data, tmp_path):
    GradientDescent(epochs=2)(PairNetwork(), data, folder=tmp_path)
    more = GradientDescent(epochs=4, schedule="ConstantRate")
    with pytest.raises(ValueError, match="holds a fit of another method; give another folder, or remove it"):
        more(PairNetwork(), data, folder=tmp_path)
    with pytest.raises(ValueError, match="holds a fit of another training set"):
        GradientDescent(epochs=4)(PairNetwork(), data[:5], folder=tmp_path)
    assert len(GradientDescent(epochs=4)(PairNetwork(), data, folder=tmp_path).history) == 4
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"last.pt is damaged .* remove it to start again"):
        GradientDescent(epochs=4)(PairNetwork(), data, folder=tmp_path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, adamw, amsgrad, lbfgs, got 'sgd'"),
        ({"loss": "l3"}, "loss must be one of l2, l1, huber, got 'l3'"),
        ({"average": 1.0}, "average must be at least 0 and below 1"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
    ],
)
def test_bad_arguments_are_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientDescent(**arguments)


def test_bad_fits_are_said(data):
    with pytest.raises(TypeError, match="LennardJones has no parameters that could be fitted"):
        GradientDescent()(LennardJones().requires_grad_(False), data)
    with pytest.raises(ValueError, match="the validation set is empty"):
        GradientDescent()(PairNetwork(), data, data[[]])
    with pytest.raises(ValueError, match=r"the loss became .* in epoch 1 .*lower learning_rate"):
        GradientDescent(epochs=3, learning_rate=1e200, clip=0.0)(LennardJones(), data)
