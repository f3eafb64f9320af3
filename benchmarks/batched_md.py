"""Molecular dynamics of 64 replicas of a slab of 32 atoms: one batch here, beside 64 dynamics of ASE one after another.

    python benchmarks/batched_md.py [replicas, default 64] [steps, default 100]

ASE's dynamics are run with our calculator, so with the very same potential, and with its own EMT. Prints CPU
milliseconds of a step of all replicas together, the median of several runs taken in turns, and their ratios.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median

import numpy as np
import torch
from ase import units
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin as ASELangevin
from ase.md.velocitydistribution import thermalize_momenta

from adlayer import Evaluator, Structures
from adlayer.engines.ase import Calculator
from adlayer.potentials.eam import EAM
from adlayer.simulation import Langevin, NoseHoover

REPEAT = 5


def slabs(n: int) -> list:
    frames = []
    for k in range(n):
        frames.append(fcc111("Cu", (2, 4, 4), vacuum=8.0))
        frames[-1].pbc = (True, True, False)
        frames[-1].rattle(0.05, seed=k)
        thermalize_momenta(frames[-1], temperature_K=600, rng=np.random.default_rng(k))
    return frames


def potential() -> EAM:
    return EAM(["Cu"], cutoff=5.5, n_r=2000, dr=5.5 / 1999)


def batched(frames: list, engine):
    evaluate, generator = Evaluator(potential(), stress=False), torch.Generator().manual_seed(0)
    state = engine.init(evaluate, Structures.from_ase(frames), generator)

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state = engine.step(evaluate, state, generator)

    return run


def one_by_one(frames: list, calculator):
    runs = []
    for k, frame in enumerate(frames):
        frame.calc = calculator()
        settings = {"temperature_K": 600, "friction": 0.01 / units.fs, "rng": np.random.default_rng(k), "fixcm": False}
        runs.append(ASELangevin(frame, 1.0 * units.fs, **settings))

    def run(steps: int) -> None:
        for dynamics in runs:
            dynamics.run(steps)

    return run


def main(n: int = 64, steps: int = 100) -> None:
    torch.set_num_threads(1)
    cases = {
        "batch": batched(slabs(n), Langevin(temperature=600)),
        "batch, Nose-Hoover": batched(slabs(n), NoseHoover(temperature=600)),
        "ASE with our calculator": one_by_one(slabs(n), lambda: Calculator(potential())),
        "ASE with its EMT": one_by_one(slabs(n), EMT),
    }
    spent = {name: [] for name in cases}
    with torch.no_grad():
        for run in cases.values():
            run(5)  # compiles, and finds neighbors
        for _ in range(REPEAT):
            for name, run in cases.items():
                cpu = time.process_time()
                run(steps)
                spent[name].append(1e3 * (time.process_time() - cpu) / steps)
    cost = {name: median(times) for name, times in spent.items()}
    for name, ms in cost.items():
        print(json.dumps({"what": name, "cpu_ms_per_step": round(ms, 2), "over_batch": round(ms / cost["batch"], 2)}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
