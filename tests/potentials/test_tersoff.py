import json
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from ase.calculators.tersoff import Tersoff as AseTersoff
from ase.calculators.tersoff import TersoffParameters

from adlayer import Structures, build, evaluate
from adlayer.checks import check_potential
from adlayer.potentials.tersoff import Tersoff, published

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.mark.parametrize(
    ("elements", "structure", "a", "energy"),
    [
        ("Si", "diamond", 5.432, -4.63),
        ("C", "diamond", 3.566, -7.37),
        ("Ge", "diamond", 5.657, -3.85),
        ("SiC", "zincblende", 4.321, -6.16),
    ],
)
def test_published(elements, structure, a, energy):
    """Cohesive energies and lattice constants of the paper of 1989."""
    p = Tersoff.published(*(("Si", "C") if elements == "SiC" else (elements,)))
    found = evaluate(p, Structures.from_ase(bulk(elements, structure, a=a)))
    assert float(found.energy) / 2 == pytest.approx(energy, abs=0.01)


def test_like_ase():
    atoms = bulk("SiC", "zincblende", a=4.2, cubic=True)
    atoms.rattle(0.1, seed=4)
    ours = evaluate(Tersoff.published("Si", "C"), Structures.from_ase(atoms))
    names = {"costheta0": "h"}
    parameters = {
        tuple(key.split("-")): TersoffParameters(**{names.get(k, k): v for k, v in entry.items()})
        for key, entry in published("Si", "C").items()
    }
    atoms.calc = AseTersoff(parameters)
    assert float(ours.energy) == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    torch.testing.assert_close(ours.forces, torch.from_numpy(atoms.get_forces()), atol=1e-8, rtol=0)


def test_silicon_of_1988():
    found = evaluate(Tersoff.silicon(1988), Structures.from_ase(bulk("Si", a=5.432)))
    assert float(found.energy) / 2 == pytest.approx(-4.63, abs=0.01)


def test_laws_of_two_elements():
    cases = json.loads((REFERENCE / "lammps_tersoff.json").read_text())
    # Where a bond's first neighbor appears, zeta^n with n < 1 makes the slope of the force infinite; not those laws.
    laws = ["rotation", "permutation", "translation", "batching", "longer_list", "separation", "second_derivatives"]
    check_potential(build(cases[-1]["potential"]), [*laws, "stress_is_derivative", "saving", "fused_equals_plain"])


def test_messages():
    with pytest.raises(ValueError, match="has C, Si, Ge, not N"):
        Tersoff.published("Si", "N")
    with pytest.raises(ValueError, match="m is 3 or 1"):
        Tersoff({"Si-Si-Si": {**published("Si")["Si-Si-Si"], "m": 2}})
    with pytest.raises(ValueError, match="1988 and 1989"):
        Tersoff.silicon(1990)
