"""Makes qmllib.json: features of FCHL19, their gradients, and kernels, as qmllib 1.2.0 gives them.

python tests/reference/qmllib_make.py      # in an environment with qmllib and ase
"""

import json
from pathlib import Path

import numpy as np
from ase.build import molecule
from qmllib.kernels.gradient_kernels import (
    get_atomic_local_gradient_kernel,
    get_atomic_local_kernel,
    get_gp_kernel,
    get_local_kernel,
)
from qmllib.representations import generate_fchl19

ELEMENTS, SIGMA = [1, 6, 8], 1.7
SMALL = {"nRs2": 4, "nRs3": 3, "eta2": 0.5, "eta3": 1.3, "rcut": 5.0, "acut": 4.5}


def rattled(name, seed):
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)
    return atoms


def features(atoms, **settings):
    z, r = atoms.numbers.astype(np.int32), atoms.positions
    return generate_fchl19(z, r, elements=ELEMENTS, **settings)


def written(atoms, **numbers):
    return {"numbers": atoms.numbers.tolist(), "positions": atoms.positions.tolist(), **numbers}


default = rattled("H2O", 0)
frames = [rattled(name, k) for k, name in enumerate(("CH3OH", "H2CO", "CH4", "H2O"))]
n = max(map(len, frames))
X, dX = (np.array(x) for x in zip(*(features(a, gradients=True, pad=n, **SMALL) for a in frames)))
Q = [a.numbers for a in frames]
one, other = slice(0, 2), slice(2, 4)
kernels = {
    "local": get_local_kernel(X[one], X[other], Q[one], Q[other], SIGMA),
    "atomic": get_atomic_local_kernel(X[one], X[other], Q[one], Q[other], SIGMA),
    "atomic_gradient": get_atomic_local_gradient_kernel(X[one], X[other], dX[other], Q[one], Q[other], SIGMA),
    "gp": get_gp_kernel(X[one], X[other], dX[one], dX[other], Q[one], Q[other], SIGMA),
}
alone = features(frames[1], gradients=True, **SMALL)
made = {
    "elements": ["H", "C", "O"],
    "sigma": SIGMA,
    "settings": SMALL,
    "default": written(default, features=features(default).tolist()),
    "gradients": written(frames[1], features=alone[0].tolist(), gradients=alone[1].tolist()),
    "frames": [written(a) for a in frames],
    "kernels": {name: {"shape": K.shape, "numbers": np.ravel(K).tolist()} for name, K in kernels.items()},
}
(Path(__file__).parent / "qmllib.json").write_text(json.dumps(made))
