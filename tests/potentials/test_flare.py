"""FLARE's two- and three-body processes against the numbers of FLARE itself; see tests/reference/flare_make.py."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer import Graph, evaluate
from adlayer.data import Dataset
from adlayer.fitting import SparseGP
from adlayer.formats.gap import write
from adlayer.potentials.flare import FLARE
from adlayer.uncertainty import GaussianProcess


@pytest.fixture(scope="module")
def theirs(reference):
    return reference("flare.json")


@pytest.fixture(scope="module")
def frames(theirs):
    found = []
    for f in theirs["frames"]:
        atoms = Atoms(f["numbers"], f["positions"], cell=f["cell"], pbc=True)
        atoms.calc = SinglePointCalculator(atoms, forces=np.array(f["forces"]))
        found.append(atoms)
    return Dataset.from_ase(found)


@pytest.fixture(scope="module")
def flare(theirs):
    sigma_2, length_2, sigma_3, length_3, _ = theirs["hyperparameters"]
    return FLARE(["Al", "Ag"], *theirs["cutoffs"], sigma_2, length_2, sigma_3, length_3, 60, 300, jitter=1e-11)


@pytest.fixture(scope="module")
def ensemble(theirs, frames, flare):
    noise = SparseGP(None, theirs["hyperparameters"][-1], None, energies="none")
    return GaussianProcess(calibrated=False).fit(flare, frames[:2], method=noise)


def test_covariances_of_forces_and_energies(theirs, frames, flare):
    """Before any data, of one atom with those of another structure: theirs, so far as points can say it."""
    graph = Graph.of(frames.structures, flare.cutoff)
    flare.prepare([graph])
    F = flare.design(graph).forces
    said = torch.einsum("dk,iek->ide", F[0], F[4:8])
    torch.testing.assert_close(said, torch.tensor(theirs["force_force"]).double(), rtol=1e-5, atol=1e-5)


def test_process_that_has_seen_forces(theirs, frames, ensemble):
    """Mean and standard deviation of forces and of energies of atoms."""
    said = evaluate(ensemble, frames.structures[2])
    assert said.forces.numpy() == pytest.approx(np.array(theirs["forces"]), abs=1e-5)
    assert said.std.forces.numpy() ** 2 == pytest.approx(np.array(theirs["variances"]), abs=1e-5)
    assert said.energies.numpy() == pytest.approx(np.array(theirs["energies"]), abs=1e-5)
    assert said.std.energies.numpy() ** 2 == pytest.approx(np.array(theirs["energy_variances"]), rel=1e-3, abs=1e-4)


def test_gap_files_hold_no_quadratic_fading(flare, tmp_path):
    for part in flare.sum.parts:
        with pytest.raises(TypeError, match="a GAP file holds"):
            write(tmp_path / "flare.xml", part)


def test_hyperparameters_by_their_names(theirs, ensemble):
    assert list(ensemble.potential.hyperparameters) == ["sig2", "ls2", "sig3", "ls3"]
    assert list(ensemble.potential.hyperparameters.values()) == pytest.approx(theirs["hyperparameters"][:4])
