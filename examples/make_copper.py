"""Write copper.extxyz: 120 small copper structures with energies, forces and stress of effective-medium theory.

    python examples/make_copper.py
    adlayer fit examples/fit_extxyz.toml

Effective-medium theory (ASE's EMT) stands in for the electronic-structure method here, because it takes milliseconds.
"""

import sys

import numpy as np
from ase.build import bulk, fcc100, fcc111
from ase.calculators.emt import EMT

from adlayer import Dataset, write

STARTS = {
    "bulk": lambda: bulk("Cu", cubic=True) * (2, 2, 1),
    "(111)": lambda: fcc111("Cu", (2, 2, 4), vacuum=6.0, periodic=False),
    "(100)": lambda: fcc100("Cu", (2, 2, 4), vacuum=6.0, periodic=False),
}


def copper(n: int = 120, seed: int = 1):
    """Strained and rattled cells of bulk and of two surfaces, labeled."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        name = list(STARTS)[k % len(STARTS)]
        atoms = STARTS[name]()
        strain = np.diag(rng.normal(0.0, 0.02, 3) * atoms.pbc)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.rattle(rng.uniform(0.02, 0.15), rng=rng)
        atoms.info = {"group": name}
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "copper.extxyz"
    data = Dataset.from_ase(copper())
    print(f"{write(path, data)}: {data}")
