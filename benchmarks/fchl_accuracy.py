"""FCHL19 on molecules of rMD17 beside its published errors: Gaussian process regression on energies and forces.

    python benchmarks/fchl_accuracy.py DATA ethanol:950 uracil:50 aspirin:50:2:1e-8:1e-8 ...

DATA holds MOLECULE_fold01.npz; a job is MOLECULE:FRAMES, and where not the defaults are meant, sigma and the ridges of
energies and forces. Frames are the first of the training set. Errors are mean absolute ones on all 1000 test frames,
meV and meV/Å. The defaults were compared on the last 50 frames of ethanol's training set. 950 frames of ethanol take
7 GB, of uracil 12 GB, of aspirin 33 GB.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from adlayer import Structures
from adlayer.data import Dataset
from adlayer.fitting import KernelRidge, predict
from adlayer.potential import Prediction
from adlayer.potentials.fchl import FCHL

KCAL = 0.04336410390059322  # eV
# 950 + 50 frames, as collected by I. Batatia et al., NeurIPS 2022 (MACE), Table 2
PUBLISHED = {"aspirin": (6.2, 20.9), "ethanol": (0.9, 6.2), "uracil": (0.6, 4.2)}


def frames_of(folder: Path, molecule: str, part: str) -> Dataset:
    """Training or test frames; kcal/mol in the file."""
    with np.load(folder / f"{molecule}_fold01.npz") as file:
        z, R, E, F = (file[k] for k in ("z", f"R_{part}", f"E_{part}", f"F_{part}"))
    labels = Prediction(torch.tensor(E * KCAL), torch.tensor(F.reshape(-1, 3) * KCAL, dtype=torch.float64))
    return Dataset(Structures.from_ase([Atoms(z, r) for r in R]), labels)


def main():
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    print("molecule   frames  sigma  energy  forces   published at 950   CPU s of the fit  peak GB", flush=True)
    for job in sys.argv[2:]:
        molecule, n, *settings = job.split(":")
        sigma, *ridges = map(float, settings or ["3"])
        train, test = (frames_of(folder, molecule, part) for part in ("train", "test"))
        model, method = FCHL(train.elements, sigma=sigma), KernelRidge(*ridges)
        start = time.process_time()
        made = method(model, train[: int(n)]).potential
        seconds = time.process_time() - start
        said = predict(made, test.structures, stress=False)
        energy = 1e3 * float((said.energy - test.labels.energy).abs().mean())
        forces = 1e3 * float((said.forces - test.labels.forces).abs().mean())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        published = "{} {}".format(*PUBLISHED[molecule])
        print(
            f"{molecule:10}{n:>7}{sigma:7.1f}{energy:8.2f}{forces:8.2f}{published:>19}{seconds:19.1f}{peak:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
