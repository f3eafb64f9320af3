"""FLARE's rule, and the runs of silver and aluminum that it once steered, once more."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer import Graph, Structures, evaluate
from adlayer.data import Dataset, read
from adlayer.fitting import SparseGP
from adlayer.fitting.lengths import find_lengths
from adlayer.potentials.flare import FLARE
from adlayer.potentials.gap import PairGP
from adlayer.uncertainty import Committee, GaussianProcess, OnTheFly, Quality, replay

NOISE = SparseGP(None, 0.06, None, energies="none")


def dimers():
    """Frames that repeat themselves, then one that does not."""
    frames = []
    for shift in (0.0, 0.05, 0.02, 0.04, 0.9):
        atoms = bulk("Cu", "sc", a=2.7) * (2, 1, 1)
        atoms.pbc = False
        atoms.positions[1, 0] += shift
        copy = atoms.copy()
        copy.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, forces=copy.get_forces())
        frames.append(atoms)
    return Dataset.from_ase(frames)


def test_rule_asks_for_what_is_new():
    flare = FLARE(["Cu"], 5.0, 3.5, sigma_2=1.0, length_2=0.8, pairs=30, triangles=0)
    done = replay(OnTheFly(2.0), flare, dimers(), SparseGP(None, 0.05, None, energies="none"), first=2)
    assert done.asked == [0, 1, 4]
    assert float(done.stds[-1].max()) > 0.5 > 0.1 > float(done.stds[:-1].max())
    assert float(done.fitted.noise) == pytest.approx(0.05)


def test_rule_needs_a_noise():
    data = dimers()
    ensemble = GaussianProcess(calibrated=False).fit(PairGP(["Cu"], 5.0, 6), data, method=NOISE)
    assert OnTheFly(2.0).threshold(ensemble) == pytest.approx(0.12)
    drawn = Committee(how="posterior", calibrated=False).fit(PairGP(["Cu"], 5.0, 6), data, method=NOISE)
    with pytest.raises(ValueError, match="noise"):
        OnTheFly().threshold(drawn)
    with pytest.raises(ValueError, match="positive"):
        OnTheFly(0.0)


def test_lengths_by_likelihood():
    """Forces of a known process: its length is found again, better than one of twice or half of it."""
    truth = PairGP(["Cu"], 5.0, 40, delta=0.1, theta=0.8, fades="quadratic", jitter=1e-6)
    rng, frames = np.random.default_rng(1), []
    for _ in range(12):
        atoms = bulk("Cu", cubic=True, a=3.7) * (2, 1, 1)
        atoms.positions += rng.normal(0, 0.25, (8, 3))
        frames.append(atoms)
    structures = Structures.from_ase(frames)
    truth.prepare([Graph.of(structures, truth.cutoff)])
    truth.coefficients = torch.from_numpy(rng.normal(size=len(truth.points)))
    forces = evaluate(truth, structures).forces.numpy() + rng.normal(0, 0.02, (96, 3))
    for k, atoms in enumerate(frames):
        atoms.calc = SinglePointCalculator(atoms, forces=forces[8 * k : 8 * k + 8])
    start = PairGP(["Cu"], 5.0, 40, delta=0.3, theta=1.6, fades="quadratic", jitter=1e-6)
    method = SparseGP(None, 0.1, None, hyperparameters="lengths", energies="none")
    fitted = method(start, Dataset.from_ase(frames))
    assert float(fitted.potential.theta) == pytest.approx(0.8, rel=0.35)
    assert fitted.history[0]["sigma_forces"] == pytest.approx(0.02, rel=0.2)
    assert fitted.history[0]["length_factor_0"] == pytest.approx(float(fitted.potential.theta) / 1.6)


def test_simplex_finds_the_least():
    class Length:
        value = 1.0

        def stretch(self, factor):
            self.value *= factor

    a, b = Length(), Length()
    found = find_lengths([a, b], lambda: (np.log(a.value / 2)) ** 2 + 3 * (np.log(b.value / 0.7)) ** 2, evaluations=200)
    assert found == pytest.approx([2, 0.7], rel=0.05)
    assert [a.value, b.value] == pytest.approx(found)


@pytest.mark.parametrize("name", ["ag", "al"])
def test_published_runs(shared, name):
    """Slabs with an adatom, fitted to the first 30 frames that FLARE asked for, with its hyperparameters.

    These frames are where it was in doubt. Errors are up to twice what doubt and the given noise say: sums of two
    and three bodies do not describe these metals so well.
    """
    data = read(shared / "data" / "flare-ag-slab" / f"{name}_opthyps.extxyz.gz")
    flare = FLARE(list(data.elements), pairs=30, triangles=60)
    ensemble = GaussianProcess(calibrated=False).fit(flare, data[:30], method=NOISE)
    test = data[30:45]
    said = evaluate(ensemble, test.structures, stress=False)
    error = (said.forces - test.labels.forces).flatten().numpy()
    quality = Quality.of(error, (said.std.forces.square() + 0.06**2).sqrt().flatten().numpy())
    assert quality.rmse < 0.14  # of 0.34 and 0.29 eV/Å
    assert 1.2 < quality.rmse / quality.sharpness < 2.5


@pytest.mark.parametrize(("name", "few", "many"), [("ag", 3, 6), ("al", 4, 10)])
def test_published_runs_again(shared, name, few, many):
    """The rule goes through the frames for which FLARE had asked, with the labels of all atoms or, as FLARE, of one.

    It asks less often, above all with all labels, and errors stay what they are with all frames.
    """
    data = read(shared / "data" / "flare-ag-slab" / f"{name}_opthyps.extxyz.gz")[:49]
    flare = FLARE(list(data.elements), pairs=30, triangles=60)
    whole, single = (replay(OnTheFly(), flare, data, NOISE, atoms=n) for n in (None, 1))
    assert len(whole.asked) == pytest.approx(few, abs=1)
    assert len(single.asked) == pytest.approx(many, abs=2)
    for done in (whole, single):
        assert float(done.errors[24:].square().mean().sqrt()) < 0.16
        assert float(done.stds[24:].square().mean().sqrt()) < 0.06
    known = replay(OnTheFly(0.5), flare, data[:6], NOISE, atoms=1)  # a lower tolerance: nearly all of them
    assert len(known.asked) == 6
