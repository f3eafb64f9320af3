"""Deep Potential against DeePMD-kit, side by side: CPU time per atom of energy, forces and stress, one thread.

``se_e2_a`` of copper in DeePMD-kit's recommended sizes (cutoff 6 Å, 25-50-100, axis 16, 240-240-240, float64), and
``dpa1`` as it comes (two layers of attention, 128 wide) and without attention (elements apart). The potential is
written here, converted by DeePMD-kit into its PyTorch model, and evaluated by its ASE calculator, which searches
neighbors at each step. Ours runs as in dynamics, through ``Evaluator``, on positions that move by 1e-4 Å each step;
once with a new search for neighbors at each step, once with the skin. Both must agree on energy and forces.

    python benchmarks/deep_potential_deepmd.py PYTHON_WITH_DEEPMD [se_e2_a|dpa1|no_attention] [atoms ...]
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

from adlayer import Graph, Structures
from adlayer.formats import write_potential
from adlayer.potential import Evaluator
from adlayer.potentials.deep_potential import DeepPotential

FAMILIES = {
    "se_e2_a": {"SeE2A": {"elements": ["Cu"]}},
    "no_attention": {"DPA1": {"elements": ["Cu"], "layers": 0, "strip": True}},
    "dpa1": {"DPA1": {"elements": ["Cu"]}},
}
PEER = """
import json, sys, time
import numpy as np, torch
from ase import Atoms
from deepmd.dpmodel.utils.serialization import load_dp_model
from deepmd.pt.utils.serialization import deserialize_to_file
from deepmd.calculator import DP
torch.set_num_threads(1)
deserialize_to_file("m.pth", load_dp_model("m.dp"))
x = np.load("atoms.npz")
atoms = Atoms("Cu" * len(x["positions"]), x["positions"], cell=x["cell"], pbc=True, calculator=DP("m.pth"))
found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces().tolist(), "seconds": []}
for k in range(int(sys.argv[1])):
    atoms.positions += 1e-4 * (-1) ** k
    t = time.process_time()
    atoms.get_forces()
    found["seconds"].append(time.process_time() - t)
json.dump(found, open("found.json", "w"))
"""


def copper(n: int) -> Atoms:
    """A rattled box of about ``n`` atoms."""
    sides = min(product(range(1, 20), repeat=3), key=lambda s: (abs(4 * np.prod(s) - n), max(s) - min(s)))
    atoms = bulk("Cu", cubic=True) * sides
    atoms.rattle(0.05, seed=1)
    return atoms


def ours(potential: DeepPotential, atoms: Atoms, skin: float, repeats: int) -> list[float]:
    evaluate, spent = Evaluator(potential, skin=skin), []
    start = Structures.from_ase(atoms)
    for k in range(repeats + 2):
        moved = start.with_positions(start.positions + 1e-4 * (k % 2))
        t = time.process_time()
        evaluate(moved)
        spent.append(time.process_time() - t)
    return spent[2:]


def compare(name: str, python: str, sizes: list[int]) -> None:
    potential = DeepPotential(["Cu"], descriptor=FAMILIES[name])
    potential.prepare([Graph.of(Structures.from_ase(copper(108)), potential.cutoff)])
    if name != "dpa1":
        print(f"error of the tables: {potential.compress():.1e}")
    for n in sizes:
        atoms, repeats = copper(n), 5 if n < 2000 else 3
        with tempfile.TemporaryDirectory() as folder:
            write_potential(Path(folder) / "m.dp", potential)
            np.savez(Path(folder) / "atoms.npz", positions=atoms.positions, cell=atoms.cell.array)
            env = {**os.environ, "OMP_NUM_THREADS": "1", "DP_INTRA_OP_PARALLELISM_THREADS": "1"}
            env |= {"DP_INTER_OP_PARALLELISM_THREADS": "1"}
            subprocess.run([python, "-c", PEER, str(repeats)], cwd=folder, env=env, check=True, capture_output=True)
            peer = json.loads((Path(folder) / "found.json").read_text())
        said = Evaluator(potential)(Structures.from_ase(atoms))
        energy = abs(float(said.energy) - peer["energy"])
        forces = np.abs(said.forces.numpy() - np.array(peer["forces"])).max()
        times = [np.median(peer["seconds"]), *(np.median(ours(potential, atoms, skin, repeats)) for skin in (0.0, 0.5))]
        theirs, fresh, kept = (1e6 * t / len(atoms) for t in times)
        print(f"{name}, {len(atoms)} atoms: energies differ by {energy:.1e} eV, forces by {forces:.1e} eV/Å")
        print(f"  DeePMD-kit {theirs:.0f} µs/atom, ours {fresh:.0f} ({fresh / theirs:.2f}), with skin {kept:.0f}")


def main() -> None:
    torch.set_num_threads(1)
    python, *rest = sys.argv[1:]
    names = [name for name in FAMILIES if name in rest] or list(FAMILIES)
    sizes = [int(n) for n in rest if n.isdigit()]
    for name in names:
        compare(name, python, sizes or ([108] if name == "dpa1" else [512, 4096]))


if __name__ == "__main__":
    main()
