"""PLUMED is passed through where it is, and else asked for in one sentence."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from adlayer.engines.plumed import plumed_calculator
from adlayer.potentials.lennard_jones import LennardJones


def test_plumed():
    potential = LennardJones(sigma=2.3, epsilon=0.4, cutoff=5.0)
    atoms = Atoms("Ar2", [[0, 0, 0], [2.6, 0, 0]])
    lines = ["d: DISTANCE ATOMS=1,2", "RESTRAINT ARG=d AT=3.0 KAPPA=10.0"]
    try:
        atoms.calc = plumed_calculator(potential, atoms, lines, 1.0, 300.0)
    except ImportError as error:
        assert "PLUMED needs its kernel" in str(error)  # noqa: PT017
        pytest.skip("PLUMED's kernel is not installed")
    VelocityVerlet(atoms, units.fs).run(1)
    bare = atoms.copy()
    from adlayer.engines.ase import Calculator

    bare.calc = Calculator(potential)
    pull = (atoms.get_forces() - bare.get_forces())[1, 0]
    assert pull == pytest.approx(10.0 * (3.0 - np.linalg.norm(atoms.positions[1] - atoms.positions[0])), rel=1e-3)
