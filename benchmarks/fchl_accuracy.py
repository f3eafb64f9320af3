"""FCHL19 on molecules of rMD17 beside published errors: Gaussian process regression on energies and forces.

    python benchmarks/fchl_accuracy.py DATA ethanol:950 uracil:50 aspirin:50:2,9:1e-10:1e-7 ...

DATA holds rmd17/MOLECULE_fold01.npz; a job is MOLECULE:FRAMES and, where not the ones below, one sigma or several with
commas between and the ridges of energies and forces. Frames are the first of the training set; of several sigma the one
with the least error of forces on its last 50 frames is taken. Errors are mean absolute ones of all 1000 test frames,
meV and meV/Å; the errors known are those of FCHL19 with 950 frames, of ACE with 50. 950 frames of ethanol take 3 GB,
of uracil 5 GB, of aspirin 16 GB.
"""

import resource
import sys
import time
from math import nan
from pathlib import Path

import torch
from ase.data import chemical_symbols

from adlayer.data import read
from adlayer.fitting import KernelRidge, errors, predict
from adlayer.potentials.fchl import FCHL

# D. P. Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021), Tables 1 and 2
KNOWN = {
    "aspirin": {950: (6.2, 20.9), 50: (26.2, 63.8)},
    "ethanol": {950: (0.9, 6.2), 50: (8.6, 43.0)},
    "uracil": {950: (0.6, 4.2), 50: (6.5, 36.2)},
}
SETTINGS = ["4", "1e-11", "5e-10"]  # for 950 frames


def main(folder: Path, jobs: list[str]) -> None:
    torch.set_num_threads(2)
    titles = ("frames", "sigma", "energy", "(known)", "forces", "(known)", "CPU s", "GB")
    print(f"{'':10}" + "".join(f"{x:>9}" for x in titles), flush=True)
    for job in jobs:
        molecule, n, *settings = job.split(":")
        sigmas, energy, forces = settings + SETTINGS[len(settings) :]
        both = read(folder / f"rmd17/{molecule}_fold01.npz")
        train, valid, test = both[: int(n)], both[950:1000], both[1000:]
        method = KernelRidge(float(energy), float(forces), sigma=[float(x) for x in sigmas.split(",")])
        model = FCHL([chemical_symbols[z] for z in train.structures.numbers.unique().tolist()])
        start = time.process_time()
        made = method(model, train, valid)
        seconds = time.process_time() - start
        sigma = float(made.potential.parts[1].theta)  # after the energies of elements
        found = errors(predict(made.potential, test.structures, stress=False), test)
        E, F = 1e3 * found["energy_mae"] * len(test.structures[0].numbers), 1e3 * found["forces_mae"]
        known, peak = KNOWN[molecule].get(int(n), (nan, nan)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{molecule:10}{n:>9}{sigma:9g}{E:9.2f}{known[0]:9.1f}{F:9.2f}{known[1]:9.1f}{seconds:9.0f}{peak:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
