"""Energy is kept, heat baths are right in momenta and in positions, frozen atoms stay."""

import ase.units
import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms
from ase.md.langevin import Langevin as ASELangevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet as ASEVerlet
from wells import Harmonic, atoms_at_rest

from adlayer import Evaluator, Structures
from adlayer.engines.ase import Calculator
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.simulation import Langevin, VelocityVerlet, run
from adlayer.units import BOLTZMANN, FS


def silicon(seed=0, repeat=(1, 1, 1)):
    atoms = bulk("Si", cubic=True) * repeat
    atoms.rattle(0.05, seed=seed)
    return atoms


def total(log):
    return log["potential energy (eV)"] + log["kinetic energy (eV)"]


def test_energy_is_kept_to_second_order_in_the_time_step():
    evaluate = Evaluator(StillingerWeber(), stress=False)
    deviation = {}
    for timestep in (0.5, 1.0):
        engine = VelocityVerlet(temperature=600, picoseconds=0.5, timestep=timestep)
        done = run(engine, evaluate, [silicon(0), silicon(1)], every=1)
        energy = total(done.log)
        deviation[timestep] = (energy - energy[0]).std(0) / 8
        slope = np.polyfit(done.log["time (fs)"][:, 0] / 1000, energy / 8, 1)[0]
        assert abs(slope).max() < 2e-3 * timestep**2  # eV/atom/ps, within the oscillation
    assert np.allclose(deviation[1.0] / deviation[0.5], 4.0, rtol=0.15)


@pytest.mark.slow
def test_nve_drift_over_many_picoseconds():
    """Below 1e-6 eV/atom/ps at 1 fs, for the smooth Stillinger-Weber potential."""
    evaluate = Evaluator(StillingerWeber(), stress=False)
    done = run(VelocityVerlet(temperature=600, picoseconds=50.0), evaluate, [silicon(0, (2, 2, 2))], every=5)
    energy = total(done.log)[:, 0] / 64
    slope = np.polyfit(done.log["time (fs)"][:, 0] / 1000, energy, 1)[0]
    assert abs(slope) < 1e-6


def test_velocity_verlet_follows_an_oscillator():
    """A harmonic oscillator by velocity Verlet has the exact frequency ``2 asin(w dt / 2) / dt``."""
    structures = atoms_at_rest(1, 1)
    evaluate = Harmonic(structures.positions.clone(), k=5.0)
    moved = structures.with_positions(structures.positions + torch.tensor([[0.1, 0.0, 0.0]], dtype=torch.float64))
    mass, dt, n = 28.0, 2.0, 200
    engine = VelocityVerlet(picoseconds=n * dt / 1000, timestep=dt)
    rest = torch.zeros(1, 3, dtype=torch.float64)
    done = run(engine, evaluate, moved, velocities=rest, masses=torch.tensor([mass], dtype=torch.float64))
    w = 2 * np.arcsin(np.sqrt(5.0 / mass) * FS * dt / 2) / dt
    assert done.structures.positions[0, 0].item() == pytest.approx(0.1 * np.cos(w * n * dt), abs=1e-12)


def test_momentum_is_kept_and_zero():
    done = run(VelocityVerlet(temperature=900, picoseconds=0.05), Evaluator(StillingerWeber()), [silicon()])
    assert done.finished.all()
    state = VelocityVerlet(temperature=900).init(
        Evaluator(StillingerWeber()), Structures.from_ase(silicon()), torch.Generator().manual_seed(1)
    )
    assert (state.masses[:, None] * state.velocities).sum(0).abs().max() < 1e-12
    assert state.freedom.item() == 21


@pytest.mark.parametrize("temperature", [300.0, [200.0, 400.0, 600.0, 800.0]])
def test_langevin_samples_momenta_and_positions(temperature):
    """Equipartition in both, each within four standard errors: BAOAB is exact for a harmonic well in its positions."""
    n_systems, n_atoms, k = 4, 150, 2.0
    start = atoms_at_rest(n_systems, n_atoms)
    evaluate = Harmonic(start.positions.clone(), k)
    engine = Langevin(temperature=temperature, picoseconds=10.0, timestep=4.0, friction=0.02)
    generator, kinetic, potential = torch.Generator().manual_seed(3), [], []
    state = engine.init(evaluate, start, generator)
    for step in range(1000):
        state = engine.step(evaluate, state, generator)
        if step >= 150 and step % 5 == 0:
            kinetic.append(state.kinetic_temperature)
            potential.append(2 * state.prediction.energy / (3 * n_atoms * BOLTZMANN))
    expected = torch.tensor(temperature, dtype=torch.float64).expand(4)
    for samples in (torch.stack(kinetic), torch.stack(potential)):
        independent = len(samples) * 5 * 4.0 * 0.02 / 4  # a correlation time of two over the friction, at most
        error = expected * (2 / (3 * n_atoms * independent)) ** 0.5
        assert ((samples.mean(0) - expected).abs() < 4 * error + 2e-3 * expected).all()
    # the distribution of a canonical kinetic energy is as wide as it must be: var(T)/T² = 2/(3N)
    width = torch.stack(kinetic).var(0) / expected**2 * (3 * n_atoms / 2)
    assert ((width > 0.6) & (width < 1.5)).all()


def test_ramp_and_spread_of_temperatures():
    start = atoms_at_rest(3, 200)
    engine = Langevin(temperature=[300, 500], final=100, picoseconds=1.0, timestep=2.0, friction=0.05)
    done = run(engine, Harmonic(start.positions.clone()), start, every=1)
    T = done.log["temperature (K)"]
    assert np.allclose(T[0], [300, 400, 500], rtol=0.15)
    assert np.allclose(T[-20:].mean(0), 100, rtol=0.25)
    assert done.log["time (fs)"][-1, 0] == 1000


def test_frozen_atoms_stay_and_do_not_count():
    atoms = silicon()
    atoms.set_constraint(FixAtoms([0, 3]))
    start = atoms.positions.copy()
    done = run(Langevin(temperature=600, picoseconds=0.1), Evaluator(StillingerWeber()), [atoms])
    end = done.frames[0]
    assert np.array_equal(end.positions[[0, 3]], start[[0, 3]])
    assert abs(end.positions - start)[1].max() > 1e-3
    assert end.constraints
    state = Langevin().init(
        Evaluator(StillingerWeber()),
        Structures.from_ase(atoms),
        torch.Generator(),
        fixed=torch.tensor([True] + 7 * [False]),
    )
    assert state.freedom.item() == 21
    assert state.velocities[0].abs().max() == 0


def test_a_batch_moves_as_its_members_do():
    evaluate = Evaluator(LennardJones(sigma=2.3, epsilon=0.4, cutoff=5.0))
    frames = [bulk("Cu", cubic=True), bulk("Cu", cubic=True) * (2, 1, 1)]
    for k, frame in enumerate(frames):
        frame.rattle(0.05, seed=k)
    engine = VelocityVerlet(picoseconds=0.05)
    generator = torch.Generator().manual_seed(0)
    velocities = 0.01 * torch.randn(12, 3, generator=generator, dtype=torch.float64)
    together = run(engine, evaluate, frames, velocities=velocities)
    first = run(engine, Evaluator(evaluate.potential), frames[:1], velocities=velocities[:4])
    second = run(engine, Evaluator(evaluate.potential), frames[1:], velocities=velocities[4:])
    apart = torch.cat([first.structures.positions, second.structures.positions])
    assert torch.allclose(together.structures.positions, apart, rtol=0, atol=1e-10)


def test_bad_temperature_is_one_sentence():
    with pytest.raises(ValueError, match="0 K or more, got -5"):
        run(Langevin(temperature=-5.0), Evaluator(StillingerWeber()), [silicon()])


def test_ases_own_dynamics_go_the_same_way():
    """A slab with a frozen layer: ASE's velocity Verlet on our calculator, beside ours."""
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.05, seed=1)
    atoms.set_constraint(FixAtoms(atoms.positions[:, 2] < 7.0))
    thermalize_momenta(atoms, temperature_K=500, rng=np.random.default_rng(0))
    potential = LennardJones(sigma=2.3, epsilon=0.4, cutoff=5.0)
    velocities = torch.as_tensor(atoms.get_velocities()) * FS
    done = run(VelocityVerlet(picoseconds=0.1), Evaluator(potential), [atoms], velocities=velocities)
    theirs = atoms.copy()
    theirs.calc = Calculator(potential)
    ASEVerlet(theirs, ase.units.fs).run(100)
    assert np.abs(theirs.positions - atoms.positions).max() > 0.1
    assert np.allclose(done.frames[0].positions, theirs.positions, rtol=0, atol=1e-5)  # ASE's fs is of CODATA 2014
    ASELangevin(theirs, ase.units.fs, temperature_K=500, friction=0.01, fixcm=False).run(5)
    assert np.array_equal(theirs.positions[0], atoms.positions[0])
