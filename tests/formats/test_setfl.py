from pathlib import Path

import pytest
import torch

from adlayer import build
from adlayer.formats import formats, read_potential, write_potential
from adlayer.potentials.eam import EAM
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.potentials.tersoff import Tersoff

REFERENCE = Path(__file__).parents[1] / "reference"


def require_same(a, b):
    assert (type(a), a.elements, a.cutoff) == (type(b), b.elements, b.cutoff)
    for name, x in a.state_dict().items():
        assert torch.equal(x, b.state_dict()[name]), name


@pytest.mark.parametrize("form", ["alloy", "fs"])
def test_written_tables_read_back_identical(form, tmp_path):
    p = read_potential(REFERENCE / f"synthetic.eam.{form}")
    assert isinstance(p, EAM)
    assert p.elements == ("Cu", "Ni")
    assert p.rho.shape == (2, 2 if form == "fs" else 1, 80)
    write_potential(tmp_path / "tables", p)
    again = read_potential(tmp_path / "tables")
    require_same(p, again)
    assert build({"EAM": again.arguments}).arguments == p.arguments


def test_funcfl():
    p, alloy = (read_potential(REFERENCE / f"synthetic.eam{form}") for form in ("", ".alloy"))
    assert p.elements == ("Cu",)
    torch.testing.assert_close(p.rho[0], alloy.rho[0])
    torch.testing.assert_close(p.rphi[0], alloy.rphi[0], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("potential", "suffix"), [(Tersoff.published("Si", "C", "Ge"), ".tersoff"), (StillingerWeber(), ".sw")]
)
def test_written_parameters_read_back_identical(potential, suffix, tmp_path):
    write_potential(tmp_path / f"file{suffix}", potential)
    require_same(potential, read_potential(tmp_path / f"file{suffix}"))


def test_entries_over_lines_comments_and_variants(tmp_path):
    numbers = "2.1683 2.0951 1.80 # energies\n 21.0 1.20 -0.333333333333\n 7.049556277 0.6022245584 4.0 0.0 0.0\n"
    (tmp_path / "Si.sw").write_text(f"# comment\nSi Si Si {numbers}\nSi(B) Si(B) Si(B) {numbers}")
    p = read_potential(tmp_path / "Si.sw")
    assert p.elements == ("Si",)
    assert p.tables["B"].item() == 0.6022245584


def test_messages(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_potential(tmp_path / "absent")
    (tmp_path / "letter.txt").write_text("Dear all,\n" * 9)
    with pytest.raises(ValueError, match="none of the formats"):
        read_potential(tmp_path / "letter.txt")
    with pytest.raises(ValueError, match="did you mean 'setfl'"):
        read_potential(tmp_path / "letter.txt", format="setf")
    with pytest.raises(ValueError, match="neither a setfl nor a funcfl"):
        read_potential(tmp_path / "letter.txt", format="setfl")
    text = (REFERENCE / "synthetic.eam.alloy").read_text()
    (tmp_path / "cut.eam.alloy").write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match=r"where its tables need \d+"):
        read_potential(tmp_path / "cut.eam.alloy")
    (tmp_path / "cut.sw").write_text("Si Si Si 1.0 2.0")
    with pytest.raises(ValueError, match="needs 11 numbers"):
        read_potential(tmp_path / "cut.sw")
    with pytest.raises(TypeError, match=r"no format can hold this LennardJones: .* setfl holds an EAM"):
        write_potential(tmp_path / "x", LennardJones())
    with pytest.raises(TypeError, match=r"must end in \.sw"):
        write_potential(tmp_path / "x.tersoff", StillingerWeber())
    assert {"lammps", "setfl"} <= set(formats())
