"""HDNNP against n2p2, side by side: CPU time per atom of energy and forces, 43 symmetry functions, a 15-15 network.

The potential is written as an n2p2 folder. n2p2's own library evaluates it in a loop (a dozen lines of C++ that call
its public ``Prediction`` class: neighbor list, symmetry functions, networks and forces at each step, as
``nnp-predict`` does them). Ours runs as in dynamics, through ``Evaluator``, on positions that move by 1e-4 Å each step;
once with a new search for neighbors at each step, once with the skin. Both must agree on energy and forces.

    python benchmarks/hdnnp_n2p2.py N2P2_FOLDER [atoms ...]

Training: the Kalman filters on the same frames, functions and network, n2p2's with the settings of its examples and 5 %
of the forces per epoch (``nnp-scaling`` and ``nnp-train`` together), ours with its defaults; errors on other frames.

    python benchmarks/hdnnp_n2p2.py N2P2_FOLDER train.xyz test.xyz
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read

from adlayer import Structures
from adlayer.data import Dataset
from adlayer.descriptors.acsf import ACSF
from adlayer.descriptors.symmetry_functions import AngularGaussian, RadialGaussian
from adlayer.fitting.kalman import Kalman
from adlayer.fitting.metrics import errors, predict
from adlayer.formats import n2p2
from adlayer.graph import Graph
from adlayer.potential import Evaluator
from adlayer.potentials.hdnnp import HDNNP

DRIVER = r"""
#include "Prediction.h"
#include <cstdio>
#include <ctime>
int main(int, char** argv) {
    nnp::Prediction p;
    p.log.writeToStdout = false;
    p.setup();
    p.readStructureFromFile("input.data");
    nnp::Structure const start = p.structure;
    p.predict();
    printf("{\"energy\": %.17g, \"forces\": [", p.structure.energy);
    for (auto const& a : p.structure.atoms)
        printf("%s[%.17g, %.17g, %.17g]", &a == &p.structure.atoms[0] ? "" : ", ", a.f[0], a.f[1], a.f[2]);
    printf("], \"seconds\": [");
    for (int k = 0; k < atoi(argv[1]); ++k) {
        p.structure = start;
        std::clock_t const t = std::clock();
        p.predict();
        printf("%s%.9g", k ? ", " : "", double(std::clock() - t) / CLOCKS_PER_SEC);
    }
    printf("]}\n");
}
"""


TRAINING = """
use_short_forces
random_seed 1234
epochs 2
updater_type 1
parallel_mode 0
jacobian_mode 1
update_strategy 0
selection_mode 2
task_batch_size_energy 1
task_batch_size_force 1
memorize_symfunc_results
test_fraction 0.0
force_weight 10.0
short_energy_fraction 1.0
short_force_fraction 0.05
short_energy_error_threshold 0.0
short_force_error_threshold 1.0
rmse_threshold_trials 3
weights_min -1.0
weights_max 1.0
nguyen_widrow_weights_short
main_error_metric RMSEpa
write_weights_epoch 1
kalman_type 0
kalman_epsilon 0.01
kalman_q0 0.01
kalman_qtau 2.302
kalman_qmin 1.0E-6
kalman_eta 0.01
kalman_etatau 2.302
kalman_etamax 1.0
"""


def copper(n_atoms: int) -> Atoms:
    """A rattled fcc box of 4 m³ atoms."""
    m = round((n_atoms / 4) ** (1 / 3))
    atoms = bulk("Cu", cubic=True) * (m, m, m)
    atoms.rattle(0.05, seed=1)
    return atoms


def potential(cutoff: float = 5.0) -> HDNNP:
    """11 radial and 32 narrow angular functions: 4 widths, both signs, zeta 1, 2, 4, 16."""
    radial = [RadialGaussian("Cu", "Cu", eta, 0.0, cutoff) for eta in (0.0, 0.04, 0.1, 0.25)]
    radial += [RadialGaussian("Cu", "Cu", 4.0, shift, cutoff) for shift in np.linspace(2.0, 4.4, 7).tolist()]
    grid = product((0.0, 0.02, 0.05, 0.1), (1.0, -1.0), (1.0, 2.0, 4.0, 16.0))
    angular = [AngularGaussian("Cu", ("Cu", "Cu"), eta, zeta, sign, 0.0, cutoff) for eta, sign, zeta in grid]
    descriptor = ACSF(["Cu"], functions=radial + angular, cutoff_function="cos")
    made = HDNNP(["Cu"], descriptor=descriptor)
    made.prepare([Graph.of(Structures.from_ase(copper(256)), made.cutoff)])
    return made


def write_data(path: Path, atoms: Atoms, append: bool = False) -> None:
    known = atoms.calc is not None
    F = atoms.get_forces() if known else np.zeros_like(atoms.positions)
    lines = ["begin", *("lattice " + " ".join(f"{x:.17g}" for x in row) for row in atoms.cell.array)]
    for symbol, r, f in zip(atoms.symbols, atoms.positions, F):
        r, f = (" ".join(f"{x:.17g}" for x in v) for v in (r, f))
        lines.append(f"atom {r} {symbol} 0 0 {f}")
    lines.append(f"energy {atoms.get_potential_energy() if known else 0.0!r}")
    with open(path, "a" if append else "w") as file:
        file.write("\n".join([*lines, "charge 0", "end"]) + "\n")


def build_driver(n2p2_folder: Path, folder: Path) -> Path:
    (folder / "driver.cpp").write_text(DRIVER)
    flags = ["-O3", "-march=native", "-std=c++11", "-fopenmp", "-I/usr/include/eigen3"]
    where = [f"-I{n2p2_folder}/include", f"-I{n2p2_folder}/src/libnnp", f"-L{n2p2_folder}/lib"]
    command = ["g++", *flags, *where, str(folder / "driver.cpp"), "-o", str(folder / "driver"), "-lnnp"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "driver"


def time_n2p2(n2p2_folder: Path, made: HDNNP, atoms: Atoms, repeats: int) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        driver = build_driver(n2p2_folder, folder)
        n2p2.write(folder, made)
        write_data(folder / "input.data", atoms)
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{n2p2_folder}/lib", "OMP_NUM_THREADS": "1"}
        run = subprocess.run(
            [driver, str(repeats)], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
    return json.loads(run.stdout[run.stdout.index('{"energy"') :])


def time_ours(made: HDNNP, atoms: Atoms, repeats: int, skin: float) -> tuple[float, float]:
    """Median CPU and wall seconds of a step."""
    evaluate, structures = Evaluator(made, skin=skin, stress=False), Structures.from_ase(atoms)
    cpu, wall = [], []
    for k in range(repeats + 3):
        moved = structures.with_positions(structures.positions + 1e-4 * torch.randn_like(structures.positions))
        t, w = time.process_time(), time.perf_counter()
        evaluate(moved)
        if k >= 3:
            cpu.append(time.process_time() - t)
            wall.append(time.perf_counter() - w)
    return float(np.median(cpu)), float(np.median(wall))


def evaluation(n2p2_folder: Path, sizes: list[int]) -> None:
    made = potential()
    threads = f"{torch.get_num_threads()} thread(s)"
    print(
        f"{'atoms':>6} {'n2p2':>8} {'search':>8} {'skin':>8} {'ratio':>6}   CPU µs/atom, {threads}; wall ms of a step"
    )
    for n in sizes:
        atoms = copper(n)
        repeats = max(3, min(20, 4000 // n))
        peer = time_n2p2(n2p2_folder, made, atoms, repeats)
        said = Evaluator(made, skin=0.0)(Structures.from_ase(atoms))
        off = np.abs(said.forces.numpy() - np.array(peer["forces"])).max(), abs(float(said.energy) - peer["energy"])
        assert max(off[0], off[1] / n) < 1e-9, f"the two differ by {off[0]} eV/Å and {off[1]} eV"
        theirs = 1e6 * float(np.median(peer["seconds"])) / len(atoms)
        (search, _), (skin, wall) = (time_ours(made, atoms, repeats, s) for s in (0.0, 0.5))
        search, skin = (1e6 * x / len(atoms) for x in (search, skin))
        print(f"{len(atoms):6d} {theirs:8.1f} {search:8.1f} {skin:8.1f} {search / theirs:6.2f}   {1e3 * wall:.1f}")


def training(n2p2_folder: Path, train: Dataset, test: Dataset) -> None:
    descriptor = ACSF(["Cu"], 5.0, n_radial=19, n_angular=4, zetas=[1, 2, 4], cutoff_function="tanh")
    made = HDNNP(["Cu"], descriptor=descriptor)
    start = time.process_time()
    ours = Kalman(epochs=3, weights={"stress": 0})(made, train).potential
    seconds = time.process_time() - start
    _report("ours, 3 epochs", seconds, ours, test)
    E = (train.labels.energy / train.structures.counts).numpy()
    scale = 1 / float(E.std())
    normal = [f"mean_energy {float(E.mean())!r}", f"conv_energy {scale!r}"]
    normal += [f"conv_length {scale * float(train.labels.forces.std())!r}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n2p2.write(folder, made)
        (folder / "weights.029.data").unlink()
        text = (folder / "input.nn").read_text()
        (folder / "input.nn").write_text(text + "\n".join([*normal, TRAINING]) + "\n")
        (folder / "input.data").unlink(missing_ok=True)
        for frame in train.to_ase():
            write_data(folder / "input.data", frame, append=True)
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{n2p2_folder}/lib", "OMP_NUM_THREADS": "1"}
        before = os.times()
        for command in (["nnp-scaling", "500"], ["nnp-train"]):
            command[0] = f"{n2p2_folder}/bin/{command[0]}"
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        after = os.times()
        seconds = after.children_user + after.children_system - before.children_user - before.children_system
        (folder / "weights.029.000002.out").rename(folder / "weights.029.data")
        _report("n2p2, 2 epochs", seconds, n2p2.read(folder), test)


def _report(name: str, seconds: float, made: HDNNP, test: Dataset) -> None:
    e = errors(predict(made, test.structures, stress=False), test)
    energy, forces = 1e3 * e["energy_mae"], 1e3 * e["forces_mae"]
    print(f"{name:16} {seconds:6.1f} CPU s   {energy:.3f} meV/atom  {forces:.2f} meV/Å", flush=True)


if __name__ == "__main__":
    where, *rest = Path(sys.argv[1]).resolve(), *sys.argv[2:]
    if rest and not rest[0].isdigit():
        training(where, *(Dataset.from_ase(read(x, ":")) for x in rest))
    else:
        evaluation(where, [int(x) for x in rest] or [64, 512])
