"""Relaxation reaches what ASE's reaches, in no more steps; each system by itself; cells in the directions asked."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.filters import UnitCellFilter
from ase.optimize import FIRE as AseFIRE
from ase.optimize import LBFGS as AseLBFGS

from adlayer import Evaluator, Prediction
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.reference import calculator_evaluate
from adlayer.simulation import FIRE, LBFGS, relax, run


def slab():
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() == 3))
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.mark.parametrize("ours, theirs", [(FIRE, AseFIRE), (LBFGS, AseLBFGS)])
def test_as_ase_does(ours, theirs):
    done = run(ours(fmax=0.01), calculator_evaluate(EMT()), [slab()])
    other = slab()
    other.calc = EMT()
    optimizer = theirs(other, logfile=None)
    optimizer.run(fmax=0.01)
    assert done.finished.all()
    assert done.prediction.energy.item() == pytest.approx(other.get_potential_energy(), abs=2e-4)
    assert done.steps[0] <= 1.2 * optimizer.nsteps
    found = done.frames[0]
    assert np.array_equal(found.positions[found.get_tags() == 3], slab().positions[slab().get_tags() == 3])
    assert np.linalg.norm(done.frames[0].get_forces(), axis=1).max() <= 0.01


def test_each_leaves_when_it_is_relaxed():
    calls = []
    inner = calculator_evaluate(EMT())

    def evaluate(structures):
        calls.append(len(structures))
        return inner(structures)

    ideal = bulk("Cu", cubic=True)
    done = relax(evaluate, [ideal, slab(), ideal * (2, 1, 1)], fmax=0.01)
    assert done.finished.all()
    assert done.steps[0] == done.steps[2] == 0
    assert done.steps[1] > 3
    assert calls == [3] + [1] * done.steps[1]
    assert np.array_equal(done.frames[0].positions, ideal.positions)
    alone = relax(inner, [slab()], fmax=0.01)
    assert alone.steps[0] == done.steps[1]
    assert torch.allclose(alone.structures.positions, done.structures[[1]].positions, rtol=0, atol=1e-10)


def test_a_step_that_climbs_is_taken_back():
    """A soft slope ends at a hard wall, into which its curvature leads; the other atom is there already."""

    def evaluate(structures):
        x = structures.positions[:, 0]
        E = (x + 0.3) ** 2 + 0.01 * torch.exp(-40 * x)
        slope = 2 * (x + 0.3) - 0.4 * torch.exp(-40 * x)
        return Prediction(E, torch.stack([-slope, 0 * x, 0 * x], dim=-1))

    atoms = [Atoms("H", [[x, 0, 0]]) for x in (1.0, 0.0)]
    for allowed in (0.01, 1e9):
        done = run(LBFGS(fmax=0.001, max_rise=allowed), evaluate, atoms, every=1)
        rise = np.nanmax(np.diff(done.log["potential energy (eV)"][:, 0]))
        assert done.finished.all()
        assert rise <= 0.01 if allowed == 0.01 else rise > 0.01
        assert torch.allclose(*done.structures.positions, atol=1e-3)


def test_not_enough_steps_is_said():
    done = relax(calculator_evaluate(EMT()), [slab()], fmax=1e-9, max_steps=3)
    assert done.reason == ["not finished after 3 steps"]
    assert done.steps[0] == 3


@pytest.mark.parametrize("engine", [FIRE, LBFGS])
def test_bulk_cell_relaxes_to_the_equilibrium(engine):
    atoms = bulk("Si", cubic=True)
    atoms.set_cell(np.asarray(atoms.cell) @ np.array([[1.04, 0.03, 0], [0, 0.97, 0], [0, 0, 1.02]]), scale_atoms=True)
    done = run(engine(fmax=1e-4, cell=True), Evaluator(StillingerWeber()), [atoms])
    assert done.finished.all()
    assert done.frames[0].get_volume() == pytest.approx(5.43095**3, abs=0.02)  # Stillinger and Weber 1985
    assert done.prediction.energy.item() / 8 == pytest.approx(-4.3364, abs=2e-4)
    assert np.allclose(done.frames[0].cell.angles(), 90, atol=0.05)


def test_cell_as_ase_does():
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell[:] * 1.03, scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    done = relax(calculator_evaluate(EMT()), [atoms], fmax=0.002, cell=True)
    atoms.calc = EMT()
    AseLBFGS(UnitCellFilter(atoms), logfile=None).run(fmax=0.002)
    assert done.prediction.energy.item() == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    assert done.frames[0].get_volume() == pytest.approx(atoms.get_volume(), rel=2e-4)


def test_slab_cell_relaxes_in_its_plane_alone():
    atoms = slab()
    atoms.set_constraint()
    done = relax(calculator_evaluate(EMT()), [atoms], fmax=0.005, cell=True)
    assert done.finished.all()
    stress = done.prediction.stress[0]
    assert stress.abs().max() * done.structures.measure[0] / 12 < 0.005
    before, after = np.asarray(atoms.cell), np.asarray(done.frames[0].cell)
    assert np.array_equal(before[2], after[2])
    assert abs(after[0, 0] / before[0, 0] - 1) > 0.005  # three layers contract
    one = relax(calculator_evaluate(EMT()), [atoms], fmax=0.005, cell=[True, False, False])
    after = np.asarray(one.frames[0].cell)
    assert np.allclose(after[:, 1:], before[:, 1:])
    assert abs(after[0, 0] / before[0, 0] - 1) > 0.005


def test_cell_without_stress_is_refused():
    with pytest.raises(ValueError, match="stress=True"):
        relax(Evaluator(StillingerWeber(), stress=False), [bulk("Si", cubic=True)], cell=True)
