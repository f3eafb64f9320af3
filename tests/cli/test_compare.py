"""``adlayer compare``: killed in the middle and gone on with, one family that fails, and all that it writes."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.io import write

from adlayer.cli import main
from adlayer.saving import load

RECIPE = """
title = "Which one?"
seed = 2
[data]
file = "cu.extxyz"
[split]
valid = 5
test = 5
[families.pairs]
potential.PairGP = { cutoff = 4.5, n_sparse = 8 }
fit.SparseGP = { energy = 0.01, forces = 0.1 }
[families."a slow one"]
potential.LennardJones = { epsilon = 0.4, sigma = 2.3, cutoff = 4.5 }
fit.GradientDescent = { epochs = 24, batch = 1, energies = "none", save_every = 0.1 }
[families.wrong]
potential.HDNNP.descriptor.ACSF = { cutoff = 4.0 }
fit.LeastSquares = {}
[compare]
atoms = 60
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    frames = []
    for k in range(25):
        atoms = bulk("Cu", cubic=True) if k % 2 else fcc111("Cu", (1, 2, 3), vacuum=5.0)
        atoms.pbc = (True, True, bool(k % 2))
        atoms.rattle(0.08, seed=k)
        atoms.calc = EMT()
        atoms.get_forces()
        atoms.info = {"group": "bulk" if k % 2 else "surface"}
        frames.append(atoms)
    write(tmp_path / "cu.extxyz", frames)
    (tmp_path / "which.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def processes(folder) -> list[int]:
    """Those that work in a folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == str(folder) and int(pid) != os.getpid():
                found.append(int(pid))
        except OSError:
            continue
    return found


def until(condition, seconds: float = 900.0) -> None:
    start = time.perf_counter()
    while not condition():
        assert time.perf_counter() - start < seconds
        time.sleep(0.02)


def epochs(folder) -> list[int]:
    """Those that a fit has written down."""
    return [json.loads(line)["epoch"] for line in (folder / "fit" / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.skipif(not os.path.exists("/proc/self/cwd"), reason="looks for processes in /proc")
def test_killed_and_gone_on_with(here, capsys):
    job = here / "runs" / "which"
    slow = job / "a_slow_one"
    command = [sys.executable, "-c", "from adlayer.cli import main; main(['compare', 'which.toml'])"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (slow / "fit" / "last.pt").exists() and len(epochs(slow)) > 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not processes(here))  # the child does not outlive its parent
    assert (job / "pairs" / "result.json").exists()
    assert not (slow / "result.json").exists()
    written = (job / "pairs" / "result.json").stat().st_mtime_ns
    half_way = len(epochs(slow))

    with pytest.raises(SystemExit) as end:
        main(["compare", "which.toml"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    assert (job / "pairs" / "result.json").stat().st_mtime_ns == written
    assert 0 < half_way < 24
    assert epochs(slow) == list(range(1, 25))
    assert "wrong failed: TypeError: LeastSquares needs a potential that is linear" in " ".join(out.split())

    found = {c["name"]: c for c in json.loads((job / "compare.json").read_text())["families"]}
    assert list(found) == ["pairs", "a slow one", "wrong"]
    assert found["wrong"]["metrics"] is None
    assert found["wrong"]["cost"] is None
    for name, parameters in (("pairs", 8 + 1), ("a slow one", 2)):
        c = found[name]
        assert c["parameters"] == parameters
        assert 0 < c["cost"] < 1e-3
        assert 0 <= c["memory"] < 4e9
        assert c["cpu_seconds"] > 0
        assert set(c["metrics"]["test"]["groups"]) == {"bulk", "surface"}
        assert load(c["potential"]).cutoff == 4.5
    rows = list(csv.DictReader((job / "compare.csv").open()))
    assert float(rows[0]["forces_mae"]) == found["pairs"]["metrics"]["test"]["forces_mae"]
    page = (job / "report.html").read_text()
    assert "<strong>wrong</strong> gave no potential: TypeError" in page
    assert page.count("data:image/png") == 1
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "Errors by group" in page


BAD = {
    "no families": (["families={}"], "needs the table [families]"),
    "misspelt family": (["families={a={potential={SNAPP={}}}}"], "did you mean 'SNAP'?"),
    "misspelt argument": (["families={a={potential={SNAP={cutof=4.0}}}}"], "did you mean 'cutoff'?"),
    "misspelt fit": (["families={a={potential={SNAP={}}, fit={LeastSquare={}}}}"], "did you mean 'LeastSquares'?"),
    "misspelt entry": (["families={a={potentials={SNAP={}}}}"], "needs a table potential"),
    "one more entry": (["families={a={potential={SNAP={}}, fitt={}}}"], "did you mean 'fit'?"),
    "same folder": (
        ['families={"a b"={potential={SNAP={}}}, a_b={potential={SNAP={}}}}'],
        "would share the folder a_b",
    ),
    "no such option": (["compare.atom=3"], "did you mean 'atoms'?"),
    "not a number": (["compare.seconds='long'"], "seconds must be a number or nothing, got 'long'"),
    "no data": (["data.file='no.extxyz'"], "no file"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_before_anything_is_fitted(here, capsys, case):
    settings, message = BAD[case]
    with pytest.raises(SystemExit) as end:
        main(["compare", "which.toml", *(x for s in settings for x in ("--set", s))])
    err = " ".join(capsys.readouterr().err.split())
    assert end.value.code not in (0, 70), err
    assert message in err
    assert not list(here.glob("runs/*/*/family.json"))


def test_a_family_that_takes_too_long_or_dies_is_one_that_fails(here, monkeypatch):
    from adlayer.data import read
    from adlayer.fitting.comparison import compare

    data = read(here / "cu.extxyz")
    endless = {"potential": "LennardJones", "fit": {"GradientDescent": {"epochs": 10**6, "energies": "none"}}}
    (long,) = compare({"long": endless}, data[:15], test=data[15:], folder=here / "runs", seconds=1.0)
    assert long.failed == "took longer than 1 s and was stopped"
    ends = "import os\nif os.getppid() == int(os.environ['ADLAYER_TEST']): os._exit(3)\n"
    (here / "dying.py").write_text(f"{ends}class Dying:\n    def __init__(self): pass\n")
    monkeypatch.setenv("ADLAYER_TEST", str(os.getpid()))
    monkeypatch.syspath_prepend(here)
    (dead,) = compare({"dead": {"potential": {"dying.Dying": {}}}}, data[:15], folder=here / "runs")
    assert dead.failed.startswith("its process ended with status 3")
    assert np.isnan(dead.error("forces_mae"))
