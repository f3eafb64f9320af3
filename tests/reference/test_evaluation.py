"""A reference method is an Evaluate like any other."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc100, molecule
from ase.calculators.emt import EMT

from adlayer import Structures
from adlayer.reference import ASE, GPAW, CalculationFailed, ReferenceEvaluate, TBLite, calculator_evaluate, label

tblite = pytest.importorskip("tblite")


def test_calculator_evaluate_matches_ase_on_a_mixed_batch():
    frames = [bulk("Cu", cubic=True), fcc100("Au", (1, 1, 3), vacuum=6), molecule("CO")]
    frames[0].rattle(0.1, seed=0)
    found = calculator_evaluate(EMT())(Structures.from_ase(frames))
    energies, forces = [], []
    for frame in frames:
        frame.calc = EMT()
        energies.append(frame.get_potential_energy())
        forces.append(frame.get_forces())
    assert found.energy.tolist() == energies
    assert np.array_equal(found.forces.numpy(), np.concatenate(forces))
    assert found.stress[2].isnan().all()


def test_slab_stress_is_per_area():
    """The energy per area strain of a slab, whatever its vacuum."""
    slab = fcc100("Cu", (1, 1, 3), vacuum=6)
    evaluate = calculator_evaluate(EMT())
    at = Structures.from_ase(slab)
    stress = evaluate(at).stress[0]
    h, energies = 1e-4, []
    for sign in (1, -1):
        strained = slab.copy()
        strained.set_cell(strained.cell[:] @ np.diag([1 + sign * h, 1, 1]), scale_atoms=True)
        energies.append(evaluate(Structures.from_ase(strained)).energy[0])
    assert torch.isclose(stress[0, 0], (energies[0] - energies[1]) / (2 * h) / at.measure[0], rtol=1e-6)
    assert stress[2].abs().max() == 0


def test_reference_evaluate_keeps_its_points(tmp_path):
    frames = [bulk("Cu", cubic=True), bulk("Ag", cubic=True)]
    structures = Structures.from_ase(frames)
    with ReferenceEvaluate(ASE("ase.calculators.emt.EMT"), store=tmp_path) as evaluate:
        found = evaluate(structures)
        assert torch.equal(found.energy, calculator_evaluate(EMT())(structures).energy)
        assert label(evaluate.reference, frames, tmp_path).computed == 0
        with pytest.raises(CalculationFailed, match="structure 0 of the batch"):
            evaluate(Structures.from_ase([bulk("Si")]))


def test_tblite_water_and_its_settings():
    """GFN1-xTB of water as tblite's own documentation has it, -156.967505772 eV."""
    water = molecule("H2O")
    done = label(TBLite(), [water], workers=1)
    expected = _plain(water, method="GFN1-xTB")
    assert done.frames[0].get_potential_energy() == pytest.approx(expected, abs=1e-10)
    assert done.frames[0].get_potential_energy() == pytest.approx(-156.9675, abs=1e-3)
    ion = water.copy()
    ion.info |= {"charge": 1, "spin": 1}
    charged = label(TBLite(), [ion], workers=1).frames[0]
    assert charged.get_potential_energy() == pytest.approx(_plain(ion, charge=1, multiplicity=2), abs=1e-10)
    assert charged.get_charges().sum() == pytest.approx(1.0, abs=1e-6)


def _plain(atoms, **settings):
    from tblite.ase import TBLite as Calculator

    frame = atoms.copy()
    frame.calc = Calculator(**({"method": "GFN1-xTB", "verbosity": 0} | settings))
    return frame.get_potential_energy()


def test_tblite_slab_needs_vacuum_and_repeats_across_it():
    slab = Atoms("Si2", [[0, 0, 5], [1.9, 1.9, 7]], cell=[3.84, 3.84, 20], pbc=(True, True, False))
    full = slab.copy()
    full.pbc = True
    done = label(TBLite(), [slab, full], workers=1)
    assert done.frames[0].get_potential_energy() == done.frames[1].get_potential_energy()
    assert list(done.frames[0].pbc) == [True, True, False]
    slab.cell[2, 2] = 9.0
    failure = label(TBLite(), [slab], workers=1).failures[0]
    assert "8 Å of vacuum along the non-periodic axis 2; the cell leaves 7.0 Å" in failure.reason


def test_unconverged_scf_is_retried_then_set_aside():
    done = label(TBLite(max_iterations=2), [molecule("H2O")], workers=1)
    assert "SCF not converged" in done.failures[0].reason
    assert done.failures[0].attempts == 2


@pytest.mark.slow
def test_gpaw_labels_a_tiny_cell():
    pytest.importorskip("gpaw")
    silicon = bulk("Si")
    reference = GPAW(cutoff=200.0, xc="LDA", kpts=[2, 2, 2])
    stretched = silicon.copy()
    stretched.positions[1] += 0.1
    done = label(reference, [silicon, stretched], workers=1)
    assert not done.failures
    assert done.frames[1].get_potential_energy() > done.frames[0].get_potential_energy()
    force, h = done.frames[1].get_forces()[1, 0], 0.01
    ends = []
    for sign in (1, -1):
        moved = stretched.copy()
        moved.positions[1, 0] += sign * h
        ends.append(moved)
    up, down = (f.get_potential_energy() for f in label(reference, ends, workers=1).frames)
    assert force == pytest.approx(-(up - down) / (2 * h), abs=0.05)
