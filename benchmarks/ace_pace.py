"""ACE against python-ace, side by side: a linear fit to 200 frames of copper, then energy and forces of boxes.

Both fit at most 300 functions to energies and forces (EMT, 32 atoms a frame) and are judged on 50 other frames. Then
both run as ASE calculators on positions that move by 1e-4 Å each step, python-ace with its recursive evaluator; ours
also with the potential that python-ace has fitted, read from its ``.yace``, and with two densities of a Finnis-Sinclair
embedding. What counts is CPU time. One thread, or as many as NUMBA_NUM_THREADS says.

    python benchmarks/ace_pace.py PEERS [atoms ...]

PEERS is a folder with venv/pace (python-ace installed) and data/cu_{train,test,box512,box4096}.xyz.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import numpy as np
import torch
from ase.io import read

from adlayer.data import Dataset
from adlayer.engines.ase import Calculator
from adlayer.fitting import LeastSquares, Weights, errors, predict
from adlayer.formats import read_potential
from adlayer.potentials.ace import ACE

PEER = (
    """
import json, resource, sys, time
import numpy as np, pandas as pd
from ase.io import read
from pyace import ACEBBasisSet, PyACECalculator, create_multispecies_basis_config
from pyace.linearacefit import LinearACEDataset, LinearACEFit
data, folder, sizes, steps = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
bond = dict(radbase="SBessel", radparameters=[5.25], rcut=5.0, dcut=0.01, NameOfCutoffFunction="cos")
tables = dict(nradmax_by_orders=[15, 6, 4, 3, 2, 2], lmax_by_orders=[0, 3, 3, 2, 2, 1])
basis = create_multispecies_basis_config(dict(
    deltaSplineBins=0.001, elements=["Cu"], bonds=dict(ALL=bond),
    embeddings=dict(ALL=dict(npot="FinnisSinclairShiftedScaled", fs_parameters=[1, 1], ndensity=1)),
    functions=dict(number_of_functions_per_element=300, ALL=tables)))
train, test = read(data + "/cu_train.xyz", ":"), read(data + "/cu_test.xyz", ":")
zero = np.mean([a.get_potential_energy() / len(a) for a in train])
table = pd.DataFrame(dict(ase_atoms=train, forces=[a.get_forces() for a in train],
                          energy_corrected=[a.get_potential_energy() - zero * len(a) for a in train]))
start = time.process_time()
frames = LinearACEDataset(basis, table)
frames.construct_design_matrix(verbose=False, max_workers=1)
fit = LinearACEFit(train_dataset=frames)
fit.fit()
child = resource.getrusage(resource.RUSAGE_CHILDREN)  # the design matrix is made there
seconds = time.process_time() - start + child.ru_utime + child.ru_stime
fit.get_bbasis().save(folder + "/ace.yaml")
ACEBBasisSet(folder + "/ace.yaml").to_ACECTildeBasisSet().save_yaml(folder + "/ace.yace")
said = PyACECalculator(folder + "/ace.yaml")
E, F = [], []
for a in test:
    b = a.copy()
    b.calc = said
    E.append((b.get_potential_energy() - a.get_potential_energy()) / len(a) + zero)
    F.append(b.get_forces() - a.get_forces())
"""
    + (
        MOVE := """
def move(atoms, steps):
    rng, seconds = np.random.default_rng(0), []
    for step in range(steps + 3):
        atoms.positions += rng.normal(0, 1e-4, atoms.positions.shape)
        start = time.process_time(), time.perf_counter()
        atoms.get_potential_energy(), atoms.get_forces()
        seconds.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return (np.median(seconds[3:], axis=0) / len(atoms) * 1e6).tolist()
"""
    )
    + """
tables.update(number_of_functions_per_element=300)
two = create_multispecies_basis_config(dict(
    deltaSplineBins=0.001, elements=["Cu"], bonds=dict(ALL=bond), functions=dict(ALL=tables),
    embeddings=dict(ALL=dict(npot="FinnisSinclairShiftedScaled", fs_parameters=[1, 1, 1, 0.5], ndensity=2))))
two.set_func_coeffs(list(np.random.default_rng(0).normal(0, 1e-3, len(two.get_func_coeffs()))))
two.save(folder + "/two.yaml")
ACEBBasisSet(folder + "/two.yaml").to_ACECTildeBasisSet().save_yaml(folder + "/two.yace")
cost = dict(ace={}, two={})
for name in cost:
    for n in sizes:
        atoms = read(f"{data}/cu_box{n}.xyz")
        atoms.calc = PyACECalculator(f"{folder}/{name}.yace", recursive_evaluator=True, recursive=True)
        cost[name][n] = move(atoms, steps)
        np.save(f"{folder}/{name}_{n}.npy", atoms.get_forces())
print(json.dumps(dict(functions=int(frames.nfunc), fit=seconds, energy=1e3 * np.abs(E).mean(),
                      forces=1e3 * np.abs(F).mean(), cost=cost)))
"""
)


def theirs(peers: Path, folder: str, sizes: list[int], steps: int) -> dict:
    command = [str(peers / "venv/pace/bin/python"), "-c", PEER, str(peers / "data"), folder, json.dumps(sizes)]
    said = subprocess.run([*command, str(steps)], capture_output=True, text=True, check=True)
    return json.loads(said.stdout.splitlines()[-1])


def ours(peers: Path, folder: str, sizes: list[int], steps: int) -> dict:
    train, test = (Dataset.from_ase(read(peers / f"data/cu_{name}.xyz", ":")) for name in ("train", "test"))
    method = LeastSquares(ridge=1e-16, solver="normal", weights=Weights(energy=10.0, stress=0.0))
    potential = ACE(["Cu"], cutoff=5.5, order=4, degree=[15.0, 12.0, 11.0], weight_l=2.0, pair=15)
    method(potential, train[:3])  # compiles
    start = time.process_time()
    fitted = method(potential, train)
    seconds = sum(fitted.history[0][f"{part}_seconds"] for part in ("design", "reduce", "solve"))
    cpu = time.process_time() - start
    found = errors(predict(fitted.potential, test.structures, stress=False), test)
    scope: dict = {"np": np, "time": time}
    exec(MOVE, scope)
    cost: dict = {"own": {}, "ace": {}, "two": {}}
    for name, timed in cost.items():
        model = fitted.potential if name == "own" else read_potential(f"{folder}/{name}.yace")
        for n in sizes:
            atoms = read(peers / f"data/cu_box{n}.xyz")
            atoms.calc = Calculator(model)
            timed[str(n)] = scope["move"](atoms, steps)
            if name != "own":
                off = np.abs(atoms.get_forces() - np.load(f"{folder}/{name}_{n}.npy")).max()
                print(f"forces of {name}.yace on {n} atoms: python-ace's to {off:.1e} eV/Å")
    return {
        "functions": potential.n_functions,
        "fit": cpu,
        "fit_wall": seconds,
        "energy": 1e3 * found["energy_mae"],
        "forces": 1e3 * found["forces_mae"],
        "cost": cost,
    }


def main(peers: Path, sizes: list[int], steps: int = 15) -> None:
    torch.set_num_threads(numba.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        a, b = theirs(peers, folder, sizes, steps), ours(peers, folder, sizes, steps)
    print(f"{'':42} {'python-ace':>12} {'adlayer':>12} {'ratio':>7}   {numba.get_num_threads()} thread(s)")
    rows = [("functions", "functions"), ("fit, CPU s", "fit")]
    rows += [("energy MAE, meV/atom", "energy"), ("force MAE, meV/Å", "forces")]
    for name, key in rows:
        print(f"{name:42} {a[key]:12.3f} {b[key]:12.3f} {b[key] / a[key]:7.2f}")
    a["cost"]["own"] = a["cost"]["ace"]
    for name, what in (("own", ""), ("ace", ", its .yace"), ("two", ", .yace, 2 densities")):
        for n in sizes:
            for kind, k in (("CPU", 0), ("wall", 1)):
                x, y = a["cost"][name][str(n)][k], b["cost"][name][str(n)][k]
                print(f"{f'{n} atoms{what}, {kind} µs/atom':42} {x:12.1f} {y:12.1f} {y / x:7.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [int(n) for n in sys.argv[2:]] or [512, 4096])
