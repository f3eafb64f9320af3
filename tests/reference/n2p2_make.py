"""Makes n2p2_cases.json with n2p2: small systems, every type of symmetry function, cutoff function and scaling.

    python tests/reference/n2p2_make.py N2P2_FOLDER

Each case is an input.nn with random parameters, scaling.data from nnp-scaling, random weights, a random structure, and
the energy and forces that nnp-predict gives, in the units of the input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

SPECIES = {"H": 1, "O": 8, "Cu": 29}


def functions(elements: list[str], types: list[int], rng: np.random.Generator, cutoff: float) -> list[str]:
    """Two functions of each type for each center and a random choice of neighbors."""
    lines = []
    for center in elements:
        for kind in types:
            for k in range(2):
                one, two = rng.choice(elements, 2)
                eta, shift, low = (round(float(x), 3) for x in rng.uniform((0.01, 0.0, 0.3), (0.3, 1.5, 1.0)))
                # n2p2 crashes on weighted angular functions that do not share their cutoff with others.
                rc = round(cutoff - (0.0 if kind in (12, 13) else 0.7 * k), 2)
                sign, zeta = int(rng.choice([-1, 1])), float(rng.choice([1, 2, 4, 7, 2.5]))
                left, right = sorted(round(float(x), 1) for x in rng.uniform(0, 180, 2))
                left, right = (-right, right) if k else (left, max(right, left + 30))
                right = min(right, 180.0)
                left = max(left, -right)
                shape = rng.choice(["p1", "p2", "p3", "p4", "p2a", "p3a", "e"])
                lines.append(
                    {
                        2: f"{center} 2 {one} {eta} {shift} {rc}",
                        3: f"{center} 3 {one} {two} {eta} {sign} {zeta} {rc} {shift}",
                        9: f"{center} 9 {one} {two} {eta} {sign} {zeta} {rc}",
                        12: f"{center} 12 {eta} {shift} {rc}",
                        13: f"{center} 13 {eta} {shift} {sign} {zeta} {rc}",
                        20: f"{center} 20 {one} {-rc if k else low} {rc} {shape}",
                        21: f"{center} 21 {one} {two} {low} {rc} {left} {right} {shape}",
                        22: f"{center} 22 {one} {two} {low} {rc} {left} {right} {shape}",
                        23: f"{center} 23 {low} {rc} {shape}",
                        24: f"{center} 24 {low} {rc} {left} {right} {shape}",
                        25: f"{center} 25 {low} {rc} {left} {right} {shape}",
                    }[kind]
                )
    return list(dict.fromkeys(lines))


def system(elements: list[str], n: int, periodic: bool, rng: np.random.Generator) -> dict:
    """Atoms at least 1.6 apart in a sheared box."""
    cell = np.diag(rng.uniform(6.5, 7.5, 3)) + rng.uniform(-0.5, 0.5, (3, 3))
    images = [np.array(s) @ cell for s in np.ndindex(3, 3, 3)] if periodic else [cell.sum(0)]
    r: list[np.ndarray] = []
    while len(r) < n:
        x = rng.uniform(0, 1, 3) @ cell
        if all(np.linalg.norm(x - y + s - cell.sum(0)) > 1.6 for y in r for s in images):
            r.append(x)
    symbols = [elements[k % len(elements)] for k in range(n)]
    return {"symbols": symbols, "positions": np.array(r).tolist(), "cell": cell.tolist() if periodic else None}


def data(systems: list[dict]) -> str:
    lines = []
    for s in systems:
        lines += ["begin", "comment made for tests"]
        lines += [f"lattice {' '.join(map(repr, row))}" for row in s["cell"] or []]
        lines += [f"atom {' '.join(map(repr, x))} {e} 0 0 0 0 0" for e, x in zip(s["symbols"], s["positions"])]
        lines += ["energy 0", "charge 0", "end"]
    return "\n".join(lines) + "\n"


def case(n2p2: Path, elements, types, cutoff_type, scaling, layers, seed, extra=(), cutoff=5.0, periodic=True) -> dict:
    rng = np.random.default_rng(seed)
    settings = [f"number_of_elements {len(elements)}", f"elements {' '.join(elements)}", f"cutoff_type {cutoff_type}"]
    settings += [*scaling, *extra, *layers, "random_seed 1"]
    settings += [f"symfunction_short {line}" for line in functions(elements, types, rng, cutoff)]
    train = [system(elements, 9, True, rng) for _ in range(6)] + [system(elements, 7, False, rng)]
    target = system(elements, 8, periodic, rng)
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{n2p2}/lib", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(program: str, *arguments: str) -> None:
            command = [f"{n2p2}/bin/{program}", *arguments]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{program} failed: {done.stdout[-400:]} {done.stderr[:600]}")

        (folder / "input.nn").write_text("\n".join(settings) + "\n")
        (folder / "input.data").write_text(data(train))
        run("nnp-scaling", "100")
        rows = [x.split() for x in (folder / "scaling.data").read_text().splitlines() if x[:1] != "#"]
        nodes = {e: [int(x) for x in _nodes(layers, e)] for e in elements}
        order = sorted(elements, key=SPECIES.get)
        weights = {}
        for k, e in enumerate(order):
            sizes = [sum(int(row[0]) == k + 1 for row in rows if len(row) == 6), *nodes[e], 1]
            n = sum((a + 1) * b for a, b in pairwise(sizes))
            weights[e] = [float(f"{x:.6f}") for x in rng.uniform(-0.5, 0.5, n)]
            (folder / f"weights.{SPECIES[e]:03d}.data").write_text("".join(f"{x!r}\n" for x in weights[e]))
        (folder / "input.data").write_text(data([target]))
        run("nnp-predict", "0")
        energy, forces = (
            [x.split() for x in (folder / f).read_text().splitlines() if x[:1] != "#"]
            for f in ("energy.out", "nnforces.out")
        )
    return {
        "input": settings,
        "scaling": [" ".join(row) for row in rows if len(row) == 6],
        "weights": weights,
        "structure": target,
        "energy": float(energy[0][3]),
        "forces": [[float(x) for x in row[5:8]] for row in forces],
    }


def _nodes(layers: list[str], element: str) -> list[str]:
    own = [x.split()[2:] for x in layers if x.startswith(f"element_nodes_short {element} ")]
    return own[0] if own else next(x.split()[1:] for x in layers if x.startswith("global_nodes_short"))


def main(n2p2: Path) -> None:
    two = ["global_hidden_layers_short 2", "global_nodes_short 4 3", "global_activation_short t p l"]
    by_element = [*two, "element_nodes_short H 5 3", "element_activation_short H s g l"]
    both, sigma = ["scale_symmetry_functions", "center_symmetry_functions"], ["scale_symmetry_functions_sigma"]
    ends = ["scale_min_short -1.0", "scale_max_short 2.0"]
    normal = ["mean_energy -1.25", "conv_energy 3.7", "conv_length 1.9", "atom_energy H -0.5", "atom_energy O -2.0"]
    hidden = ["global_hidden_layers_short 3", "global_nodes_short 3 4 2", "global_activation_short r S c t"]
    odd = ["global_hidden_layers_short 2", "global_nodes_short 3 3", "global_activation_short h e l"]
    H, HO, three = ["H"], ["O", "H"], ["Cu", "O", "H"]
    cases = {
        "radial and narrow, cos, not scaled": (HO, [2, 3], "1", [], two, 1),
        "wide, cos with inner radius, scaled": (HO, [2, 9], "1 0.3", ["scale_symmetry_functions"], two, 2, ends),
        "weighted, tanhu, centered": (three, [12, 13], "2", ["center_symmetry_functions"], two, 3),
        "narrow and weighted, tanh, both": (HO, [3, 12], "3", both, two, 4, ends),
        "radial and wide, exp, sigma": (HO, [2, 9], "4 0.2", sigma, two, 5),
        "narrow, poly1, normalized": (HO, [2, 3], "5", both, two, 6, [*ends, *normal]),
        "narrow and wide, poly2, three elements": (three, [3, 9], "6 0.4", both, two, 7),
        "weighted, poly3, a cluster": (HO, [2, 13], "7", sigma, two, 8, (), 5.0, False),
        "all Gaussian types, poly4, networks by element": (HO, [2, 3, 9, 12, 13], "8 0.1", both, by_element, 9),
        "hard cutoff, three hidden layers": (H, [2, 3], "0", both, hidden, 10),
        "compact": (HO, [20, 21, 22], "2", both, two, 11),
        "compact and weighted": (HO, [23, 24, 25], "2", sigma, two, 12),
        "every type, nodes normalized": (
            HO,
            [2, 3, 9, 12, 13, *range(20, 26)],
            "1",
            both,
            two,
            13,
            ["normalize_nodes"],
        ),
        "harmonic and exponential nodes": (H, [2, 20], "6", both, odd, 14),
    }
    made = {name: case(n2p2, *arguments) for name, arguments in cases.items()}
    Path(__file__).with_name("n2p2_cases.json").write_text(json.dumps(made, indent=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
