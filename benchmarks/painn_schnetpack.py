"""Cost of PaiNN beside SchNetPack's of equal size, in turns, one thread, CPU time.

    python benchmarks/painn_schnetpack.py --peer PYTHON --data FOLDER

PYTHON is the interpreter of an environment with schnetpack and the same torch; FOLDER holds ``cu_box512.xyz``,
``cu_box4096.xyz`` (copper boxes) and ``cu_train.xyz`` (cells of 32 atoms with energies and forces).

Both sides: 128 features, 3 blocks, 20 Gaussians, 5 Å, float32. Inference is an ASE calculator on atoms that have moved
by 1e-4 Å, energy and forces. A training step is energies and forces of 5 frames with their neighbor lists made before,
squared errors, gradients, AdamW.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

CUTOFF, FEATURES, BLOCKS, N_RADIAL = 5.0, 128, 3, 20
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def adlayer_side(data: Path):
    import torch

    from adlayer import Graph, Structures, evaluate
    from adlayer.engines.ase import Calculator
    from adlayer.potentials.painn import PaiNN

    torch.manual_seed(1)
    potential = PaiNN.schnetpack(cutoff=CUTOFF, features=FEATURES, blocks=BLOCKS, n_radial=N_RADIAL)

    def trainer(frames):
        graph = Graph.of(Structures.from_ase(frames), CUTOFF).to(torch.float32)
        energy, forces = labels(frames)
        optimizer = torch.optim.AdamW(potential.parameters(), lr=5e-4)

        def step():
            p = evaluate(potential, graph, stress=False, create_graph=True)
            optimizer.zero_grad()
            loss = 0.01 * (p.energy - energy).square().mean() + 0.99 * (p.forces - forces).square().mean()
            loss.backward()
            optimizer.step()
            return float(loss)

        return step

    return {"calculator": lambda: Calculator(potential), "trainer": trainer}


def schnetpack_side(data: Path):
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    import tempfile

    import numpy as np
    import schnetpack as spk
    import torch
    from ase.neighborlist import neighbor_list
    from schnetpack import properties, transform

    def model():
        torch.manual_seed(1)
        return spk.model.NeuralNetworkPotential(
            representation=spk.representation.PaiNN(
                n_atom_basis=FEATURES,
                n_interactions=BLOCKS,
                radial_basis=spk.nn.GaussianRBF(n_rbf=N_RADIAL, cutoff=CUTOFF),
                cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
            ),
            input_modules=[spk.atomistic.PairwiseDistances()],
            output_modules=[
                spk.atomistic.Atomwise(n_in=FEATURES, output_key="energy"),
                spk.atomistic.Forces(energy_key="energy", force_key="forces"),
            ],
        )

    def calculator():
        path = Path(tempfile.mkdtemp()) / "model"
        torch.save(model(), path)
        return spk.interfaces.SpkCalculator(
            model_file=str(path),
            neighbor_list=transform.MatScipyNeighborList(cutoff=CUTOFF),
            energy_unit="eV",
            position_unit="Ang",
        )

    def trainer(frames):
        parts = {k: [] for k in (properties.Z, properties.R, properties.offsets, properties.idx_m)}
        i_all, j_all, start = [], [], 0
        for m, atoms in enumerate(frames):
            i, j, S = neighbor_list("ijS", atoms, CUTOFF)
            i_all.append(torch.tensor(i + start))
            j_all.append(torch.tensor(j + start))
            parts[properties.Z].append(torch.tensor(atoms.numbers))
            parts[properties.R].append(torch.tensor(atoms.positions).float())
            parts[properties.offsets].append(torch.tensor(S @ np.asarray(atoms.cell)).float())
            parts[properties.idx_m].append(torch.full((len(atoms),), m))
            start += len(atoms)
        inputs = {k: torch.cat(x) for k, x in parts.items()}
        inputs |= {properties.idx_i: torch.cat(i_all), properties.idx_j: torch.cat(j_all)}
        inputs[properties.n_atoms] = torch.tensor([len(a) for a in frames])
        energy, forces = labels(frames)
        network = model()
        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4)

        def step():
            out = network({k: x.detach().clone() for k, x in inputs.items()})
            optimizer.zero_grad()
            loss = 0.01 * (out["energy"] - energy).square().mean() + 0.99 * (out["forces"] - forces).square().mean()
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return step

    return {"calculator": calculator, "trainer": trainer}


def labels(frames):
    import numpy as np
    import torch

    energy = torch.tensor([a.get_potential_energy() for a in frames])
    return energy, torch.tensor(np.concatenate([a.get_forces() for a in frames])).float()


def measure(name: str, task: str, data: Path) -> dict:
    """Median CPU seconds of one evaluation or one training step."""
    import numpy as np
    import torch
    from ase.io import read

    torch.set_num_threads(1)
    side = {"adlayer": adlayer_side, "schnetpack": schnetpack_side}[name](data)
    if task == "train":
        frames = read(data / "cu_train.xyz", ":5")
        step, n, repeats = side["trainer"](frames), sum(map(len, frames)), 20
    else:
        atoms = read(data / f"cu_box{task}.xyz")
        atoms.calc, n, repeats = side["calculator"](), len(atoms), max(3, 5000 // len(atoms))
        rng = np.random.default_rng(0)

        def step():
            atoms.positions += rng.normal(0, 1e-4, atoms.positions.shape)
            return atoms.get_potential_energy() + np.abs(atoms.get_forces()).sum()

    times = []
    for _ in range(2 + repeats):
        start = time.process_time()
        assert np.isfinite(step())
        times.append(time.process_time() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"us_per_atom": statistics.median(times[2:]) / n * 1e6, "memory_mb": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="interpreter of the environment with schnetpack")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "TASK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.data)))
        return
    print(f"{'task':8}{'adlayer':>12}{'schnetpack':>12}{'ratio':>8}   CPU us/atom; peak memory MB")
    for task in ("512", "4096", "train"):
        found = {"adlayer": [], "schnetpack": []}
        for _ in range(options.rounds):
            for name, python in (("adlayer", sys.executable), ("schnetpack", options.peer)):
                command = [python, __file__, "--data", options.data, "--one", name, task]
                done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **THREADS})
                if done.returncode:
                    sys.exit(f"{name} failed at {task}:\n{done.stderr}")
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
        ours, theirs = (statistics.median(x["us_per_atom"] for x in found[k]) for k in found)
        memory = [max(x["memory_mb"] for x in found[k]) for k in found]
        print(f"{task:8}{ours:12.0f}{theirs:12.0f}{ours / theirs:8.3f}   {memory[0]:.0f} {memory[1]:.0f}", flush=True)


if __name__ == "__main__":
    main()
