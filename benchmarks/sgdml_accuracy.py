"""sGDML on molecules of rMD17 beside published errors.

    python benchmarks/sgdml_accuracy.py DATA ethanol:50 uracil:950 aspirin:950:20:1e-10:iterative ...

DATA holds rmd17/MOLECULE_fold01.npz; a job is MOLECULE:FRAMES, then, where not the defaults, one sigma or several with
commas between, the ridge and the solver. Frames are the first of the training set; of several sigma the one with the
least error of forces on its last 50 frames is taken. Errors are mean absolute ones of all 1000 test frames, meV and
meV/Å; the errors known are those of sGDML with 950 frames, of ACE with 50. 950 frames of
ethanol take 3 GB, of uracil 5 GB, of aspirin 15 GB.
"""

import resource
import sys
import time
from math import nan
from pathlib import Path

import torch

from adlayer.data import read
from adlayer.fitting import GradientDomain, errors, predict
from adlayer.potentials.sgdml import SGDML

# D. P. Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021), Tables 1 and 2
KNOWN = {
    "aspirin": {950: (7.2, 31.8), 50: (26.2, 63.8)},
    "ethanol": {950: (2.4, 16.0), 50: (8.6, 43.0)},
    "uracil": {950: (1.4, 10.4), 50: (6.5, 36.2)},
}
SETTINGS = ["10", "1e-10", "auto"]


def main(folder: Path, jobs: list[str]) -> None:
    torch.set_num_threads(2)
    titles = ("frames", "sigma", "steps", "energy", "(known)", "forces", "(known)", "CPU s", "GB")
    print(f"{'':10}" + "".join(f"{x:>9}" for x in titles), flush=True)
    for job in jobs:
        molecule, n, *settings = job.split(":")
        sigmas, ridge, solver = settings + SETTINGS[len(settings) :]
        both = read(folder / f"rmd17/{molecule}_fold01.npz")
        train, valid, test = both[: int(n)], both[950:1000], both[1000:]
        method = GradientDomain([float(x) for x in sigmas.split(",")], float(ridge), solver=solver, memory=15.0)
        start = time.process_time()
        made = method(SGDML(), train, valid)
        seconds = time.process_time() - start
        row = next(row for row in made.history if row["sigma"] == float(made.potential.sigma))
        found = errors(predict(made.potential, test.structures, stress=False), test)
        E, F = 1e3 * found["energy_mae"] * len(test.structures[0].numbers), 1e3 * found["forces_mae"]
        known, peak = KNOWN[molecule].get(int(n), (nan, nan)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{molecule:10}{n:>9}{row['sigma']:9g}{row['steps']:9}{E:9.2f}{known[0]:9.1f}{F:9.2f}{known[1]:9.1f}"
            f"{seconds:9.0f}{peak:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
