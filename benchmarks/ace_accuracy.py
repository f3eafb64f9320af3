"""Linear ACE on published data: mlearn (Zuo et al. 2020) and rMD17 (950 training frames), beside what others reached.

    python benchmarks/ace_accuracy.py DATA [Cu Li Si ethanol aspirin ...]

DATA is a folder with mlearn/<element>_{train,test}.extxyz.gz and rmd17/<molecule>_fold01.npz. Errors are mean absolute
ones of the published test sets: energy in meV per atom (mlearn) or per molecule (rMD17), forces in meV/Å. Metals and
silicon are fitted by ``LeastSquares``. Molecules need some ten thousand functions, which is too many for the singular
values it looks at: they are fitted here by normal equations and a Cholesky factorization in place (4 GB, minutes).
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.linalg
from ase.data import chemical_symbols

from adlayer import Graph
from adlayer.data import Dataset, read
from adlayer.fitting import LeastSquares, Weights, errors, predict
from adlayer.potential import Potential
from adlayer.potentials.ace import ACE

SOLID = {"cutoff": 5.5, "order": 4, "degree": [18.0, 14.0, 12.0], "weight_l": 1.0, "pair": 15}
MOLECULE = {"cutoff": 4.5, "order": 4, "weight_l": 0.35, "l_max": [8, 8, 8, 8], "pair": 12}  # angles count most
DEGREE = {"ethanol": [9.0, 8.5, 6.0], "aspirin": [9.0, 8.0, 6.0]}
KNOWN = {  # the better of GAP and MTP (meV/atom, meV/Å); ACE's row of rMD17 (meV, meV/Å)
    "Cu": (0.41, 10.0),
    "Li": (0.49, 10.0),
    "Si": (2.2, 60.0),
    "ethanol": (1.2, 7.3),
    "aspirin": (6.1, 17.9),
}


def solid(folder: Path, element: str) -> tuple[Potential, Dataset, Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there are virials as well
        train, test = (read(folder / f"mlearn/{element}_{part}.extxyz.gz") for part in ("train", "test"))
    method = LeastSquares(ridge=1e-13, solver="normal", weights=Weights(energy=300.0, stress=0.0))
    return method(ACE([element], **SOLID), train).potential, train, test


def molecule(folder: Path, name: str) -> tuple[Potential, Dataset, Dataset]:
    both = read(folder / f"rmd17/{name}_fold01.npz")
    train, test = both[:950], both[1000:]
    elements = [chemical_symbols[z] for z in train.structures.numbers.unique().tolist()]
    potential = ACE(elements, degree=DEGREE.get(name, DEGREE["aspirin"]), **MOLECULE)
    mean = float(train.labels.energy.mean())
    potential.coefficients = potential.coefficients.new_tensor(
        ridge(potential, train, mean, energy=10.0, strength=1e-8)
    )
    energy = train.labels.energy - mean, test.labels.energy - mean
    train, test = (Dataset(d.structures, d.labels._replace(energy=E), d.info) for d, E in zip((train, test), energy))
    return potential, train, test


def ridge(potential: Potential, train: Dataset, mean: float, energy: float, strength: float) -> np.ndarray:
    """Coefficients by normal equations; functions that no frame knows stay at zero."""

    def rows(data: Dataset, use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        design = potential.design(Graph.of(data.structures, potential.cutoff), virial=False)
        E, F = design.energy.numpy()[:, use], design.forces.reshape(-1, design.forces.shape[-1]).numpy()[:, use]
        y = (data.labels.energy.numpy() - mean) * energy, data.labels.forces.reshape(-1).numpy()
        return np.concatenate([E * energy, F]), np.concatenate(y)

    norms = np.linalg.norm(rows(train[:30], np.ones(len(potential.coefficients), bool))[0], axis=0)
    use = norms > 1e-9 * norms.max()
    n = int(use.sum())
    G, b = np.zeros((n, n), order="F"), np.zeros(n)
    step = max(1, 3000 // int(3 * train.structures.counts[0]))
    for k in range(0, len(train), step):
        A, y = rows(train[k : k + step], use)
        G = scipy.linalg.blas.dsyrk(1.0, A.T, 1.0, G, overwrite_c=1)
        b += A.T @ y
    scale = np.sqrt(np.diag(G))
    for column in range(n):
        G[: column + 1, column] /= scale[: column + 1] * scale[column]
    penalty = potential.penalty().numpy()[use] ** 2
    G[np.diag_indices(n)] += strength * penalty / np.median(penalty)
    G, failed = scipy.linalg.lapack.dpotrf(G, overwrite_a=1, clean=0)
    if failed:
        raise ValueError(f"the ridge {strength} is too weak for {n} functions")
    found = np.zeros(len(use))
    found[use] = scipy.linalg.lapack.dpotrs(G, b / scale)[0] / scale
    return found


def main(folder: Path, names: list[str]) -> None:
    print(f"{'':10} {'functions':>9} {'energy':>8} {'(known)':>8} {'forces':>8} {'(known)':>8} {'CPU s':>8}")
    for name in names:
        start = time.process_time()
        potential, _, test = (solid if len(name) < 3 else molecule)(folder, name)
        seconds = time.process_time() - start
        found = errors(predict(potential, test.structures, stress=False), test)
        n = 1 if len(name) < 3 else len(test.structures[0].numbers)
        E, F, K = 1e3 * found["energy_mae"] * n, 1e3 * found["forces_mae"], len(potential.coefficients)
        print(
            f"{name:10} {K:9} {E:8.2f} {KNOWN[name][0]:8.2f} {F:8.2f} {KNOWN[name][1]:8.2f} {seconds:8.1f}", flush=True
        )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or list(KNOWN))
