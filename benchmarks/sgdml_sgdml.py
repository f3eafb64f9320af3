"""sGDML beside the package of its authors: the same frames, length and ridge, in turns, one thread.

    python benchmarks/sgdml_sgdml.py --peer PYTHON --data ethanol_fold01.npz [--frames 200]

PYTHON is the interpreter of an environment with sgdml (and numpy < 2.3); the data are a fold of rMD17. CPU time of
training (permutations, covariance, solution; the analytic solver) and of energy and forces of single frames, and mean
absolute errors on the frames of the test set. The two find permutations by themselves. In 950 frames theirs takes
6 GB.
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

SIGMA, RIDGE, TEST = 10, 1e-10, 200
KCAL = 0.04336410390059322  # eV
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def adlayer_side(data, frames: int):
    import torch
    from ase import Atoms

    from adlayer import Evaluator, Structures
    from adlayer.data import Dataset
    from adlayer.fitting import GradientDomain
    from adlayer.potential import Prediction
    from adlayer.potentials.sgdml import SGDML

    torch.set_num_threads(1)

    def dataset(n):
        s = Structures.from_ase([Atoms(data["z"], r) for r in data["R_train"][:n]])
        F = torch.tensor(data["F_train"][:n].reshape(-1, 3) * KCAL, dtype=torch.float64)
        return Dataset(s, Prediction(torch.tensor(data["E_train"][:n] * KCAL), F))

    def train(n):
        return GradientDomain(ridge=RIDGE, memory=8.0)(SGDML(sigma=SIGMA), dataset(n)).potential

    train(5)  # compiles
    start = time.process_time()
    made = train(frames)
    seconds = time.process_time() - start
    evaluate, molecule = Evaluator(made, stress=False), Structures.from_ase(Atoms(data["z"], data["R_train"][0]))

    def predict(r):
        said = evaluate(molecule.with_positions(torch.from_numpy(r)))
        return float(said.energy), said.forces.numpy()

    return seconds, len(made.permutations), predict


def sgdml_side(data, frames: int):
    import logging

    from sgdml.predict import GDMLPredict
    from sgdml.train import GDMLTrain
    from sgdml.utils import io

    logging.disable(logging.CRITICAL)
    n = frames + 1
    R, E, F = data["R_train"][:n], data["E_train"][:n] * KCAL, data["F_train"][:n].astype(float) * KCAL
    known = {"type": "d", "code_version": "1", "name": np.array("a"), "theory": np.array("a"), "R": R, "E": E, "F": F}
    known |= {"z": data["z"], "r_unit": np.array("Ang"), "e_unit": np.array("eV")}
    for key, x in (("E", E), ("F", F)):
        known |= {f"{key}_min": x.min(), f"{key}_max": x.max(), f"{key}_mean": x.mean(), f"{key}_var": x.var()}
    known["md5"] = io.dataset_md5(known)
    trainer = GDMLTrain(max_memory=16, max_processes=1)
    start = time.process_time()
    model = trainer.train(trainer.create_task(known, frames, known, 1, sig=SIGMA, lam=RIDGE, use_sym=True))
    seconds = time.process_time() - start
    predictor = GDMLPredict(model, max_processes=1)
    predictor.prepare_parallel(n_bulk=1)

    def predict(r):
        energy, forces = predictor.predict(r.reshape(1, -1))
        return float(energy[0]), forces.reshape(-1, 3)

    return seconds, len(model["perms"]), predict


def measure(side: str, path: Path, frames: int) -> dict:
    with np.load(path) as file:
        data = dict(file)
    seconds, permutations, predict = {"adlayer": adlayer_side, "sgdml": sgdml_side}[side](data, frames)
    times, off = [], []
    for r, E, F in zip(data["R_test"][:TEST], data["E_test"], data["F_test"]):
        start = time.process_time()
        energy, forces = predict(r)
        times.append(time.process_time() - start)
        off.append((abs(energy - E * KCAL), np.abs(forces - F * KCAL).mean()))
    energy, forces = (1e3 * float(np.mean(x)) for x in zip(*off))
    cost = {"train": seconds, "predict": 1e3 * statistics.median(times)}
    return {**cost, "permutations": permutations, "energy": energy, "forces": forces}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="interpreter of the environment with sgdml")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.data, options.frames)))
        return
    print(f"{'':8}{'train s':>10}{'predict ms':>12}{'meV':>8}{'meV/Å':>8}  permutations; {options.frames} frames")
    found = {}
    for name, python in (("adlayer", sys.executable), ("sgdml", options.peer)):
        command = [python, __file__, "--data", options.data, "--frames", str(options.frames), "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **THREADS})
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr}")
        x = found[name] = json.loads(done.stdout.splitlines()[-1])
        row = f"{x['train']:10.2f}{x['predict']:12.3f}{x['energy']:8.2f}{x['forces']:8.2f}{x['permutations']:6d}"
        print(f"{name:8}{row}", flush=True)
    print(
        "ratio   "
        + "".join(f"{found['adlayer'][k] / found['sgdml'][k]:{w}.2f}" for k, w in (("train", 10), ("predict", 12)))
    )


if __name__ == "__main__":
    main()
