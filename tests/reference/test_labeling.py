"""Labels: kept the moment they exist, never computed twice; what fails, hangs or crashes is listed."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from adlayer.reference import ASE, LabelStore, TBLite, label
from adlayer.reference.method import ReferenceUnavailable

HERE = str(Path(__file__).parent)
EMT_REFERENCE = ASE("ase.calculators.emt.EMT")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(HERE)


def flawed(how="raise", **arguments):
    fallbacks = arguments.pop("fallbacks", [])
    return ASE("flawed_calculators.Flawed", {"how": how, **arguments}, fallbacks)


def wells(n=4, bad=()):
    return [Atoms("H", [[2.0 if k in bad else 0.0, 0.1 * k, 0]]) for k in range(n)]


def coppers(n):
    frames = [bulk("Cu", cubic=True) for _ in range(n)]
    for k, frame in enumerate(frames):
        frame.rattle(0.05, seed=k)
    return frames


def test_labels_equal_the_calculator(tmp_path):
    frames = coppers(3)
    done = label(EMT_REFERENCE, frames, tmp_path)
    assert not done.failures
    for frame, labeled in zip(frames, done.frames):
        frame.calc = EMT()
        assert labeled.get_potential_energy() == frame.get_potential_energy()
        assert np.array_equal(labeled.get_forces(), frame.get_forces())
        assert np.array_equal(labeled.get_stress(), frame.get_stress())


def test_never_computed_twice_and_exact_from_disk(tmp_path):
    counter = tmp_path / "calls"
    frames = wells(3)
    reference = flawed(counter=str(counter))
    first = label(reference, [*frames, frames[0]], tmp_path / "store")
    again = label(reference, [*frames, *wells(4)], tmp_path / "store")
    assert len(counter.read_text()) == 4  # 3 frames, and the fourth well; copies are labeled once
    assert (first.computed, again.computed) == (3, 1)
    assert len(first.frames) == 4
    assert len(again.frames) == 7
    assert np.array_equal(first.frames[2].get_forces(), again.frames[2].get_forces())


def test_key_tells_what_matters_apart():
    frame = bulk("Cu", cubic=True)
    keys = {LabelStore.key(EMT_REFERENCE, frame)}
    moved = frame.copy()
    moved.positions[0, 0] += 1e-12
    slab, charged, stretched, other = (frame.copy() for _ in range(4))
    slab.pbc = (True, True, False)
    charged.info["charge"] = 1
    stretched.cell[0, 0] += 1e-9
    other.numbers[0] = 28
    keys |= {LabelStore.key(EMT_REFERENCE, f) for f in (moved, slab, charged, stretched, other)}
    keys |= {LabelStore.key(ASE("ase.calculators.emt.EMT", {"asap_cutoff": True}), frame)}
    keys |= {LabelStore.key(TBLite(), frame), LabelStore.key(TBLite(accuracy=0.1), frame)}
    assert len(keys) == 9
    same = frame.copy()
    same.set_constraint(FixAtoms([0]))
    same.info["group"] = "bulk"
    assert LabelStore.key(EMT_REFERENCE, same) in keys


def test_forces_are_true_and_constraints_stay():
    slab = fcc100("Cu", (1, 1, 3), vacuum=5)
    slab.positions[2, 2] += 0.3
    slab.set_constraint(FixAtoms([0, 1]))
    labeled = label(EMT_REFERENCE, [slab]).frames[0]
    assert abs(labeled.get_forces(apply_constraint=False)[1]).max() > 0.1
    assert abs(labeled.get_forces()[1]).max() == 0.0


@pytest.mark.parametrize("how, words", [("raise", "did not converge"), ("nan", "not finite"), ("crash", "exit code 3")])
def test_failures_are_listed_not_fatal(tmp_path, how, words):
    done = label(flawed(how), wells(4, bad=[2]), tmp_path, retries=1)
    assert [round(f.get_potential_energy(), 3) for f in done.frames] == [0.0, 0.005, 0.045]
    (failure,) = done.failures
    assert (failure.index, failure.attempts) == (2, 2)
    assert words in failure.reason
    assert len(LabelStore(tmp_path)) == 3


def test_retry_takes_other_settings_and_says_so(tmp_path):
    reference = flawed(fallbacks=[{"patience": 100.0}])
    done = label(reference, wells(3, bad=[1]), tmp_path)
    assert not done.failures
    assert ["attempt" in f.info for f in done.frames] == [False, True, False]
    stored = LabelStore(tmp_path).read(LabelStore.key(reference, wells(3, bad=[1])[1]))
    assert stored["attempt"] == 1
    assert "did not converge" in stored["reason"]
    assert stored["seconds"] > 0
    assert stored["method"]["ASE"]["calculator"] == "flawed_calculators.Flawed"


def test_time_out_kills_the_stuck_process(tmp_path):
    start = time.perf_counter()
    done = label(flawed("hang"), wells(5, bad=[1]), tmp_path, timeout=3.0, workers=1)
    assert time.perf_counter() - start < 12
    assert len(done.frames) == 4
    assert "longer than 3 s" in done.failures[0].reason
    assert done.failures[0].attempts == 1


def test_what_cannot_start_is_said_at_once():
    with pytest.raises(ReferenceUnavailable, match="did you mean 'EMT'"):
        label(ASE("ase.calculators.emt.EMX"), coppers(1))


def test_foreign_executor(tmp_path):
    import multiprocessing

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        done = label(EMT_REFERENCE, coppers(2), tmp_path, executor=executor)
    assert len(done.frames) == 2


SCRIPT = """
import sys
sys.path[:0] = [{here!r}]
from test_labeling import flawed, wells, label
label(flawed(counter={counter!r}), wells(200), {store!r}, workers=2)
"""


def test_sigkill_loses_no_finished_label(tmp_path):
    counter, store = tmp_path / "calls", tmp_path / "store"
    script = SCRIPT.format(here=HERE, counter=str(counter), store=str(store))
    process = subprocess.Popen([sys.executable, "-c", script])
    while len(list(store.glob("??/*.json"))) < 20:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    survivors = len(LabelStore(store))
    time.sleep(0.3)  # orphaned workers must be gone, not calculating on
    calls = len(counter.read_text())
    time.sleep(0.3)
    assert len(counter.read_text()) == calls
    assert calls - survivors <= 4  # at most what was in flight
    for path in store.glob("??/*.json"):
        json.loads(path.read_text())
    done = label(flawed(counter=str(counter)), wells(200), store, progress=lambda *a: None)
    assert done.computed == 200 - survivors
    assert len(done.frames) == 200


def test_damaged_label_is_named(tmp_path):
    label(EMT_REFERENCE, coppers(1), tmp_path)
    (path,) = tmp_path.glob("??/*.json")
    path.write_text(path.read_text()[:50])
    with pytest.raises(ValueError, match="damaged"):
        label(EMT_REFERENCE, coppers(1), tmp_path)
