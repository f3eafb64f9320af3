"""Numbers of FLARE's 2+3-body Gaussian process: of its kernels, and of a process that has seen forces.

Made with the pure Python part of FLARE (github.com/mir-group/flare, release 1.4):

    python tests/reference/flare_make.py FOLDER_THAT_HOLDS_flare
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase.build import fcc100

sys.path.insert(0, sys.argv[1])
from flare.bffs.gp import GaussianProcess
from flare.descriptors.env import AtomicEnvironment
from flare.kernels import mc_simple

CUTOFFS = {"twobody": 4.6, "threebody": 3.7}
HYPERPARAMETERS = [0.3, 0.9, 0.02, 0.8, 0.05]  # sig2, ls2, sig3, ls3, noise


def slab(seed: int, numbers: tuple[int, ...]):
    """Four atoms of two elements on a square lattice, periodic, with random displacements and forces."""
    rng = np.random.default_rng(seed)
    atoms = fcc100("Ag", (2, 1, 2), a=4.1, vacuum=4.0)
    atoms.numbers = numbers
    atoms.pbc = True
    atoms.positions += rng.normal(0, 0.15, (4, 3))
    return atoms, rng.normal(0, 0.5, (4, 3))


def environments(atoms):
    from flare.atoms import FLARE_Atoms

    of = FLARE_Atoms.from_ase_atoms(atoms)
    return of, [AtomicEnvironment(of, i, CUTOFFS) for i in range(len(atoms))]


frames = [slab(1, (47, 47, 13, 47)), slab(2, (13, 47, 13, 47)), slab(3, (47, 13, 47, 47))]
(_, a), (_, b) = (environments(atoms) for atoms, _ in frames[:2])
hyps, cutoffs = np.array(HYPERPARAMETERS[:4]), np.array(list(CUTOFFS.values()))
force_force = [
    [[mc_simple.two_plus_three_body_mc(a[0], y, d, e, hyps, cutoffs) for e in (1, 2, 3)] for d in (1, 2, 3)] for y in b
]
force_energy = [[mc_simple.two_plus_three_mc_force_en(a[0], y, d, hyps, cutoffs) for d in (1, 2, 3)] for y in b]
energy_energy = [mc_simple.two_plus_three_mc_en(a[0], y, hyps, cutoffs) for y in b]

gp = GaussianProcess(
    kernels=["twobody", "threebody"],
    hyps=HYPERPARAMETERS,
    cutoffs=CUTOFFS,
    component="mc",
    opt_algorithm="L-BFGS-B",
)
for atoms, forces in frames[:2]:
    gp.update_db(environments(atoms)[0], forces)
gp.set_L_alpha()
_, test = environments(frames[2][0])
predicted = [[gp.predict(x, d) for d in (1, 2, 3)] for x in test]
local = [gp.predict_local_energy_and_var(x) for x in test]
out = {
    "cutoffs": list(CUTOFFS.values()),
    "hyperparameters": HYPERPARAMETERS,
    "frames": [
        {
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "forces": forces.tolist(),
        }
        for atoms, forces in frames
    ],
    "force_force": force_force,
    "force_energy": force_energy,
    "energy_energy": energy_energy,
    "forces": [[mean for mean, _ in x] for x in predicted],
    "variances": [[variance for _, variance in x] for x in predicted],
    "energies": [mean for mean, _ in local],
    "energy_variances": [variance for _, variance in local],
    "log_likelihood": gp.likelihood,
}
Path(__file__).with_name("flare.json").write_text(json.dumps(out, default=float) + "\n")
print(out["log_likelihood"], out["forces"][0], out["variances"][0])
