"""Make pace/*.yace, *.yaml and pace.json with python-ace 0.4.0: potentials, what they say of frames, and their grades.

    python pace_make.py

in an environment with python-ace and ase. Coefficients are random; frames are random, too, down to the cores.
"""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from pyace import ACEBBasisSet, ACECTildeBasisSet, PyACECalculator, create_multispecies_basis_config
from pyace.activelearning import (
    compute_A_active_inverse,
    compute_active_set,
    compute_B_projections,
    compute_extrapolation_grade,
)

HERE = Path(__file__).parent
TWO = {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1, 1, 0.5], "ndensity": 2}
THREE = {
    "npot": "FinnisSinclair",
    "fs_parameters": [1.3, 1, 0.7, 0.5, -0.4, 2.0],
    "ndensity": 3,
    "rho_core_cut": 30.0,
    "drho_core_cut": 20.0,
}
ONE = {
    "npot": "FinnisSinclairShiftedScaled",
    "fs_parameters": [0.7, 0.8],
    "ndensity": 1,
    "rho_core_cut": 60,
    "drho_core_cut": 30,
}
LINEAR = {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}
BOND = {"radbase": "SBessel", "radparameters": [5.25], "rcut": 5.0, "dcut": 0.01, "NameOfCutoffFunction": "cos"}


def tables(n, l):
    return {"nradmax_by_orders": n, "lmax_by_orders": l}


def with_core(kind, A, b):
    one = BOND | {"core-repulsion": [A, b], "r_in": 1.7, "delta_in": 0.4, "inner_cutoff_type": kind}
    other = one | {"core-repulsion": [1.5 * A, 0.8 * b], "r_in": 1.9, "delta_in": 0.7, "rcut": 4.4, "dcut": 0.3}
    return {"ALL": one, "BINARY": other | {"radbase": "ChebExpCos"}}


CASES = {
    "orders": {
        "elements": ["Cu"],
        "embeddings": {"ALL": TWO},
        "bonds": {"ALL": BOND | {"radbase": "ChebLinear"}},
        "functions": {"ALL": tables([3, 2, 2, 1, 1, 1], [0, 2, 2, 2, 2, 1])},
    },
    "three": {
        "elements": ["Al", "Cu", "Ni"],
        "embeddings": {"ALL": TWO, "Cu": THREE, "Ni": ONE},
        "bonds": {
            "ALL": BOND,
            "BINARY": BOND | {"radbase": "ChebExpCos", "rcut": 4.7533},
            "Al": BOND | {"radbase": "ChebPow", "radparameters": [2.5], "rcut": 5.211},
        },
        "functions": {
            "UNARY": tables([3, 2, 2], [0, 1, 1]),
            "BINARY": tables([2, 1, 1], [0, 1, 1]),
            "TERNARY": tables([1, 1, 1], [0, 1, 1]),
        },
    },
    **{
        kind: {
            "elements": ["Al", "Cu"],
            "embeddings": {"ALL": THREE},
            "bonds": with_core(kind, A, 1.0),
            "functions": {"ALL": tables([2, 1], [0, 1])},
        }
        for kind, A in (("distance", 100.0), ("density", 100.0), ("zbl", 1.0))
    },
    "grades": {
        "elements": ["Al", "Cu"],
        "embeddings": {"ALL": LINEAR},
        "bonds": {"ALL": BOND},
        "functions": {"UNARY": tables([4, 2, 1], [0, 2, 1]), "BINARY": tables([3, 1, 1], [0, 2, 1])},
    },
}


def frame(rng, elements, closest, side=5.2, periodic=False, n=8):
    positions = []
    while len(positions) < n:
        x = rng.uniform(0, side, 3)
        if all(np.linalg.norm(x - y) > closest for y in positions):
            positions.append(np.round(x, 4))
    return Atoms(
        [elements[k % len(elements)] for k in range(n)],
        positions=positions,
        cell=np.array([1.2, 1.25, 1.15]) * side if periodic else None,
        pbc=periodic,
    )


def written(atoms):
    lengths = atoms.cell.lengths().tolist() if atoms.pbc.any() else None
    return {"symbols": list(atoms.symbols), "positions": atoms.positions.tolist(), "cell": lengths}


def basis(name, scale, rng):
    config = create_multispecies_basis_config({"deltaSplineBins": 0.001, **CASES[name]})
    config.set_func_coeffs(rng.normal(scale=scale, size=len(config.get_func_coeffs())).round(6).tolist())
    for block in config.funcspecs_blocks:
        if name == "three" and len(block.radcoefficients):
            seed = sum(map(ord, "".join(sorted(block.block_name.split()))))
            noise = np.random.default_rng(seed).normal(scale=0.3, size=np.shape(block.radcoefficients)).round(3)
            block.radcoefficients = (np.array(block.radcoefficients) + noise).tolist()
    return config


def main():
    rng, results = np.random.default_rng(0), {}
    for name, case in CASES.items():
        path = HERE / "pace" / f"{name}.yaml"
        basis(name, 0.001 if name == "orders" else 0.02, rng).save(str(path))
        B = ACEBBasisSet(str(path))
        if name not in ("density", "grades"):
            B.to_ACECTildeBasisSet().save_yaml(str(path.with_suffix(".yace")))
        closest, side = (1.0, 3.8) if name in ("distance", "density", "zbl") else (1.5, 5.2)
        frames = [frame(rng, case["elements"], closest, side, periodic) for periodic in (True, False)]
        results[name] = []
        for atoms in frames:
            calculator = PyACECalculator(B)
            atoms.calc = calculator
            forces = atoms.get_forces().tolist()
            energies = np.array(calculator.energies).tolist()
            results[name].append(written(atoms) | {"energies": energies, "forces": forces})
    known = [frame(rng, ["Al", "Cu"], 2.0, 6.5, True, 10) for _ in range(24)]
    asked = [frame(rng, ["Al", "Cu"], closest, 6.0, True) for closest in (2.0, 1.8, 1.5)]
    B = ACEBBasisSet(str(HERE / "pace" / "grades.yaml"))
    projections = compute_B_projections(B, known)
    active = compute_active_set(projections, tol=1.001, max_iters=1000)
    inverse = compute_A_active_inverse(active)
    rows = {e: [int(np.abs(projections[e] - row).sum(1).argmin()) for row in active[e]] for e in active}
    results["active"] = {
        "known": [written(a) for a in known],
        "asked": [written(a) for a in asked],
        "rows": [rows[e] for e in sorted(rows)],  # among the atoms of each element
        "grades": [compute_extrapolation_grade(compute_B_projections(B, asked), inverse)[e].tolist() for e in (0, 1)],
        "largest": [float(compute_extrapolation_grade(projections, inverse)[e].max()) for e in (0, 1)],
    }
    (HERE / "pace.json").write_text(json.dumps(results) + "\n")
    for file in sorted((HERE / "pace").glob("*.yace")):
        ACECTildeBasisSet(str(file))  # reads what it wrote


if __name__ == "__main__":
    main()
