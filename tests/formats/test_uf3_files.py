"""UF3 in LAMMPS's files; what LAMMPS says about one is among tests/potentials/test_lammps.py."""

from pathlib import Path

import pytest
import torch

from adlayer.formats import read_potential, write_potential
from adlayer.potentials.morse import Morse

PATH = Path(__file__).parents[1] / "reference/uf3/two.uf3"


def test_written_and_read(tmp_path):
    potential = read_potential(PATH)
    assert potential.elements == ("Si", "Nb")
    write_potential(tmp_path / "again.uf3", potential, format="uf3")
    again = read_potential(tmp_path / "again.uf3")
    torch.testing.assert_close(again.coefficients, potential.coefficients, rtol=0, atol=1e-12)
    assert (again.cutoff, again.cutoff_3, again.begin) == (4.4, 3.2, 0.5)


def test_what_cannot_be_read_or_written(tmp_path):
    text = PATH.read_text()
    for old, new, match in (
        ("2B Si Nb", "2C Si Nb", "expected 2B or 3B"),
        ("0.5 0.5 0.5 0.5 1.0571", "0.5 0.5 0.5 0.5 1.0671", "same knots"),
    ):
        assert old in text
        (tmp_path / "other.uf3").write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=match):
            read_potential(tmp_path / "other.uf3")
    with pytest.raises(TypeError, match="holds UF3 alone"):
        write_potential(tmp_path / "no.uf3", Morse(), format="uf3")
