"""Makes sgdml_free.npz, sgdml_cell.npz (models) and sgdml.json: what sGDML 1.0.3 says of frames of ammonia.

python tests/reference/sgdml_make.py      # in an environment with sgdml and numpy < 2.3
"""

import json
import logging
from pathlib import Path

import numpy as np
from ase.build import molecule
from sgdml.predict import GDMLPredict
from sgdml.train import GDMLTrain
from sgdml.utils import io

logging.disable(logging.CRITICAL)
HERE = Path(__file__).parent
rng = np.random.default_rng(3)
start = molecule("NH3")
z = start.numbers
i, j = np.tril_indices(4, -1)
rest = np.linalg.norm(start.positions[i] - start.positions[j], axis=1)
# Columns are the vectors. Wide enough for rounded fractions, which sGDML takes, to be those of nearest images.
LATTICE = np.array([[5.2, 0.9, 0.0], [0.0, 5.0, 0.4], [0.3, 0.0, 5.4]])


def frames(n, lattice):
    """Rattled ammonia whose hydrogens change places, with springs between all atoms; kcal/mol, Å."""
    R = start.positions + rng.normal(0, 0.12, (n, 4, 3))
    for k in range(n):
        R[k, 1:] = R[k, 1 + rng.permutation(3)]
    E, F = np.zeros(n), np.zeros((n, 4, 3))
    for a, b, r0 in zip(i, j, rest):
        v = R[:, a] - R[:, b]
        r = np.linalg.norm(v, axis=1)
        stretch = r - (r0 if a == 0 or b == 0 else rest[-1])
        E += 200 * stretch**2
        f = -400 * (stretch / r)[:, None] * v
        F[:, a] += f
        F[:, b] -= f
    if lattice is not None:  # atoms somewhere in other cells: nearest images find together
        R = R + (rng.integers(-1, 2, (n, 4, 3)) @ lattice.T)
    return R, E - 1000.0, F


def dataset(name, R, E, F, lattice):
    found = {"type": "d", "code_version": "1", "name": np.array(name), "theory": np.array("springs")}
    found |= {"R": R, "z": z, "E": E, "F": F, "r_unit": np.array("Ang"), "e_unit": np.array("kcal/mol")}
    for key, x in (("E", E), ("F", F)):
        found |= {f"{key}_min": x.min(), f"{key}_max": x.max(), f"{key}_mean": x.mean(), f"{key}_var": x.var()}
    if lattice is not None:
        found["lattice"] = lattice
    found["md5"] = io.dataset_md5(found)
    return found


if __name__ == "__main__":
    made, trainer = {}, GDMLTrain(max_memory=2, max_processes=1)
    for name, lattice in (("free", None), ("cell", LATTICE)):
        np.random.seed(0)  # noqa: NPY002 - what sgdml draws frames by
        R, E, F = frames(20, lattice)
        data = dataset(name, R, E, F, lattice)
        task = trainer.create_task(data, 12, data, 4, sig=4, lam=1e-10, use_sym=True)
        model = trainer.train(task)
        np.savez_compressed(HERE / f"sgdml_{name}.npz", **{k: v for k, v in model.items() if v is not None})
        energy, forces = GDMLPredict(model, max_processes=1).predict(R[-5:].reshape(5, -1))
        made[name] = {
            "training": {k: task[f"{k}_train"].tolist() for k in "REF"},
            "permutations": sorted(model["perms"].tolist()),
            "positions": R[-5:].tolist(),
            "energy": energy.tolist(),
            "forces": forces.reshape(5, 4, 3).tolist(),
            "lattice": None if lattice is None else lattice.tolist(),
        }
    (HERE / "sgdml.json").write_text(json.dumps(made) + "\n")
