"""FLARE's B2 and its sparse Gaussian process against the numbers of FLARE; see tests/reference/flare_b2_make.py."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer import Graph, evaluate
from adlayer.data import Dataset
from adlayer.descriptors.b2 import B2
from adlayer.fitting import SparseGP
from adlayer.potentials.environment_gp import EnvironmentGP
from adlayer.uncertainty import GaussianProcess


@pytest.fixture(scope="module")
def theirs(reference):
    return reference("flare_b2.json") | {"frames": reference("flare.json")["frames"]}


@pytest.fixture(scope="module")
def frames(theirs):
    found = []
    for f, energy in zip(theirs["frames"], theirs["energies"]):
        atoms = Atoms(f["numbers"], f["positions"], cell=f["cell"], pbc=True)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.array(f["forces"]))
        found.append(atoms)
    return Dataset.from_ase(found)


@pytest.fixture(scope="module")
def ensemble(theirs, frames):
    """Fitted to two frames, with the environments of the first as points."""
    b2 = B2(["Al", "Ag"], theirs["cutoff"], theirs["n_max"], theirs["l_max"])
    delta = theirs["sigma"]
    process = EnvironmentGP(["Al", "Ag"], descriptor=b2, n_sparse=9, delta=delta, zeta=2, jitter=1e-10 / delta**2)
    process.prepare([Graph.of(frames.structures[0], b2.cutoff)])
    process.prepare = lambda graphs: None
    of_energy, of_forces = theirs["noise"]
    method = SparseGP(of_energy / 2, of_forces, None, energies="none")  # of four atoms
    return GaussianProcess(calibrated=False).fit(process, frames[:2], method=method)


def test_features(theirs, frames):
    b2 = B2(["Al", "Ag"], theirs["cutoff"], theirs["n_max"], theirs["l_max"])
    said = b2(Graph.of(frames.structures[2], b2.cutoff))
    expected = {f["atom"]: f["values"] for f in theirs["features"]}
    rows = torch.tensor([expected[k] for k in range(4)], dtype=torch.float64)
    torch.testing.assert_close(said.sort(1).values, rows.sort(1).values, rtol=1e-8, atol=1e-8)


def test_predictions_and_variances(theirs, frames, ensemble):
    """Energy and forces; variances of the weights alone (SoR), and with what the points leave open (DTC)."""
    structures = frames.structures[2]
    said = evaluate(ensemble, structures)
    mean, sor, dtc = (np.array(theirs[key])[:13] for key in ("mean", "sor", "dtc"))
    assert float(said.energy) == pytest.approx(mean[0], abs=1e-6)
    assert said.forces.flatten().numpy() == pytest.approx(mean[1:], abs=1e-6)
    assert float(said.std.energy) ** 2 == pytest.approx(dtc[0], rel=1e-4)
    assert said.std.forces.flatten().numpy() ** 2 == pytest.approx(dtc[1:], rel=1e-4, abs=1e-6)
    graph = Graph.of(structures, ensemble.cutoff)
    more = ensemble.potential.unexplained(graph, forces=True)
    assert (said.std.forces.square() - more.forces).flatten().numpy() == pytest.approx(sor[1:], rel=1e-4, abs=1e-6)


def test_mapped_process_is_the_same_potential(frames, ensemble):
    """However many points there are: as a quadratic form of the features it is exact."""
    process = ensemble.potential
    mapped = process.mapped()
    assert len(mapped.points) <= len(process.points)
    process = EnvironmentGP(["Al", "Ag"], descriptor=B2(["Al", "Ag"], 4.2, 2, 1), n_sparse=300, zeta=2)  # 20 features
    mapped, few = process.mapped(), process.mapped(tolerance=1e-3)
    assert len(few.points) < len(mapped.points) <= 40 < len(process.points)
    a, b, c = (evaluate(p, frames.structures) for p in (process, mapped, few))
    torch.testing.assert_close(a.energies, b.energies, rtol=0, atol=1e-12)
    torch.testing.assert_close(a.forces, b.forces, rtol=0, atol=1e-12)
    assert float((a.energies - c.energies).abs().max()) < 40 * 1e-3
    with pytest.raises(ValueError, match="quadratic form"):
        EnvironmentGP(**EnvironmentGP.small | {"zeta": 3}).mapped()


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="n_max must be at least 1"):
        B2(["Si"], n_max=0)
