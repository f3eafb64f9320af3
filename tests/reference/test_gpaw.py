"""The whole job with density-functional theory: aluminum from plane waves, at settings that take a minute."""

import tomllib

import pytest

from adlayer.active.recipe import run

RECIPE = """
title = "Aluminum learns itself"
seed = 2
train = ["strained", "rattled"]

[reference.GPAW]
cutoff = 300
kpts = [2, 2, 2]

[structures]
bulk.Bulk = { of = "Al" }
strained.Strained = { of = "bulk", n = 15, amount = 0.05 }
rattled.Rattle = { of = "bulk", amplitudes = [0.05, 0.15], n = 8 }

[potential.ACE]
cutoff = 5.0
order = 3
degree = 8

[active]
rounds = 1
labels = 4
start = ["bulk"]
replicas = 2
every = 10
explore.Langevin = { temperature = [300, 900], picoseconds = 0.1, timestep = 2.0 }
tolerance = 0.05

[validate]
bulk.EquationOfState = { of = "bulk", amount = 0.03, points = 5 }
"""


@pytest.mark.slow
def test_aluminum(tmp_path):
    pytest.importorskip("gpaw", reason="GPAW is not installed; make gpaw")
    results = run(tomllib.loads(RECIPE), tmp_path, text=RECIPE)
    assert not results["failures"]
    found = results["validation"]["bulk"]
    reference, potential = (
        {q["name"]: q["value"] for q in found[who]["quantities"]} for who in ("reference", "potential")
    )
    assert potential["lattice constant"] == pytest.approx(reference["lattice constant"], abs=0.01)
    assert potential["bulk modulus"] == pytest.approx(reference["bulk modulus"], rel=0.1)
    first, last = results["rounds"]
    assert last["labels"] == first["labels"] + 4
    assert last["errors"]["forces_mae"] < 0.05
