"""SNAP against LAMMPS, side by side: CPU time per atom of energy and forces, in one process and on one thread each.

The potential is written for ``pair_style snap``. LAMMPS runs dynamics with a neighbor list that it does not rebuild.
Ours runs as in dynamics, through ``Evaluator``, on positions that move by 1e-4 Å each step; once with a new search for
neighbors at each step, once with the skin. Both must agree on energy and forces.

    python benchmarks/snap_lammps.py [atoms ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Structures
from adlayer.formats import snap
from adlayer.potential import Evaluator, Potential
from adlayer.potentials.snap import SNAP

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "potentials"))
from lammps_runs import load


def copper(n_atoms: int) -> Atoms:
    """A rattled fcc box of 4 m³ atoms."""
    m = round((n_atoms / 4) ** (1 / 3))
    atoms = bulk("Cu", cubic=True) * (m, m, m)
    atoms.rattle(0.05, seed=1)
    return atoms


def theirs(pair: list[str], atoms: Atoms, steps: int) -> tuple[float, float, np.ndarray]:
    """Median CPU seconds of a step, energy and forces, with the interactions that some commands define."""
    lmp = load().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    x, y, z = atoms.cell.lengths().tolist()
    lmp.commands_list(["units metal", "atom_modify map array", f"region box block 0 {x!r} 0 {y!r} 0 {z!r}"])
    lmp.command("create_box 1 box")
    atoms.wrap()
    lmp.create_atoms(len(atoms), None, [1] * len(atoms), atoms.positions.ravel().tolist())
    lmp.commands_list(["mass * 63.5", *pair, "timestep 1e-4", "fix 1 all nve"])
    lmp.commands_list(["neigh_modify delay 0 every 1000", "thermo_style one", "run 0 post no"])
    energy, forces = lmp.get_thermo("pe"), np.array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        lmp.command(f"run {steps} pre no post no")
        seconds.append((time.process_time() - start) / steps)
    lmp.close()
    return float(np.median(seconds)), energy, forces


def ours(made: Potential, atoms: Atoms, steps: int, skin: float) -> float:
    """Median CPU seconds of a step."""
    evaluate, structures, seconds = Evaluator(made, skin=skin, stress=False), Structures.from_ase(atoms), []
    for k in range(steps + 3):
        moved = structures.with_positions(structures.positions + 1e-4 * torch.randn_like(structures.positions))
        start = time.process_time()
        evaluate(moved)
        if k >= 3:
            seconds.append(time.process_time() - start)
    return float(np.median(seconds))


def row(name: str, made: Potential, pair: list[str], n: int) -> None:
    """Print a line for a box of so many atoms."""
    atoms = copper(n)
    steps = max(3, min(20, 4000 // n))
    peer, energy, forces = theirs(pair, atoms, steps)
    said = Evaluator(made, skin=0.0)(Structures.from_ase(atoms))
    off = max(np.abs(said.forces.numpy() - forces).max(), abs(float(said.energy) - energy) / len(atoms))
    assert off < 1e-10, f"the two differ by {off} eV or eV/Å"
    times = [peer, *(ours(made, atoms, steps, skin) for skin in (0.0, 0.5))]
    a, b, c = (1e6 * t / len(atoms) for t in times)
    print(f"{name:28} {len(atoms):6d} {a:8.1f} {b:8.1f} {c:8.1f} {c / a:6.2f}", flush=True)


HEAD = f"{'':28} {'atoms':>6} {'LAMMPS':>8} {'search':>8} {'skin':>8} {'ratio':>6}   CPU µs/atom"


def main(sizes: list[int]) -> None:
    """Print a table."""
    print(HEAD)
    for name, options in (
        ("30 components", {"twojmax": 6}),
        ("30 components, quadratic", {"twojmax": 6, "quadratic": True}),
        ("55 components", {"twojmax": 8}),
    ):
        made = SNAP(["Cu"], 5.0, **options)
        with tempfile.TemporaryDirectory() as folder:
            snap.write(Path(folder) / "x.snapcoeff", made)
            files = f"{folder}/x.snapcoeff {folder}/x.snapparam"
            for n in sizes:
                row(name, made, ["pair_style snap", f"pair_coeff * * {files} Cu"], n)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main([int(n) for n in sys.argv[1:]] or [512, 4096])
