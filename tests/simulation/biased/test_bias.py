"""Dynamics under a bias: what is conserved, what is sampled, what is remembered."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Evaluator, Prediction, Structures
from adlayer.config import build, describe
from adlayer.potentials.morse import Morse
from adlayer.simulation import MTK, CellRescaling, Langevin, NoseHoover, VelocityVerlet, run
from adlayer.simulation.biased import Coordinate, Coordination, Distance, Metadynamics, Restrained, Spring
from adlayer.units import BOLTZMANN


def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.02, seed=0)
    return atoms


def free(structures: Structures) -> Prediction:
    """Atoms that feel nothing."""
    zero = torch.zeros_like(structures.positions)
    return Prediction(zero.new_zeros(len(structures)), zero)


COUNT = Coordination(0, "Cu", r0=2.8, cutoff=5.0)


@pytest.mark.parametrize(
    "engine",
    [
        Restrained(VelocityVerlet(picoseconds=0.15), [Spring(COUNT, 12.0, 0.3, final=14.0)]),
        Restrained(NoseHoover(picoseconds=0.15), Spring(COUNT, 12.0, 0.3)),
        Restrained(MTK(picoseconds=0.15, shape="free"), [Spring(COUNT, 14.0, 0.3)]),
        Metadynamics(CellRescaling(picoseconds=0.15), [COUNT], [0.2], height=0.05, every=20),
    ],
    ids=lambda e: f"{type(e).__name__} {type(e.dynamics).__name__}",
)
def test_energy_with_bias_and_work_is_kept(engine):
    """So forces and stress are the derivatives of a bias by positions and cell, and its changes are counted as work."""
    done = run(engine, Evaluator(Morse(cutoff=5.0)), copper(), every=2)
    kept, bias = done.log["conserved energy (eV)"], done.log["bias (eV)"]
    assert np.ptp(bias) > 0.005
    assert np.abs(kept - kept[0]).max() < 0.1 * np.ptp(bias)
    assert "coordination number" in done.log


def test_true_energies_and_forces_are_told():
    engine = Restrained(Langevin(picoseconds=0.05), [Spring(COUNT, 5.0, 1.0)])
    done = run(engine, Evaluator(Morse(cutoff=5.0)), copper())
    said = Evaluator(Morse(cutoff=5.0))(done.structures)
    assert torch.allclose(done.prediction.forces, said.forces, rtol=0, atol=1e-12)
    assert torch.allclose(done.prediction.energy, said.energy, rtol=0, atol=1e-12)
    assert done.log["bias (eV)"].min() > 1


def test_windows_and_walls():
    """Each system of a batch has its own center, and fluctuates about it as its spring has it; a wall stops gas."""
    n, T = 100, 300.0
    frames = [Atoms("H", [[0, 0, 0]])] * n
    springs = [Spring(Coordinate(0, "x"), [1.0, 3.0], 5.0), Spring(Coordinate(0, "y"), 0.0, 5.0, side="above")]
    engine = Restrained(Langevin(temperature=T, picoseconds=0.4, friction=0.1, timestep=0.5), springs)
    done = run(engine, free, frames, every=20)
    x, y = (done.log[f"coordinate {k} (Å)"][10:] for k in (1, 2))
    assert np.allclose((x - np.linspace(1, 3, n)).mean(0), 0, atol=0.25)
    assert x.var(0).mean() == pytest.approx(BOLTZMANN * T / 5.0, rel=0.1)
    assert y.max() < 0.5 < -y.min()


def test_slow_pulling_does_the_work_of_free_energy():
    """A spring drags an atom from one place of a harmonic well to another: the mean of exp(-W/kT) is exact (Jarzynski),
    and the work of fast pulling is more than that."""
    kT, n = BOLTZMANN * 300.0, 400

    def well(structures):
        x = structures.positions
        return Prediction(x.square().sum(-1), -2 * x)

    pull = Spring(Coordinate(0, "x"), 0.0, 4.0, final=0.6)
    frames = [Atoms("H", [p]) for p in np.random.default_rng(0).normal(0, (kT / 6) ** 0.5, (n, 3))]
    engine = Restrained(Langevin(temperature=300.0, picoseconds=0.2, friction=0.05, timestep=0.5), [pull])
    work = run(engine, well, frames).log["work (eV)"][-1]
    expected = 0.5 * 0.6**2 * 2 * 4 / (2 + 4)
    jarzynski = -kT * np.log(np.exp(-(work - work.min()) / kT).mean()) + work.min()
    assert jarzynski == pytest.approx(expected, abs=0.2 * kT)
    assert work.mean() > expected + 0.1 * kT


def test_walkers_share_hills_that_shrink():
    engine = Metadynamics(Langevin(picoseconds=0.1), [Coordinate(0, "x")], [0.2], height=0.1, bias_factor=3.0, every=20)
    done = run(engine, free, [Atoms("Au", [[x, 0, 0]]) for x in (0.0, 0.0, 50.0)])
    hills, heights = done.state.hills, done.state.heights
    assert hills.shape == (12, 1)
    one = 0.1 * np.exp(-0.1 / (2 * BOLTZMANN * 300))  # a second hill on the first
    assert heights[:3].numpy() == pytest.approx([0.1, one, 0.1], rel=0.05)
    assert heights[3] < 0.85 * one < 0.95 * one < heights[5] < 2 * one  # the walker far away had only its own
    plain = replace(engine, bias_factor=None)
    assert (run(plain, free, Atoms("Au")).state.heights == 0.1).all()
    assert describe(build(describe(engine))) == describe(engine)


def test_interrupted_and_resumed_to_the_last_digit(tmp_path):
    engine = Metadynamics(
        Langevin(picoseconds=0.12), [COUNT], [0.2], height=0.05, every=10, walls=[Spring(COUNT, 13.0, 1.0)]
    )
    calls, frames = [], [copper(), copper()]

    def dies(structures):
        calls.append(1)
        if len(calls) == 75:
            raise KeyboardInterrupt
        return inner(structures)

    expected = run(engine, Evaluator(Morse(cutoff=5.0)), frames, 1)
    inner, path = Evaluator(Morse(cutoff=5.0)), tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        run(engine, dies, frames, 1, checkpoint=path, checkpoint_every=30)
    found = run(engine, Evaluator(Morse(cutoff=5.0)), frames, 1, checkpoint=path, checkpoint_every=30)
    assert torch.equal(found.structures.positions, expected.structures.positions)
    assert torch.equal(found.state.hills, expected.state.hills)
    assert torch.equal(found.state.heights, expected.state.heights)
    assert all(np.array_equal(found.log[name], expected.log[name], equal_nan=True) for name in expected.log)


def test_bad_bias_is_one_sentence():
    with pytest.raises(ValueError, match="a width above 0 for each of its 1 variables"):
        Metadynamics(Langevin(), [Distance(0, 1)], [])
    with pytest.raises(ValueError, match="bias_factor must be above 1, got 1"):
        Metadynamics(Langevin(), [Distance(0, 1)], [0.1], bias_factor=1.0)
