"""What is made faster says the same, with the same doubt, within the error it states."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer import Graph, Structures, evaluate, kernels, load, save
from adlayer.data import Dataset
from adlayer.descriptors.b2 import B2
from adlayer.fitting import SparseGP
from adlayer.potential import PerAtom, Potential, Sum
from adlayer.potentials.deep_potential import DeepPotential
from adlayer.potentials.environment_gp import EnvironmentGP
from adlayer.potentials.flare import FLARE
from adlayer.potentials.gap import GAP, PairGP, TripletGP
from adlayer.potentials.morse import Morse
from adlayer.potentials.tabulated import Tabulated, TabulatedModes
from adlayer.simulation.watch import MaxUncertainty
from adlayer.tabulation import tabulate
from adlayer.uncertainty import DistanceAware, Ensemble, GaussianProcess, LinearEnsemble, OnTheFly, QuadraticDoubt


def frames(gold: bool) -> Dataset:
    """Copper, with some gold or without, by effective medium theory."""
    rng, found = np.random.default_rng(0), []
    for k in range(8):
        atoms = bulk("Cu", cubic=True, a=3.7) * (2, 1, 1)
        atoms.numbers[rng.permutation(8)[: k % 4]] = 79 if gold else 29
        atoms.positions += rng.normal(0, 0.05 + 0.015 * k, atoms.positions.shape)
        copy = atoms.copy()
        copy.calc = EMT()
        labels = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return Dataset.from_ase(found)


@pytest.fixture(scope="module")
def data():
    return frames(gold=True)


@pytest.fixture(scope="module")
def copper():
    return frames(gold=False)


@pytest.fixture(scope="module")
def flare(data):
    potential = FLARE(["Cu", "Au"], 4.5, 3.4, pairs=15, triangles=20, sigma_3=0.01)
    return GaussianProcess(calibrated=False).fit(potential, data[:5], method=SparseGP(0.01, 0.05, None))


def close(one, other, share):
    """Within a share of the typical value."""
    assert float((one - other).abs().max()) < share * float(other.square().mean().sqrt())


def test_doubt_of_pairs_and_triangles(flare, data, tmp_path):
    """Of forces, of atoms and of structures, at an error that is stated; it survives saving."""
    flare.rescale(1.5, 2.0)
    mapped = tabulate(flare, begin=1.8, pairs=100, triplets=24, structures=data.structures)
    fast = load(save(tmp_path / "fast.adl", mapped.potential))
    said, expected = (evaluate(p, data.structures, stress=False) for p in (fast, flare))
    flare.rescale(1 / 1.5, 1 / 2.0)
    for name in ("energy", "energies", "forces"):
        close(getattr(said.std, name), getattr(expected.std, name), 0.01)
    assert float((said.forces - expected.forces).abs().max()) == pytest.approx(mapped.forces)
    assert float((said.std.forces - expected.std.forces).abs().max()) == pytest.approx(mapped.std)
    assert mapped.alike > 0.9999
    assert float(expected.std.forces.max() / expected.std.forces.min()) > 3  # there is something to tell
    assert OnTheFly(2.0).threshold(fast) == pytest.approx(0.1)


def test_doubt_is_watched(flare, data):
    """By the watch of a simulation, at the same structures."""

    class State:
        def __init__(self, potential):
            self.prediction = evaluate(potential, data.structures, stress=False)
            self.structures, self.step = data.structures, 0
            self.free = torch.ones(data.structures.n_atoms)

    fast = tabulate(flare, begin=1.8, pairs=100, triplets=24).potential
    limit = float(MaxUncertainty().measure(State(flare)).median())
    alarms = [set(MaxUncertainty(limit * 1.01).alarm(State(p))) for p in (fast, flare)]
    assert alarms[0] == alarms[1]
    assert 0 < len(alarms[0]) < len(data)


@pytest.mark.parametrize("fewer", [0.01, 0.3])
def test_components_that_are_left_out(flare, data, fewer):
    """No force loses more than the share of its doubt that may be lost."""
    fast = tabulate(flare, begin=1.8, pairs=100, triplets=24, structures=data.structures, lost=fewer).potential
    said, expected = (evaluate(p, data.structures, stress=False).std.forces for p in (fast, flare))
    assert float((said / expected).min()) > 1 - fewer - 1e-3
    assert float((said / expected).max()) < 1.003


def test_doubt_of_what_bends(copper):
    """Triplets that are functions of an angle; less exact, as functions that fade by a cosine have kinks."""
    potential = PairGP(["Cu"], 4.5, 8) + TripletGP(["Cu"], 3.4, 10)
    process = GaussianProcess(calibrated=False).fit(potential, copper, method=SparseGP(0.01, 0.05, None))
    mapped = tabulate(process, begin=1.8, pairs=400, triplets=32, structures=copper.structures)
    assert [type(p) for p in mapped.potential.potential.parts][1:] == [Tabulated, TabulatedModes]
    said, expected = (evaluate(p, copper.structures, stress=False).std for p in (mapped.potential, process))
    for name in ("energy", "energies", "forces"):
        assert float((getattr(said, name) / getattr(expected, name) - 1).square().mean().sqrt()) < 0.1
    assert mapped.alike > 0.95


def test_kernel_of_modes():
    """Single precision and the definition: energies, forces and virials of all modes, five of which fill no vector."""
    atoms = bulk("Si", cubic=True)
    atoms.numbers[::3] = 1
    atoms.rattle(0.1, seed=1)
    for third in ("side", "cosine"):
        modes = TabulatedModes(["Si", "H"], 4.0, 3.4, 1.5, 12, 7, third, modes=5)
        graph = Graph.of(Structures.from_ase(atoms), 4.0)
        with kernels.plain():
            expected, rows = modes.design(graph), modes.projections(graph)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
            said = modes.to(dtype).design(graph.to(dtype))
            assert said.forces.dtype == dtype
            for one, other in zip((*said, modes.projections(graph)), (*expected, rows)):
                torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)
        assert float(expected.forces.abs().max()) > 0.01


def test_processes_of_environments(copper):
    """The mean as a quadratic form without error, doubt as that of the linear process with the same mean square."""
    process = EnvironmentGP(["Cu"], descriptor=B2(["Cu"], 4.0, 2, 2), n_sparse=12, delta=2.0, zeta=2)
    process.how = "random"
    ensemble = GaussianProcess(calibrated=False).fit(process, copper, method=SparseGP(0.01, 0.05, None))
    mapped = tabulate(ensemble, structures=copper.structures)
    fast = mapped.potential
    assert isinstance(fast, QuadraticDoubt)
    assert mapped.forces < 1e-10
    part = next(p for p in ensemble.potential.parts if isinstance(p, EnvironmentGP))
    graph = Graph.of(copper.structures, 4.0)
    p, P = part.features(graph), part.points
    K = P @ P.T + part.jitter * torch.eye(len(P), dtype=P.dtype)
    left = 1 - ((p @ P.T) @ torch.linalg.inv(K) * (p @ P.T)).sum(1)
    torch.testing.assert_close(fast.doubt(graph).square(), left.clamp(0, 1), rtol=1e-4, atol=1e-7)
    said, expected = (evaluate(q, copper.structures, stress=False).std.forces for q in (fast, ensemble))
    assert float(said.norm() / expected.norm()) == pytest.approx(1)
    with pytest.raises(ValueError, match="needs structures like"):
        tabulate(ensemble)


def test_families_with_tables_of_their_own():
    """One that makes them by itself is compared with its definition; any other joins with one method."""
    mapped = tabulate(DeepPotential(**DeepPotential.small))
    assert 0 < mapped.forces < 1e-8

    class Slow(Potential):
        elements, cutoff = ("Si", "H"), 3.0

        def __init__(self, scale=1.0):
            super().__init__()
            self.scale = scale

        def forward(self, graph):
            near = graph.vectors.new_zeros(graph.n_atoms).index_add(0, graph.i, (3 - graph.lengths).clamp_min(0) ** 2)
            return PerAtom(self.scale * near**4)

        def tabulated(self, shortest):
            return Slow(1.001 * self.scale)

    pair = Morse({"Si-Si": 0.3, "Si-H": 0.2, "H-H": 0.1}, 1.5, 2.4, 6.0)
    mapped = tabulate(Slow() + pair)
    assert isinstance(mapped.potential, Sum)
    assert sorted(type(p).__name__ for p in mapped.potential.parts) == ["Slow", "Tabulated"]
    assert mapped.forces > 1e-4


def test_what_has_no_table_stays():
    gap = GAP(["Si"], 4.0, 2, 2, n_sparse=3, pairs=4)
    mapped = tabulate(gap)
    assert mapped.kept == ("EnvironmentGP",)
    assert 0 < mapped.forces < 1e-2  # a cosine begins with a jump in its second derivative
    assert tabulate(gap, pairs=1600).forces < mapped.forces / 3


def test_committees_and_what_cannot_be():
    members = [Morse({"Si": e}, 1.5, 2.4, 6.0) for e in (0.3, 0.4)]
    mapped = tabulate(Ensemble.of(members), begin=1.7)
    assert isinstance(mapped.potential, Ensemble)
    assert mapped.std < 1e-4 < mapped.alike
    with pytest.raises(ValueError, match="doubt of DistanceAware cannot be tabulated"):
        tabulate(DistanceAware(Morse({"Si": 0.3}, 1.5, 2.4, 6.0), {"ACSF": {"elements": ["Si"]}}))
    with pytest.raises(ValueError, match="the structures also hold Cu"):
        tabulate(members[0], structures=Structures.from_ase(bulk("Cu")))
    with pytest.raises(ValueError, match="modes must be at least 1"):
        TabulatedModes(["Si"], modes=0)


def test_nothing_but_doubt_costs_nothing():
    """Modes whose mean is zero add none, and no derivative."""
    modes = TabulatedModes(["Si"], 4.0, 3.5, 1.0, 9, 6)
    structures = Structures.from_ase(bulk("Si"))
    assert float(evaluate(modes, structures).energy) != 0
    modes.coefficients = torch.zeros(16)
    assert float(evaluate(modes, structures).forces.abs().max()) == 0
    assert isinstance(LinearEnsemble(modes, 16), LinearEnsemble)
