"""Every heat bath is canonical in momenta and in positions, keeps what its equations keep, and follows ramps."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read
from scipy import stats

from adlayer import Evaluator, Prediction, Structures
from adlayer.potentials.morse import Morse
from adlayer.simulation import (
    MTK,
    Barostat,
    Bussi,
    CellRescaling,
    Langevin,
    MaxDrift,
    NoseHoover,
    VelocityVerlet,
    read_hdf5,
    run,
)
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN, FS

K, G = torch.tensor([5.0, 8.0, 13.0], dtype=torch.float64), 1000.0  # eV/Å², eV/Å⁴


def wells(structures: Structures) -> Prediction:
    """Three oscillators about the origin, coupled so that they share their heat: ``K x²/2 + G (x² y² + ...)``."""
    x, squares = structures.positions, structures.positions.square()
    others = squares.sum(-1, keepdim=True) - squares
    energy = 0.5 * (K * squares + G * squares * others).sum(-1)
    return Prediction(sum_systems(energy, structures), -K * x - 2 * G * x * others)


def exact(kT: float) -> list:
    """Cumulative distributions of the three coordinates, by summation on a grid."""
    grid = np.linspace(-0.45, 0.45, 121)
    places = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3)
    x, y, z = (places.T) ** 2
    energy = 0.5 * (places**2 @ K.numpy()) + G * (x * y + y * z + z * x)
    weights = np.exp(-energy / kT).reshape(121, 121, 121)
    marginals = [weights.sum(tuple(b for b in range(3) if b != a)) for a in range(3)]
    sums = [(np.cumsum(m) - 0.5 * m) / m.sum() for m in marginals]
    return [lambda q, c=c: np.interp(q, grid, c) for c in sums]


def copper(n=1, repeat=2):
    frames = []
    for k in range(n):
        frames.append(bulk("Cu", cubic=True) * (repeat, repeat, repeat))
        frames[-1].rattle(0.02, seed=k)
    return frames


@pytest.mark.parametrize(
    "engine",
    [Langevin(friction=0.05), Bussi(relaxation=10.0), NoseHoover(relaxation=6.0)],
    ids=lambda e: type(e).__name__,
)
def test_canonical_in_momenta_and_positions(engine):
    """1000 independent systems, of each a frozen atom and one in a well, far from equilibrium at first: at late times
    the kinetic energy is of chi-square distribution, each velocity of normal distribution and each coordinate as the
    well has it (Kolmogorov and Smirnov), and none knows of the other. The frozen atom changes nothing of it."""
    n, kT = 1000, BOLTZMANN * 400.0
    engine = replace(engine, temperature=400.0, timestep=0.4, picoseconds=1.0)
    generator = torch.Generator().manual_seed(5)
    start = Structures.from_ase([Atoms("H2", [[0.1, 0.2, 0.3], [0, 0, 0]])] * n)
    start.positions[1::2] += 0.2 * (torch.rand(n, 3, generator=generator, dtype=torch.float64) - 0.5)
    state = engine.init(wells, start, generator, fixed=torch.tensor([True, False] * n))
    assert (state.freedom == 3).all()
    p, expected = [], exact(kT)
    for step in range(1, 801):
        state = engine.step(wells, state, generator)
        if step in (650, 800):
            x = state.structures.positions[1::2]
            v = state.velocities[1::2] * (1.008 / (FS**2 * kT)) ** 0.5
            p.append(stats.kstest(2 * state.kinetic_energy / kT, stats.chi2(3).cdf).pvalue)
            p += [stats.kstest(x[:, a], expected[a]).pvalue for a in range(3)]
            p += [stats.kstest(v[:, a], stats.norm.cdf).pvalue for a in range(3)]
            together = np.corrcoef(np.concatenate([x, v], 1).T)[np.triu_indices(6, 1)]
            assert abs(together).max() < 4.5 / n**0.5
    assert min(p) > 2e-3
    assert torch.equal(state.structures.positions[::2], start.positions[::2])


@pytest.mark.parametrize("engine", [NoseHoover, MTK])
def test_extended_energy_is_kept_to_second_order(engine):
    deviation = {}
    for timestep in (2.0, 4.0):
        done = run(
            engine(temperature=400, picoseconds=0.4, timestep=timestep), Evaluator(Morse(cutoff=5.0)), copper(), every=2
        )
        energy = done.log["conserved energy (eV)"][:, 0] / 32
        deviation[timestep] = np.abs(energy - energy[0]).max()
    assert deviation[2.0] < 1e-3
    assert 2.5 < deviation[4.0] / deviation[2.0] < 6


@pytest.mark.parametrize("engine", [Langevin, Bussi, CellRescaling])
def test_energy_without_heat_is_kept(engine):
    done = run(engine(temperature=400, picoseconds=0.5, timestep=2.0), Evaluator(Morse(cutoff=5.0)), copper(), every=2)
    energy = (done.log["potential energy (eV)"] + done.log["kinetic energy (eV)"])[:, 0] / 32
    kept = done.log["conserved energy (eV)"][:, 0] / 32
    assert np.ptp(energy) > 5e-3
    assert np.abs(kept - kept[0]).max() < 4e-4


@pytest.mark.parametrize("engine", [Bussi, NoseHoover])
def test_ramps(engine):
    engine = engine(temperature=[200, 600], final=400, picoseconds=1.5, timestep=5.0, relaxation=20.0)
    T = run(engine, Evaluator(Morse(cutoff=5.0), stress=False), copper(2), every=1).log["temperature (K)"]
    assert np.allclose(T[30:100].mean(0), [243, 557], rtol=0.2)
    assert np.allclose(T[-60:].mean(0), [380, 420], rtol=0.2)


def test_drift_is_noticed():
    frames = copper()
    watch = [MaxDrift(0.002)]
    fine = run(VelocityVerlet(picoseconds=0.1), Evaluator(Morse(cutoff=5.0)), frames, watch=watch)
    coarse = run(VelocityVerlet(picoseconds=0.5, timestep=40.0), Evaluator(Morse(cutoff=5.0)), frames, watch=watch)
    assert fine.finished.all()
    assert coarse.reason[0].startswith("drift of the conserved energy")
    assert "eV/atom is above the limit of 0.002" in coarse.reason[0]


def test_masses_change_the_motion_and_not_the_place():
    frame = Atoms("OH", [[0, 0, 0], [1, 0, 0]])
    state = VelocityVerlet(masses={"H": 4.0}).init(wells, Structures.from_ase(frame), torch.Generator())
    assert state.masses.tolist() == [15.999, 4.0]
    assert frame.get_masses().tolist() == [15.999, 1.008]  # ASE's table is as it was
    with pytest.raises(ValueError, match="'HH' is no chemical symbol; did you mean 'H'"):
        VelocityVerlet(masses={"HH": 4.0}).init(wells, Structures.from_ase(frame), torch.Generator())
    with pytest.raises(ValueError, match="above 0 amu, got -1"):
        VelocityVerlet(masses={"H": -1.0}).init(wells, Structures.from_ase(frame), torch.Generator())


def test_at_rest_stays_at_rest_at_zero_kelvin():
    for engine in (Bussi(temperature=0.0, picoseconds=0.01), NoseHoover(temperature=0.0, picoseconds=0.01)):
        done = run(engine, wells, Atoms("H", [[0.0, 0, 0]]))
        assert done.finished.all()
        assert done.structures.positions.abs().max() == 0


ENGINES = [
    VelocityVerlet(picoseconds=0.06),
    Langevin(picoseconds=0.06),
    Bussi(picoseconds=0.06, final=600),
    NoseHoover(picoseconds=0.06),
    CellRescaling(picoseconds=0.06, shape="free", final_pressure=2.0),
    MTK(picoseconds=0.06),
]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: type(e).__name__)
def test_interrupted_and_resumed_to_the_last_digit(engine, tmp_path):
    expected, found = interrupted(engine, tmp_path, "extxyz")
    assert torch.equal(found.structures.positions, expected.structures.positions)
    assert torch.equal(found.structures.cell, expected.structures.cell)
    assert all(np.array_equal(found.log[name], expected.log[name], equal_nan=True) for name in expected.log)
    assert (tmp_path / "killed/run.extxyz").read_bytes() == (tmp_path / "whole/run.extxyz").read_bytes()


@pytest.mark.parametrize("suffix", ["traj", "h5"])
def test_other_trajectories_resume_and_hold_the_same(suffix, tmp_path):
    engine = Langevin(picoseconds=0.06, masses={"Cu": 100.0})
    interrupted(engine, tmp_path, suffix)
    frames = copper(2)
    for frame in frames:
        frame.set_constraint(FixAtoms([2]))
    run(engine, Evaluator(Morse(cutoff=5.0)), frames, 3, trajectory=tmp_path / "run.extxyz")
    reader = read_hdf5 if suffix == "h5" else lambda path: read(path, ":")
    expected = read(tmp_path / "run.extxyz", ":")
    for folder in ("whole", "killed"):
        frames = reader(tmp_path / folder / f"run.{suffix}")
        assert len(frames) == len(expected) == 14
        for a, b in zip(frames, expected):
            assert np.array_equal(a.positions, b.positions)
            assert np.array_equal(a.get_forces(apply_constraint=False), b.get_forces(apply_constraint=False))
            assert a.constraints[0].index.tolist() == b.constraints[0].index.tolist() == [2]
            assert a.get_kinetic_energy() == pytest.approx(b.info["kinetic_energy"], rel=1e-9)
            assert b.get_kinetic_energy() == pytest.approx(b.info["kinetic_energy"], rel=1e-9)
            assert (a.info["step"], a.info["system"], a.info["time"]) == (
                b.info["step"],
                b.info["system"],
                b.info["time"],
            )


def test_an_hdf5_trajectory_of_a_killed_run_is_whole(tmp_path):
    """No chance to close the file; what was appended is there, and a new run of the same name begins anew."""
    path = str(tmp_path / "run.h5")
    script = f"""
import os, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from test_thermostats import *
told = lambda done, *_: done == 30 and os.kill(os.getpid(), 9)
run(Langevin(picoseconds=1.0), Evaluator(Morse(cutoff=5.0)), copper(2), trajectory={path!r}, progress=told)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert [f.info["step"] for f in read_hdf5(path)] == [0, 0, 10, 10, 20, 20, 30, 30]
    run(Langevin(picoseconds=0.01), Evaluator(Morse(cutoff=5.0)), copper(2), trajectory=path)
    assert len(read_hdf5(path)) == 4
    with pytest.raises(ValueError, match=r"a trajectory ends with one of .xyz, .extxyz, .traj, .h5, .hdf5; got"):
        run(Langevin(), Evaluator(Morse(cutoff=5.0)), copper(), trajectory=tmp_path / "run.dcd")


def interrupted(engine, folder, suffix):
    """A run, and the same run interrupted and taken up again."""
    frames, inner, calls = copper(2), Evaluator(Morse(cutoff=5.0)), []
    if not isinstance(engine, Barostat):
        for frame in frames:
            frame.set_constraint(FixAtoms([2]))

    def dies(structures):
        calls.append(1)
        if len(calls) == 42:
            raise KeyboardInterrupt
        return inner(structures)

    def do(evaluate, folder):
        files = {"trajectory": folder / f"run.{suffix}", "checkpoint": folder / "checkpoint", "checkpoint_every": 20}
        return run(engine, evaluate, frames, 3, **files)

    expected = do(Evaluator(Morse(cutoff=5.0)), folder / "whole")
    with pytest.raises(KeyboardInterrupt):
        do(dies, folder / "killed")
    return expected, do(Evaluator(Morse(cutoff=5.0)), folder / "killed")
