"""Every heat bath is canonical in momenta and in positions, keeps what its equations keep, and follows ramps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from scipy import stats

from adlayer import Evaluator, Prediction, Structures
from adlayer.potentials.morse import Morse
from adlayer.simulation import MTK, Bussi, CellRescaling, Langevin, MaxDrift, NoseHoover, VelocityVerlet, run
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


def copper(n=1, repeat=2, **changes):
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
    """1500 independent systems, of each a frozen atom and one in a well, far from equilibrium at first: at late times
    the kinetic energy is of chi-square distribution, each velocity of normal distribution and each coordinate as the
    well has it (Kolmogorov and Smirnov), and none knows of the other. The frozen atom changes nothing of it."""
    n, kT = 1500, BOLTZMANN * 400.0
    engine = replace(engine, temperature=400.0, timestep=0.4, picoseconds=1.0)
    generator = torch.Generator().manual_seed(5)
    start = Structures.from_ase([Atoms("H2", [[0.1, 0.2, 0.3], [0, 0, 0]])] * n)
    start.positions[1::2] += 0.2 * (torch.rand(n, 3, generator=generator, dtype=torch.float64) - 0.5)
    state = engine.init(wells, start, generator, fixed=torch.tensor([True, False] * n))
    assert (state.freedom == 3).all()
    p, expected = [], exact(kT)
    for step in range(1, 1001):
        state = engine.step(wells, state, generator)
        if step in (800, 1000):
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
    done = run(
        engine(temperature=[200, 600], final=400, picoseconds=2.0, timestep=4.0, relaxation=20.0),
        Evaluator(Morse(cutoff=5.0), stress=False),
        copper(2),
        every=1,
    )
    T = done.log["temperature (K)"]
    assert np.allclose(T[50:150].mean(0), [240, 560], rtol=0.15)
    assert np.allclose(T[-100:].mean(0), 410, rtol=0.15)


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
@pytest.mark.parametrize("suffix", ["extxyz"])
def test_interrupted_and_resumed_to_the_last_digit(engine, suffix, tmp_path):
    frames, inner, calls = copper(2), Evaluator(Morse(cutoff=5.0)), []

    def dies(structures):
        calls.append(1)
        if len(calls) == 42:
            raise KeyboardInterrupt
        return inner(structures)

    def do(evaluate, folder):
        files = {"trajectory": folder / f"run.{suffix}", "checkpoint": folder / "checkpoint", "checkpoint_every": 20}
        return run(engine, evaluate, frames, 3, **files)

    expected = do(Evaluator(Morse(cutoff=5.0)), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        do(dies, tmp_path / "killed")
    found = do(Evaluator(Morse(cutoff=5.0)), tmp_path / "killed")
    assert torch.equal(found.structures.positions, expected.structures.positions)
    assert torch.equal(found.structures.cell, expected.structures.cell)
    assert all(np.array_equal(found.log[name], expected.log[name], equal_nan=True) for name in expected.log)
    whole, again = ((tmp_path / folder / f"run.{suffix}").read_bytes() for folder in ("whole", "killed"))
    assert again == whole
