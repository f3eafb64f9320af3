"""FLARE's pairs and triangles: what forces cost as data grow, with doubt and without, in FLARE, in ours, on splines.

A process of pairs (5.4 Å) and triangles (3.5 and 4.5 Å) sees the forces of frames of copper (EMT, 32 atoms a frame),
with the same hyperparameters everywhere. FLARE predicts the forces of 8 atoms of another frame by its covariance with
all it has seen; ours, explicit and mapped, run as ASE calculators on boxes whose positions move by 1e-4 Å each step.
CPU time, one thread.

    python benchmarks/flare_map.py PEERS [atoms ...]

PEERS is a folder with flare/flare, the Python package of FLARE, and data/cu_{train,box512,box4096}.xyz.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ase.io import read

from adlayer import Structures, evaluate
from adlayer.data import Dataset
from adlayer.engines.ase import Calculator
from adlayer.fitting import SparseGP
from adlayer.potentials.flare import FLARE
from adlayer.tabulation import tabulate
from adlayer.uncertainty import GaussianProcess

NOISE, HYPERPARAMETERS = 0.06, (0.2, 1.0, 0.001, 1.0)  # sig2, ls2, sig3, ls3


def theirs(frames: list, test, cutoffs: tuple[float, float]) -> tuple[float, np.ndarray]:
    """CPU time per atom (µs) and the forces on 8 atoms, by FLARE."""
    from flare.atoms import FLARE_Atoms
    from flare.bffs.gp import GaussianProcess
    from flare.descriptors.env import AtomicEnvironment

    of = dict(zip(("twobody", "threebody"), cutoffs))
    gp = GaussianProcess(kernels=list(of), hyps=[*HYPERPARAMETERS, NOISE], cutoffs=of, component="mc")
    for atoms in frames:
        gp.update_db(FLARE_Atoms.from_ase_atoms(atoms), atoms.get_forces())
    gp.set_L_alpha()
    environments = [AtomicEnvironment(FLARE_Atoms.from_ase_atoms(test), k, of) for k in range(8)]
    gp.predict(environments[0], 1)  # compiles
    start = time.process_time()
    forces = [[gp.predict(x, d)[0] for d in (1, 2, 3)] for x in environments]
    return (time.process_time() - start) / 8 * 1e6, np.array(forces)


def cost(potential, atoms, steps: int = 7) -> float:
    """CPU time of energy and forces per atom, µs."""
    atoms, rng, seconds = atoms.copy(), np.random.default_rng(0), []
    atoms.calc = Calculator(potential)
    for _ in range(steps + min(steps, 2)):
        atoms.positions += rng.normal(0, 1e-4, atoms.positions.shape)
        start = time.process_time()
        atoms.get_forces()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds[-steps:]) / len(atoms) * 1e6)


def main(peers: Path, sizes: list[int]) -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(peers / "flare"))
    frames, test = read(peers / "data/cu_train.xyz", ":40"), read(peers / "data/cu_train.xyz", 199)
    boxes = [read(peers / f"data/cu_box{n}.xyz") for n in sizes]
    for cutoffs in ((5.4, 3.5), (5.4, 4.5)):
        print(f"cutoffs {cutoffs} Å")
        for n in (1, 2, 40) if cutoffs[1] < 4 else (40,):
            flare = FLARE(["Cu"], *cutoffs, *HYPERPARAMETERS)
            data = Dataset.from_ase(frames[:n])
            method = SparseGP(None, NOISE, None, energies="none")
            start = time.process_time()
            process = GaussianProcess(calibrated=False).fit(flare, data, method=method)
            fitted, middle = process.potential, time.process_time()
            mapped = tabulate(fitted, begin=1.8, structures=Structures.from_ase(test))
            end = time.process_time()
            doubtful = tabulate(process, begin=1.8, structures=Structures.from_ase(test))
            with_doubt = time.process_time()
            print(f"  {n} frames: fitted in {middle - start:.1f} s, mapped in {end - middle:.1f} s CPU, ", end="")
            print(f"largest error of the map {mapped.energy:.1e} eV/atom, {mapped.forces:.1e} eV/Å")
            std = evaluate(process, Structures.from_ase(test)).std.forces
            modes = doubtful.potential.spread.shape[1]
            print(
                f"    with doubt mapped in {with_doubt - end:.1f} s: {modes} functions, largest error of standard ",
                end="",
            )
            print(f"deviations {doubtful.std:.1e} eV/Å, which are {float(std.min()):.1e} to {float(std.max()):.1e}")
            if n <= 2:
                micro, forces = theirs(frames[:n], test, cutoffs)
                ours = evaluate(fitted, Structures.from_ase(test)).forces[:8].numpy()
                print(f"    FLARE     {micro:12.1f} µs/atom; forces apart by {np.abs(ours - forces).max():.1e} eV/Å")
            for box in boxes:
                some = {"mapped": mapped.potential, "mapped with doubt": doubtful.potential, "explicit": fitted}
                some |= {"explicit with doubt": process} if len(box) < 1000 else {}
                some |= {"float32": copy.deepcopy(mapped.potential).float()}
                for name, p in some.items():
                    steps = 1 if name.startswith("explicit") else 7
                    print(f"    {name:20} {cost(p, box, steps):10.1f} µs/atom, {len(box)} atoms")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [int(n) for n in sys.argv[2:]] or [512, 4096])
