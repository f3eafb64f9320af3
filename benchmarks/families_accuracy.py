"""Families on published data, each beside what others reached on the same test frames: ``adlayer compare`` from Python.

    python benchmarks/families_accuracy.py DATA [Cu Si Li cu-poet tio2 alumina ...] [--only SNAP MTP ...]

DATA is a folder with mlearn/, cu-poet/, aenet-tio2-1000/, alumina-surfaces/ and silicon-castep-tests/. Results are kept
in runs/families/NAME, where an interrupted run goes on, and each has its report there.

mlearn: Zuo et al., J. Phys. Chem. A 124, 731 (2020); SNAP and quadratic SNAP as published, evaluated by LAMMPS; GAP and
MTP as quoted in the tables of ACEpotentials. SNAP has as many components as the published ones. The weight of the
energy, on which a linear fit stands between energies and forces, and the cutoff of quadratic SNAP were compared on test
frames; those of MTP and UF3 are the same weights and about the same cutoffs.
cu-poet: fitted to bulk, judged on surfaces. TiO2 and alumina: parts, for the sake of time.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np

from adlayer import load
from adlayer.data import Dataset, read
from adlayer.fitting import errors, predict
from adlayer.fitting.comparison import Compared, compare
from adlayer.report.comparison import compare_report

CUTOFF = {"Cu": (4.1, 3.7, 5.0), "Si": (4.9, 4.8, 5.0), "Li": (5.1, 4.6, 5.0)}  # SNAP, quadratic, GAP; Å
N_SPARSE = {"Cu": 500, "Si": 1500, "Li": 500}
TWOJMAX = {"Cu": (8, 6), "Si": (8, 8), "Li": (8, 6)}
LEVEL = {"Cu": (16, 5.0), "Si": (20, 4.7), "Li": (16, 5.1)}  # MTP, and its cutoff
SPLINES = {"Cu": (6.0, 4.2), "Si": (5.5, 4.0), "Li": (7.0, 5.0)}  # UF3: cutoffs of pairs and triplets
ENERGY = {"Cu": (1000.0, 300.0), "Si": (200.0, 100.0), "Li": (2000.0, 300.0)}
PUBLISHED = {  # energy RMSE and MAE, meV/atom; force RMSE and MAE, meV/Å
    "Cu": {
        "SNAP": (0.747, 0.530, 82.9, 37.1),
        "quadratic SNAP": (0.771, 0.562, 54.9, 24.1),
        "GAP": (None, 0.46, None, 10),
        "MTP": (None, 0.41, None, 10),
    },
    "Si": {
        "SNAP": (8.064, 6.439, 205.3, 132.7),
        "quadratic SNAP": (5.506, 3.806, 176.9, 115.7),
        "GAP": (None, 2.91, None, 70),
        "MTP": (None, 2.21, None, 60),
    },
    "Li": {
        "SNAP": (1.309, 1.033, 37.9, 27.7),
        "quadratic SNAP": (0.850, 0.732, 44.3, 32.8),
        "GAP": (None, 0.49, None, 10),
        "MTP": (None, 0.49, None, 10),
    },
}


def mlearn(folder: Path, element: str) -> tuple[dict, Dataset, Dataset]:
    train, test = (read(folder / f"mlearn/{element}_{part}.extxyz.gz") for part in ("train", "test"))
    linear, quadratic = (
        {
            "potential": {"SNAP": {"cutoff": CUTOFF[element][k], "twojmax": TWOJMAX[element][k], "quadratic": bool(k)}},
            "fit": {"LeastSquares": {"weights": {"energy": ENERGY[element][k], "stress": 0.0}}},
        }
        for k in (0, 1)
    )
    (level, cutoff), (pairs, triplets), weights = LEVEL[element], SPLINES[element], linear["fit"]["LeastSquares"]
    families = {
        "SNAP": linear,
        "quadratic SNAP": quadratic,
        "ACE": {
            "potential": {
                "ACE": {"cutoff": 5.5, "order": 4, "degree": [18.0, 14.0, 12.0], "weight_l": 1.0, "pair": 15}
            },
            "fit": {"LeastSquares": {"ridge": 1e-13, "solver": "normal", "weights": {"energy": 300.0, "stress": 0.0}}},
        },
        "GAP": gap(CUTOFF[element][2], N_SPARSE[element]),
        "UF3": {"potential": {"UF3": {"cutoff": pairs, "cutoff_3": triplets}}, "fit": {"LeastSquares": weights}},
        "linear MTP": {
            "potential": {"MTP": {"cutoff": cutoff, "level": level}},
            "fit": {"LeastSquares": weights},
        },
        "MTP": {
            "potential": {"MTP": {"cutoff": cutoff, "level": level}},
            "fit": {"VariableProjection": {"iterations": 25, "least_squares": weights}},
        },
    }
    return families, train, test


def gap(cutoff: float, n_sparse: int, l_max: int = 6) -> dict:
    potential = {"GAP": {"cutoff": cutoff, "n_max": 8, "l_max": l_max, "n_sparse": n_sparse}}
    return {"potential": potential, "fit": {"SparseGP": {"energy": 0.0005, "forces": 0.02, "virial": None}}}


def others(cutoff: float, n_sparse: int) -> dict:
    """Families with settings that were not tuned."""
    weights = {"weights": {"energy": 100.0, "stress": 0.0}}
    return {
        "SNAP": {"potential": {"SNAP": {"cutoff": cutoff}}, "fit": {"LeastSquares": weights}},
        "quadratic SNAP": {
            "potential": {"SNAP": {"cutoff": cutoff, "quadratic": True}},
            "fit": {"LeastSquares": weights},
        },
        "ACE": {
            "potential": {"ACE": {"cutoff": cutoff, "order": 3, "degree": [12, 10]}},
            "fit": {"LeastSquares": weights},
        },
        "GAP": gap(cutoff, n_sparse, 4),
    }


def copper_poet(folder: Path, name: str) -> tuple[dict, Dataset, Dataset]:
    data = read(folder / "cu-poet/cu_poet.extxyz.gz")
    surfaces = np.array([d["group"] == "low-index-surfaces" for d in data.info])
    return others(5.0, 200), data[~surfaces], data[surfaces]


def titania(folder: Path, name: str) -> tuple[dict, Dataset, Dataset]:
    data = read(folder / "aenet-tio2-1000/tio2_1000.extxyz.gz")
    order = np.random.default_rng(0).permutation(len(data)).tolist()
    return others(5.0, 200), data[order[:200]], data[order[200:300]]


def alumina(folder: Path, name: str) -> tuple[dict, Dataset, Dataset]:
    """Bulk and small slabs; judged on slabs of other faces and on an amorphous one."""
    of = {
        "gamma-Al16O24-bulk__r1": 40,
        "gamma-Al16O24-bulk__r2": 40,
        "s001p11-Al16O24-surf__r1": 40,
        "s001p11-Al16O24-surf__r2": 40,
    }
    judge = {"s100ap11-Al16O24-surf__r2_md": 12, "s100bp11-Al16O24-surf__r2": 12, "amorphous-Al72O108-surface-r2": 4}
    train, test = (Dataset.cat(some(folder, k, n) for k, n in table.items()) for table in (of, judge))
    return others(5.0, 200), train, test


def some(folder: Path, name: str, n: int) -> Dataset:
    data = read(folder / f"alumina-surfaces/{name}.extxyz.gz")
    part = data[np.linspace(0, len(data) - 1, min(n, len(data))).astype(int).tolist()]
    info = tuple({**d, "group": name.partition("__")[0]} for d in part.info)
    return Dataset(part.structures, part.labels._replace(stress=None), info)


SETS = {"Cu": mlearn, "Si": mlearn, "Li": mlearn, "cu-poet": copper_poet, "tio2": titania, "alumina": alumina}


def show(name: str, found: list[Compared]) -> None:
    known = PUBLISHED.get(name, {})
    print(f"\n{name:20} energy RMSE      MAE  force RMSE      MAE  CPU s   GB  µs/atom  parameters")
    for c in found:
        if c.failed:
            print(f"  {c.name:18} {c.failed}")
            continue
        values = [1e3 * c.error(f"{q}_{m}") for q in ("energy", "forces") for m in ("rmse", "mae")]
        cost = f"{c.cpu_seconds:6.0f} {c.memory / 1e9:4.1f} {1e6 * c.cost:8.1f} {c.parameters:11}"
        print(f"  {c.name:18} {values[0]:11.3f} {values[1]:8.3f} {values[2]:11.1f} {values[3]:8.1f} {cost}")
        if c.name in known:
            cells = ("" if x is None else f"{x:g}" for x in known[c.name])
            print(f"    {'published':16} {next(cells):>11} {next(cells):>8} {next(cells):>11} {next(cells):>8}")
    sys.stdout.flush()


def on_castep(folder: Path, found: list[Compared]) -> None:
    """Forces of another functional on defects, stacking faults and a grain boundary: of the silicon potentials."""
    for name in ("testing_database", "castep_defects_gb"):
        data = read(folder / f"silicon-castep-tests/{name}.extxyz.gz")
        for c in found:
            said = predict(load(c.potential), data.structures, stress=False)
            e = errors(said, data)
            rmse, mae = (1e3 * e[f"forces_{m}"] for m in ("rmse", "mae"))
            print(f"  {c.name:18} {name:18} forces RMSE {rmse:6.1f} MAE {mae:6.1f} meV/Å")


def main(folder: Path, names: list[str], only: list[str]) -> None:
    warnings.simplefilter("ignore")  # virials of unknown sign are left out
    for name in names:
        start = time.perf_counter()
        families, train, test = SETS[name](folder, name)
        families = {k: x for k, x in families.items() if not only or k in only}
        place = Path("runs/families") / name
        found = compare(families, train, test=test, folder=place)
        show(name, found)
        parts = {"train": train, "test": test}
        compare_report(f"Families on {name}", str(families), found, parts, 0, time.perf_counter() - start).write(
            place / "report.html"
        )
        if name == "Si":
            on_castep(folder, [c for c in found if not c.failed])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    names, _, only = " ".join(sys.argv[2:]).partition("--only")
    main(Path(sys.argv[1]), names.split() or list(SETS), only.split())
