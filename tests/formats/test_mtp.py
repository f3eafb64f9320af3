"""Moment tensor potentials in MLIP's files, and what MLIP says about them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, evaluate, kernels
from adlayer.formats import mtp, read_potential, write_potential

FOLDER = Path(__file__).parents[1] / "reference/mtp"
ELEMENTS = ["Ni", "Cu", "Pd"]


@pytest.mark.parametrize(
    ("name", "energy"), [("multi_10", 1e-9), ("cubic_16", 1e-6)]
)  # positions of the first have but three digits
@pytest.mark.parametrize("how", ["fused", "plain"])
def test_numbers_of_mlip(reference, name, energy, how):
    case = reference("mtp.json")[name]
    potential = mtp.read(FOLDER / f"{name}.mtp", ELEMENTS[: max(case["species"]) + 1])
    symbols = [ELEMENTS[k] for k in case["species"]]
    s = Structures.from_ase(Atoms(symbols, case["positions"], cell=case["cell"], pbc=True))
    if how == "fused":
        said = evaluate(potential, s)
    else:
        with kernels.plain():
            said = evaluate(potential, s)
    assert float(said.energy) == pytest.approx(case["energy"], abs=energy)
    np.testing.assert_allclose(said.forces, case["forces"], atol=5e-6 if name == "cubic_16" else 6e-7)
    xx, yy, zz, yz, xz, xy = case["plus_stress"]
    virial = -(said.stress * s.measure)[0]
    np.testing.assert_allclose(virial, [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=2e-5)


def test_written_and_read(tmp_path, copper_slab):
    potential = mtp.read(FOLDER / "multi_10.mtp", ["Cu", "Ni", "Pd"])
    write_potential(tmp_path / "again.mtp", potential)
    again = read_potential(tmp_path / "again.mtp")
    assert again.elements == ("Cu", "Ni", "Pd")
    copper_slab.symbols[:4] = "Ni"
    s = Structures.from_ase(copper_slab)
    a, b = evaluate(potential, s), evaluate(again, s)
    torch.testing.assert_close(a.energy, b.energy, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(a.forces, b.forces, rtol=1e-10, atol=1e-10)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="has 3 species and does not name them"):
        read_potential(FOLDER / "multi_10.mtp")
    text = (FOLDER / "multi_10.mtp").read_text()
    for old, new, match in (
        ("RBChebyshev", "RBShapeev", "RBShapeev"),
        ("moment_coeffs", "other_coeffs", "no moment_coeffs"),
        ("{0, 0, 1, 25}", "{0, 1, 1, 25}", "not those of an MTP"),
    ):
        (tmp_path / "other.mtp").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=match):
            mtp.read(tmp_path / "other.mtp", ELEMENTS)
