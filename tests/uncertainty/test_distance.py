import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT

from adlayer import Graph, Structures, evaluate
from adlayer.data import Dataset
from adlayer.fitting import LeastSquares
from adlayer.potential import ReferenceEnergies
from adlayer.saving import load, save
from adlayer.uncertainty import DistanceAware, FeatureDistance, force_deviation
from adlayer.uncertainty.distance import nearest_distances

POTENTIAL = {"ACE": {"elements": ["Cu"], "cutoff": 4.0, "order": 2, "degree": 6}}


def labelled(n, seed, amount=0.1):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += amount * rng.standard_normal(atoms.positions.shape)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return Dataset.from_ase(frames)


@pytest.fixture(scope="module")
def aware():
    from adlayer import build

    return FeatureDistance(points=60).fit(build(POTENTIAL), labelled(30, 0), labelled(15, 1), LeastSquares())


def test_nearest_distances_are_those_to_the_nearest():
    known = torch.tensor([[0.0, 0.0], [3.0, 4.0], [torch.inf, torch.inf]])
    x = torch.tensor([[0.0, 1.0], [3.0, 5.5]])
    assert nearest_distances(x, known, chunk=1).tolist() == [1.0, 1.5]
    assert nearest_distances(x, known[2:]).isinf().all()


def test_doubt_is_least_where_everything_is_known(aware):
    train = labelled(30, 0).structures
    known = aware.doubt(Graph.of(train, aware.cutoff))
    far = aware.doubt(Graph.of(labelled(10, 2, 0.5).structures, aware.cutoff))
    assert known.min() == pytest.approx(float(aware.floor[0]))  # an environment that was kept is no distance away
    assert far.median() > 2 * known.median()


def test_calibrated_on_held_out_data(aware):
    fresh = labelled(20, 3)
    said = evaluate(aware, fresh.structures)
    error = (said.forces - fresh.labels.forces) / said.std.forces
    assert float(error.square().mean().sqrt()) == pytest.approx(1, abs=0.4)
    assert said.std.energy.shape == (20,)


def test_saved_whole(aware, tmp_path):
    structures = labelled(2, 5).structures
    again = load(save(tmp_path / "aware.adl", aware))
    torch.testing.assert_close(evaluate(again, structures).std.forces, evaluate(aware, structures).std.forces)


def test_an_element_never_seen_is_beyond_doubt():
    aware = DistanceAware(ReferenceEnergies({"Cu": 0.0, "H": 0.0}), {"ACSF": {"elements": ["Cu", "H"], "cutoff": 4.0}})
    aware.remember([Graph.of(labelled(1, 0).structures, 4.0)], np.random.default_rng(0))
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[1] = "H"
    sigma = force_deviation(evaluate(aware, Structures.from_ase(atoms)))
    assert sigma.isinf().tolist() == [False, True, False, False]
