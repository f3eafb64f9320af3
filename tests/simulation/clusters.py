"""Lennard-Jones clusters in reduced units: epsilon = 1 eV, sigma = 1 Å."""

import numpy as np
from ase import Atoms

from adlayer import Evaluator
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.simulation.search import Fingerprint
from adlayer.units import BOLTZMANN

KELVIN = 1 / BOLTZMANN  # the temperature at which k_B T = epsilon
LJ13, LJ38 = -44.326801, -173.928427  # Wales and Doye, J. Phys. Chem. A 101, 5111 (1997), table 1
REDUCED = {"fingerprint": Fingerprint(cutoff=3.0, width=0.1, energy=1e-3), "max_steps": 2000}


def lennard_jones():
    return Evaluator(LennardJones(1.0, 1.0, cutoff=30.0, truncation="none"), stress=False)


def random_clusters(n_atoms: int, n: int, seed: int) -> list[Atoms]:
    """Points in a ball."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        x = rng.normal(size=(n_atoms, 3))
        x *= (0.75 * n_atoms ** (1 / 3) * rng.random(n_atoms) ** (1 / 3) / np.linalg.norm(x, axis=1))[:, None]
        frames.append(Atoms(f"Ar{n_atoms}", x))
    return frames
