"""Cells breathe as pressure, heat and their energy have it: against exact distributions, and equations of state."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms
from scipy import stats

from adlayer import Evaluator, Prediction, Structures
from adlayer.potentials.morse import Morse
from adlayer.simulation import MTK, CellRescaling, Langevin, MaxStrain, relax, run
from adlayer.units import BOLTZMANN, GPA, N_PER_M

PBC = {"bulk": (True, True, True), "slab": (True, True, False), "wire": (True, False, False)}


class Elastic:
    """Atoms that feel nothing in a cell with ``E = c (A - A0)² / 2 A0``; ``A`` its volume, area or length."""

    def __init__(self, A0, c):
        self.A0, self.c = A0, c

    def __call__(self, structures: Structures) -> Prediction:
        A = structures.measure
        stress = (self.c * (A - self.A0) / self.A0)[:, None, None] * structures.periodic_projector
        return Prediction(0.5 * self.c * (A - self.A0) ** 2 / self.A0, torch.zeros_like(structures.positions), stress)


@pytest.mark.parametrize(
    "engine, kind",
    [
        (CellRescaling(shape="isotropic"), "bulk"),
        (CellRescaling(shape="independent"), "slab"),
        (CellRescaling(shape="independent"), "wire"),
        (CellRescaling(cell=[False, True, False]), "bulk"),
        (MTK(shape="isotropic"), "bulk"),
        (MTK(shape="free"), "slab"),
    ],
    ids=lambda x: x if isinstance(x, str) else f"{type(x).__name__} {x.shape}",
)
def test_volume_is_of_its_exact_distribution(engine, kind):
    """400 replicas with ``p(A) ~ A^(N-1) exp(-(E(A) + P A) / k_B T)``, as of ``N`` atoms without drift: begun in it,
    with all else in equilibrium, they stay in it while each wanders far (Kolmogorov and Smirnov)."""
    n, N, kT, pbc = 400, 4, BOLTZMANN * 500.0, PBC[kind]
    size = sum(pbc)
    A0, unit = 4.0**size, GPA * 10.0 ** (3 - size)
    c, P = 0.5 / A0, 0.1 / A0  # eV per measure
    A = np.linspace(0.02, 8, 4000) * A0
    log_p = (N - 1) * np.log(A) - (0.5 * c * (A - A0) ** 2 / A0 + P * A) / kT
    cdf = np.cumsum(np.exp(log_p - log_p.max()))
    cdf /= cdf[-1]
    rng, generator = np.random.default_rng(3), torch.Generator().manual_seed(2)
    first = np.interp(rng.random(n), cdf, A)
    along = np.array(engine.cell if isinstance(engine.cell, list) else pbc) & np.array(pbc)
    stretch = (first / A0)[:, None] ** (along / along.sum())
    frames = [Atoms(f"Ar{N}", np.zeros((N, 3)), cell=np.diag(np.where(pbc, 4.0, 1.0) * s), pbc=pbc) for s in stretch]
    changes = {
        "temperature": 500.0,
        "pressure": P / unit,
        "picoseconds": 10.0,
        "timestep": 3.0,
        "cell_relaxation": 100.0,
    }
    if isinstance(engine, CellRescaling):
        changes |= {"modulus": c / unit, "relaxation": 50.0}
    engine = type(engine)(**{**engine.arguments, **changes})
    evaluate = Elastic(A0, c)
    state = engine.init(evaluate, Structures.from_ase(frames), generator)
    for _ in range(250):
        state = engine.step(evaluate, state, generator)
    last = state.structures.measure.numpy()
    assert stats.kstest(last, lambda a: np.interp(a, A, cdf)).pvalue > 1e-3
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.3
    cells = state.structures.cell
    for axis in np.flatnonzero(~along):
        assert torch.equal(cells[:, axis], state.start[:, axis])
    if kind != "wire":  # heat is shared by all directions only where they are coupled
        assert stats.kstest(2 * state.kinetic_energy / kT, stats.chi2(3 * N - 3).cdf).pvalue > 1e-3


def copper(n=1):
    frames = []
    for k in range(n):
        frames.append(bulk("Cu", cubic=True))
        frames[-1].rattle(0.01, seed=k)
    return frames


def potential():
    return Evaluator(Morse(cutoff=5.0))


def test_cold_crystal_under_pressure_has_the_volume_of_its_equation_of_state():
    pressures = [-2.0, 0.0, 10.0]
    frames = copper(3)
    engine = CellRescaling(temperature=1.0, pressure=pressures, picoseconds=2.0, timestep=5.0, cell_relaxation=100.0)
    done = run(engine, potential(), frames, every=10)
    a = np.linspace(3.7, 4.2, 41)
    still = potential()(Structures.from_ase([bulk("Cu", cubic=True, a=x) for x in a]))
    P = -still.stress.diagonal(dim1=1, dim2=2).mean(1).numpy() / GPA
    V = np.interp(pressures, P[::-1], a[::-1] ** 3)
    assert np.allclose(done.log["volume (Å³)"][-20:].mean(0), V, rtol=1e-3)
    assert np.allclose(done.log["pressure (GPa)"][-20:].mean(0), pressures, atol=0.2)


def test_slab_without_tension_finds_the_area_to_which_it_relaxes():
    frame = fcc111("Cu", (1, 1, 4), a=3.6, vacuum=8.0)
    frame.pbc = (True, True, False)
    at_rest = relax(potential(), [frame], fmax=1e-4, cell=True)
    expected = at_rest.structures.measure.item()
    engine = CellRescaling(
        temperature=1.0, picoseconds=1.2, timestep=5.0, shape="isotropic", cell_relaxation=200.0, modulus=40.0
    )
    done = run(engine, potential(), [frame], every=10)
    assert done.log["area (Å²)"][-10:].mean() == pytest.approx(expected, rel=1e-3)
    assert abs(done.log["area (Å²)"][0, 0] / expected - 1) > 3e-3
    pulled = run(type(engine)(**{**engine.arguments, "pressure": -2.0}), potential(), [frame], every=10)
    assert pulled.log["pressure in the plane (N/m)"][-10:].mean() == pytest.approx(-2.0, rel=0.05)
    stress = 0.5 * potential()(pulled.structures).stress[0].trace().item() / N_PER_M
    assert stress == pytest.approx(2.0, rel=0.15)
    assert torch.equal(done.structures.cell[:, 2], Structures.from_ase(frame).cell[:, 2])


@pytest.mark.slow
@pytest.mark.parametrize("engine", [CellRescaling(cell_relaxation=100.0), MTK(cell_relaxation=300.0)])
def test_hot_crystal_has_the_volume_at_which_its_pressure_is_that_given(engine):
    """Morse copper at 600 K and 5 GPa: the mean volume, at which a run at constant volume has 5 GPa again."""
    n, T, P, dt = 8, 600.0, 5.0, 4.0
    engine = replace(engine, temperature=T, pressure=P, timestep=dt, picoseconds=8.0, shape="isotropic")
    done = run(engine, potential(), [bulk("Cu", cubic=True, a=3.93) * (2, 2, 2)] * n, 1, every=5)
    V = done.log["volume (Å³)"][100:]
    error = V.mean(0).std() / n**0.5
    assert error / V.mean() < 1.5e-3
    still = Structures.from_ase([bulk("Cu", cubic=True, a=(V.mean() / 8) ** (1 / 3)) * (2, 2, 2)] * n)
    engine, generator, evaluate = Langevin(temperature=T, timestep=dt, picoseconds=6.0), torch.Generator(), potential()
    state, seen = engine.init(evaluate, still, generator.manual_seed(4)), []
    for step in range(1500):
        state = engine.step(evaluate, state, generator)
        if step >= 300 and step % 5 == 0:
            ideal = 32 * BOLTZMANN * T / V.mean()
            seen.append((ideal - state.prediction.stress.diagonal(dim1=1, dim2=2).mean(1)) / GPA)
    mean = torch.stack(seen).mean(0)
    stiffness = BOLTZMANN * T * V.mean() / V.var(0).mean() / GPA  # the bulk modulus, from fluctuations
    assert stiffness == pytest.approx(92, rel=0.35)
    doubt = (mean.std().item() ** 2 / n + (stiffness * error / V.mean()) ** 2) ** 0.5
    assert doubt < 0.15
    assert mean.mean().item() == pytest.approx(P, abs=0.05 + 3 * doubt)


def test_fluctuations_of_shape_are_watched():
    engine = CellRescaling(temperature=1.0, pressure=-30.0, picoseconds=2.0, timestep=5.0, cell_relaxation=100.0)
    done = run(engine, potential(), copper(), watch=[MaxStrain(0.1)])
    assert done.reason[0].startswith("strain of the cell 0.1")
    with pytest.raises(ValueError, match="MaxStrain can only watch a run in which cells move"):
        run(Langevin(), potential(), copper(), watch=[MaxStrain()])


def test_bad_cells_are_one_sentence():
    held = copper()[0]
    held.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="held still hold the cell as well"):
        run(CellRescaling(), potential(), [held])
    cluster = Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]])
    with pytest.raises(ValueError, match="system 0 has no periodic direction"):
        run(MTK(), potential(), [cluster])
    with pytest.raises(ValueError, match="for each of x, y and z"):
        run(MTK(cell=[True, False]), potential(), copper())
    tilted = fcc111("Cu", (1, 1, 2), vacuum=5.0)
    tilted.pbc = (True, True, False)
    tilted.rotate(30, "x", rotate_cell=True)
    with pytest.raises(ValueError, match="do not lie along x, y and z"):
        run(MTK(), potential(), [tilted])
    assert run(MTK(shape="isotropic", picoseconds=0.01), potential(), [tilted]).finished.all()
    with pytest.raises(ValueError, match="stress=True"):
        run(MTK(), Evaluator(Morse(cutoff=5.0), stress=False), copper())
