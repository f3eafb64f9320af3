import json
import signal
import subprocess
import sys
import time

import click
import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.io import read, write

from adlayer.cli import commands, main
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.saving import load, save
from adlayer.uncertainty import Ensemble

RECIPE = """
title = "Copper"
seed = 3
[data]
file = "{folder}/cu.extxyz"
[split]
valid = 6
test = 0.2
[potential.ACE]
cutoff = 4.0
order = 2
degree = 6
[uncertainty.Committee]
members = 8
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, frames = tmp_path_factory.mktemp("cli"), []
    for k in range(30):
        atoms = bulk("Cu", cubic=True) if k % 2 else fcc111("Cu", (2, 2, 3), vacuum=5.0)
        atoms.pbc = (True, True, bool(k % 2))
        atoms.info.clear()
        atoms.rattle(0.08, seed=k)
        atoms.calc = EMT()
        atoms.get_forces()
        atoms.info["group"] = "bulk" if k % 2 else "surface"
        frames.append(atoms)
    write(folder / "cu.extxyz", frames)
    (folder / "fit.toml").write_text(RECIPE.format(folder=folder))
    members = [LennardJones(epsilon=e, sigma=2.3, cutoff=5.0) for e in (0.3, 0.4)]
    save(folder / "model.adl", Ensemble.of(members))
    return folder


@pytest.fixture
def run(capsys):
    """Runs a command; gives status, stdout, stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


def test_help_is_there_at_once_and_without_torch():
    code = "import sys; from adlayer.cli import commands; assert not {'torch', 'numba', 'ase'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        said = subprocess.run(
            [sys.executable, "-c", "from adlayer.cli import main; main(['--help'])"], capture_output=True
        )
        best = min(best, time.perf_counter() - start)
    assert said.returncode == 0
    assert best < 1.0
    assert b"adlayer check data.extxyz" in said.stdout


@pytest.mark.parametrize("name", list(commands.commands))
def test_every_command_has_help_with_an_example(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"adlayer {name}" in out.partition("Example")[2]


def test_fit_leaves_a_potential_results_and_a_report(run, folder, tmp_path):
    status, out, err = run("fit", folder / "fit.toml", "-f", tmp_path / "job", "--set", "potential.ACE.degree=7")
    assert status == 0, err
    assert "surface" in out
    results = json.loads((tmp_path / "job" / "results.json").read_text())
    assert results["metrics"]["test"]["forces_mae"] < 0.05
    assert 0 < results["uncertainty"]["forces"]["area"] < 0.5
    potential = load(tmp_path / "job" / "potential.adl")
    assert potential.potential.parts[1].arguments["degree"] == 7
    assert potential.elements == ("Cu",)
    page = (tmp_path / "job" / "report.html").read_text()
    assert "Can its uncertainty be believed?" in page
    assert "# --set potential.ACE.degree=7" in page
    assert [p.name for p in (tmp_path / "job").iterdir() if p.name.startswith(".")] == []


def test_fit_goes_on_from_a_file(run, folder, tmp_path):
    """A Lennard-Jones that is off by a constant and by its depth, fitted further."""
    start = LennardJones(epsilon=0.1, sigma=2.3, cutoff=5.0)
    save(tmp_path / "start.adl", start)
    recipe = RECIPE.format(folder=folder).partition("[potential.ACE]")[0]
    fit = '[fit.GradientDescent]\nepochs = 2\noptimizer = "lbfgs"\nenergies = "shift"\n'
    (tmp_path / "fit.toml").write_text(f'{recipe}[potential]\nfile = "{tmp_path}/start.adl"\n{fit}')
    status, _, err = run("fit", tmp_path / "fit.toml", "-f", tmp_path / "job")
    assert status == 0, err
    shift, further = load(tmp_path / "job" / "potential.adl").parts
    assert further.epsilon.item() != 0.1
    assert further.sigma.item() == pytest.approx(2.3, rel=0.2)
    assert shift.energies[0].item() != 0.0
    status, _, err = run("fit", tmp_path / "fit.toml", "-f", tmp_path / "other", "--set", 'potential.file="strat.adl"')
    assert status == 1
    assert "there is no file or folder strat.adl" in err


def test_predict_writes_what_the_potential_says(run, folder, tmp_path):
    status, out, err = run(
        "predict", folder / "model.adl", folder / "cu.extxyz", "-o", tmp_path / "out.extxyz", "--index", ":4"
    )
    assert status == 0, err
    assert "force MAE" in out
    frames = read(tmp_path / "out.extxyz", ":")
    assert len(frames) == 4
    from adlayer import Structures, evaluate

    said = evaluate(load(folder / "model.adl"), Structures.from_ase(frames[1]))
    np.testing.assert_allclose(frames[1].get_forces(), said.forces, atol=1e-7)
    np.testing.assert_allclose(frames[1].arrays["forces_std"], said.std.forces, atol=1e-7)
    assert frames[1].info["energy_std"] == pytest.approx(float(said.std.energy[0]))


def test_list_and_show_come_from_the_classes(run, folder):
    status, out, _ = run("list", "potentials")
    assert status == 0
    assert "LennardJones" in out
    assert "LeastSquares" not in out
    assert "Committee" in run("list")[1]
    out = run("show", "LennardJones")[1]
    assert "depth of the well, eV." in " ".join(out.split())
    assert "3.4" in out
    assert "{ LennardJones = { epsilon = 0.0104" in out
    out = run("show", folder / "model.adl")[1]
    assert "Ensemble" in out
    assert '"adlayer"' in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, shell):
    status, out, _ = run("completion", shell)
    assert status == 0
    assert "_ADLAYER_COMPLETE" in out


def test_check_names_frame_and_remedy_and_fails_on_errors(run, folder, tmp_path):
    status, out, _ = run("check", folder / "cu.extxyz")
    assert status == 0
    frames = read(folder / "cu.extxyz", ":")
    frames[3].positions[1] = frames[3].positions[0] + 0.1
    write(tmp_path / "bad.extxyz", frames)
    status, out, _ = run("check", tmp_path / "bad.extxyz")
    assert status == 1
    assert "frame 3" in out
    assert "remedy" in out


BAD = {
    "no recipe": (["fit", "{folder}/none.toml"], "no file"),
    "not TOML": (["fit", "{folder}/cu.extxyz"], "not valid TOML"),
    "a folder for a recipe": (["fit", "{folder}"], "is a folder"),
    "misspelt class": (["fit", "{fit}", "--set", "potential.Ace.cutoff=3"], "did you mean 'ACE'?"),
    "misspelt argument": (["fit", "{fit}", "--set", "potential.ACE.cutof=3"], "did you mean 'cutoff'?"),
    "misspelt table": (["fit", "{fit}", "--set", "pottential.ACE.cutoff=3"], "did you mean 'potential'?"),
    "wrong type": (["fit", "{fit}", "--set", "potential.ACE.cutoff='far'"], "cutoff must be a number, got 'far'"),
    "not a setting": (["fit", "{fit}", "--set", "cutoff"], "KEY=VALUE"),
    "a value is no table": (["fit", "{fit}", "--set", "seed.x=1"], "is a value, not a table"),
    "too small a set": (["fit", "{fit}", "--set", "split.valid=40"], "30 structures are too few"),
    "misspelt split": (["fit", "{fit}", "--set", "split.by='grup'"], "'random' or 'group', got 'grup'"),
    "no such data": (["fit", "{fit}", "--set", "data.file='nothing.xyz'"], "no file"),
    "fraction of what": (["fit", "{fit}", "--set", "split.test='some'"], "fraction or a number"),
    "seed": (["fit", "{fit}", "--set", "seed=1.5"], "seed must be an integer"),
    "no such room": (["list", "potential"], "did you mean 'potentials'?"),
    "no such part": (["show", "LennardJone"], "did you mean 'LennardJones'?"),
    "no such model": (["predict", "{folder}/modell.adl", "{data}"], "there are model.adl"),
    "not a model": (["predict", "{data}", "{data}"], ""),
    "unknown element": (["predict", "{silicon}", "{data}"], "the structures also hold Cu"),
    "no such folder": (["predict", "{model}", "{data}", "-o", "{folder}/none/out.xyz"], "no folder"),
    "wrong ending": (["predict", "{model}", "{data}", "-o", "{folder}/out.pdf"], "should end in"),
    "no frames": (["predict", "{model}", "{data}", "--index", "99:"], "selects none"),
    "wrong index": (["predict", "{model}", "{data}", "--index", "first"], "start:stop:step"),
    "empty file": (["check", "{empty}"], "is empty"),
    "no such option": (["fit", "{fit}", "--fodler", "x"], "No such option"),
    "no such command": (["fitt"], "No such command"),
    "radii": (["cutoff-test", "{model}", "{data}", "--radii", "a,b"], "numbers parted by commas"),
    "radii too large": (["cutoff-test", "{model}", "{data}", "--radii", "90"], "no atom to displace"),
    "no job": (["report", "{folder}/nothing"], "there is no folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_goes_wrong_is_one_clear_sentence(run, folder, tmp_path, case, monkeypatch):
    (folder / "empty.extxyz").write_text("")
    save(folder / "silicon.adl", LennardJones(epsilon={"Si": 0.1}, sigma={"Si": 2.0}))
    monkeypatch.chdir(tmp_path)
    names = {"fit": folder / "fit.toml", "data": folder / "cu.extxyz", "model": folder / "model.adl"}
    names |= {"empty": folder / "empty.extxyz", "silicon": folder / "silicon.adl", "folder": folder}
    arguments, message = BAD[case]
    status, _, err = run(*(a.format(**names) for a in arguments))
    assert status not in (0, 70), err
    said = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1, err
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.adl"))


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (KeyboardInterrupt(), "interrupted", 130),
        (OSError(28, "No space left on device"), "disk is full", 1),
        (ModuleNotFoundError("No module named 'optuna'", name="optuna"), "pip install optuna", 1),
        (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError", 70),
        (MemoryError(), "not enough memory", 1),
    ],
)
def test_what_goes_wrong_inside_is_one_sentence_too(run, folder, monkeypatch, error, message, status):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("adlayer.data.read", fail)
    found, _, err = run("check", folder / "cu.extxyz")
    assert (found, len(err.strip().splitlines())) == (status, 1)
    assert message in err
    with pytest.raises((type(error), click.Abort)):  # a traceback, where one is asked for
        main(["--debug", "check", str(folder / "cu.extxyz")])


def test_learning_curve_and_cutoff_test(run, folder, tmp_path):
    status, out, err = run("learning-curve", folder / "fit.toml", "-f", tmp_path, "--sizes", "6,16", "--seeds", "1")
    assert status == 0, err
    assert "Force MAE" in out
    assert "Learning curve" in (tmp_path / "learning_curve.html").read_text()
    status, out, err = run(
        "cutoff-test",
        folder / "model.adl",
        folder / "cu.extxyz",
        "--radii",
        "2,3",
        "--samples",
        "2",
        "--tolerance",
        "9",
    )
    assert status == 0, err
    assert "Beyond 2 Å the spread stays below 9 eV/Å" in out


def test_interrupted_by_hand(folder, tmp_path):
    endless = "fit={GradientDescent = {epochs = 1000000}}"
    words = ["fit", str(folder / "fit.toml"), "-f", str(tmp_path / "job"), "--set", endless]
    code = f"from adlayer.cli import main; main({words})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background may ignore it
    )
    while "Read and split" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Error: interrupted; what was finished is kept" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.adl"))


def test_search_goes_on_with_the_trials_it_has(run, folder, tmp_path):
    pytest.importorskip("optuna")
    recipe = tmp_path / "search.toml"
    space = '[search]\ntrials = 2\nsampler = "genetic"\n[search.space]\n"potential.ACE.cutoff" = [3.5, 4.5]\n'
    recipe.write_text(RECIPE.format(folder=folder).replace("[uncertainty.Committee]\nmembers = 8\n", "") + space)
    status, out, _ = run("search", recipe, "-f", tmp_path)
    assert status == 0
    assert "potential.ACE.cutoff = " in out
    assert "after 2 trials" in out
    status, out, _ = run("search", recipe, "-f", tmp_path, "--set", "search.trials=3")
    assert "after 3 trials" in out
    assert 3.5 <= json.loads((tmp_path / "search.json").read_text())["values"]["potential.ACE.cutoff"] <= 4.5
    status, _, err = run("search", folder / "fit.toml")
    assert status != 0
    assert "[search] needs a table space" in err
