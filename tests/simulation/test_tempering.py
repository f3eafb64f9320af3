"""Parallel tempering: each place keeps its temperature and its canonical average, and replicas do change places."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Prediction, Structures
from adlayer.simulation import Langevin, VelocityVerlet, run
from adlayer.simulation.tempering import Tempering
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN


def two_wells(structures: Structures) -> Prediction:
    """One atom: ``E = 0.25 (x² - 1)² + 0.02 x + (y² + z²) / 2``; the barrier is 29 kT at 100 K."""
    x, y, z = structures.positions.unbind(-1)
    E = 0.25 * (x * x - 1) ** 2 + 0.02 * x + 0.5 * (y * y + z * z)
    forces = -torch.stack([x * (x * x - 1) + 0.02, y, z], dim=-1)
    return Prediction(sum_systems(E, structures), forces)


def share_on_the_left(T: float) -> float:
    x = np.linspace(-3, 3, 6001)
    w = np.exp(-(0.25 * (x * x - 1) ** 2 + 0.02 * x) / (BOLTZMANN * T))
    return w[x < 0].sum() / w.sum()


def test_populations_that_no_single_run_would_reach(tmp_path):
    starts = [Atoms("Cu", [[1.0, 0, 0]])] * 6  # all in the higher well
    dynamics = Langevin(temperature=[150, 1500], picoseconds=30, timestep=5.0, friction=0.02)
    done = run(Tempering(dynamics, 20), two_wells, starts, 1, every=10, trajectory=tmp_path / "run.extxyz")
    from ase.io import read

    x = np.array([a.positions[0, 0] for a in read(tmp_path / "run.extxyz", index=":")]).reshape(-1, 6)[200:]
    T = np.linspace(150, 1500, 6)
    left = (x < 0).mean(0)
    assert left[0] == pytest.approx(share_on_the_left(T[0]), abs=0.12)
    assert left[-1] == pytest.approx(share_on_the_left(T[-1]), abs=0.15)
    energy = done.log["potential energy (eV)"][200:].mean(0)
    assert np.all(np.diff(energy) > 0)
    T_seen = done.log["temperature (K)"][200:].mean(0)
    assert T_seen == pytest.approx(T, rel=0.15)


def test_exchanges_are_accepted_as_often_as_they_must_be():
    engine = Tempering(Langevin(temperature=[300, 400], picoseconds=1.0), every=1)
    generator = torch.Generator().manual_seed(0)
    structures = Structures.from_ase([Atoms("Cu", [[x, 0, 0]]) for x in (1.0, 1.2)])
    state = replace(engine.init(two_wells, structures, generator), step=2)
    beta, E = 1 / (BOLTZMANN * state.temperature), state.prediction.energy
    expected = min(1.0, float(((beta[0] - beta[1]) * (E[0] - E[1])).exp()))
    assert 0.1 < expected < 0.9
    swapped = [engine.exchange(state, generator) for _ in range(1000)]
    accepted = [s for s in swapped if not torch.equal(s.structures.positions, structures.positions)]
    assert len(accepted) / 1000 == pytest.approx(expected, abs=0.04)
    one = accepted[0]
    assert torch.equal(one.temperature, state.temperature)
    assert torch.equal(one.prediction.energy, E.flip(0))
    ratio = one.velocities.norm(dim=-1) / state.velocities.norm(dim=-1).flip(0)
    assert torch.allclose(ratio.square(), state.temperature / state.temperature.flip(0))
    assert torch.allclose(one.conserved, state.conserved.flip(0))


def test_a_killed_run_goes_on_to_the_same_digits(tmp_path):
    engine = Tempering(Langevin(temperature=[300, 900], picoseconds=0.2), every=5)
    starts = [Atoms("Cu", [[1.0, 0, 0]])] * 4
    whole = run(engine, two_wells, starts, 3)

    class Killed(Exception):
        pass

    def kill(done, total, message):
        if done == 120:
            raise Killed

    with pytest.raises(Killed):
        run(engine, two_wells, starts, 3, checkpoint=tmp_path / "c", checkpoint_every=50, progress=kill)
    again = run(engine, two_wells, starts, 3, checkpoint=tmp_path / "c")
    assert torch.equal(again.structures.positions, whole.structures.positions)


def test_replicas_must_be_of_the_same_atoms():
    with pytest.raises(ValueError, match="two replicas or more, all of the same atoms"):
        run(Tempering(VelocityVerlet()), two_wells, [Atoms("Cu"), Atoms("Au")])
