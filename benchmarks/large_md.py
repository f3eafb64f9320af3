"""Molecular dynamics of a hundred thousand copper atoms with ACE through ASE: time and memory per atom.

    python benchmarks/large_md.py [atoms along an edge of the box, default 30: 108,000 atoms] [steps]

Prints a line of JSON: CPU microseconds per atom and step, bytes per atom of the neighbor list, and bytes per atom of
all else that the run needed at its peak, beyond what the process held before.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import torch
from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from adlayer.engines.ase import Calculator
from adlayer.potentials.ace import ACE


def main(edge: int = 30, steps: int = 5) -> None:
    torch.manual_seed(0)
    potential = ACE(["Cu"], cutoff=5.0, n_functions=300)
    potential.coefficients = 1e-3 * torch.randn_like(potential.coefficients)
    small = bulk("Cu", cubic=True) * (4, 4, 4)
    small.calc = Calculator(potential)
    small.get_forces()  # compiles
    atoms = bulk("Cu", cubic=True) * (edge, edge, edge)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    before = peak()
    atoms.calc = Calculator(potential)
    md = VelocityVerlet(atoms, 1.0 * fs)
    atoms.get_forces()
    cpu = time.process_time()
    md.run(steps)
    cpu = time.process_time() - cpu
    wide = atoms.calc.evaluate.neighbors._wide
    neighbors = sum(x.numel() * x.element_size() for x in wide)
    n = len(atoms)
    print(
        json.dumps(
            {
                "atoms": n,
                "functions": len(potential.coefficients),
                "cpu_us_per_atom_step": round(1e6 * cpu / n / steps, 1),
                "neighbor_list_bytes_per_atom": round(neighbors / n),
                "other_bytes_per_atom": round((peak() - before - neighbors) / n),
            }
        )
    )


def peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
