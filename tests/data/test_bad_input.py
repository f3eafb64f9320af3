"""What goes wrong with data, and the one clear sentence that says so."""

import errno
import gzip
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from adlayer.data import Dataset, choose, read, reference_energies, split, write
from adlayer.data.conversion import parse_units

HEAD = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc="T T T"'
ATOMS = "H 0 0 0 0 0 1\nH 0 0 0.8 0 0 -1\n"
GOOD = f"2\n{HEAD}\n{ATOMS}"
PLAIN = "Properties=species:S:1:pos:R:3"
N2P2 = "begin\nlattice 9 0 0\nlattice 0 9 0\nlattice 0 0 9\n"
N2P2 += "atom 0 0 0 H 0 0 0 0 1\natom 0 0 1.5 H 0 0 0 0 -1\nenergy -1\nend\n"

# text of a file -> what its reading says, and the options it is read with
FILES = {
    "empty file": ("", {}, "is empty"),
    "no number of atoms": ("H 0 0 0\n", {}, "frame 0: expected the number of atoms, got 'H 0 0 0'"),
    "truncated": (GOOD + f"3\n{HEAD}\n{ATOMS}", {}, "frame 1 is truncated: 2 of 3 atoms"),
    "empty line between frames": (GOOD + "\n\n" + GOOD, {}, "empty line after frame 0"),
    "too few columns": (GOOD.replace("H 0 0 0 0 0 1", "H 0 0 0"), {}, "atom 0 has 4 columns, Properties names 7"),
    "text in a number": (GOOD.replace("0.8", "abc"), {}, "column pos should be numbers"),
    "bad Properties": (GOOD.replace("pos:R:3:forces", "pos:R:forces"), {}, "name:type:columns"),
    "bad Lattice": (GOOD.replace("9 0 0 0 9 0 0 0 9", "9 9"), {}, "Lattice"),
    "unknown element": (GOOD.replace("H 0 0 0.8", "Hx 0 0 0.8"), {}, "'Hx' is not a chemical symbol"),
    "element X": (GOOD.replace("H 0 0 0.8", "X 0 0 0.8"), {}, "atom 1 is of no element"),
    "NaN position": (GOOD.replace("0.8", "nan"), {}, "not a finite number"),
    "NaN energy": (GOOD.replace("-1.0", "nan"), {}, "energy holds nan"),
    "infinite force": (GOOD.replace("0 -1\n", "0 inf\n"), {}, "forces holds inf"),
    "energy is text": (GOOD.replace("-1.0", "failed"), {}, "energy should be numbers"),
    "periodic without a cell": (f'2\n{PLAIN} pbc="T T T"\nH 0 0 0\nH 0 0 1\n', {}, "cell vector that is zero"),
    "no atoms": (f"0\n{PLAIN}\n", {}, "frame 0 has no atoms"),
    "no energy": (f"1\n{PLAIN}\nH 0 0 0\n", {"need": ["energy"]}, "frame 0 has no energy, which is needed"),
    "one frame without forces": (
        GOOD + f"1\n{PLAIN} energy=-1\nH 0 0 0\n",
        {"need": ["energy", "forces"]},
        "frame 1 has no forces",
    ),
    "key misspelt": (GOOD, {"keys": {"energy": "enrgy"}}, "no frame has 'enrgy'.*did you mean 'energy'"),
    "label misspelt": (GOOD, {"keys": {"force": "forces"}}, "no label 'force'; did you mean 'forces'"),
    "two energies": (
        GOOD.replace("energy=-1.0", "energy=-1.0 REF_energy=-2.0"),
        {},
        "energy, REF_energy; choose with keys",
    ),
    "energies under changing names": (
        GOOD + GOOD.replace("energy=", "dft_energy="),
        {},
        "in different frames.*dft_energy",
    ),
    "two forces": (
        GOOD.replace("forces:R:3", "forces:R:3:REF_forces:R:3")
        .replace("0 0 1\n", "0 0 1 0 0 2\n")
        .replace("-1\n", "-1 0 0 -2\n"),
        {},
        "forces, REF_forces",
    ),
    "stress of five components": (GOOD.replace("pbc=", 'stress="1 2 3 4 5" pbc='), {}, "stress"),
    "voigt order": (
        GOOD.replace("pbc=", 'dft_stress="1 2 3 4 5 6" pbc='),
        {"voigt": "xx yy zz"},
        "voigt names the six components",
    ),
    "forces of wrong shape": (GOOD.replace("forces:R:3", "forces:R:1:x:R:2"), {}, r"forces has shape \(2,\)"),
    "unit unknown": (GOOD, {"units": {"energy": "ev/atom"}}, "energy in 'ev/atom' is not known"),
    "unit of what": (GOOD, {"units": {"energie": "eV"}}, "no quantity 'energie'"),
    "preset unknown": (GOOD, {"units": "metric"}, "no preset 'metric'"),
    "sign of energy": (GOOD, {"units": {"energy": "-eV"}}, "'-eV' is not known"),
    "angstrom taken for bohr": (GOOD, {"units": "atomic"}, "angstrom taken for Bohr"),
    "index beyond the end": (GOOD, {"index": 5}, "index 5 selects none"),
    "index that is no index": (GOOD, {"index": "all"}, "got 'all'"),
    "need misspelt": (GOOD, {"need": ["enery"]}, "did you mean 'energy'"),
    "format unknown": (GOOD, {"format": "extxz"}, "did you mean 'extxyz'"),
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.filterwarnings("ignore")
def test_extended_xyz(tmp_path, case):
    text, options, says = FILES[case]
    path = tmp_path / "bad.xyz"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    if not {"units", "keys", "voigt", "need"} & set(options) or case == "no energy":
        assert case in ("format unknown", "index that is no index") or "bad.xyz" in str(caught.value)


def test_good_is_good(tmp_path):
    (tmp_path / "good.xyz").write_text(GOOD)
    assert len(read(tmp_path / "good.xyz", need=("energy", "forces"))) == 1


N2P2_FILES = {
    "truncated": (N2P2.removesuffix("end\n"), "frame 0 has no 'end'"),
    "short atom line": (N2P2.replace("0 0 0 0 1", "0 0"), "an atom line has 9 values"),
    "text in a number": (N2P2.replace("energy -1", "energy x"), "line 7.*'x'"),
    "begin twice": ("begin\n" + N2P2, "'begin' before the 'end'"),
    "unknown element": (N2P2.replace(" H ", " Hx "), "'Hx' is not a chemical symbol"),
}


@pytest.mark.parametrize("case", N2P2_FILES)
def test_n2p2(tmp_path, case):
    text, says = N2P2_FILES[case]
    (tmp_path / "input.data").write_text(text)
    with pytest.raises(ValueError, match=says):
        read(tmp_path / "input.data")


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "train.extxyz").write_text(GOOD)
    with pytest.raises(FileNotFoundError, match=r"did you mean .*train.extxyz"):
        read(tmp_path / "trian.extxyz")
    with pytest.raises(FileNotFoundError, match="no file matches"):
        read(str(tmp_path / "*.db"))
    (tmp_path / "sub").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no data files"):
        read(tmp_path / "sub")


def test_files_that_are_not_what_they_are_called(tmp_path):
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(GOOD.encode() * 50)[:-20])
    with pytest.raises(ValueError, match="truncated"):
        read(tmp_path / "a.xyz.gz")
    (tmp_path / "b.xyz.gz").write_text(GOOD)
    with pytest.raises(ValueError, match="not a gzip file"):
        read(tmp_path / "b.xyz.gz")
    (tmp_path / "c.xyz").write_bytes(bytes(range(128, 256)) * 9)
    with pytest.raises(ValueError, match="not text"):
        read(tmp_path / "c.xyz")
    (tmp_path / "d.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="cannot be read as npz"):
        read(tmp_path / "d.npz")
    (tmp_path / "e.dat").write_text("what is this\n")
    with pytest.raises(ValueError, match=r"e\.dat"):
        read(tmp_path / "e.dat")
    (tmp_path / "OUTCAR").write_text(" vasp.6.3.0 and then the node died\n")
    with pytest.raises(ValueError, match="OUTCAR"):
        read(tmp_path / "OUTCAR")


def test_npz_without_what_it_needs(tmp_path):
    np.savez(tmp_path / "a.npz", E=np.zeros(3))
    with pytest.raises(ValueError, match="has no positions R or coords; it has E"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", R=np.zeros((3, 4, 3)), z=np.ones(5, int))
    with pytest.raises(ValueError, match=r"shape \(3, 4, 3\); expected \(frames, 5, 3\)"):
        read(tmp_path / "b.npz")


def test_deepmd_folders_that_are_incomplete(tmp_path):
    (tmp_path / "type.raw").write_text("0 0\n")
    with pytest.raises(ValueError, match=r"no type_map.raw"):
        read(tmp_path)
    (tmp_path / "type_map.raw").write_text("H\n")
    with pytest.raises(ValueError, match=r"no set\.\* folders"):
        read(tmp_path)
    (tmp_path / "set.000").mkdir()
    np.save(tmp_path / "set.000" / "coord.npy", np.zeros((3, 6)))
    np.save(tmp_path / "set.000" / "energy.npy", np.zeros(2))
    with pytest.raises(ValueError, match=r"energy.npy has 2 frames, coord.npy 3"):
        read(tmp_path)


def test_labels_of_atoms_that_were_moved_since():
    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    atoms.get_potential_energy()
    atoms.rattle(0.1)
    with pytest.raises(ValueError, match="changed after their labels"):
        Dataset.from_ase(atoms)


def test_a_stress_per_volume_without_a_volume():
    atoms = Atoms("H", cell=[3, 3, 0], pbc=(True, True, False))
    atoms.calc = SinglePointCalculator(atoms, stress=np.ones(6))
    with pytest.raises(ValueError, match="per volume, but the cell has none"):
        Dataset.from_ase(atoms)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"sizes": [0.8, 0.4]}, "more than 1"),
        ({"sizes": [3, 4]}, "7 frames, but there are 4"),
        ({"sizes": [-1, 2]}, "fractions or numbers"),
        ({"sizes": []}, "fractions or numbers"),
        ({"sizes": [0.95, 0.05]}, "too few"),
        ({"sizes": [0.5, 0.5], "by": "chance"}, "'random' or 'group'"),
        ({"sizes": [0.5, 0.5], "by": "group"}, "cannot divide 1 group into 2 parts"),
    ],
)
def test_splits(options, says):
    frames = [Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7 + 0.1 * k]]) for k in range(4)]
    with pytest.raises(ValueError, match=says):
        split(Dataset.from_ase(frames), **options)


def test_reference_energies():
    bare = Dataset.from_ase(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]]))
    with pytest.raises(ValueError, match="no structure has an energy"):
        reference_energies(bare)
    with pytest.raises(ValueError, match="no isolated atom of H"):
        reference_energies(bare, method="isolated")
    with pytest.raises(ValueError, match="the data hold H"):
        reference_energies(bare, given={"He": 1.0})
    with pytest.raises(ValueError, match="method should be"):
        reference_energies(bare, method="ridge")


def test_selection():
    with pytest.raises(ValueError, match=r"2,.* scores for 3 items"):
        choose(np.zeros((3, 2)), np.ones(2))


def test_dictionaries_and_structures_must_match():
    with pytest.raises(ValueError, match="2 info dictionaries for 1 structures"):
        Dataset(Dataset.from_ase(Atoms("H")).structures, info=({}, {}))


def test_optional_packages_are_named(tmp_path, monkeypatch):
    import sys

    (tmp_path / "cp2k.out").write_text(" CP2K| version string: CP2K version 2024.1\n")
    monkeypatch.setitem(sys.modules, "dpdata", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'adlayer[formats]'")):
        read(tmp_path / "cp2k.out")


GOOD_DATA = Dataset.from_ase(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], info={"energy": -1.0}))


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz.gz", "a.db"])
@pytest.mark.parametrize("what", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch, name, what):
    from adlayer.data import reading

    path = write(tmp_path / name, GOOD_DATA)
    before = path.read_bytes()

    def half(temporary, frames, compressed):
        temporary.write_bytes(b"half")
        raise what

    monkeypatch.setattr(reading, "_write_extxyz", half)
    monkeypatch.setattr(reading, "_write_db", half)
    with pytest.raises(type(what), match="nothing was changed" if isinstance(what, OSError) else None):
        write(path, GOOD_DATA)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write(tmp_path / "nowhere" / "a.xyz", GOOD_DATA)
    with pytest.raises(ValueError, match=r"should end in \.extxyz"):
        write(tmp_path / "a.csv", GOOD_DATA)


def test_units_of_units():
    with pytest.raises(ValueError, match="did you mean 'kcal/mol'"):
        parse_units({"energy": "kcal/mole"})
