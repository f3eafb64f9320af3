"""What ``adlayer fit`` does: read, split, fit, judge on held-out frames, save, report."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..config import build, check_arguments, nearest
from ..data import Dataset, read, split
from ..data.doctor import check
from ..fitting import Fit, errors
from ..fitting import fit as fit_potential
from ..fitting import predict as predict_all
from ..formats import potential_of
from ..report.fit import fit_report
from ..saving import save, write_json
from ..uncertainty import Doubtful, Uncertainty, assess
from .console import Console

TABLES = ("title", "seed", "data", "split", "potential", "fit", "uncertainty")
SPLIT = ("valid", "test", "by", "seed")
KNOWN = {
    "": TABLES,
    "data": ("file", "valid", "test", *(name for name in inspect.signature(read).parameters if name != "path")),
    "split": SPLIT,
}


@dataclass(frozen=True)
class Found:
    """What a fit left behind: two files, and the errors of each part of the data."""

    potential: Path
    report: Path
    metrics: dict[str, dict]


def fit_job(recipe: Mapping[str, Any], folder: Path, console: Console, text: str = "") -> Found:
    """Do what a recipe for ``adlayer fit`` says.

    Args:
        recipe: ``data`` (``file``, and optionally ``valid`` and ``test``, with the arguments of ``read``), ``split``
            (``valid``, ``test``, ``by``), ``potential`` (one or several, which are added), ``fit``, ``uncertainty``.
        folder: where potential, results and report go.
        console: who is told.
        text: of the recipe, for the report.
    """
    start = time.perf_counter()
    for name in recipe:
        if name not in TABLES:
            raise ValueError(f"the recipe has no table {name!r}{nearest(name, TABLES)}; it takes {', '.join(TABLES)}")
    for name in ("data", "potential"):
        if not recipe.get(name):
            raise ValueError(f"the recipe needs the table [{name}]")
    seed = recipe.get("seed", 0)
    if not isinstance(seed, int):
        raise ValueError(f"seed must be an integer, got {seed!r}")
    method = build(recipe["fit"], Fit) if recipe.get("fit") else None
    uncertainty = build(recipe["uncertainty"], Uncertainty) if recipe.get("uncertainty") else None

    with console.stage("Read and split") as progress:
        parts = load_parts(recipe["data"], recipe.get("split", {}), seed)
        everything = Dataset.cat(parts.values())
        torch.manual_seed(seed)
        potential = potential_of(recipe["potential"], everything.elements)
        progress(1, 1, "")
    with console.stage(f"Examine {len(everything)} structures") as progress:
        findings = [f for f in check(everything) if f.severity != "note"]
        progress(1, 1, "")
    for f in findings:
        console.note(f"{f.severity}: {f.message} ({f.where}); {f.remedy}")

    train, valid = parts["train"], parts.get("valid")
    with console.stage(f"Fit {type(potential).__name__} to {len(train)} structures") as progress:
        arguments = {"folder": folder / "fit", "progress": progress, "seed": seed}
        if uncertainty is None:
            fitted = fit_potential(potential, train, valid, method, **arguments)
            potential, history = fitted.potential, fitted.history
        else:
            potential, history = uncertainty.fit(potential, train, valid, method, **arguments), []
    with console.stage("Judge on held-out structures") as progress:
        said = {
            name: predict_all(potential, d.structures, stress=d.labels.stress is not None) for name, d in parts.items()
        }
        metrics = {name: errors(said[name], d) for name, d in parts.items()}
        progress(1, 1, "")
    judged = "test" if "test" in parts else "valid" if "valid" in parts else "train"
    calibration = assess(said[judged], parts[judged]) if isinstance(potential, Doubtful) else None

    place = save(folder / "potential.adl", potential, recipe=recipe, seed=seed, metrics=metrics)
    results = {"metrics": metrics, "seconds": time.perf_counter() - start}
    write_json(folder / "results.json", results | ({"uncertainty": calibration.as_dict()} if calibration else {}))
    page = fit_report(
        recipe=recipe,
        text=text,
        parts=parts,
        metrics=metrics,
        judged=judged,
        said=said[judged],
        calibration=calibration,
        history=history,
        potential=potential,
        findings=findings,
        seconds=time.perf_counter() - start,
    ).write(folder / "report.html")
    return Found(place, page, metrics)


def load_parts(data: Mapping[str, Any], fractions: Mapping[str, Any], seed: int) -> dict[str, Dataset]:
    """``train`` and, where asked for, ``valid`` and ``test``: from files of their own or by dividing one."""
    options = {k: v for k, v in data.items() if k not in ("file", "valid", "test")}
    if "file" not in data:
        raise ValueError('[data] needs file = "...", the structures to fit to')
    check_arguments(read, {"path": data["file"], **options})
    rest = read(data["file"], **options)
    own = {name: read(data[name], **options) for name in ("valid", "test") if name in data}
    for name in fractions:
        if name not in SPLIT:
            raise ValueError(f"[split] has no entry {name!r}{nearest(name, SPLIT)}; it takes {', '.join(SPLIT)}")
    sizes = {name: fractions.get(name, 0.1) for name in ("valid", "test") if name not in own}
    sizes = {name: size for name, size in sizes.items() if size}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | float) or size < 0:
            raise ValueError(f"[split] {name} must be a fraction or a number of structures, got {size!r}")
    counts = {name: round(x * len(rest)) if isinstance(x, float) else x for name, x in sizes.items()}
    if any(n < 1 for n in counts.values()) or sum(counts.values()) >= len(rest):
        asked = ", ".join(f"{name} = {x}" for name, x in sizes.items())
        raise ValueError(f"{len(rest)} structures are too few for [split] {asked}; give other sizes, or 0 for none")
    left = {"train": len(rest) - sum(counts.values()), **counts}
    by = {"by": fractions.get("by", "random"), "seed": fractions.get("seed", seed)}
    divided = dict(zip(left, split(rest, list(left.values()), **by))) if counts else {"train": rest}
    return divided | own
