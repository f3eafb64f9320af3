from pathlib import Path

import pytest
import torch
from ase import Atoms

from adlayer import Structures, evaluate
from adlayer.formats import pace, read_potential, write_potential
from adlayer.potential import ReferenceEnergies
from adlayer.potentials.ace import ACE
from adlayer.potentials.pace import PACE
from adlayer.potentials.zbl import ZBL

FILES = Path(__file__).parents[1] / "reference/pace"


def structures_of(frame):
    return Structures.from_ase(Atoms(frame["symbols"], frame["positions"], cell=frame["cell"], pbc=bool(frame["cell"])))


@pytest.mark.parametrize(
    "file", sorted(p.name for p in FILES.glob("*.ya*ml")) + sorted(p.name for p in FILES.glob("*.yace"))
)
def test_files_of_python_ace(file, reference, tmp_path):
    """Its numbers from its files, and the same potential from ours."""
    potential = read_potential(FILES / file)
    assert isinstance(potential, PACE)
    write_potential(tmp_path / file, potential, "pace")
    again = read_potential(tmp_path / file)
    torch.testing.assert_close(again.c, potential.c, rtol=1e-12, atol=1e-14)
    for frame in reference("pace.json")[file.split(".")[0]]:
        said, back = (evaluate(p, structures_of(frame)) for p in (potential, again))
        for name in ("energies", "forces"):
            ours, theirs = getattr(said, name), torch.tensor(frame[name], dtype=torch.float64)
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-10)
            torch.testing.assert_close(getattr(back, name), ours, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("suffix", [".yace", ".yaml"])
def test_one_basis_from_the_other(suffix, tmp_path):
    """Each of the two files of one potential is written from the other: their couplings are each other's inverse."""
    one, other = (read_potential(FILES / f"orders{x}") for x in (suffix, ".yaml" if suffix == ".yace" else ".yace"))
    torch.testing.assert_close(one.c, other.c, rtol=1e-10, atol=1e-13)
    write_potential(tmp_path / f"new{suffix}", other)
    torch.testing.assert_close(read_potential(tmp_path / f"new{suffix}").c, one.c, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("radial", ["bessel", "chebyshev"])
@pytest.mark.parametrize("embedding", ["linear", "finnis-sinclair"])
def test_ace_as_pace(radial, embedding, tmp_path, reference):
    ace = ACE(["Al", "Cu"], 4.5, order=3, degree=[7.0, 6.0], pair=0, radial=radial, embedding=embedding)
    total = ReferenceEnergies({"Al": -1.5, "Cu": 2.0}) + ace
    write_potential(tmp_path / "ace.yace", total)
    write_potential(tmp_path / "ace.yaml", ace)
    structures = structures_of(reference("pace.json")["grades"][0])
    for file, potential in (("ace.yace", total), ("ace.yaml", ace)):
        ours, theirs = evaluate(potential, structures), evaluate(read_potential(tmp_path / file), structures)
        torch.testing.assert_close(theirs.energies, ours.energies, rtol=0, atol=1e-12)
        torch.testing.assert_close(theirs.forces, ours.forces, rtol=0, atol=1e-9)


def test_what_cannot_be_written(tmp_path):
    pair = ACE(["Cu"], 4.0, order=2, degree=4.0, pair=3)
    whole = ACE(["Cu"], 4.0, order=2, degree=4.0, pair=0)
    for potential, name, error, message in (
        (pair, "x.yace", ValueError, "PACE has no radial functions of this ACE; make it with pair = 0"),
        (whole + ZBL(), "x.yace", TypeError, "not ACE [+] ZBL"),
        (ReferenceEnergies({"Cu": -1.0}) + whole, "x.yaml", ValueError, "no place for reference energies"),
        (whole, "x.pace", ValueError, "must end in .yace"),
    ):
        with pytest.raises(error, match=message):
            pace.write(tmp_path / name, potential)


def test_what_cannot_be_read(tmp_path):
    text, file = (FILES / "zbl.yace").read_text(), tmp_path / "x.yace"
    for old, new, message in (
        ("SBessel", "SBesel", "did you mean 'SBessel'"),
        ("inner_cutoff_type: zbl}", "inner_cutoff_type: density}", "must be the same for all bonds"),
        ("npoti: FinnisSinclair,", "npoti: Johnson,", "not 'Johnson'"),
        ("[Al, Cu]", "[Al, Qq]", "'Qq' is not a chemical symbol"),
        ("rcut: ", "cutoff: ", "does not give 'rcut'"),
        ("radcoefficients: [[[1, 0], [1, 0]]]", "radcoefficients: [1, 0, 1, 0]", "must have the shape"),
        ("bonds:", "bonds: [", "is not YAML"),
    ):
        file.write_text(text.replace(old, new, 1 if "inner" in old else -1))
        with pytest.raises(ValueError, match=message):
            read_potential(file)
    assert not pace.recognizes(FILES.parent / "deepmd_pairs.yaml")
