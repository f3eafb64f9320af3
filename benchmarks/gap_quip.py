"""GAP against QUIP, side by side: a fit to frames of copper, then energy and forces of boxes by one and the same GAP.

Both fit pairs (20 points) and SOAP (n 8, l 4, 500 points) to energies, forces and stress (EMT, 32 atoms a frame) and
are judged on 50 other frames. The file that gap_fit wrote is then read by both, which must agree, and both run as ASE
calculators on positions that move by 1e-4 Å each step. What counts is CPU time and, for the fit, peak memory; each runs
in a process of its own, one thread.

    python benchmarks/gap_quip.py PEERS [frames [atoms ...]]

PEERS is a folder with venv/quip (quippy-ase installed) and data/cu_{train,test,box512,box4096}.xyz. Of 200 frames
gap_fit takes 4 GB; with fewer it is as good a comparison.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = [
    "gap={distance_2b cutoff=5.0 n_sparse=20 covariance_type=ard_se delta=1.0 theta_uniform=1.0 sparse_method=uniform "
    "add_species : soap l_max=4 n_max=8 cutoff=5.0 cutoff_transition_width=1.0 atom_sigma=0.5 zeta=4 delta=0.2 "
    "n_sparse=500 covariance_type=dot_product sparse_method=cur_points add_species}",
    "default_sigma={0.001 0.05 0.05 0.0}",
    "e0_method=average",
    "energy_parameter_name=energy",
    "force_parameter_name=forces",
    "sparse_jitter=1e-8",
    "do_copy_at_file=F",
    "sparse_separate_file=T",
    "gp_file=gap.xml",
]
MOVE = """
def move(atoms, steps):
    rng, seconds = np.random.default_rng(0), []
    for step in range(steps + 2):
        atoms.positions += rng.normal(0, 1e-4, atoms.positions.shape)
        start = time.process_time()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds[2:]) / len(atoms) * 1e6), energy, forces.tolist()

def errors(frames, calc):
    E, F = [], []
    for a in frames:
        b = a.copy()
        b.calc = calc
        E.append((b.get_potential_energy() - a.get_potential_energy()) / len(a))
        F.append(b.get_forces() - a.get_forces())
    return 1e3 * float(np.abs(E).mean()), 1e3 * float(np.abs(F).mean())
"""
THEIRS = f"""
import json, resource, subprocess, sys, time
import numpy as np
from ase.io import read
from quippy.potential import Potential
{MOVE}
data, folder, sizes = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
fit = [sys.executable.replace("python", "gap_fit"), "at_file=" + folder + "/frames.xyz", *{SETTINGS!r}]
subprocess.run(fit, cwd=folder, check=True, capture_output=True)
child = resource.getrusage(resource.RUSAGE_CHILDREN)
calc = Potential(param_filename=folder + "/gap.xml")
energy, forces = errors(read(data + "/cu_test.xyz", ":"), calc)
cost = {{}}
for n in sizes:
    atoms = read(f"{{data}}/cu_box{{n}}.xyz")
    atoms.calc = calc
    cost[n] = move(atoms, 3 if n < 2000 else 1)
print(json.dumps(dict(fit=child.ru_utime + child.ru_stime, memory=child.ru_maxrss / 1024, energy=energy, forces=forces,
                      cost=cost)))
"""
OURS = f"""
import json, resource, sys, time
import numpy as np, torch
torch.set_num_threads(1)
from ase.io import read
from adlayer.data import Dataset
from adlayer.engines.ase import Calculator
from adlayer.fitting import SparseGP
from adlayer.formats import read_potential
from adlayer.potentials.gap import GAP
{MOVE}
data, folder, sizes = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
train = Dataset.from_ase(read(folder + "/frames.xyz", ":"))
method = SparseGP(0.001, 0.05, 0.05)
method(GAP(["Cu"], 5.0, 8, 4, n_sparse=5), train[:2])  # compiles
start = time.process_time()
fitted = method(GAP(["Cu"], 5.0, 8, 4, n_sparse=500), train)
fit = time.process_time() - start
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
energy, forces = errors(read(data + "/cu_test.xyz", ":"), Calculator(fitted.potential))
calc, cost = Calculator(read_potential(folder + "/gap.xml")), {{}}
for n in sizes:
    atoms = read(f"{{data}}/cu_box{{n}}.xyz")
    atoms.calc = calc
    cost[n] = move(atoms, 3 if n < 2000 else 1)
print(json.dumps(dict(fit=fit, memory=memory, energy=energy, forces=forces, cost=cost)))
"""


def run(python: Path | str, script: str, *arguments: str) -> dict:
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = [str(python), "-c", script, *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **one})
    return json.loads(said.stdout.splitlines()[-1])


def main(peers: Path, frames: int, sizes: list[int]) -> None:
    from ase.io import read, write

    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/frames.xyz", read(peers / "data/cu_train.xyz", f":{frames}"), format="extxyz")
        arguments = str(peers / "data"), folder, json.dumps(sizes)
        a = run(peers / "venv/quip/bin/python", THEIRS, *arguments)
        b = run(sys.executable, OURS, *arguments)
    print(f"{f'{frames} frames, 520 points':32} {'QUIP':>12} {'adlayer':>12} {'ratio':>7}   1 thread")
    for name, key in (
        ("fit, CPU s", "fit"),
        ("fit, peak memory, MB", "memory"),
        ("energy MAE, meV/atom", "energy"),
        ("force MAE, meV/Å", "forces"),
    ):
        print(f"{name:32} {a[key]:12.3f} {b[key]:12.3f} {b[key] / a[key]:7.3f}")
    for n in map(str, sizes):
        (x, E, F), (y, G, H) = a["cost"][n], b["cost"][n]
        print(f"{f'{n} atoms, CPU µs/atom':32} {x:12.1f} {y:12.1f} {y / x:7.3f}")
        apart = max(abs(p - q) for f, g in zip(F, H) for p, q in zip(f, g))
        print(f"{'  same file: ΔE, max ΔF':32} {abs(E - G):12.1e} {apart:12.1e} eV, eV/Å")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 200, [int(n) for n in sys.argv[3:]] or [512, 4096])
