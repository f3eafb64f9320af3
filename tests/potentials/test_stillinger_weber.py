import json
from pathlib import Path

import pytest
from ase.build import bulk

from adlayer import Structures, build, evaluate
from adlayer.checks import LAWS, check_potential
from adlayer.potentials.stillinger_weber import SILICON, StillingerWeber

REFERENCE = Path(__file__).parents[1] / "reference"


def test_diamond():
    """Stillinger and Weber chose epsilon so that diamond has -2 epsilon per atom, at rest at 5.431 Å."""
    found = evaluate(StillingerWeber.silicon(), Structures.from_ase(bulk("Si", a=5.43095)))
    assert float(found.energy) / 2 == pytest.approx(-2 * 2.1683, abs=1e-4)
    assert float(found.stress[0, 0, 0]) == pytest.approx(0.0, abs=1e-4)


def test_laws_of_two_elements():
    cases = json.loads((REFERENCE / "lammps_sw.json").read_text())
    check_potential(build(cases[-1]["potential"]), [law for law in LAWS if law != "compilation"])


def test_messages():
    with pytest.raises(ValueError, match="parameters of Si-Si-C, Si-C-Si"):
        StillingerWeber({"Si-Si-Si": SILICON, "C-C-C": SILICON})
    with pytest.raises(ValueError, match="Si-Si-Si has epsilon; it needs exactly"):
        StillingerWeber({"Si-Si-Si": {"epsilon": 2.0}})
    keys = [f"{a}-{b}-{c}" for a in ("Si", "C") for b in ("Si", "C") for c in ("Si", "C")]
    with pytest.raises(ValueError, match="it is one angle"):
        StillingerWeber({k: {**SILICON, "lambda": 20.0 if k == "C-Si-C" else 21.0} for k in keys})
