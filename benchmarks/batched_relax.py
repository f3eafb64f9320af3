"""Relaxation of 100 adsorption candidates: one batch here, beside ASE's optimizer on one after another.

    python benchmarks/batched_relax.py [candidates, default 100]

The candidates are pairs of palladium atoms thrown on Cu(111), two layers of which are free, 38 atoms in all. ASE's
optimizers run with our calculator, so with the very same potential, and with its own EMT. Prints CPU seconds, the
median of several runs taken in turns; how many evaluations of a structure they needed; how many found one minimum.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median

import numpy as np
import torch
from ase import Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT as ASEEMT
from ase.constraints import FixAtoms
from ase.optimize import FIRE as ASEFIRE
from ase.optimize import LBFGS as ASELBFGS

from adlayer import Evaluator
from adlayer.engines.ase import Calculator
from adlayer.potentials.emt import EMT
from adlayer.simulation import FIRE, LBFGS, run

REPEAT, FMAX, STEPS = 3, 0.02, 500


def candidates(n: int) -> list[Atoms]:
    frames = []
    for k in range(n):
        rng = np.random.default_rng(k)
        slab = fcc111("Cu", (3, 3, 4), vacuum=8.0)
        slab.pbc = (True, True, False)
        slab.set_constraint(FixAtoms(mask=slab.get_tags() > 2))
        apart = 0.0
        while apart < 2.2:
            places = rng.uniform(0, 1, (2, 2)) @ slab.cell[:2]
            pair = Atoms("Pd2", places, cell=slab.cell, pbc=slab.pbc)
            apart = pair.get_distance(0, 1, mic=True)
        pair.positions[:, 2] = slab.positions[:, 2].max() + rng.uniform(1.9, 2.5, 2)
        frames.append(slab + pair)
    return frames


def batched(frames: list[Atoms], engine) -> tuple[np.ndarray, int]:
    done = run(engine, Evaluator(EMT(["Cu", "Pd"]), stress=False), frames, every=STEPS)
    return done.prediction.energy.numpy(), int((done.steps + 1).sum())


def one_by_one(frames: list[Atoms], optimizer, calculator) -> tuple[np.ndarray, int]:
    energies, calls = [], 0
    for frame in frames:
        atoms = frame.copy()
        atoms.calc = calculator
        moves = optimizer(atoms, logfile=None)
        moves.run(fmax=FMAX, steps=STEPS)
        energies.append(atoms.get_potential_energy())
        calls += moves.nsteps + 1
    return np.array(energies), calls


def main(n: int = 100) -> None:
    torch.set_num_threads(1)
    frames = candidates(n)
    ours = Calculator(EMT(["Cu", "Pd"]))
    cases = {
        "batch, LBFGS": lambda x: batched(x, LBFGS(fmax=FMAX, max_steps=STEPS)),
        "batch, FIRE": lambda x: batched(x, FIRE(fmax=FMAX, max_steps=STEPS)),
        "ASE with our calculator, LBFGS": lambda x: one_by_one(x, ASELBFGS, ours),
        "ASE with our calculator, FIRE": lambda x: one_by_one(x, ASEFIRE, ours),
        "ASE with its EMT, LBFGS": lambda x: one_by_one(x, ASELBFGS, ASEEMT()),
    }
    spent, ends = {name: [] for name in cases}, {}
    for relaxation in cases.values():
        relaxation(frames[:2])  # compiles
    for k in range(REPEAT):
        for name, relaxation in cases.items():
            if k and "its EMT" in name:
                continue
            cpu = time.process_time()
            ends[name] = relaxation(frames)
            spent[name].append(time.process_time() - cpu)
    cost = {name: median(times) for name, times in spent.items()}
    best = ends["batch, LBFGS"][0]
    for name, seconds in cost.items():
        energies, calls = ends[name]
        said = {"what": name, "cpu_s": round(seconds, 2), "over_batch": round(seconds / cost["batch, LBFGS"], 2)}
        print(json.dumps(said | {"evaluations": calls, "same_minimum": int((abs(energies - best) < 0.01).sum())}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
