"""Runs are watched, stop with a reason, are written down, and go on after a kill to the same last digit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read
from wells import Harmonic, atoms_at_rest

from adlayer import Evaluator, Prediction
from adlayer.config import build, describe
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.simulation import Engine, Langevin, MaxTemperature, MaxUncertainty, MinDistance, VelocityVerlet, relax, run


def silicons(n=2):
    frames = []
    for k in range(n):
        frames.append(bulk("Si", cubic=True))
        frames[-1].rattle(0.05, seed=k)
        frames[-1].set_constraint(FixAtoms([0]))
    return frames


class Doubtful:
    """Stillinger-Weber that becomes unsure of a system the longer it moves."""

    def __init__(self):
        self.inner, self.calls = Evaluator(StillingerWeber()), 0

    def __call__(self, structures):
        said = self.inner(structures)
        away = (structures.positions - structures.positions.round()).abs()
        return said._replace(std=Prediction(forces=away * (0.01 if len(structures) == 1 else 1.0)))


def test_watched_for_heat():
    engine = Langevin(temperature=100, final=[100, 9000], picoseconds=0.4, friction=0.1)
    done = run(engine, Evaluator(StillingerWeber()), silicons(), watch=MaxTemperature(2000))
    assert done.reason[0] == "finished"
    assert done.reason[1].startswith("temperature 2")
    assert "K is above the limit of 2000 at step" in done.reason[1]
    assert done.steps[1] < done.steps[0] == 400
    assert np.isnan(done.log["temperature (K)"][-1, 1])


def test_watched_for_distance():
    frames = silicons()
    frames[1].positions[1] += 0.5 * (frames[1].positions[0] - frames[1].positions[1])
    done = run(VelocityVerlet(picoseconds=0.01), Evaluator(StillingerWeber()), frames, watch=[MinDistance(1.5)])
    assert done.steps.tolist() == [10, 0]
    assert done.reason[1].startswith("distance between two atoms 1.")
    assert done.reason[1].endswith("Å is below the limit of 1.5 at step 0")


def test_watched_for_doubt():
    done = run(Langevin(picoseconds=0.02), Doubtful(), silicons(), watch=[MaxUncertainty(0.2)], every=5)
    assert all("uncertainty of a force" in r for r in done.reason)
    assert done.prediction.std.forces.shape == (16, 3)
    assert "force uncertainty (eV/Å)" in done.log
    with pytest.raises(ValueError, match="ensemble"):
        run(Langevin(), Evaluator(StillingerWeber()), silicons(), watch=[MaxUncertainty()])


def test_nonsense_ends_a_run():
    start = atoms_at_rest(2, 3)
    inner = Harmonic(start.positions.clone())

    def evaluate(structures):
        said = inner(structures)
        if inner.calls > 5 and len(structures) == 2:
            said.forces[0, 0] = torch.nan
        return said

    done = run(Langevin(picoseconds=0.02), evaluate, start)
    assert done.reason == ["energy or forces are not finite numbers at step 5", "finished"]


def test_engines_and_watches_are_recipes():
    for part in (Langevin(temperature=[300, 600], picoseconds=2.0), MaxUncertainty(0.3), MinDistance(1.0)):
        again = build(describe(part))
        assert describe(again) == describe(part)
    assert isinstance(build({"Langevin": {"temperature": 500}}, Engine), Langevin)


def test_trajectory_is_read_by_ase(tmp_path):
    path = tmp_path / "run.extxyz"
    done = run(Langevin(picoseconds=0.02), Doubtful(), silicons(), trajectory=path, every=5)
    frames = read(path, ":")
    assert [(f.info["step"], f.info["system"]) for f in frames] == [(s, k) for s in (0, 5, 10, 15, 20) for k in (0, 1)]
    last = frames[-1]
    assert np.array_equal(last.positions, done.frames[1].positions)
    assert last.get_potential_energy() == done.prediction.energy[1].item()
    assert np.array_equal(last.get_forces(apply_constraint=False), done.frames[1].get_forces(apply_constraint=False))
    assert last.constraints[0].index.tolist() == [0]
    assert last.get_kinetic_energy() == pytest.approx(done.log["kinetic energy (eV)"][-1, 1], rel=1e-10)
    assert "forces_std" in last.arrays


SCRIPT = """
import sys, time
sys.path[:0] = [{here!r}]
from test_run import long_run
long_run({folder!r}, slow=True)
"""


def long_run(folder, slow=False, **changes):
    """Two systems, one of which runs hot and stops; each 25 steps a checkpoint."""
    inner = Evaluator(StillingerWeber())

    def evaluate(structures):
        if slow:
            time.sleep(0.005)
        return inner(structures)

    folder = Path(folder)
    return run(
        Langevin(temperature=300, final=[300, 4000], picoseconds=0.3, friction=0.05),
        evaluate,
        silicons(),
        changes.pop("seed", 11),
        watch=[MaxTemperature(1500)],
        trajectory=folder / "run.extxyz",
        checkpoint=folder / "run.checkpoint",
        checkpoint_every=25,
        **changes,
    )


def test_killed_and_resumed_to_the_last_digit(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = long_run(whole)
    trajectory = killed / "run.extxyz"
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(here=str(Path(__file__).parent), folder=str(killed))]
        )
        size, deadline = 0 if not trajectory.exists() else trajectory.stat().st_size, time.time() + 60
        while not (trajectory.exists() and trajectory.stat().st_size > size + 12000):
            assert process.poll() is None
            assert time.time() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert "finished" not in trajectory.read_text()
    found = long_run(killed)
    assert found.reason == expected.reason
    assert "temperature" in expected.reason[1]
    assert torch.equal(found.structures.positions, expected.structures.positions)
    assert torch.equal(found.prediction.forces, expected.prediction.forces)
    assert trajectory.read_bytes() == (whole / "run.extxyz").read_bytes()
    assert all(np.array_equal(found.log[name], expected.log[name], equal_nan=True) for name in expected.log)
    calls = []
    again = run_is_only_read(killed, calls)
    assert torch.equal(again.structures.positions, expected.structures.positions)
    assert not calls


def run_is_only_read(folder, calls):
    def evaluate(structures):
        calls.append(structures)
        raise AssertionError("a finished run needs no evaluation")

    return run(
        Langevin(temperature=300, final=[300, 4000], picoseconds=0.3, friction=0.05),
        evaluate,
        silicons(),
        11,
        watch=[MaxTemperature(1500)],
        trajectory=folder / "run.extxyz",
        checkpoint=folder / "run.checkpoint",
    )


def test_checkpoint_of_another_run_is_refused(tmp_path):
    long_run(tmp_path)
    with pytest.raises(ValueError, match=r"is of another run \(structures or seed changed\)"):
        long_run(tmp_path, seed=12)
    with pytest.raises(ValueError, match=r"every changed"):
        long_run(tmp_path, every=7)
    (tmp_path / "run.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="delete it to start anew"):
        long_run(tmp_path)


def test_relaxation_resumes_too(tmp_path):
    frames = silicons()
    expected = relax(Evaluator(StillingerWeber()), frames, fmax=1e-5)
    inner, calls = Evaluator(StillingerWeber()), []

    def dies(structures):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return inner(structures)

    path = tmp_path / "relax.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        relax(dies, frames, fmax=1e-5, checkpoint=path, checkpoint_every=2)
    found = relax(Evaluator(StillingerWeber()), frames, fmax=1e-5, checkpoint=path, checkpoint_every=2)
    assert torch.equal(found.structures.positions, expected.structures.positions)
    assert found.steps.tolist() == expected.steps.tolist()


def test_progress_is_told():
    told = []
    run(Langevin(picoseconds=0.02), Evaluator(StillingerWeber()), silicons(), progress=lambda *x: told.append(x))
    assert told[-1] == (20, 20, "0 moving, 2 finished")


def test_a_bare_potential_is_told_what_it_lacks():
    with pytest.raises(TypeError, match=r"Evaluator\(potential\)"):
        run(Langevin(picoseconds=0.02), StillingerWeber(), silicons())
