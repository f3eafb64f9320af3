"""n2p2 folders: read, evaluated, written and read again."""

import gzip
import json
import shutil

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, evaluate
from adlayer.formats import n2p2
from adlayer.potential import ReferenceEnergies
from adlayer.potentials.hdnnp import HDNNP
from adlayer.units import BOHR, HARTREE

CASES = [
    "radial and narrow, cos, not scaled",
    "wide, cos with inner radius, scaled",
    "weighted, tanhu, centered",
    "narrow and weighted, tanh, both",
    "radial and wide, exp, sigma",
    "narrow, poly1, normalized",
    "narrow and wide, poly2, three elements",
    "weighted, poly3, a cluster",
    "all Gaussian types, poly4, networks by element",
    "hard cutoff, three hidden layers",
    "compact",
    "compact and weighted",
    "every type, nodes normalized",
    "harmonic and exponential nodes",
]
NUMBERS = {"H": 1, "O": 8, "Cu": 29}


def lay_out(case, folder):
    """The folder that n2p2 had."""
    (folder / "input.nn").write_text("\n".join(case["input"]) + "\n")
    (folder / "scaling.data").write_text("# scaling\n" + "\n".join(case["scaling"]) + "\n")
    for e, values in case["weights"].items():
        (folder / f"weights.{NUMBERS[e]:03d}.data").write_text("".join(f"{x!r}\n" for x in values))
    return folder


def structure(case, length=1.0):
    s = case["structure"]
    cell = None if s["cell"] is None else np.array(s["cell"]) * length
    return Structures.from_ase(Atoms(s["symbols"], np.array(s["positions"]) * length, cell=cell, pbc=cell is not None))


@pytest.mark.parametrize("name", CASES)
def test_equal_to_n2p2(reference, tmp_path, name):
    case = reference("n2p2_cases.json")[name]
    said = evaluate(n2p2.read(lay_out(case, tmp_path), energy="eV", length="Angstrom"), structure(case))
    forces = np.array(case["forces"])
    assert float(said.energy) == pytest.approx(case["energy"], rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(said.forces, forces, rtol=0, atol=1e-11 * max(1, np.abs(forces).max()))


@pytest.mark.parametrize("name", CASES[5:9])
def test_atomic_units_are_the_default(reference, tmp_path, name):
    case = reference("n2p2_cases.json")[name]
    said = evaluate(n2p2.read(lay_out(case, tmp_path)), structure(case, BOHR))
    assert float(said.energy) == pytest.approx(case["energy"] * HARTREE, rel=1e-12)
    np.testing.assert_allclose(said.forces, np.array(case["forces"]) * HARTREE / BOHR, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_written_folders_read_back_identical(reference, tmp_path, name):
    case = reference("n2p2_cases.json")[name]
    (tmp_path / "theirs").mkdir()
    first = n2p2.read(lay_out(case, tmp_path / "theirs"))
    n2p2.write(tmp_path / "ours", first)
    again = n2p2.read(tmp_path / "ours")
    n2p2.write(tmp_path / "again", again)
    for path in (tmp_path / "ours").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    before, after = (evaluate(p, structure(case, BOHR)) for p in (first, again))
    torch.testing.assert_close(after.forces, before.forces, rtol=1e-14, atol=1e-14)  # but for 1 / (1 / conv_energy)
    n2p2.write(tmp_path / "atomic", first, energy="Hartree", length="Bohr")
    atomic = evaluate(n2p2.read(tmp_path / "atomic"), structure(case, BOHR))
    torch.testing.assert_close(atomic.forces, before.forces, rtol=0, atol=1e-9)


def test_water_of_the_oracle(shared, tmp_path):
    """Morawietz et al., RPBE-D3 water: the energy and all forces that n2p2's own test expects."""
    for path in (shared / "oracles/n2p2/nnp-predict/H2O_RPBE-D3").iterdir():
        if path.suffix == ".gz":
            (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            shutil.copy(path, tmp_path)
    assert n2p2.recognizes(tmp_path)
    words = [line.split() for line in (tmp_path / "input.data").read_text().splitlines()]
    cell = [[float(x) for x in w[1:4]] for w in words if w[0] == "lattice"]
    atoms = [w for w in words if w[0] == "atom"]
    positions = np.array([[float(x) for x in w[1:4]] for w in atoms]) * BOHR
    water = Atoms([w[4] for w in atoms], positions, cell=np.array(cell) * BOHR, pbc=True)
    expected = json.loads(gzip.decompress((shared / "oracles/n2p2/expected_predictions.json.gz").read_bytes()))
    said = evaluate(n2p2.read(tmp_path), Structures.from_ase(water), stress=False)
    assert float(said.energy) / HARTREE == pytest.approx(expected["H2O_RPBE-D3"]["energy"], rel=1e-13)
    forces = np.array(expected["H2O_RPBE-D3"]["forces"])
    np.testing.assert_allclose(said.forces * BOHR / HARTREE, forces, rtol=0, atol=1e-12 * np.abs(forces).max())


def test_reference_energies_go_into_the_folder(tmp_path):
    made = ReferenceEnergies({"Si": -3.0, "H": -0.5}) + HDNNP(**HDNNP.small)
    n2p2.write(tmp_path, made)
    atoms = Structures.from_ase(Atoms("SiH2", [[0, 0, 0], [1.5, 0, 0], [0, 1.4, 0.3]]))
    before, after = evaluate(made, atoms), evaluate(n2p2.read(tmp_path), atoms)
    torch.testing.assert_close(after.energy, before.energy, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "weights.001.data").unlink(), "no file .*weights.001.data"),
        (lambda f: (f / "input.nn").write_text("elements H O\n"), "has no keyword cutoff_type"),
        (lambda f: (f / "scaling.data").write_text("1 1 0 1 0.5 0.1\n"), "not one row for each of the"),
        (lambda f: (f / "weights.008.data").write_text("1.0\n"), "holds 1 numbers, which do not make a network of"),
        (
            lambda f: (f / "input.nn").write_text((f / "input.nn").read_text() + "symfunction_short H 4 H 1 2\n"),
            "symmetry function type 4; known are",
        ),
        (
            lambda f: (f / "input.nn").write_text((f / "input.nn").read_text() + "symfunction_short H 2 H x 0 5\n"),
            "cannot read 'symfunction_short H 2 H x 0 5'",
        ),
        (
            lambda f: (f / "input.nn").write_text("nnp_type 4G-HDNNP\n" + (f / "input.nn").read_text()),
            "nnp_type 4G-HDNNP; only",
        ),
    ],
)
def test_bad_folders_are_one_sentence(reference, tmp_path, change, message):
    change(lay_out(reference("n2p2_cases.json")[CASES[3]], tmp_path))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        n2p2.read(tmp_path)


def test_what_n2p2_cannot_hold_is_refused(tmp_path):
    made = HDNNP(["Si", "H"], hidden={"Si": [4, 3], "H": [4, 2]}, cutoff=4.0)
    with pytest.raises(ValueError, match="equally large last one"):
        n2p2.write(tmp_path, made)
    with pytest.raises(ValueError, match="no activation 'silu'"):
        n2p2.write(tmp_path, HDNNP(["Si"], activation="silu", cutoff=4.0))
