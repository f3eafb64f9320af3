"""Melting: reweighting and mobility against what is known exactly; the particle of 13 against the literature."""

import numpy as np
import pytest
from ase import Atoms
from ase.cluster import Icosahedron

from adlayer import Evaluator
from adlayer.analysis.melting import Melting
from adlayer.analysis.mobility import lindemann, shells
from adlayer.analysis.reweighting import CaloricCurve
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.units import BOLTZMANN

EPSILON = 0.0103  # eV, of argon
IN_KELVIN = EPSILON / BOLTZMANN


def argon() -> tuple[Atoms, Evaluator]:
    atoms = Icosahedron("Ar", 2, latticeconstant=5.4)
    atoms.pbc, atoms.cell = False, np.zeros((3, 3))
    return atoms, Evaluator(LennardJones(epsilon=EPSILON, sigma=3.4, cutoff=40.0), stress=False)


def test_the_curve_of_oscillators():
    rng, n = np.random.default_rng(0), 30  # energies of n oscillators are gamma distributed
    T = np.linspace(200, 400, 5)
    energies = np.stack([rng.gamma(n / 2, BOLTZMANN * t, 4000) for t in T])
    grid = np.array([230.0, 300.0, 370.0])
    mean, capacity = CaloricCurve(energies, T, n)(grid)
    assert mean == pytest.approx(n / 2 * BOLTZMANN * grid, rel=0.01)
    assert capacity == pytest.approx(n, rel=0.05)


def test_states_that_do_not_overlap_are_refused():
    with pytest.raises(ValueError, match="do not overlap"):
        CaloricCurve(np.array([[0.0, 0.01], [1e5, 1e5 + 1]]), np.array([10.0, 20.0]), 3)


def test_lindemann_of_rigid_motion_and_of_oscillators():
    atoms, _ = argon()
    turned = []
    for k in range(8):
        copy = atoms.copy()
        copy.rotate(10 * k, (1, 2, 3))
        turned.append(copy.positions + k)
    assert lindemann(np.array(turned)).max() < 1e-6
    rng = np.random.default_rng(1)
    pair = np.array([[[0, 0, 0.0], [0, 0, r]] for r in 3.0 + 0.15 * rng.standard_normal(20000)])
    assert lindemann(pair) == pytest.approx([0.05, 0.05], rel=0.03)
    still = np.repeat(np.array([[[0, 0, 0.0], [2.5, 0, 0], [0, 2.5, 0], [9, 9, 9]]]), 400, 0)
    still[:, 1, 0] += 0.5 * rng.standard_normal(400)  # one of the two neighbors of the first atom moves
    near = lindemann(still, 1.35)
    assert near[0] == pytest.approx(0.1, rel=0.15)
    assert near[2] < 1e-6
    assert np.bincount(shells(np.array(turned), 13)).tolist() == [1] * 13
    center = np.linalg.norm(atoms.positions - atoms.positions.mean(0), axis=1).argmin()
    assert shells(np.array(turned), 13)[center] == 0


def test_a_short_run_gives_all_that_is_promised(tmp_path):
    atoms, evaluate = argon()
    melting = Melting("p", [20.0, 45.0], replicas=4, picoseconds=8, timestep=10, exchange=0.05, blocks=4)
    found = melting(evaluate, {"p": [atoms]}, folder=tmp_path, seed=2)
    assert found.quantities[0].name == "melting point of Ar13"
    particle = found.data["particles"][0]
    assert np.all(np.diff(particle["energies"]) > 0)
    assert np.array(particle["mobile"]).shape == (4, 6)
    assert set(found.frames) == {"Ar13 at 20 K", "Ar13 at 45 K"}
    assert len(melting.plot({"LJ": found}).axes) == 4
    again = melting(evaluate, {"p": [atoms]}, folder=tmp_path, seed=2)
    assert again.data == found.data


def test_a_jump_that_nothing_bridges():
    """Two phases that never met: the melting point lies between their temperatures, and no more is said."""
    rng, T = np.random.default_rng(0), np.linspace(600, 900, 7)
    energies = (0.002 * T + 8.0 * (T > 760))[:, None] + 0.2 * rng.standard_normal((7, 100))
    found = Melting("p", [600.0, 900.0], replicas=7)._curve(energies, T, 165, rng)
    assert (found["melting"], found["error"]) == (775.0, 25.0)
    assert found["latent"] == pytest.approx(8.0, abs=0.2)


def test_bad_input():
    with pytest.raises(ValueError, match="lowest and a highest temperature"):
        Melting("p", [300.0, 200.0])
    with pytest.raises(ValueError, match="2 ranges of temperature for 1 particles"):
        Melting("p", [[200.0, 300.0], [300.0, 400.0]])(None, {"p": [Atoms("Cu")]})
    with pytest.raises(ValueError, match="no periodic axis"):
        Melting("p", [300.0, 400.0])(None, {"p": [Atoms("Cu", cell=[3, 3, 3], pbc=True)]})


@pytest.mark.slow
def test_thirteen_atoms_of_lennard_jones():
    """The heat capacity peaks at 0.288 epsilon / k_B (Frantz, J. Chem. Phys. 102, 3747 (1995): near 0.29)."""
    atoms, evaluate = argon()
    low, high = 0.2 * IN_KELVIN, 0.4 * IN_KELVIN
    melting = Melting("p", [low, high], replicas=8, picoseconds=400, timestep=10, friction=0.002)
    found = melting(evaluate, {"p": [atoms]}, seed=1)
    assert found.quantities[0].value / IN_KELVIN == pytest.approx(0.288, abs=0.012)
