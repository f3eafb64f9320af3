"""Moment tensor potentials beside motep's, in turns, one thread: CPU time of energy and forces of copper boxes.

    python benchmarks/mtp_motep.py PYTHON [atoms ...]

PYTHON is the interpreter of an environment with motep, which evaluates in C. Both read the same ``.mtp`` file, and are
asked for energy and forces of atoms that move by 1e-4 Å each step; ours with its skin, theirs with the one ASE's list
of neighbors has, neither of which is made anew on the way. They must agree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from snap_lammps import copper, ours

from adlayer import Structures
from adlayer.formats import mtp
from adlayer.potential import Evaluator
from adlayer.potentials.mtp import MTP

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
PEER = """
import json, sys, time
import numpy as np
from ase.io.trajectory import Trajectory
from motep.calculator import MTP
from motep.io.mlip.mtp import read_mtp
data, atoms, steps = read_mtp("x.mtp"), Trajectory("x.traj")[0], int(sys.argv[1])
data.species = [29]
atoms.calc = MTP(data, engine="cext")
said = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces().tolist()}
rng, times = np.random.default_rng(0), []
for _ in range(steps + 3):
    atoms.positions += 1e-4 * rng.normal(size=atoms.positions.shape)
    start = time.process_time()
    atoms.get_forces()
    times.append(time.process_time() - start)
print(json.dumps({"seconds": float(np.median(times[3:])), **said}))
"""


def theirs(python: str, made: MTP, atoms, steps: int) -> dict:
    """Median CPU seconds of a step, energy and forces."""
    with tempfile.TemporaryDirectory() as folder:
        mtp.write(Path(folder) / "x.mtp", made)
        atoms.write(f"{folder}/x.traj")
        command, env = [python, "-c", PEER, str(steps)], {**os.environ, **THREADS}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main(python: str, sizes: list[int]) -> None:
    """Print a table."""
    print(f"{'':28} {'atoms':>6} {'motep':>8} {'float64':>8} {'float32':>8} {'ratio':>6}   CPU µs/atom")
    for level in (8, 16, 20):
        made = MTP(["Cu"], 5.0, level)
        for n in sizes:
            atoms = copper(n)
            steps = max(3, min(20, 4000 // n))
            peer = theirs(python, made, atoms, steps)
            said = Evaluator(made)(Structures.from_ase(atoms))
            off = max(
                np.abs(said.forces.numpy() - peer["forces"]).max(),
                abs(float(said.energy) - peer["energy"]) / len(atoms),
            )
            assert off < 1e-9, f"the two differ by {off} eV or eV/Å"
            times = (
                peer["seconds"],
                ours(made, atoms, steps, 0.5),
                ours(MTP(["Cu"], 5.0, level).float(), atoms, steps, 0.5),
            )
            a, b, c = (1e6 * t / len(atoms) for t in times)
            print(f"{f'level {level}':28} {len(atoms):6d} {a:8.1f} {b:8.1f} {c:8.1f} {b / a:6.2f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], [int(n) for n in sys.argv[2:]] or [512, 4096])
