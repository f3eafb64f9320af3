"""Each check finds a synthetic example of what it is for, and leaves clean data alone."""

import re
import time
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from adlayer.data import Dataset, write
from adlayer.data.conversion import parse_units
from adlayer.data.doctor import check, render
from adlayer.units import BOHR, GPA, HARTREE, KCAL_PER_MOL


def labeled(atoms: Atoms, shift: float = 0.0) -> Atoms:
    """EMT labels, true forces on fixed atoms too."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy() + shift, "forces": atoms.get_forces(apply_constraint=False)}
    if atoms.pbc.all():
        results["stress"] = atoms.get_stress(apply_constraint=False)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def trajectory(start: Atoms, n: int, seed: int, step: float = 0.03, spread: float = 0.06) -> list[Atoms]:
    """A correlated walk about a start: consecutive frames are near."""
    rng, frames = np.random.default_rng(seed), []
    u = rng.normal(scale=spread, size=start.positions.shape)
    for _ in range(n):
        u = np.sqrt(1 - (step / spread) ** 2) * u + rng.normal(scale=step, size=u.shape)
        atoms = start.copy()
        atoms.positions += u
        frames.append(labeled(atoms, shift=-3.5 * len(atoms)))
    return frames


def crystal(n: int = 24, seed: int = 0) -> list[Atoms]:
    return trajectory(bulk("Cu", cubic=True) * (2, 2, 1), n, seed)


def strained(n: int = 20, seed: int = 1) -> list[Atoms]:
    """Frames whose cells breathe and shear a little."""
    rng, frames = np.random.default_rng(seed), []
    walk = np.zeros((3, 3))
    for atoms in crystal(n, seed):
        step = rng.normal(scale=0.008, size=(3, 3))
        walk = 0.7 * walk + 0.5 * (step + step.T)
        moved = atoms.copy()
        moved.set_cell(atoms.cell @ (np.eye(3) * 1.01 + walk), scale_atoms=True)
        frames.append(labeled(moved, shift=-3.5 * len(moved)))
    return frames


def clean() -> list[Atoms]:
    slab = fcc100("Cu", (2, 2, 4), vacuum=6.0)
    slab.pbc = (True, True, False)
    return crystal() + strained() + trajectory(slab, 12, seed=2)


def findings(frames, **options):
    dataset = frames if isinstance(frames, Dataset) else Dataset.from_ase(frames, **options)
    return check(dataset)


def found(frames, name: str, severity: str | None = None, **options):
    matching = [f for f in findings(frames, **options) if f.check == name and severity in (None, f.severity)]
    assert matching, render(findings(frames, **options))
    for f in matching:
        assert f.message
        assert f.remedy
        assert not f.message.endswith(".")
    return matching[0]


def changed(frames, **factors) -> list[Atoms]:
    """The same frames with their labels multiplied."""
    out = []
    for atoms in frames:
        results = {k: np.asarray(v) * factors.get(k, 1.0) for k, v in atoms.calc.results.items()}
        atoms = atoms.copy()
        atoms.calc = SinglePointCalculator(atoms, **results)
        out.append(atoms)
    return out


def test_clean_data_raise_no_alarm():
    assert [f for f in findings(clean()) if f.severity != "note"] == []


def test_what_a_finding_says(tmp_path):
    frames = clean()
    frames[3].positions[1] = frames[3].positions[0] + 0.3
    frames[3].calc.atoms = frames[3].copy()
    path = write(tmp_path / "copper.extxyz", Dataset.from_ase(frames))
    finding = next(f for f in check(path) if f.check == "short distances")
    assert finding.file == str(path)
    assert finding.frames == (3,)
    assert re.search(r"(?s)copper.extxyz.*frame 3.*remedy:.*ZBL", render([finding]))
    assert render([]) == "Nothing wrong was found."


def test_files_that_cannot_be_read_are_findings(tmp_path):
    assert check(tmp_path / "nowhere.xyz")[0].severity == "error"
    (tmp_path / "empty.xyz").write_text("")
    assert "empty" in check(str(tmp_path / "empty.xyz"))[0].message


@pytest.mark.parametrize(
    "factors, says",
    [
        ({"energy": 1 / KCAL_PER_MOL}, "kcal/mol"),
        ({"energy": 1 / HARTREE}, "Hartree"),
        ({"forces": BOHR / HARTREE}, "Hartree/Bohr"),
        ({"forces": -1.0}, "sign"),
        ({"energy": 1 / 16}, "per atom"),
    ],
)
def test_energies_that_contradict_the_forces(factors, says):
    assert says in found(changed(crystal(), **factors), "units", "error").message


@pytest.mark.parametrize("factor, says", [(1 / KCAL_PER_MOL, "kcal/mol"), (BOHR / HARTREE, "hartree/bohr")])
def test_consistent_labels_in_another_unit_show_in_the_stiffness_of_bonds(factor, says):
    assert says in found(changed(crystal(), energy=factor, forces=factor), "units").message


def test_the_remedy_for_units_works(tmp_path):
    path = tmp_path / "kcal.extxyz"
    write(path, Dataset.from_ase(changed(crystal(), energy=1 / KCAL_PER_MOL)))
    remedy = next(f for f in check(path) if f.check == "units").remedy
    units = eval(re.search(r"units=({.*})", remedy)[1])
    assert [f for f in check(path, units=units, keys={"stress": None}) if f.severity == "error"] == []


def test_positions_in_bohr():
    frames = []
    for atoms in crystal(8):
        big = Atoms(atoms.numbers, positions=atoms.positions / BOHR, cell=atoms.cell / BOHR, pbc=True)
        big.info["energy"] = float(atoms.calc.results["energy"])
        big.arrays["forces"] = atoms.calc.results["forces"]
        frames.append(big)
    assert "bohr" in found(frames, "units", "error").remedy


def test_all_electron_energies_in_hartree():
    frames = []
    for k in range(6):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.02, seed=k)
        atoms.info["energy"] = -154.9 + 0.001 * k
        frames.append(atoms)
    assert "hartree" in found(frames, "units", "error").message


def test_energies_per_atom_where_sizes_differ():
    frames = [labeled(bulk("Cu", cubic=True) * (1, 1, k)) for k in (1, 2, 3, 4)]
    rng = np.random.default_rng(0)
    for atoms in frames:
        atoms.calc.results["energy"] = -3.5 + 0.01 * rng.normal()
    assert "per atom" in found(frames, "units", "error").message


@pytest.mark.parametrize("factor, says", [(-1.0, "sign is wrong"), (1 / GPA, "GPa"), (-10 / GPA, "kbar and its sign")])
def test_stress_sign_and_unit_against_energies(factor, says):
    assert says in found(changed(strained(), stress=factor), "stress", "error").message


@pytest.mark.parametrize("factor, says", [(-1.0, "sign is wrong"), (1 / GPA, "GPa")])
def test_stress_sign_and_unit_against_forces(factor, says):
    frames = changed(crystal(), stress=factor)
    for k, atoms in enumerate(frames):
        atoms.calc.results["energy"] = -3.5 * 16 + 0.1 * k  # energies tell nothing
    assert says in found(frames, "stress", "error").message


def test_voigt_order():
    found_here = found(clean()[:44], "stress", "error", voigt="xx yy zz xy yz xz")
    assert "Voigt order" in found_here.message


def test_total_and_cohesive_energies_mixed():
    alone = Atoms("Cu", positions=[[0, 0, 0]])
    alone.calc = SinglePointCalculator(alone, energy=-1300.0)
    assert "mixed" in found([*clean(), alone], "zero of energy", "error").message
    alone.calc = SinglePointCalculator(alone, energy=0.0)
    assert not [f for f in findings([*clean(), alone]) if f.check == "zero of energy"]


def test_relative_energies():
    frames = changed(crystal(6))
    for k, atoms in enumerate(frames):
        atoms.calc.results["energy"] = 1.2 + 0.1 * k
    found(frames, "zero of energy", "note")


def test_forces_zeroed_by_constraints():
    slab = fcc100("Cu", (2, 2, 4), vacuum=6.0)
    frames = trajectory(slab, 6, seed=2)
    fixed = slab.get_tags() >= 3
    for atoms in frames:
        atoms.calc.results["forces"] = np.where(fixed[:, None], 0.0, atoms.calc.results["forces"])
    assert "8 of 16" in found(frames, "zeroed forces", "error").message
    assert not [f for f in findings(frames) if f.check == "net force"]
    for atoms in frames:
        atoms.set_constraint(FixAtoms(mask=fixed))
        atoms.calc.results["forces"][~fixed] -= atoms.calc.results["forces"][~fixed].mean(0)  # balanced, yet zeroed
    found(frames, "zeroed forces", "error")


def test_zeros_by_symmetry_are_no_constraint():
    slab = fcc100("Cu", (1, 1, 5), vacuum=6.0)
    slab.calc = EMT()
    forces = np.round(slab.get_forces(), 6) + 0.0
    assert (forces == 0).all(1).any()
    frame = slab.copy()
    frame.calc = SinglePointCalculator(frame, energy=slab.get_potential_energy() - 17, forces=forces)
    assert not [f for f in findings([*crystal(), frame]) if f.check == "zeroed forces"]


def test_forces_all_zero():
    found(changed(crystal(4), forces=0.0), "zeroed forces", "error")


def test_net_force():
    frames = crystal()
    frames[5].calc.results["forces"] = frames[5].calc.results["forces"] + [0.3, 0, 0]
    assert found(frames, "net force", "warning").frames == (5,)


def test_a_jump_of_energy_between_near_frames():
    frames = crystal()
    frames[7].calc.results["energy"] += 0.8
    assert 7 in found(frames, "energy jumps", "warning").frames


def test_duplicates_also_shifted_turned_and_permuted():
    frames = crystal()
    again = frames[4].copy()[::-1]
    again.positions += [0.7, -0.3, 5.1]
    again.wrap()
    again.calc = SinglePointCalculator(again, energy=frames[4].calc.results["energy"])
    finding = found([*frames, again], "duplicates", "note")
    assert finding.frames == (24,)
    again.calc = SinglePointCalculator(again, energy=frames[4].calc.results["energy"] + 1.0)
    assert "two energies" in found([*frames, again], "duplicates", "error").message


def test_near_duplicates():
    frames = crystal()
    near = frames[4].copy()
    near.rattle(0.001, seed=0)
    assert found([*frames, labeled(near, -56.0)], "near-duplicates", "note").frames == (24,)


def test_leaks_between_splits():
    train, test = Dataset.from_ase(crystal(12, seed=0)), Dataset.from_ase(crystal(12, seed=9))
    assert not [f for f in check(train, against=test) if f.check == "leaks"]
    again = train[3].to_ase()[0]
    again.calc = None
    again.rattle(0.001, seed=0)
    leaky = Dataset.cat([test, train[5], Dataset.from_ase(labeled(again))])
    finding = next(f for f in check(train, against=leaky) if f.check == "leaks")
    assert finding.severity == "error"
    assert finding.frames == (3, 5)


def test_outliers():
    frames = clean()
    frames[2].calc.results["energy"] += 100
    assert found(frames, "outliers", "warning").frames == (2,)
    frames = clean()
    frames[2].calc.results["forces"][:2] += [[300.0, 0, 0], [-300.0, 0, 0]]
    assert found(frames, "outliers", "warning").frames == (2,)


def test_short_distances():
    frames = crystal()
    frames[1].positions[1] = frames[1].positions[0] + [0.9, 0, 0]
    assert found([labeled(a) for a in frames], "short distances").frames == (1,)


def test_periodicity_that_was_lost():
    frames = crystal(5)
    for atoms in frames:
        atoms.pbc = False
        atoms.calc = None
    found([labeled(a) for a in frames], "periodicity", "warning")


def test_vacuum_along_a_periodic_axis():
    slab = fcc100("Cu", (2, 2, 4), vacuum=6.0)
    slab.pbc = True
    assert "vacuum" in found([labeled(slab)], "periodicity", "note").message
    slab.center(vacuum=2.6, axis=2)
    assert "image" in found([labeled(slab)], "periodicity", "note").message


def test_mixed_levels_of_theory():
    frames = crystal()
    for k, atoms in enumerate(frames):
        atoms.info["functional"] = "PBE" if k < 20 else "RPBE"
    finding = found(frames, "levels of theory", "warning")
    assert finding.frames == (20, 21, 22, 23)
    frames = crystal()
    for atoms in frames[15:]:
        atoms.calc.results["energy"] += 0.8 * len(atoms)
    assert "two heaps" in found(frames, "levels of theory", "warning").message


def test_an_element_seen_once():
    frames = crystal()
    frames[9].numbers[0] = 29 - 1
    frames[9].calc.atoms = frames[9].copy()
    assert "Ni" in found(frames, "rare elements", "warning").message


def test_missing_labels_and_free_energies():
    frames = crystal()
    del frames[3].calc.results["forces"]
    assert found(frames, "labels", "warning").frames == (3,)
    frames = crystal()
    frames[2].calc.results["free_energy"] = frames[2].calc.results["energy"] - 0.5
    assert found(frames, "free energy", "note").frames == (2,)


VASP_ORDER = {"keys": {"stress": "virial_voigt"}, "voigt": "xx yy zz xy yz xz"}


@pytest.mark.parametrize(
    "file, options",
    [
        ("mlearn/Si_train.extxyz.gz", VASP_ORDER),
        ("mlearn/Si_test.extxyz.gz", VASP_ORDER),
        ("mlearn/Cu_train.extxyz.gz", {**VASP_ORDER, "voigt": "xx yy zz xy xz yz"}),
        ("mlearn/Li_train.extxyz.gz", {"keys": {"stress": None}}),
        ("rmd17/aspirin_fold01.npz", {}),
        ("rmd17/ethanol_fold01.npz", {}),
        ("rmd17/uracil_fold01.npz", {}),
        ("cu-poet/cu_poet.extxyz.gz", {"units": {"stress": "-eV/angstrom^3"}}),
        ("alumina-surfaces/s001p11-Al16O24-surf__r1.extxyz.gz", {}),
        ("alumina-surfaces/amorphous-Al72O108-surface-r2.extxyz.gz", {"index": "::8"}),
        ("zeolite-silica/cha_120.npz", {"index": ":60"}),
        ("aenet-tio2-1000/tio2_1000.extxyz.gz", {"index": ":400"}),
        ("deepmd-water/water_pbe0ts_0.extxyz.gz", {"index": ":30"}),
    ],
)
def test_real_data_raise_no_false_alarm(shared, file, options):
    assert [str(f) for f in check(shared / "data" / file, **options) if f.severity != "note"] == []


def test_true_defects_of_published_data_are_found(shared):
    copper = check(shared / "data" / "mlearn" / "Cu_train.extxyz.gz", index=":120", **VASP_ORDER)
    assert "Voigt order" in next(f for f in copper if f.check == "stress").message
    poet = check(shared / "data" / "cu-poet" / "cu_poet.extxyz.gz")
    assert "sign is wrong" in next(f for f in poet if f.check == "stress").message
    units = parse_units({"energy": "eV", "forces": "eV/angstrom"})
    ethanol = check(shared / "data" / "rmd17" / "ethanol_fold01.npz", units=units, index=":300")
    assert "kcal/mol" in next(f for f in ethanol if f.check == "units").message


@pytest.mark.slow
def test_ten_thousand_frames_of_fifty_atoms_take_well_under_a_minute():
    start, rng, frames = bulk("Cu", cubic=True) * (2, 2, 3), np.random.default_rng(0), []
    for _ in range(10_000):
        atoms = start.copy()
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        atoms.info["energy"] = -3.5 * len(atoms) + rng.normal()
        atoms.arrays["forces"] = rng.normal(size=atoms.positions.shape)
        frames.append(atoms)
    dataset = Dataset.from_ase(frames)
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(dataset)
    assert time.process_time() - begun < 60
