import pytest
import torch
from ase.build import bulk, molecule

from adlayer import Dataset, Graph, Structures, check_potential, evaluate
from adlayer.descriptors import ACSF, SOAP
from adlayer.fitting import LeastSquares
from adlayer.potentials.linear import Linear
from adlayer.potentials.snap import SNAP
from adlayer.potentials.stillinger_weber import StillingerWeber


@pytest.fixture(scope="module")
def data() -> Dataset:
    frames = [bulk("Si", cubic=True) for _ in range(8)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=k)
    structures = Structures.from_ase(frames)
    return Dataset(structures, evaluate(StillingerWeber.silicon(), structures)._replace(energies=None))


def test_of_a_bispectrum_it_is_snap(data):
    method = LeastSquares(ridge=0.0, weights={"stress": 0.1})
    ours = method(Linear(["Si"], {"Bispectrum": {"elements": ["Si"], "cutoff": 4.0, "twojmax": 4}}), data).potential
    snap = method(SNAP(["Si"], cutoff=4.0, twojmax=4), data).potential
    for a, b in zip(evaluate(ours, data.structures)[:3], evaluate(snap, data.structures)[:3]):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7)


def test_the_design_is_made_in_parts(monkeypatch):
    frames = [bulk("Si", cubic=True), molecule("SiH4"), molecule("Si2H6")]
    graph = Graph.of(Structures.from_ase(frames), 4.0)
    potential = Linear(["Si", "H"], SOAP(["Si", "H"], cutoff=4.0, n_max=2, l_max=1))
    potential.prepare([graph])
    whole = potential.design(graph)
    monkeypatch.setattr("adlayer.potentials.linear._MEMORY", 1)
    for a, b in zip(whole, potential.design(graph)):
        torch.testing.assert_close(a, b)
    assert potential.design(graph, forces=False, virial=False).forces is None


def test_a_feature_that_never_varies_counts_for_nothing(data):
    constant = {"RadialGaussian": {"center": "Si", "neighbor": "Si", "eta": 0.5, "shift": 50.0, "cutoff": 4.0}}
    other = {"RadialGaussian": {"center": "Si", "neighbor": "Si", "eta": 0.5, "cutoff": 4.0}}
    fitted = LeastSquares()(Linear(["Si"], ACSF(["Si"], functions=[constant, other])), data).potential
    assert fitted.parts[1].spread[0] == torch.inf
    assert evaluate(fitted, data.structures).forces.isfinite().all()


def test_laws_with_a_descriptor_of_two_elements():
    assert check_potential(Linear)


def test_elements_are_those_of_the_descriptor():
    with pytest.raises(ValueError, match="elements are Si but those of the descriptor H, Si"):
        Linear(["Si"], {"ACSF": {"elements": ["H", "Si"]}})
