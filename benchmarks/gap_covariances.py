"""Covariances of a GAP on one data set: pairs with SOAP, turbo SOAP or clusters (ACE), and with both of two kinds.

    python benchmarks/gap_covariances.py DATA [Cu] [frames] [points]

DATA is a folder with mlearn/. Errors of the test frames, and CPU time of fit and of prediction, one thread.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from adlayer.config import build
from adlayer.data import read
from adlayer.fitting import SparseGP, errors, fit, predict
from adlayer.potential import Potential, Sum


def covariances(element: str, cutoff: float, points: int) -> dict[str, Potential]:
    space = {"elements": [element], "cutoff": cutoff}
    soap = {"SOAP": {**space, "n_max": 8, "l_max": 6, "normalize": False}}
    turbo = {"TurboSOAP": {**space, "n_max": 8, "l_max": 6, "normalize": False}}
    clusters = {"ACEInvariants": {**space, "order": 3, "degree": 10}}

    def sum_of(*descriptors: dict) -> Potential:
        share = {"n_sparse": points // len(descriptors), "delta": 0.2, "zeta": 4}
        parts = [{"EnvironmentGP": {**space, **share, "descriptor": d}} for d in descriptors]
        return Sum([build(p, Potential) for p in [*parts, {"PairGP": space}]])

    return {
        "SOAP": sum_of(soap),
        "turbo SOAP": sum_of(turbo),
        "ACE": sum_of(clusters),
        "SOAP + ACE": sum_of(soap, clusters),
    }


def main(folder: str, element: str = "Cu", frames: int = 60, points: int = 200) -> None:
    train, test = (read(Path(folder) / f"mlearn/{element}_{part}.extxyz.gz") for part in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(train)).tolist()[:frames]
    train = train[sorted(order)]
    print(f"{element}, {len(train)} of the training frames, {len(test)} test frames, {points} points")
    print("| covariance | features | energy MAE, meV/atom | force MAE, meV/Å | fit, s | prediction, µs/atom |")
    print("|---|---|---|---|---|---|")
    for name, potential in covariances(element, 5.0, points).items():
        start = time.process_time()
        fitted = fit(potential, train, method=SparseGP(0.0005, 0.02, None)).potential
        middle = time.process_time()
        found = errors(predict(fitted, test.structures), test)
        end = time.process_time()
        size = "+".join(str(p.descriptor.n_features) for p in potential.parts if hasattr(p, "descriptor"))
        error = [1000 * found[f"{kind}_mae"] for kind in ("energy", "forces")]
        speed = 1e6 * (end - middle) / test.structures.n_atoms
        print(f"| {name} | {size} | {error[0]:.3f} | {error[1]:.1f} | {middle - start:.0f} | {speed:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
