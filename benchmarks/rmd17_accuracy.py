"""Families on molecules of rMD17 beside published errors: ACE, FCHL19, sGDML, GAP and ANI, from 950 frames and from 50.

    python benchmarks/rmd17_accuracy.py DATA [ACE:aspirin:950 FCHL:ethanol:50 ...] [--ani FOLDER]

DATA is a folder with rmd17/MOLECULE_fold01.npz. Frames are the first of the training set; with 950 the 50 that are left
decide on the ridge of ACE and when ANI stops, and the others, whose settings were found before, learn from all 1000.
Errors are mean absolute ones of all 1000 test frames, meV of the molecule and meV/Å. Each job has a process of its own,
whose peak of memory is printed; potentials and what a fit needs to go on are kept in runs/rmd17. FOLDER holds a
published network of ANI as its authors keep it, such as ani-1x_8x/train0 of aiqm/ani-model-zoo: ANI begins there, as
the published one did, or else anew.

950 frames of aspirin take 15 GB and half an hour with ACE, as much with FCHL and sGDML.

Published: D. P. Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021); ACE from 50 frames: I. Batatia et al., NeurIPS
2022. For other families from 50 frames none is known.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
import warnings
from itertools import product
from math import nan
from pathlib import Path
from typing import Any

from adlayer import save
from adlayer.data import Dataset, read
from adlayer.fitting import errors, fit, predict
from adlayer.formats import potential_of

ATOMS = {"ethanol": 9, "uracil": 12, "aspirin": 21}
PUBLISHED = {  # energy in meV, forces in meV/Å
    ("ACE", 950): {"ethanol": (1.2, 7.3), "uracil": (1.1, 6.6), "aspirin": (6.1, 17.9)},
    ("FCHL", 950): {"ethanol": (0.9, 6.2), "uracil": (0.6, 4.2), "aspirin": (6.2, 20.9)},
    ("sGDML", 950): {"ethanol": (2.4, 16.0), "uracil": (1.4, 10.4), "aspirin": (7.2, 31.8)},
    ("GAP", 950): {"ethanol": (3.5, 18.1), "uracil": (3.0, 17.6), "aspirin": (17.7, 44.9)},
    ("ANI", 950): {"ethanol": (2.5, 13.4), "uracil": (5.1, 21.4), "aspirin": (16.6, 40.6)},
    ("ACE", 50): {"ethanol": (8.6, 43.0), "uracil": (6.5, 36.2), "aspirin": (26.2, 63.8)},
}
FAMILIES = ("ACE", "FCHL", "sGDML", "GAP", "ANI")


def ace(molecule: str, n_frames: int, weights: dict) -> tuple[dict, dict]:
    if n_frames < 500:
        size = {"order": 4, "degree": [9.0, 7.5, 6.0], "weight_l": 0.35, "n_functions": 4500}
        floor = 0.5 if molecule == "aspirin" else 0.1  # this and the ridge by parts of the 50 frames
        fitting = {"ridge": 1e-7, "floor": floor, "solver": "qr", "weights": weights}
        return {"ACE": {"cutoff": 4.5, "decay": [0.5, 0.25], **size}}, {"LeastSquares": fitting}
    size = {
        "ethanol": {"n_functions": 5500},
        "uracil": {"n_functions": 4500},
        "aspirin": {"order": 4, "limits": [18.0, 15.7, 12.0]},
    }
    first = {"order": 4, "degree": [9.0, 7.2, 6.0], "weight_l": 0.35}
    first["n_functions"] = 3500 if molecule == "aspirin" else 4000
    ridges: dict[str, Any] = {"ethanol": [1e-12, 4e-12, 4e-11], "uracil": [1e-12, 1e-11, 1e-10]}
    ridges["aspirin"] = 1e-10  # the best of 3e-11, 1e-10, 4e-10: each takes minutes
    fitting = {"ridge": ridges[molecule], "solver": "cholesky", "weights": weights}
    potential = {"ContractedACE": {"cutoff": 4.5, "channels": 14, **size[molecule], "first": first}}
    return potential, {"ActiveSubspace": {"least_squares": fitting, "first": {"ridge": 1e-8}}}


def fchl(molecule: str, n_frames: int, weights: dict) -> tuple[dict, dict]:
    """Sigma and ridges were compared on the 50 validation frames, from 50, 200 and 500 frames."""
    sigma, energy, forces = {
        50: {"ethanol": (9.0, 1e-10, 1e-7), "uracil": (3.0, 1e-10, 1e-6), "aspirin": (1.5, 1e-10, 1e-6)},
        950: {"ethanol": (4.0, 1e-11, 5e-10), "uracil": (4.0, 1e-11, 5e-10), "aspirin": (4.0, 1e-10, 3e-8)},
    }[n_frames][molecule]
    return {"FCHL": {}}, {"KernelRidge": {"energy": energy, "forces": forces, "sigma": sigma}}


def sgdml(molecule: str, n_frames: int, weights: dict) -> tuple[dict, dict]:
    """Sigma was compared on the 50 validation frames, from 50 and 200 frames."""
    sigma = {
        50: {"ethanol": 10.0, "uracil": 14.0, "aspirin": 20.0},
        950: {"ethanol": 10.0, "uracil": 10.0, "aspirin": 20.0},
    }[n_frames][molecule]
    return {"SGDML": {}}, {"GradientDomain": {"sigma": sigma, "memory": 17.0}}


def gap(molecule: str, n_frames: int, weights: dict) -> tuple[dict, dict]:
    soap = {"cutoff": 4.5, "n_max": 8, "l_max": 6, "sigma": 0.4, "n_sparse": 800}
    return {"GAP": soap}, {"SparseGP": {"energy": 0.0005, "forces": 0.01, "virial": None}}


def ani(molecule: str, n_frames: int, weights: dict) -> tuple[dict, dict]:
    weights = {**weights, "energy": 10.0 * ATOMS[molecule]}
    descent = {"epochs": 300, "batch": 10, "schedule": "CosineDecay", "precision": "float32", "weights": weights}
    networks = {"hidden": [128, 96, 64], "activation": "gelu", "standardize": True}
    return {"ANI": networks}, {"GradientDescent": {**descent, "learning_rate": 2e-3}}


def parts(folder: Path, family: str, molecule: str, n_frames: int) -> tuple[Dataset, Dataset | None, Dataset]:
    data = read(folder / f"rmd17/{molecule}_fold01.npz")
    if n_frames == 950 and family not in ("ACE", "ANI"):
        return data[:1000], None, data[1000:]
    return data[:n_frames], data[950:1000] if n_frames == 950 else None, data[1000:]


def run(job: tuple[Path, str, Path | None]) -> str:
    """Fit, judge, and give a line of the table."""
    warnings.simplefilter("ignore")
    folder, name, start = job
    family, molecule, n_frames = name.split(":")
    n, N = int(n_frames), ATOMS[molecule]
    weights = {"energy": 33.0 * N, "stress": 0.0}  # 1 meV of the molecule counts like 10 meV/Å of a component
    potential, method = {"ACE": ace, "FCHL": fchl, "sGDML": sgdml, "GAP": gap, "ANI": ani}[family](molecule, n, weights)
    if family == "ANI" and start is not None:
        potential, method = {"file": str(start)}, further(method)
    train, valid, test = parts(folder, family, molecule, n)
    place = Path("runs/rmd17") / name.replace(":", "-")
    begin = time.process_time()
    fitted = fit(potential_of(potential, train.elements), train, valid, method, folder=place)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    save(place / "potential.adl", fitted.potential)
    found = errors(predict(fitted.potential, test.structures, stress=False), test)
    E, F = 1e3 * N * found["energy_mae"], 1e3 * found["forces_mae"]
    known = PUBLISHED.get((family, n), {}).get(molecule, (nan, nan))
    return f"{name:20} {E:8.2f} {known[0]:8.1f} {F:8.2f} {known[1]:8.1f} {seconds:8.0f} {peak:6.1f}"


def further(method: dict[str, Any]) -> dict[str, Any]:
    """Of networks that have learned already, which count from another zero of energy."""
    return {"GradientDescent": {**method["GradientDescent"], "learning_rate": 1e-3, "energies": "shift"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("jobs", nargs="*")
    parser.add_argument("--ani", type=Path)
    options = parser.parse_args()
    jobs = options.jobs or [":".join(map(str, job)) for job in product(FAMILIES, ATOMS, (950, 50))]
    print(f"{'':20} {'energy':>8} {'(known)':>8} {'forces':>8} {'(known)':>8} {'CPU s':>8} {'GB':>6}", flush=True)
    for job in jobs:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(run, [(options.data, job, options.ani)]), flush=True)


if __name__ == "__main__":
    main()
