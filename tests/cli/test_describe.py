import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import write

from adlayer import Graph, build, read, save
from adlayer.cli import main
from adlayer.descriptors import SOAP
from adlayer.potentials.hdnnp import HDNNP

SMALL = ("--set", "n_max=2", "--set", "l_max=1", "--set", "cutoff=4.0")


@pytest.fixture
def here(tmp_path, monkeypatch):
    frames = [bulk("Si", cubic=True), molecule("SiH4")]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
    write(tmp_path / "a.extxyz", frames)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as end:
        main(["describe", "a.extxyz", *map(str, arguments)])
    return end.value.code


def test_features_of_a_class(here):
    assert run("--descriptor", "SOAP", *SMALL, "--derivatives", "sparse", "-o", "f.npz") == 0
    found, data = np.load("f.npz"), read("a.extxyz")
    descriptor = build(json.loads(str(found["descriptor"])))
    assert descriptor.elements == ("H", "Si")
    plain = SOAP(["H", "Si"], n_max=2, l_max=1, cutoff=4.0)(Graph.of(data.structures, 4.0))  # alone, on a graph
    np.testing.assert_array_equal(found["features"], plain)
    assert found["derivatives"].shape == (len(found["derivatives_of"]), 3, descriptor.n_features)
    assert found["offsets"].tolist() == [0, 8, 13]
    assert found["frame"].tolist() == [0, 1]
    assert found["numbers"].tolist() == data.structures.numbers.tolist()


def test_where_a_descriptor_may_come_from(here):
    names = ["{ ACSF = { cutoff = 4.0, n_radial = 3 } }", "acsf.toml", "network.toml", "network.adl", "acsf.adl"]
    (here / "acsf.toml").write_text("[descriptor.ACSF]\ncutoff = 4.0\nn_radial = 3\n")
    (here / "network.toml").write_text("[potential.HDNNP]\ndescriptor.ACSF = { cutoff = 4.0, n_radial = 3 }\n")
    acsf = build({"ACSF": {"elements": ["H", "Si"], "cutoff": 4.0, "n_radial": 3}})
    save("network.adl", HDNNP(["H", "Si"], descriptor=acsf))
    save("acsf.adl", acsf)
    found = []
    for name in names:
        assert run("--descriptor", name, "--average", "--precision", "float32") == 0
        found.append(np.load("features.npz")["features"])
    assert found[0].shape == (2, acsf.n_features)
    assert found[0].dtype == np.float32
    for x in found[1:]:
        np.testing.assert_array_equal(x, found[0])


BAD = {
    "no such class": (["--descriptor", "SOAPS"], "did you mean 'SOAP'?"),
    "no such argument": (["--descriptor", "SOAP", "--set", "l_mx=2"], "did you mean 'l_max'?"),
    "not TOML": (["--descriptor", "{ SOAP = {"], "is not valid TOML"),
    "two classes": (["--descriptor", "{ SOAP = {}, ACSF = {} }"], "one class with its arguments is needed"),
    "a potential without one": (["--descriptor", "pair.toml"], "LennardJones of pair.toml is not made of a descriptor"),
    "nothing in it": (["--descriptor", "empty.toml"], "neither a table [descriptor] nor a table [potential]"),
    "saved, and set": (["--descriptor", "x.adl", "--set", "cutoff=3"], "is taken as it is"),
    "no such file": (["--descriptor", "x.adl"], "no file x.adl"),
    "another ending": (["--descriptor", "SOAP", "-o", "f.txt"], "ends in .npz"),
    "unknown element": (["--descriptor", "SOAP", "--set", "elements=['Si']"], "the structures also hold H"),
    "beyond a table": (["--descriptor", "Bispectrum", "--set", "rmin0=4.9"], "rmin0 must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_sentence(here, capsys, case):
    (here / "pair.toml").write_text("[potential.LennardJones]\n")
    (here / "empty.toml").write_text('title = "x"\n')
    arguments, message = BAD[case]
    assert run(*arguments) not in (0, 70)
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(here.glob("*.npz"))


def test_completeness_of_names_and_files(here, capsys):
    save("acsf.adl", build({"ACSF": {"elements": ["Si"], "n_radial": 3}}))
    with pytest.raises(SystemExit) as end:
        main(
            [
                "completeness",
                "{ SOAP = { n_max = 2, l_max = 2 } }",
                "{ ACE = { order = 3, degree = 9, weight_l = 1.0 } }",
                "acsf.adl",
            ]
        )
    assert end.value.code == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.count("blind") for line in out if line.strip()] == [0, 2, 1, 2]
    for arguments, message in (
        (["ACEE"], "did you mean 'ACE'?"),
        (["ACSF", "--members", "0"], "members is at least 1"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["completeness", *arguments])
        assert end.value.code not in (0, 70)
        assert message in " ".join(capsys.readouterr().err.split())
