import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones as ASELennardJones
from ase.cluster import Octahedron
from ase.db import connect
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from adlayer.engines.ase import Calculator
from adlayer.potential import PerAtom, Potential, Prediction
from adlayer.potentials.lennard_jones import LennardJones

COPPER = {"epsilon": 0.4, "sigma": 2.3, "cutoff": 5.0, "truncation": "energy"}


@pytest.fixture
def calculator():
    return Calculator(LennardJones(**COPPER))


def rattled(atoms, seed=0):
    atoms.positions += 0.05 * np.random.default_rng(seed).standard_normal(atoms.positions.shape)
    return atoms


class Charged(Potential):
    """Two charges at rest, whose energy is that of the total charge: for what the door does with them."""

    cutoff = 1.0

    def forward(self, graph):
        charge = graph.structures.charge[graph.structures.system] / graph.n_atoms
        return PerAtom(charge**2, charges=charge)


def test_equals_the_calculator_of_ase(calculator):
    atoms = rattled(bulk("Cu", cubic=True) * (2, 2, 2))
    theirs = ASELennardJones(epsilon=0.4, sigma=2.3, rc=5.0)
    assert calculator.get_potential_energy(atoms) == pytest.approx(theirs.get_potential_energy(atoms), abs=1e-9)
    np.testing.assert_allclose(calculator.get_forces(atoms), theirs.get_forces(atoms), atol=1e-10)
    np.testing.assert_allclose(calculator.get_stress(atoms), theirs.get_stress(atoms), atol=1e-12)
    np.testing.assert_allclose(
        calculator.get_potential_energies(atoms), theirs.get_potential_energies(atoms), atol=1e-9
    )
    assert calculator.results["free_energy"] == calculator.results["energy"]
    assert isinstance(calculator.results["energy"], float)


def test_stress_of_a_slab_is_the_in_plane_virial_over_the_volume_of_the_cell(calculator):
    atoms = rattled(fcc111("Cu", (2, 2, 3), vacuum=6.0))
    atoms.calc = calculator
    stress, numeric = atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(stress[[0, 1, 5]], numeric[[0, 1, 5]], atol=1e-7)
    assert np.abs(stress[[0, 1]]).min() > 1e-4
    np.testing.assert_array_equal(stress[[2, 3, 4]], 0)
    taller = atoms.copy()
    taller.cell[2] *= 2
    taller.calc = calculator
    np.testing.assert_allclose(taller.get_stress() * taller.get_volume(), stress * atoms.get_volume(), atol=1e-12)


def test_a_cluster_and_a_slab_without_a_third_vector_have_no_stress_in_ase(calculator):
    for atoms in (Octahedron("Cu", 3), fcc111("Cu", (2, 2, 3))):
        atoms.calc = calculator
        np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()


def test_computes_again_when_and_only_when_something_it_reads_has_changed(calculator):
    calls = []
    evaluate = calculator.evaluate
    calculator.evaluate = lambda structures: calls.append(structures) or evaluate(structures)
    atoms = rattled(bulk("Cu", cubic=True) * (2, 2, 2))
    atoms.calc = calculator
    atoms.get_forces()
    atoms.get_potential_energy()
    atoms.set_initial_magnetic_moments(np.ones(len(atoms)))
    atoms.get_stress()
    assert len(calls) == 1
    changes = (
        lambda: atoms.positions.__iadd__(0.3),
        lambda: atoms.set_cell(atoms.cell * 1.02, scale_atoms=True),
        lambda: atoms.set_pbc([True, True, False]),
        lambda: atoms.pop(),
        lambda: atoms.info.update(charge=1.0),
        lambda: atoms.numbers.__setitem__(0, 29),
    )
    for k, change in enumerate(changes[:-1]):
        change()
        mine = atoms.get_potential_energy()
        assert len(calls) == k + 2
        assert mine == pytest.approx(Calculator(LennardJones(**COPPER)).get_potential_energy(atoms), abs=1e-10)
    changes[-1]()  # the same element again
    atoms.get_potential_energy()
    assert len(calls) == len(changes)


def test_relaxes_cell_and_positions_and_keeps_its_neighbor_list(calculator):
    atoms = rattled(bulk("Cu", cubic=True) * (2, 2, 2))
    atoms.set_cell(atoms.cell * 1.03, scale_atoms=True)
    atoms.calc = calculator
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    assert np.abs(atoms.get_stress()).max() < 1e-5
    start = atoms.get_total_energy()
    searches = calculator.evaluate.neighbors.n_searches
    VelocityVerlet(atoms, 2.0).run(20)
    assert atoms.get_total_energy() == pytest.approx(start, abs=1e-6)
    assert calculator.evaluate.neighbors.n_searches <= searches + 1


def test_results_can_be_written_and_read(calculator, tmp_path):
    atoms = rattled(bulk("Cu", cubic=True))
    atoms.calc = Calculator(lambda s: calculator.evaluate(s)._replace(std=Prediction(energy=torch.tensor([0.5]))))
    forces = atoms.get_forces()
    assert atoms.calc.results["energy_std"] == 0.5
    for name in ("a.extxyz", "a.traj"):
        write(tmp_path / name, atoms)
        np.testing.assert_allclose(read(tmp_path / name).get_forces(), forces, atol=1e-7)
    with connect(tmp_path / "a.db") as db:
        db.write(atoms)
    assert db.get(1).energy == pytest.approx(atoms.get_potential_energy())


def test_charge_comes_from_info_and_charges_and_dipole_go_out():
    atoms = bulk("Cu", cubic=True)
    atoms.set_pbc(False)
    atoms.info["charge"] = 2.0
    atoms.calc = Calculator(Charged())
    np.testing.assert_allclose(atoms.get_charges(), 0.5)
    np.testing.assert_allclose(atoms.get_dipole_moment(), 0.5 * atoms.positions.sum(0))
    assert atoms.get_potential_energy() == pytest.approx(1.0)
    plain = Calculator(LennardJones(**COPPER))
    with pytest.raises(PropertyNotImplementedError):
        plain.get_property("charges", atoms)


def test_says_what_is_wrong(calculator):
    atoms = bulk("Cu", cubic=True)
    atoms.positions[2, 1] = np.nan
    with pytest.raises(ValueError, match="atoms 2 are not finite"):
        calculator.get_forces(atoms)
    calculator.evaluate.potential.elements = ("Si", "H")
    with pytest.raises(ValueError, match="knows Si, H; the structures also hold Cu"):
        calculator.get_forces(bulk("Cu"))


def test_float32_gives_what_float64_gives_to_its_precision(calculator):
    atoms = rattled(bulk("Cu", cubic=True))
    single = Calculator(LennardJones(**COPPER), dtype="float32")
    assert single.evaluate.potential.dtype == torch.float32
    np.testing.assert_allclose(single.get_forces(atoms), calculator.get_forces(atoms), atol=1e-4)
