"""GAP and ANI on rMD17, and ACE from 50 frames, each beside its published errors: ``adlayer compare`` from Python.

    python benchmarks/molecules_accuracy.py DATA [ethanol:950 aspirin:50:ACE uracil:950:GAP ...]

DATA is a folder with rmd17/MOLECULE_fold01.npz; a job is MOLECULE:FRAMES, or MOLECULE:FRAMES:FAMILY for one of them.
Frames are the first of the training set, of 950 the 50 that are left decide when to stop; errors are mean absolute ones
of all 1000 test frames, meV of the molecule and meV/Å. Results are kept in runs/molecules/MOLECULE-FRAMES, where an
interrupted run goes on. ``ace_accuracy.py`` has ACE from 950 frames, ``fchl_accuracy.py`` FCHL19.

Published: D. P. Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021); 50 frames: I. Batatia et al., NeurIPS 2022.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from adlayer.data import read
from adlayer.fitting.comparison import Compared, compare

MOLECULES = ("ethanol", "uracil", "aspirin")
PUBLISHED = {  # energy in meV, forces in meV/Å
    (950, "GAP"): {"ethanol": (3.5, 18.1), "uracil": (3.0, 17.6), "aspirin": (17.7, 44.9)},
    (950, "ANI"): {"ethanol": (2.5, 13.4), "uracil": (5.1, 21.4), "aspirin": (16.6, 40.6)},
    (50, "ACE"): {"ethanol": (8.6, 43.0), "uracil": (6.5, 36.2), "aspirin": (26.2, 63.8)},
}
EPOCHS = {"ethanol": 250, "uracil": 160, "aspirin": 120}


def families(molecule: str, n_frames: int, n_atoms: int) -> dict:
    """Energies of molecules count as in ``ace_accuracy.py``: 1 meV like 10 meV/Å of a component."""
    weights = {"weights": {"energy": 33.0 * n_atoms, "stress": 0.0}}
    if n_frames < 500:
        size = {"order": 4, "degree": [9.0, 7.5, 6.0], "weight_l": 0.35, "n_functions": 4500}
        fit = {"ridge": 1e-7, "solver": "qr", **weights}  # the ridge by cross-validation within the 50 of ethanol
        return {
            "ACE": {"potential": {"ACE": {"cutoff": 4.5, "decay": [0.5, 0.25], **size}}, "fit": {"LeastSquares": fit}}
        }
    soap = {"cutoff": 4.5, "n_max": 8, "l_max": 6, "sigma": 0.4, "n_sparse": 800}
    noise = {"energy": 0.0005, "forces": 0.01, "virial": None}
    networks = {"hidden": [128, 96, 64], "activation": "gelu", "standardize": True}
    descent = {"epochs": EPOCHS[molecule], "batch": 10, "learning_rate": 2e-3, "schedule": "CosineDecay"}
    return {
        "GAP": {"potential": {"GAP": soap}, "fit": {"SparseGP": noise}},
        "ANI": {
            "potential": {"ANI": networks},
            "fit": {"GradientDescent": {**descent, "precision": "float32", **weights}},
        },
    }


def show(job: str, found: Compared, n_atoms: int, known: tuple[float, float]) -> None:
    if found.failed:
        print(f"{job:20} {found.failed}", flush=True)
        return
    E, F = 1e3 * n_atoms * found.error("energy_mae"), 1e3 * found.error("forces_mae")
    cost = f"{found.cpu_seconds:8.0f} {found.memory / 1e9:5.1f} {1e6 * found.cost:8.1f} {found.parameters:11}"
    print(f"{job:20} {E:8.2f} {known[0]:8.1f} {F:8.2f} {known[1]:8.1f} {cost}", flush=True)


def main(folder: Path, jobs: list[str]) -> None:
    warnings.simplefilter("ignore")
    print(f"{'':20} {'energy':>8} {'(known)':>8} {'forces':>8} {'(known)':>8} {'CPU s':>8}    GB  µs/atom  parameters")
    for job in jobs:
        molecule, frames, *wanted = job.split(":")
        n = int(frames)
        data = read(folder / f"rmd17/{molecule}_fold01.npz")
        train, valid, test = data[:n], data[950:1000] if n == 950 else None, data[1000:]
        n_atoms = int(data.structures.counts[0])
        some = {k: f for k, f in families(molecule, n, n_atoms).items() if k in (wanted or [k])}
        found = compare(some, train, valid, test, folder=Path("runs/molecules") / f"{molecule}-{n}")
        for c in found:
            show(f"{molecule}:{n} {c.name}", c, n_atoms, PUBLISHED[n, c.name][molecule])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or [f"{m}:{n}" for n in (950, 50) for m in MOLECULES])
