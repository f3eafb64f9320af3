"""ANI beside TorchANI's, in turns, one thread: CPU time of energy and forces of copper boxes.

    python benchmarks/ani_torchani.py --peer PYTHON --data FOLDER

PYTHON is the interpreter of an environment with torchani; FOLDER holds ``cu_box512.xyz`` and ``cu_box4096.xyz``.

Both sides have the same network, made by TorchANI with random weights and read here: one member, 16 radial and 32
angular functions (5.2 and 3.5 Å, smooth cutoff), layers 160-128-96 with GELU. It is an ASE calculator on atoms that
have moved by 1e-4 Å: a list of neighbors (TorchANI's cell list; ours with its skin), energy and forces. TorchANI runs
in float32, its default, and in float64; ours in float64. They must agree on energy and forces.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
SIDES = ("ours", "float32", "float64")


def calculator(side: str, state: Path):
    """Of one side; TorchANI writes the state, which ours reads."""
    if side == "ours":
        from adlayer.engines.ase import Calculator
        from adlayer.formats.torchani import read

        return Calculator(read(state))
    import torch
    from torchani.arch import simple_ani

    torch.manual_seed(0)
    model = simple_ani(("Cu",), "wb97x-631gd", self_energies="zero", repulsion=False, neighborlist="cell_list")
    torch.save(model.state_dict(), state)
    return model.to(torch.float64 if side == "float64" else torch.float32).ase()


def measure(side: str, size: str, data: Path, state: Path) -> dict:
    """Median CPU seconds of a step, and what is said of the box as it is in the file."""
    import numpy as np
    import torch
    from ase.io import read

    torch.set_num_threads(1)
    atoms = read(data / f"cu_box{size}.xyz")
    atoms.calc = calculator(side, state)
    said = {"energy": float(atoms.get_potential_energy()), "forces": atoms.get_forces()[:64].tolist()}
    rng, times = np.random.default_rng(0), []
    for _ in range(2 + max(5, 8000 // len(atoms))):
        atoms.positions += rng.normal(0, 1e-4, atoms.positions.shape)
        start = time.process_time()
        assert np.isfinite(atoms.get_potential_energy() + np.abs(atoms.get_forces()).sum())
        times.append(time.process_time() - start)
    return {"us_per_atom": statistics.median(times[2:]) / len(atoms) * 1e6, "atoms": len(atoms), **said}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="interpreter of the environment with torchani")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "SIZE", "STATE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, size, state = options.one
        print(json.dumps(measure(side, size, options.data, Path(state))))
        return
    print(
        f"{'atoms':8}"
        + "".join(f"{x:>10}" for x in SIDES)
        + f"{'ratios':>12}   CPU us/atom; TorchANI in two precisions"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in ("512", "4096"):
            found = {side: [] for side in SIDES}
            for _ in range(options.rounds):
                for side in reversed(SIDES):  # theirs first: it writes the state
                    python = sys.executable if side == "ours" else options.peer
                    command = [python, __file__, "--data", options.data, "--one", side, size, f"{folder}/state.pt"]
                    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **THREADS})
                    if done.returncode:
                        sys.exit(f"{side} failed at {size}:\n{done.stderr}")
                    found[side].append(json.loads(done.stdout.splitlines()[-1]))
            ours, theirs = found["ours"][0], found["float64"][0]
            off = max(abs(a - b) for f, g in zip(ours["forces"], theirs["forces"]) for a, b in zip(f, g))
            off_energy = abs(ours["energy"] - theirs["energy"]) / ours["atoms"]
            assert max(off, off_energy) < 1e-6, f"the two differ by {off} eV/Å and {off_energy} eV/atom"
            cost = [statistics.median(x["us_per_atom"] for x in found[side]) for side in SIDES]
            ratios = "".join(f"{cost[0] / x:7.2f}" for x in cost[1:])
            print(f"{size:8}" + "".join(f"{x:10.1f}" for x in cost) + ratios, flush=True)


if __name__ == "__main__":
    main()
