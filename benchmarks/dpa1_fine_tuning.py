"""How many labels does it save to begin with what was learned elsewhere? DPA-1, from scratch and fitted further.

    python benchmarks/dpa1_fine_tuning.py FOLDER [labels ...]

FOLDER holds mlearn/{Li,Si,Cu}_train.extxyz.gz (Zuo et al., J. Phys. Chem. A 124, 731 (2020)) and
cu-poet/cu_poet.extxyz.gz (Hernandez et al., npj Comput. Mater. 5, 112 (2019)). One small DPA-1 is fitted to 20 frames
of each of the three elements of the first; then, to some frames of bulk copper of the second, a new one and the one
that knows something, each with the same number of steps. Errors are those of forces on 30 other frames of bulk copper,
up to 1400 K, and on all its surfaces.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from adlayer import Evaluator
from adlayer.data import Dataset, read
from adlayer.fitting import GradientDescent
from adlayer.fitting.parts import leaves
from adlayer.potentials.deep_potential import DeepPotential

ELEMENTS = ["Li", "Si", "Cu"]
KEYS = {"stress": None}  # not all have it
SIZES = {"cutoff": 4.0, "embedding": [8, 16, 32], "axis": 4, "channels": 4, "layers": 1, "attention": 32}
BEFORE, STEPS, BATCH = 120, 600, 2  # epochs; steps


def frames(path: Path, n: int | None = None) -> list:
    """All frames, or some of everywhere."""
    found = read(path, keys=KEYS).to_ase()
    return found if n is None else [found[k] for k in np.linspace(0, len(found) - 1, n).astype(int)]


def fresh(seed: int = 0) -> DeepPotential:
    seen = {"DPA1": {"elements": ELEMENTS, **SIZES, "seed": seed}}
    return DeepPotential(ELEMENTS, descriptor=seen, hidden=[64, 64], seed=seed)


def train(potential: DeepPotential, data: list, epochs: int, rate: float) -> DeepPotential:
    """Fitted to total energies less what it lacks of them for each element, and forces."""
    dataset = Dataset.from_ase(data, keys=KEYS)
    fit = GradientDescent(
        epochs, BATCH, learning_rate=rate, schedule="CosineDecay", precision="float32", energies="shift"
    )
    return next(p for p in leaves(fit(potential, dataset).potential) if isinstance(p, DeepPotential))


def error(potential: DeepPotential, data: list) -> float:
    dataset = Dataset.from_ase(data, keys=KEYS)
    said = Evaluator(potential, stress=False)(dataset.structures).forces
    return 1000 * float((said - dataset.labels.forces).abs().mean())


def main() -> None:
    torch.set_num_threads(1)
    folder, labels = Path(sys.argv[1]), [int(n) for n in sys.argv[2:]] or [4, 16, 64]
    learned = [a for e in ELEMENTS for a in frames(folder / "mlearn" / f"{e}_train.extxyz.gz", 20)]
    start = time.process_time()
    before = train(fresh(), learned, BEFORE, 5e-3)
    print(f"fitted to {len(learned)} frames of three elements in {time.process_time() - start:.0f} s of CPU")
    copper = frames(folder / "cu-poet" / "cu_poet.extxyz.gz")
    surfaces = [a for a in copper if a.info["config_type"] == "low-index-surfaces"]
    bulk = [a for a in copper if a.info["config_type"] != "low-index-surfaces"]
    order = np.random.default_rng(0).permutation(len(bulk))
    test, rest = [bulk[k] for k in order[:30]], [bulk[k] for k in order[30:]]
    print(f"with 0 labels: {error(before, test):.0f} meV/Å in bulk, {error(before, surfaces):.0f} at surfaces")
    for n in labels:
        epochs = max(STEPS * BATCH // n, 1)
        found = []
        for name, potential, rate in (("scratch", fresh(), 5e-3), ("fine-tuned", before, 2e-3)):
            made = train(potential, rest[:n], epochs, rate)
            found.append(f"{name} {error(made, test):.0f} and {error(made, surfaces):.0f}")
        print(f"with {n}: {', '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
