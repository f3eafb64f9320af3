"""LODE beside featomic: coefficients of all atoms and their derivatives by all positions, one thread.

    python benchmarks/lode_featomic.py --peer PYTHON

PYTHON is the interpreter of an environment with featomic and ase. Boxes of water at its density, exponents 1 and 6,
smearing 1 Å, GTO within 3 Å, 4 radial functions, l up to 3, featomic's own cutoff of the waves. CPU time per atom:
coefficients; those and what forces need, which is for ours one backward pass, for featomic all derivatives as it gives
them. Then ours alone for a slab of the same atoms, and for a cluster of them. The last column is a sum of squares.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZES, EXPONENTS, K_CUTOFF = (81, 192), (1, 6), 1.2 * np.pi
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
TIMES = ("coefficients", "and slopes", "slab", "slab slopes", "cluster")


def cpu(work, repeats: int = 4) -> float:
    """Microseconds; the first run is not counted where there are several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(1e6 * (time.process_time() - start))
    return statistics.median(times[min(1, repeats - 1) :])


def water(n: int):
    """A periodic box of ``n`` atoms, molecules on a grid."""
    from ase import Atoms

    rng, side = np.random.default_rng(0), (n / 3 * 29.9) ** (1 / 3)
    per_side = int(np.ceil((n / 3) ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(per_side)] * 3, indexing="ij"), -1).reshape(-1, 3)[: n // 3]
    oxygen = (grid + 0.5 + rng.normal(0, 0.05, grid.shape)) * side / per_side
    arms = rng.normal(size=(2, len(grid), 3))
    arms *= 0.97 / np.linalg.norm(arms, axis=-1, keepdims=True)
    positions = np.concatenate([oxygen, oxygen + arms[0], oxygen + arms[1]])
    return Atoms(f"O{n // 3}H{2 * (n // 3)}", positions, cell=[side] * 3, pbc=True)


def adlayer_side(n: int, exponent: int) -> dict:
    import torch

    from adlayer import Structures
    from adlayer.descriptors.lode import LODE
    from adlayer.graph import Graph

    torch.set_num_threads(1)
    lode = LODE(["H", "O"], exponent, 1.0, 3.0, n_max=4, l_max=3, k_cutoff=K_CUTOFF)

    def work(pbc, slopes: bool):
        atoms = water(n)
        atoms.pbc = pbc
        graph = Graph.of(Structures.from_ase(atoms), 0.0)

        def run():
            positions = graph.structures.positions.clone().requires_grad_(slopes)
            v = lode.coefficients(graph.of_structures(graph.structures.with_positions(positions)))
            if slopes:
                torch.autograd.grad(v.square().sum(), positions)
            return v

        return run

    asked = ((True, False), (True, True), ((1, 1, 0), False), ((1, 1, 0), True), (False, False))
    found = {name: cpu(work(*x)) / n for name, x in zip(TIMES, asked)}
    return {**found, "sum": float(work(True, False)().square().sum())}


def featomic_side(n: int, exponent: int) -> dict:
    from featomic import LodeSphericalExpansion

    radial = {"type": "Gto", "max_radial": 3, "radius": 3.0}
    calculator = LodeSphericalExpansion(
        density={"type": "SmearedPowerLaw", "smearing": 1.0, "exponent": exponent},
        basis={"type": "TensorProduct", "max_angular": 3, "radial": radial},
        k_cutoff=K_CUTOFF,
    )
    atoms = water(n)
    found = {
        "coefficients": cpu(lambda: calculator.compute(atoms, use_native_system=True), 3) / n,
        "and slopes": cpu(lambda: calculator.compute(atoms, gradients=["positions"], use_native_system=True), 1) / n,
    }
    blocks = calculator.compute(atoms, use_native_system=True).blocks()
    return {**found, "sum": float(sum((b.values**2).sum() for b in blocks))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="interpreter of the environment with featomic")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, n, exponent = options.one
        print(json.dumps({"adlayer": adlayer_side, "featomic": featomic_side}[name](int(n), int(exponent))))
        return
    print(f"{'us/atom':24}" + "".join(f"{name:>14}" for name in TIMES) + f"{'sum':>18}", flush=True)
    for n in SIZES:
        for p in EXPONENTS:
            for name, python in (("adlayer", sys.executable), ("featomic", options.peer)):
                command = [python, __file__, "--one", name, str(n), str(p)]
                done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **THREADS})
                if done.returncode:
                    sys.exit(f"{name} failed:\n{done.stderr}")
                x = json.loads(done.stdout.splitlines()[-1])
                cells = "".join(f"{x[k]:14.1f}" if k in x else " " * 14 for k in TIMES)
                print(f"{f'{name} {n} atoms, p = {p}':24}{cells}{x['sum']:18.8f}", flush=True)


if __name__ == "__main__":
    main()
