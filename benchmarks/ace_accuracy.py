"""Linear ACE on published data: mlearn (Zuo et al. 2020) and rMD17 (950 training frames), beside what others reached.

    python benchmarks/ace_accuracy.py DATA [Cu Li Si ethanol aspirin ...]

DATA is a folder with mlearn/<element>_{train,test}.extxyz.gz and rmd17/<molecule>_fold01.npz. Errors are mean absolute
ones of the published test sets: energy in meV per atom (mlearn) or per molecule (rMD17), forces in meV/Å.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from adlayer.data import Dataset, read
from adlayer.fitting import LeastSquares, Weights, errors, predict
from adlayer.potentials.ace import ACE

METAL = {"cutoff": 5.5, "order": 4, "degree": [18.0, 15.0, 13.0], "pair": 15, "radial": "bessel"}
MOLECULE = {"cutoff": 4.5, "order": 4, "degree": [12.0, 9.0, 8.0], "weight_l": 1.0, "pair": 12, "radial": "bessel"}
SETS = {  # elements, arguments, weight of energies, best of GAP and MTP (mlearn), published ACE (rMD17)
    "Cu": (["Cu"], METAL, 300.0, (0.41, 10.0)),
    "Li": (["Li"], METAL, 300.0, (0.49, 10.0)),
    "Si": (["Si"], METAL, 300.0, (2.2, 60.0)),
    "ethanol": (["H", "C", "O"], MOLECULE, 10.0, (1.2, 7.3)),
    "aspirin": (["H", "C", "O"], MOLECULE, 10.0, (6.1, 17.9)),
}


def data(folder: Path, name: str) -> tuple[Dataset, Dataset]:
    if name in ("Cu", "Li", "Si"):
        return tuple(read(folder / f"mlearn/{name}_{part}.extxyz.gz") for part in ("train", "test"))
    both = read(folder / f"rmd17/{name}_fold01.npz")
    return both[:950], both[1000:]


def main(folder: Path, names: list[str]) -> None:
    print(f"{'':10} {'functions':>9} {'energy':>8} {'(known)':>8} {'forces':>8} {'(known)':>8} {'CPU s':>8}")
    for name in names:
        elements, arguments, energy, known = SETS[name]
        train, test = data(folder, name)
        start = time.process_time()
        method = LeastSquares(ridge=1e-12, solver="normal", weights=Weights(energy=energy, stress=0.0))
        fitted = method(ACE(elements, **arguments), train)
        seconds = time.process_time() - start
        found = errors(predict(fitted.potential, test.structures, stress=False), test)
        n = 1 if len(elements) == 1 else len(test.structures[0].numbers)
        E, F = 1e3 * found["energy_mae"] * n, 1e3 * found["forces_mae"]
        K = len(fitted.potential.coefficients)
        print(f"{name:10} {K:9} {E:8.2f} {known[0]:8.2f} {F:8.2f} {known[1]:8.2f} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or list(SETS))
