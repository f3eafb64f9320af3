from dataclasses import dataclass

import pytest

from adlayer import Potential, ReferenceEnergies, build, catalogue
from adlayer.config import Part, describe, find_class, nearest, with_elements
from adlayer.potentials.lennard_jones import LennardJones


@dataclass(frozen=True)
class Outside(Part):
    """A part that lives outside the package."""

    length: float = 1.0
    inner: object = None


def test_round_trip():
    made = build({"LennardJones": {"epsilon": 0.02, "cutoff": 6}})
    assert describe(made) == {"LennardJones": {"epsilon": 0.02, "cutoff": 6}}
    assert describe(build(describe(made))) == describe(made)


def test_nested_parts_and_sums():
    total = build({"Sum": {"parts": [{"LennardJones": {}}, {"ReferenceEnergies": {"energies": {"Ar": -1.0}}}]}})
    assert isinstance(total.parts[0], LennardJones)
    assert isinstance(total.parts[1], ReferenceEnergies)
    assert describe(build(describe(total))) == describe(total)
    assert describe(LennardJones() + LennardJones())["Sum"]["parts"] == [{"LennardJones": {}}, {"LennardJones": {}}]


def test_a_name_alone_and_an_object():
    assert isinstance(build("LennardJones"), LennardJones)
    made = LennardJones()
    assert build(made) is made


def test_outside_the_package_by_dotted_path():
    made = build({"test_config.Outside": {"length": 2.0, "inner": {"LennardJones": {}}}})
    assert made.length == 2.0
    assert isinstance(made.inner, LennardJones)
    assert describe(made) == {"test_config.Outside": {"length": 2.0, "inner": {"LennardJones": {}}}}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"LenardJones": {}}, "there is no Potential named 'LenardJones'; did you mean 'LennardJones'?"),
        ({"LennardJones": {"epsilom": 1.0}}, "LennardJones has no argument 'epsilom'; did you mean 'epsilon'?"),
        ({"LennardJones": {"epsilon": "deep"}}, "LennardJones: epsilon must be a number or a table, got 'deep'"),
        ({"LennardJones": {"cutoff": True}}, "LennardJones: cutoff must be a number, got True"),
        ({"LennardJones": 3}, "LennardJones takes a table of arguments, got 3"),
        ({"ReferenceEnergies": {}}, "ReferenceEnergies needs the argument 'energies'"),
        ({"ReferenceEnergies": {"energies": {"Xx": 1.0}}}, "ReferenceEnergies: 'Xx' is not a chemical symbol"),
        ({"LennardJones": {}, "Morse": {}}, "expected one class name with its arguments, got 2 names"),
        ({"no.such.Thing": {}}, "cannot import 'no.such'"),
        ({"test_config.Outsid": {}}, "module 'test_config' has no 'Outsid'; did you mean 'Outside'?"),
    ],
)
def test_one_clear_sentence(spec, sentence):
    with pytest.raises(ValueError) as error:
        build(spec, Potential if "Lenard" in str(spec) else None)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_catalogue():
    assert catalogue(Potential)["LennardJones"] is LennardJones
    assert set(catalogue("potentials")) <= set(catalogue())
    with pytest.raises(ValueError, match="no room 'potential'"):
        catalogue("potential")
    with pytest.raises(ValueError, match="there is no potentials named"):
        find_class("Nothing", "potentials")


def test_every_part_says_what_it_is():
    for name, cls in catalogue().items():
        assert cls.__doc__, f"{name} has no docstring"


def test_nearest():
    assert nearest("chanels", ["channels", "cutoff"]) == "; did you mean 'channels'?"
    assert nearest("ace", ["ACE", "PaiNN"]) == "; did you mean 'ACE'?"
    assert nearest("zzz", ["channels"]) == ""


def test_elements_are_told_to_every_class_that_needs_them():
    spec = {"HDNNP": {"descriptor": {"Hybrid": {"parts": [{"ACSF": True}, {"SOAP": {"elements": ["H"]}}]}}}}
    found = with_elements(spec, ["Si", "H"])["HDNNP"]
    assert found["elements"] == ["Si", "H"]
    acsf, soap = found["descriptor"]["Hybrid"]["parts"]
    assert acsf == {"ACSF": {"elements": ["Si", "H"]}}
    assert soap == {"SOAP": {"elements": ["H"]}}
    assert "elements" not in spec["HDNNP"]
    inner = with_elements({"HDNNP": {"elements": ["H", "Si"], "descriptor": {"ACSF": {}}}}, ["Si"])["HDNNP"][
        "descriptor"
    ]
    assert inner["ACSF"]["elements"] == ["H", "Si"]
