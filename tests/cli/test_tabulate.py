import pytest
from ase.build import bulk
from ase.io import write

from adlayer import Structures, evaluate, load, read, save
from adlayer.cli import main
from adlayer.potentials.morse import Morse
from adlayer.potentials.snap import SNAP
from adlayer.potentials.tabulated import Tabulated
from adlayer.uncertainty import Ensemble


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = []
    for k in range(3):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.1, seed=k)
        frames.append(atoms)
    write("data.extxyz", frames)
    pair = Morse({"Si": 0.3}, 1.5, 2.4, 6.0)
    save("pair.adl", pair)
    save("many.adl", Ensemble.of([pair, Morse({"Si": 0.35}, 1.5, 2.4, 6.0)]))
    save("snap.adl", SNAP(["Si"], twojmax=2))
    save("any.adl", Morse())
    return tmp_path


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["tabulate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return end.value.code, " ".join(out.split()), " ".join(err.split())


def test_a_faster_potential_and_its_error(here, capsys):
    status, out, err = run(capsys, "pair.adl", "-o", "fast.adl", "--check", "data.extxyz", "--shortest", 1.7)
    assert status == 0, err
    fast, structures = load("fast.adl"), read("data.extxyz").structures
    assert isinstance(fast, Tabulated)
    error = (evaluate(fast, structures).forces - evaluate(load("pair.adl"), structures).forces).abs().max()
    assert f"on data.extxyz: largest force error {float(error):.2g} eV/Å" in out
    assert 0 < float(error) < 1e-4
    assert "µs/atom" in out


def test_doubt_goes_with_it(here, capsys):
    status, out, err = run(capsys, "many.adl", "-o", "fast.adl", "--pairs", 200)
    assert status == 0, err
    assert "on random clusters of 12 atoms" in out
    assert "largest error of ±" in out
    structures = Structures.from_ase(bulk("Si", cubic=True))
    assert evaluate(load("fast.adl"), structures).std is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["snap.adl", "-o", "fast.adl"], "SNAP is no sum of pairs and triplets"),
        (["any.adl", "-o", "fast.adl"], "any element"),
        (["pair.adl", "-o", "fast.xyz"], "ends in .adl"),
        (["pair.adl", "-o", "fast.adl", "--shortest", "-1"], "must be above 0"),
        (["pair.adl", "-o", "fast.adl", "--shortest", "7"], "must begin before"),
        (["pair.adl", "-o", "fast.adl", "--pairs", "3"], "at least 5 knots"),
        (["pair.adl", "-o", "fast.adl", "--index", "0"], "--check, which is not given"),
        (["pair.adl", "-o", "fast.adl", "--check", "copper.extxyz"], "also hold Cu"),
        (["nothing.adl", "-o", "fast.adl"], "there are"),
    ],
)
def test_what_is_wrong_is_one_sentence(here, capsys, arguments, message):
    write("copper.extxyz", bulk("Cu"))
    status, _, err = run(capsys, *arguments)
    assert status not in (0, 70), err
    assert message in err
    assert not (here / "fast.adl").exists()
