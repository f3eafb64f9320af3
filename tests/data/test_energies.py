import numpy as np
import pytest
from ase import Atoms

from adlayer import ReferenceEnergies
from adlayer.data import Dataset, reference_energies

E0 = {"H": -13.6, "Ti": -1500.0, "O": -2040.0}


def frame(formula: str, energy: float | None = None, spread: float = 2.0) -> Atoms:
    atoms = Atoms(formula)
    atoms.positions = np.arange(len(atoms))[:, None] * [spread, 0, 0]
    atoms.info["energy"] = sum(E0[s] for s in atoms.get_chemical_symbols()) if energy is None else energy
    return atoms


def test_least_squares_recovers_what_the_energies_are_made_of():
    found = reference_energies(Dataset.from_ase([frame(f) for f in ("TiO2", "Ti2O3", "H2O", "H2", "TiO")]))
    assert found.energies == pytest.approx(E0)
    assert found.determined
    assert found.rms < 1e-9
    assert set(found.source.values()) == {"least squares"}
    assert list(found.energies) == ["H", "O", "Ti"]


def test_isolated_atoms_come_first_and_given_ones_before_them():
    frames = [frame(f, -5.0 * len(Atoms(f))) for f in ("TiO2", "Ti2O3")] + [frame("O", -3.0), frame("O", -2.5)]
    found = reference_energies(Dataset.from_ase(frames), given={"Ti": -7.0})
    assert found.energies == {"O": -3.0, "Ti": -7.0}
    assert found.source == {"O": "isolated atom", "Ti": "given"}
    fitted = reference_energies(Dataset.from_ase(frames), method="least squares")
    assert set(fitted.source.values()) == {"least squares"}


def test_a_charged_atom_is_no_reference():
    ion = frame("H", 0.0)
    ion.info["charge"] = 1
    assert reference_energies(Dataset.from_ase([ion, frame("H", -13.6)])).energies == {"H": -13.6}


def test_one_stoichiometry_is_said_and_solved_by_the_least_norm():
    found = reference_energies(Dataset.from_ase([frame("TiO2", -30.0), frame("Ti2O4", -60.0)]))
    assert not found.determined
    assert found.rank == 1
    assert found.energies["Ti"] + 2 * found.energies["O"] == pytest.approx(-30.0)
    assert found.energies == pytest.approx({"Ti": -6.0, "O": -12.0})  # along (1, 2): the least norm
    assert found.combinations in (("O - 2 Ti",), ("2 Ti - O",), ("O - 0.5 Ti",), ("Ti - 0.5 O",))
    assert found.combinations[0] in str(found)


def test_the_table_shows_every_energy_and_its_source():
    table = str(reference_energies(Dataset.from_ase([frame("O", -3.0), frame("TiO2", -30.0)])))
    assert "-3.000000 eV   isolated atom" in table
    assert "-24.000000 eV   least squares" in table


def test_they_become_a_part_of_a_potential():
    potential = reference_energies(Dataset.from_ase([frame("H2"), frame("H2O")])).potential()
    assert isinstance(potential, ReferenceEnergies)
    assert potential.energies.tolist() == pytest.approx([E0["H"], E0["O"]])


def test_given_energies_need_no_labels():
    bare = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])
    assert reference_energies(Dataset.from_ase(bare), given={"H": -13.6}).energies == {"H": -13.6}
