from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from adlayer.data import Dataset, read, write
from adlayer.data.conversion import parse_units
from adlayer.data.sources import all_electron_unit
from adlayer.units import BOHR, GPA, HARTREE, KCAL_PER_MOL


def labeled(atoms: Atoms, **results) -> Atoms:
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def copper(seed: int = 0) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell @ (np.eye(3) + [[0.01, 0.02, 0], [0, -0.01, 0], [0, 0.03, 0]]), scale_atoms=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    results = {q: atoms.calc.get_property(q, atoms) for q in ("energy", "forces", "stress")}
    return labeled(atoms, **results)


def slab() -> Atoms:
    """A slab with its lower half fixed and true forces everywhere."""
    atoms = fcc111("Cu", (2, 2, 3), vacuum=5.0)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() == 3))
    rng = np.random.default_rng(3)
    return labeled(atoms, energy=-3.0, forces=rng.normal(size=(12, 3)), stress=np.arange(1.0, 7.0) * 1e-3)


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz.gz", "a.db"])
def test_what_is_written_is_read_back_to_the_last_digit(tmp_path, name):
    frames = [copper(0), slab(), labeled(molecule("CH4"), energy=-8.0)]
    frames[0].info.update(group="bulk", weight=2.5, note="two words", numbers_of_mine=np.array([1.5, 2.5]))
    frames[2].info["charge"] = 1
    before = Dataset.from_ase(frames)
    after = read(write(tmp_path / name, before))
    assert torch.equal(before.structures.positions, after.structures.positions)
    assert torch.equal(before.structures.numbers, after.structures.numbers)
    assert torch.equal(before.structures.pbc, after.structures.pbc)
    assert torch.equal(before.structures.cell, after.structures.cell)
    assert torch.equal(before.structures.charge, after.structures.charge)
    assert torch.equal(before.labels.energy, after.labels.energy)
    assert torch.equal(before.labels.forces[:16], after.labels.forces[:16])
    assert torch.allclose(before.labels.stress, after.labels.stress, rtol=1e-12, atol=1e-16, equal_nan=True)
    assert after.has("forces").tolist() == [True, True, False]
    assert after.info[0]["group"] == "bulk"
    assert after.info[0]["weight"] == 2.5
    assert after.info[0]["note"] == "two words"
    assert np.array_equal(after.info[0]["numbers_of_mine"], [1.5, 2.5])
    assert np.array_equal(after.info[1]["arrays"]["fixed"], before.info[1]["arrays"]["fixed"])


def test_forces_of_constrained_atoms_are_the_true_ones():
    atoms = slab()
    assert np.all(atoms.get_forces()[atoms.constraints[0].index] == 0)
    forces = Dataset.from_ase(atoms).labels.forces.numpy()
    assert np.array_equal(forces, atoms.calc.results["forces"])


def test_stress_is_per_volume_outside_and_per_periodic_measure_inside():
    atoms = slab()
    dataset = Dataset.from_ase(atoms)
    area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    height = atoms.get_volume() / area
    sxx, syy, _, _, _, sxy = atoms.calc.results["stress"] * height
    expected = torch.tensor([[sxx, sxy, 0], [sxy, syy, 0], [0, 0, 0]], dtype=torch.float64)
    assert torch.allclose(dataset.labels.stress[0], expected, atol=1e-15)
    assert dataset.labels.stress[0, 0, 0] == pytest.approx(0.001 * height)
    back = dataset.to_ase()[0].calc.results["stress"]
    assert np.allclose(back[[0, 1, 5]], atoms.calc.results["stress"][[0, 1, 5]], rtol=1e-14)
    assert np.allclose(back[2:5], 0)


def test_stress_equals_a_finite_difference_of_the_energy():
    atoms = copper()
    inside = Dataset.from_ase(atoms).labels.stress[0]
    h, energy = 1e-5, []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.set_cell(
            atoms.cell @ (np.eye(3) + sign * h * np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])), scale_atoms=True
        )
        strained.calc = EMT()
        energy.append(strained.get_potential_energy())
    assert inside[0, 1] == pytest.approx((energy[0] - energy[1]) / (2 * h) / atoms.get_volume(), abs=1e-7)


def test_stress_and_virial_are_one_label_in_two_dresses():
    atoms = copper()
    stress, V = atoms.calc.results["stress"], atoms.get_volume()
    matrix = stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)
    bare = atoms.copy()
    expected = torch.from_numpy(matrix)[None]
    for entry, options in [
        ({"stress": stress}, {}),
        ({"virial": -V * matrix}, {}),
        ({"REF_virials": (-V * matrix).ravel()}, {}),
        ({"stress": stress, "dft_virial": -V * matrix}, {}),
        ({"dft_stress": -matrix / GPA}, {"units": {"stress": "-GPa"}}),
        ({"REF_stress": stress[[0, 1, 2, 5, 3, 4]]}, {"voigt": "xx yy zz xy yz xz"}),
    ]:
        bare.info = entry
        options = {**options, "units": parse_units(options.get("units"))}
        assert torch.allclose(Dataset.from_ase(bare, **options).labels.stress, expected, atol=1e-14)


@pytest.mark.parametrize(
    "energy, forces", [("energy", "forces"), ("REF_energy", "REF_forces"), ("dft_energy", "dft_force")]
)
def test_labels_are_found_by_looking(tmp_path, energy, forces):
    (tmp_path / "a.xyz").write_text(
        f'2\nProperties=species:S:1:pos:R:3:{forces}:R:3 {energy}=-7.5 pbc="F F F"\nH 0 0 0 1 2 3\nH 0 0 0.8 -1 -2 -3\n'
    )
    dataset = read(tmp_path / "a.xyz", need=("energy", "forces"))
    assert dataset.labels.energy.tolist() == [-7.5]
    assert dataset.labels.forces.tolist() == [[1, 2, 3], [-1, -2, -3]]


def test_labels_named_by_the_user_win():
    atoms = molecule("H2O")
    atoms.info.update(energy=-1.0, REF_energy=-2.0, my_number=-3.0)
    for name, value in [("energy", -1.0), ("REF_energy", -2.0), ("my_number", -3.0), (["nowhere", "energy"], None)]:
        if value is None:
            with pytest.raises(ValueError, match="nowhere"):
                Dataset.from_ase(atoms, keys={"energy": name})
        else:
            assert Dataset.from_ase(atoms, keys={"energy": name}).labels.energy.item() == value
    assert Dataset.from_ase(atoms, keys={"energy": None}).labels.energy is None
    assert Dataset.from_ase(atoms, keys={"energy": ["REF_energy", "energy"]}).labels.energy.item() == -2.0


def test_agreeing_duplicates_are_no_ambiguity_and_free_energy_is_second_choice():
    atoms = molecule("H2O")
    atoms.info.update(energy=-1.0, REF_energy=-1.0)
    assert Dataset.from_ase(atoms).labels.energy.item() == -1.0
    atoms = labeled(molecule("H2O"), energy=-1.0, free_energy=-1.5)
    assert Dataset.from_ase(atoms).labels.energy.item() == -1.0
    assert Dataset.from_ase(atoms, keys={"energy": "free_energy"}).labels.energy.item() == -1.5
    assert Dataset.from_ase(labeled(molecule("H2O"), free_energy=-1.5)).labels.energy.item() == -1.5


def test_what_looks_like_a_label_is_spoken_of():
    atoms = molecule("H2O")
    atoms.info["ads_energy"] = -1.0
    with pytest.warns(UserWarning, match="ads_energy"):
        Dataset.from_ase(atoms)


def test_index_folder_glob_and_list(tmp_path):
    frames = Dataset.from_ase([copper(k) for k in range(6)])
    write(tmp_path / "a.extxyz", frames)
    write(tmp_path / "b.extxyz.gz", frames[:3])
    assert len(read(tmp_path)) == 9
    assert len(read(str(tmp_path / "*.extxyz"))) == 6
    assert len(read([tmp_path / "a.extxyz", tmp_path / "b.extxyz.gz"], index="::2")) == 5
    last = read(tmp_path / "a.extxyz", index=-1)
    assert last.info[0]["frame"] == 5
    assert last.where(0) == f"{tmp_path / 'a.extxyz'}, frame 5"


def test_a_named_key_may_be_missing_from_some_of_several_files(tmp_path):
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 mine=-1.0\nH 0 0 0\n")
    (tmp_path / "b.xyz").write_text("1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n")
    both = read([tmp_path / "a.xyz", tmp_path / "b.xyz"], keys={"energy": "mine"})
    assert both.has("energy").tolist() == [True, False]
    with pytest.raises(ValueError, match=r"b\.xyz: no frame has 'mine'"):
        read(tmp_path / "b.xyz", keys={"energy": "mine"})


def test_md17_npz_is_known_by_its_energies(tmp_path):
    z, R = np.array([8, 1, 1]), molecule("H2O").positions[None].repeat(2, 0)
    E, F = np.array([-47950.0, -47951.0]), np.full((2, 3, 3), 2.0)
    np.savez(tmp_path / "md17.npz", z=z, R=R, E=E[:, None], F=F)
    dataset = read(tmp_path / "md17.npz")
    assert np.allclose(dataset.labels.energy, E * KCAL_PER_MOL)
    assert np.allclose(dataset.labels.forces, 2.0 * KCAL_PER_MOL)
    assert "kcal/mol" in dataset.info[0]["units"]
    np.savez(tmp_path / "rmd17.npz", nuclear_charges=z, coords=R, energies=E, forces=F, old_energies=E + 1)
    dataset = read(tmp_path / "rmd17.npz")
    assert np.allclose(dataset.labels.energy, E * KCAL_PER_MOL)
    assert dataset.info[1]["old_energies"] == E[1] + 1
    np.savez(tmp_path / "vasp.npz", symbols=["O", "H", "H"], R=R, E=[-14.2, -14.1], F=F, cell=np.eye(3) * 10)
    dataset = read(tmp_path / "vasp.npz")
    assert dataset.labels.energy.tolist() == [-14.2, -14.1]
    assert bool(dataset.structures.pbc.all())


@pytest.mark.parametrize(
    "unit, energy", [("hartree", -76.4), ("eV", -76.4 * HARTREE), ("kcal/mol", -47950.0), (None, -14.2)]
)
def test_all_electron_energies_tell_their_unit(unit, energy):
    assert all_electron_unit(np.array([8, 1, 1]), energy) == unit


N2P2 = """begin
comment one water
lattice 20.0 0.0 0.0
lattice 0.0 20.0 0.0
lattice 0.0 0.0 20.0
atom 0.0 0.0 0.2217 O -0.8 0.0 0.1 0.0 0.0
atom 0.0 1.4309 -0.8867 H 0.4 0.0 -0.05 0.0 0.0
atom 0.0 -1.4309 -0.8867 H 0.4 0.0 -0.05 0.0 0.0
energy -76.4
charge 0.0
end
"""


def test_n2p2(tmp_path):
    (tmp_path / "input.data").write_text(N2P2)
    dataset = read(tmp_path / "input.data")
    assert dataset.labels.energy.item() == pytest.approx(-76.4 * HARTREE)
    assert dataset.labels.forces[0, 0].item() == pytest.approx(0.1 * HARTREE / BOHR)
    assert dataset.structures.cell[0, 0, 0].item() == pytest.approx(20 * BOHR)
    assert dataset.labels.charges.tolist() == [-0.8, 0.4, 0.4]
    with pytest.raises(ValueError, match="Bohr taken for angstrom"):
        read(tmp_path / "input.data", units="metal")


def test_deepmd(tmp_path):
    atoms, folder = copper(), tmp_path / "system"
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text("0\n0\n0\n0\n")
    (folder / "type_map.raw").write_text("Cu\n")
    stress = atoms.get_stress(voigt=False)
    for name, value in {
        "coord": atoms.positions.ravel(),
        "box": np.asarray(atoms.cell).ravel(),
        "energy": atoms.calc.results["energy"],
        "force": atoms.calc.results["forces"].ravel(),
        "virial": -atoms.get_volume() * stress.ravel(),
    }.items():
        np.save(folder / "set.000" / f"{name}.npy", np.stack([value, value]))
    dataset = read(tmp_path)
    assert len(dataset) == 2
    expected = Dataset.from_ase(atoms)
    assert torch.allclose(dataset.labels.forces[:4], expected.labels.forces)
    assert torch.allclose(dataset.labels.stress[1:], expected.labels.stress)


def test_ase_trajectory(tmp_path):
    from ase.io import write as ase_write

    ase_write(tmp_path / "a.traj", [slab(), slab()])
    dataset = read(tmp_path / "a.traj")
    assert torch.equal(dataset.labels.forces[:12], Dataset.from_ase(slab()).labels.forces)
    assert dataset.info[0]["arrays"]["fixed"].sum() == 4


def test_selecting_and_joining():
    dataset = Dataset.from_ase([copper(0), slab(), labeled(molecule("CH4"), energy=-8.0)])
    assert dataset.elements == ("H", "C", "Cu")
    assert dataset.composition().tolist() == [[0, 0, 4], [0, 0, 12], [4, 1, 0]]
    some = dataset[[2, 0]]
    assert some.labels.energy.tolist() == [-8.0, dataset.labels.energy[0].item()]
    assert torch.equal(some.labels.forces[5:], dataset.labels.forces[:4])
    again = Dataset.cat([dataset[0], dataset[1:]])
    assert torch.equal(again.structures.positions, dataset.structures.positions)
    assert torch.equal(dataset[torch.tensor([True, False, True])].labels.energy, dataset[[0, 2]].labels.energy)
    assert "3 structures" in repr(dataset)


def test_real_files(shared):
    data = shared / "data"
    ethanol = read(data / "rmd17" / "ethanol_fold01.npz", index="::500")
    assert ethanol.labels.energy[0].item() == pytest.approx(-4209.784, abs=1e-3)
    assert {d["group"] for d in ethanol.info} == {"train", "test"}
    tantalum = read(
        data / "fitsnap-ta" / "ta_jcp2014.extxyz.gz", keys={"stress": "stress_bar"}, units={"stress": "-bar"}, index=0
    )
    assert tantalum.labels.stress[0, 0, 0].item() == pytest.approx(-26594.42e-4 * GPA)
    water = read(data / "water-dplr", index=0)
    assert water.structures.n_atoms == 384
    assert read(shared / "oracles/n2p2/nnp-predict/AlAuMgO_4G").structures.n_systems == 1


def ase_example(name: str):
    """An output that ASE carries for its own tests."""
    import ase

    path = Path(ase.__file__).parent / "test" / "testdata" / name
    if not path.exists():
        pytest.skip("this ASE comes without its test data")
    return path


def test_vasp_through_ase_and_dpdata_are_the_same():
    pytest.importorskip("dpdata")
    outcar = ase_example("vasp/OUTCAR_example_1")
    ours, theirs = read(outcar, keys={"energy": "free_energy"}), read(outcar, format="dpdata:vasp/outcar")
    assert torch.allclose(ours.labels.energy, theirs.labels.energy, rtol=0, atol=1e-6)
    assert torch.allclose(ours.labels.forces, theirs.labels.forces, rtol=0, atol=1e-9)
    assert torch.allclose(ours.labels.stress, theirs.labels.stress, rtol=1e-3, atol=0)
    assert ours.labels.stress[0, 0, 0].item() == pytest.approx(4.29429 * GPA / 10, rel=1e-4)  # VASP prints -4.29 kbar
    xml = read(ase_example("vasp/vasprun_pstress.xml"), need=("energy", "forces", "stress"))
    assert xml.info[0]["calculator"] == "vasp"


@pytest.mark.filterwarnings("ignore")
def test_castep_frames_before_the_stress_was_printed_have_none():
    dataset = read(ase_example("castep/md.castep"), need=("energy", "forces"))
    assert dataset.has("stress").tolist() == [False, False, True]
