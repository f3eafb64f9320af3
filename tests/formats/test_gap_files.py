"""GAP files: what QUIP predicts with one that gap_fit wrote, and files that are written here."""

import pytest
import torch
from ase import Atoms

from adlayer import Structures, evaluate
from adlayer.formats import read_potential, write_potential
from adlayer.formats.gap import recognizes
from adlayer.potential import ReferenceEnergies
from adlayer.potentials.environment_gp import EnvironmentGP
from adlayer.potentials.gap import GAP, PairGP
from adlayer.potentials.lennard_jones import LennardJones


def unpacked(table, folder):
    for name, text in table["files"].items():
        (folder / name).write_text(text)
    return table["frames"]


@pytest.fixture
def written(reference, tmp_path):
    """The files, and the frames with what QUIP says of them."""
    return tmp_path / "gap.xml", unpacked(reference("gap.json"), tmp_path)


@pytest.mark.parametrize(("name", "fourth"), [("gap", "TripletGP"), ("turbo_soap", None)])
def test_energies_forces_and_stress_are_those_of_quip(reference, tmp_path, name, fourth):
    frames = unpacked(reference(f"{name}.json"), tmp_path)
    p = read_potential(next(tmp_path.glob("*.xml")))
    names = ["EnvironmentGP", "PairGP", "ReferenceEnergies", *filter(None, [fourth])]
    assert sorted(type(x).__name__ for x in p.parts) == names
    for frame in frames:
        atoms = Atoms(frame["numbers"], frame["positions"], cell=frame["cell"], pbc=True)
        said = evaluate(p, Structures.from_ase(atoms))
        assert float(said.energy[0]) == pytest.approx(frame["energy"], abs=1e-9)
        for name, x in (("forces", said.forces), ("stress", said.stress[0])):
            torch.testing.assert_close(x, torch.tensor(frame[name], dtype=torch.float64), rtol=0, atol=1e-9)


def test_what_is_written_reads_back(tmp_path):
    p = ReferenceEnergies({"Cu": -3.5, "Al": -1.0}) + GAP(["Cu", "Al"], n_max=2, l_max=2, n_sparse=3, triplets=2)
    write_potential(tmp_path / "own.xml", p)
    assert recognizes(tmp_path / "own.xml")
    again = read_potential(tmp_path / "own.xml")
    atoms = Atoms("Cu2Al2", [[0, 0, 0], [2.5, 0, 0], [0, 2.6, 0.1], [1.2, 1.3, 2.0]])
    before, after = (evaluate(x, Structures.from_ase(atoms)) for x in (p, again))
    torch.testing.assert_close(after.energies, before.energies, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(after.forces, before.forces, rtol=1e-12, atol=1e-12)


def test_turbo_is_written(reference, tmp_path):
    """Settings and points of what QUIP fitted come back as they were."""
    frame = unpacked(reference("turbo_soap.json"), tmp_path)[0]
    p = read_potential(tmp_path / "turbo.xml")
    write_potential(tmp_path / "own.xml", p)
    atoms = Atoms(frame["numbers"], frame["positions"], cell=frame["cell"], pbc=True)
    said = evaluate(read_potential(tmp_path / "own.xml"), Structures.from_ase(atoms))
    assert float(said.energy[0]) == pytest.approx(frame["energy"], abs=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('do_core="F"', 'do_core="T"', "adds a core potential"),
        ("distance_2b ", "distance_Nb ", "uses the descriptor 'distance_Nb'"),
        ('covariance_type="1"', 'covariance_type="4"', "has covariance type 4"),
        ("atom_sigma", "Z_mix=T atom_sigma", "soap with z_mix = T is not read"),
        ("</GAP_params>", "", "is not XML"),
        ("GAP_data", "GAP_date", "holds no GAP_data"),
    ],
)
def test_messages(written, old, new, message):
    path, _ = written
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_potential(path, "gap")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("alpha_max={3 3}", "alpha_max={3 4}", "one alpha_max for all species"),
        ("compress_mode=trivial", "compress_mode=1_1", "not 1_1"),
        ("atom_sigma_r={0.5 0.55}", "atom_sigma_r={0.5}", "needs 2 numbers as atom_sigma_r, got '0.5'"),
        ("scaling_mode=polynomial", "scaling_mode=linear", "scaling_mode=polynomial"),
    ],
)
def test_messages_about_turbo(reference, tmp_path, old, new, message):
    unpacked(reference("turbo_soap.json"), tmp_path)
    path = tmp_path / "turbo.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_potential(path, "gap")


def test_a_file_of_points_is_missing(written):
    path, _ = written
    next(path.parent.glob("*sparseX*")).unlink()
    with pytest.raises(FileNotFoundError, match="which is not beside it"):
        read_potential(path)


def test_what_quip_does_not_know(tmp_path):
    for potential, message in (
        (EnvironmentGP(["Si"], descriptor={"ACSF": {"elements": ["Si"]}}, n_sparse=2), "not by ACSF"),
        (LennardJones(0.01, 2.0, 4.0), "not LennardJones"),
        (ReferenceEnergies({"Si": 1.0}), "needs a PairGP"),
        (PairGP(["Si"]) + LennardJones(0.01, 2.0, 4.0), "not LennardJones"),
    ):
        with pytest.raises(TypeError, match=message):
            write_potential(tmp_path / "own.xml", potential, "gap")
    gto = {"SOAP": {"elements": ["Si"], "basis": "gto"}}
    with pytest.raises(ValueError, match="knows no basis gto"):
        write_potential(tmp_path / "own.xml", EnvironmentGP(["Si"], descriptor=gto, n_sparse=2), "gap")
