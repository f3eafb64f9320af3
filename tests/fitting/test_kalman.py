"""The Kalman filter: exact for what is linear, trains networks, goes on to the last digit."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer import evaluate
from adlayer.data import Dataset
from adlayer.fitting import kalman
from adlayer.fitting.kalman import Kalman
from adlayer.potential import PerAtom, Potential
from adlayer.potentials.hdnnp import HDNNP


def copper(n, seed):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * (1 + rng.uniform(-0.03, 0.03)), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
        atoms.calc = EMT()
        E, F = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=E, forces=F)
        frames.append(atoms)
    return Dataset.from_ase(frames)


def network():
    descriptor = {"ACSF": {"elements": ["Cu"], "cutoff": 4.5, "n_radial": 6, "n_angular": 2, "zetas": [1, 4]}}
    return HDNNP(["Cu"], descriptor=descriptor, hidden=[5])


class PowersOfDistance(Potential):
    """A potential that is linear in three parameters."""

    def __init__(self):
        super().__init__()
        self.cutoff, self.elements = 3.5, ("Cu",)
        self.c = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, graph):
        r = graph.lengths[:, None]
        x = (1 - r / self.cutoff).clamp_min(0) ** torch.tensor([2.0, 3.0, 4.0])
        return PerAtom(x.new_zeros(graph.n_atoms).index_add(0, graph.i, x @ self.c))


def test_one_epoch_of_a_linear_potential_is_ridge_regression():
    """Without process noise and with constant R, the filter is recursive least squares."""
    train, potential = copper(5, 0), PowersOfDistance()
    method = Kalman(epochs=1, q=0.0, q_min=0.0, eta=1.0, gain=3.0, forces=0.0, weights={"stress": 0}, energies="none")
    fitted = method(potential, train).potential
    E, N = train.labels.energy, train.structures.counts
    rows = []
    for k in range(3):
        potential.c.data = torch.eye(3, dtype=torch.float64)[k]
        rows.append(evaluate(potential, train.structures, forces=False, stress=False).energy)
    X, y = torch.stack(rows, 1) / N[:, None], E / N
    known = torch.cat([y, train.labels.forces.flatten()])
    p = torch.tensor([1 / 5] * 5 + [1 / 60] * 60, dtype=torch.float64)
    w = 9.0 * (65 / (p * known**2).sum()) / 5  # gain² over the mean square of all labels, for energies
    expected = torch.linalg.solve(w * X.T @ X + 0.01 * torch.eye(3, dtype=torch.float64), w * X.T @ y)
    torch.testing.assert_close(fitted.c.detach(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", [{"kind": "standard"}, {"kind": "fading", "streams": 3}])
def test_trains_a_network(method):
    train, valid = copper(30, 1), copper(10, 2)
    rows = []
    fitted = Kalman(epochs=4, forces=0.3, weights={"stress": 0}, **method)(
        network(), train, valid, progress=lambda *row: rows.append(row)
    )
    spread = float(valid.labels.forces.std())
    assert fitted.metrics["valid"]["forces_mae"] < 0.05 * spread
    assert fitted.metrics["valid"]["energy_mae"] < 0.003
    assert len(rows) == len(fitted.history) == 4
    assert (
        fitted.history[-1]["valid_loss"] < 0.2 * fitted.history[0]["valid_loss"]
        or min(h["valid_loss"] for h in fitted.history) < 1e-3
    )


def test_goes_on_to_the_last_digit(tmp_path, monkeypatch):
    train = copper(7, 3)
    method = Kalman(epochs=2, forces=0.3, weights={"stress": 0}, save_every=0.0)
    whole = method(network(), train)

    class Killed(Exception):
        pass

    update, seen = kalman.Filter.update, []

    def dying(self, frames):
        seen.append(frames)
        if len(seen) == 11:
            raise Killed
        update(self, frames)

    with monkeypatch.context() as patch:
        patch.setattr(kalman.Filter, "update", dying)
        with pytest.raises(Killed):
            method(network(), train, folder=tmp_path)
    resumed = method(network(), train, folder=tmp_path)
    assert len(seen) == 11
    for name, x in whole.potential.state_dict().items():
        assert torch.equal(x, resumed.potential.state_dict()[name]), name
    assert [h["train_loss"] for h in resumed.history] == [h["train_loss"] for h in whole.history]


def test_bad_arguments():
    with pytest.raises(ValueError, match="kind must be 'standard' or 'fading', got 'forgetful'"):
        Kalman(kind="forgetful")
    with pytest.raises(ValueError, match="forces is a fraction"):
        Kalman(forces=2.0)
    large = HDNNP(["Cu"], cutoff=4.0, hidden=[200, 200])
    with pytest.raises(ValueError, match="fit it by GradientDescent"):
        Kalman()(large, copper(2, 0))
