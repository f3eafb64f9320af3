"""FCHL19 beside qmllib: features, their derivatives, and kernel regression on energies and forces, one thread.

    python benchmarks/fchl_qmllib.py --peer PYTHON --data ethanol_fold01.npz [--frames 25]

PYTHON is the interpreter of an environment with qmllib; the data are a fold of rMD17. CPU time per atom: features of 50
molecules and of clusters of 512 and 4096 atoms of copper, neighbors included; derivatives of those of the molecules by
all positions; covariances of all energies and forces of some frames; energy and forces of one frame by the model these
give, which is the same on both sides. The last column is the energy of that frame in eV.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIGMA, RIDGE, MANY = 3.0, 1e-8, 50
KCAL = 0.04336410390059322  # eV
TIMES = ("features", "cluster 512", "cluster 4096", "derivatives", "covariances", "prediction")
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def cpu(work, repeats: int = 5) -> float:
    """Microseconds; the first run is not counted where there are several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(1e6 * (time.process_time() - start))
    return statistics.median(times[min(1, repeats - 1) :])


def cluster(n: int):
    """Of ``n`` atoms."""
    from ase.build import bulk

    atoms = bulk("Cu", cubic=True) * {512: (8, 4, 4), 4096: (16, 8, 8)}[n]
    atoms.pbc = False
    atoms.rattle(0.1, seed=0)
    return atoms


def adlayer_side(data, frames: int) -> dict:
    import torch
    from ase import Atoms

    from adlayer import Evaluator, Structures
    from adlayer.data import Dataset
    from adlayer.descriptors.fchl19 import FCHL19
    from adlayer.fitting import KernelRidge
    from adlayer.fitting.kernel_ridge import Environments, Labels, covariances
    from adlayer.graph import Graph
    from adlayer.potential import Prediction
    from adlayer.potentials.fchl import FCHL

    torch.set_num_threads(1)
    n, metals = len(data["z"]), {size: Structures.from_ase(cluster(size)) for size in (512, 4096)}
    s = Structures.from_ase([Atoms(data["z"], r) for r in data["R_train"][: max(MANY, frames)]])
    F = torch.tensor(data["F_train"][:frames].reshape(-1, 3) * KCAL, dtype=torch.float64)
    labels = Dataset(s[range(frames)], Prediction(torch.tensor(data["E_train"][:frames] * KCAL), F))
    many, descriptor, of_metal = s[range(MANY)], FCHL19(["H", "C", "O"]), FCHL19(["Cu"])
    found = {
        "features": cpu(lambda: descriptor(Graph.of(many, 8.0))) / (MANY * n),
        **{f"cluster {k}": cpu(lambda s=s: of_metal(Graph.of(s, 8.0)), 3) / k for k, s in metals.items()},
        "derivatives": cpu(lambda: descriptor.jacobian(Graph.of(many, 8.0))) / (MANY * n),
    }
    model = FCHL(["H", "C", "O"], sigma=SIGMA)

    def quiet(*_):
        pass

    asked = Labels(labels, None, {"energy": RIDGE, "forces": RIDGE, "virial": None})
    groups = Environments(asked, model, quiet).groups
    found["covariances"] = cpu(lambda: covariances(groups, SIGMA, quiet)) / (frames * n)
    made = KernelRidge(RIDGE, RIDGE, None, energies="none")(model, labels).potential
    evaluate, one = Evaluator(made, stress=False), Structures.from_ase(Atoms(data["z"], data["R_test"][0]))
    found["prediction"] = cpu(lambda: evaluate(one.with_positions(one.positions + 0.0))) / n
    return {**found, "energy": float(evaluate(one).energy)}


def qmllib_side(data, frames: int) -> dict:
    from qmllib.kernels.gradient_kernels import get_gp_kernel, get_symmetric_gp_kernel
    from qmllib.representations import generate_fchl19

    z, metals = data["z"].astype(np.int32), {size: cluster(size).positions for size in (512, 4096)}
    n = len(z)

    def features(r, gradients=False):
        return generate_fchl19(z, r, elements=[1, 6, 8], gradients=gradients)

    def copper(n, r):
        return generate_fchl19(np.full(n, 29, np.int32), r, elements=[29])

    def all_of(rs):
        X, dX = zip(*(features(r, True) for r in rs))
        return np.array(X), np.array(dX), [z] * len(rs)

    many = data["R_train"][:MANY]
    found = {
        "features": cpu(lambda: [features(r) for r in many]) / (MANY * n),
        **{f"cluster {k}": cpu(lambda k=k, r=r: copper(k, r), 1) / k for k, r in metals.items()},
        "derivatives": cpu(lambda: [features(r, True) for r in many]) / (MANY * n),
    }
    X, dX, Q = all_of(data["R_train"][:frames])
    found["covariances"] = cpu(lambda: get_symmetric_gp_kernel(X, dX, Q, SIGMA), 1) / (frames * n)
    K = get_symmetric_gp_kernel(X, dX, Q, SIGMA)
    K[np.diag_indices_from(K)] += RIDGE
    y = np.concatenate([data["E_train"][:frames], data["F_train"][:frames].ravel()]) * KCAL
    a = np.linalg.solve(K, y)

    def predict():
        x, dx, q = all_of(data["R_test"][:1])
        return get_gp_kernel(X, x, dX, dx, Q, q, SIGMA) @ a

    found["prediction"] = cpu(predict, 3) / n
    return {**found, "energy": float(predict()[0])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="interpreter of the environment with qmllib")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with np.load(options.data) as file:
            side = {"adlayer": adlayer_side, "qmllib": qmllib_side}[options.one]
            print(json.dumps(side(dict(file), options.frames)))
        return
    print(f"{'us/atom':8}" + "".join(f"{name:>13}" for name in TIMES) + f"{'eV':>18}", flush=True)
    found = {}
    for name, python in (("adlayer", sys.executable), ("qmllib", options.peer)):
        command = [python, __file__, "--data", options.data, "--frames", str(options.frames), "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **THREADS})
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr}")
        x = found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name:8}" + "".join(f"{x[k]:13.1f}" for k in TIMES) + f"{x['energy']:18.6f}", flush=True)
    print(f"{'ratio':8}" + "".join(f"{found['adlayer'][k] / found['qmllib'][k]:13.4f}" for k in TIMES))


if __name__ == "__main__":
    main()
