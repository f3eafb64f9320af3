"""The page of a fit to a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from ..saving import about
from . import plots
from .page import Report

if TYPE_CHECKING:
    from ..data import Dataset
    from ..data.doctor import Finding
    from ..potential import Potential, Prediction
    from ..uncertainty import Calibration


def fit_report(
    recipe: Mapping[str, Any],
    text: str,
    parts: Mapping[str, Dataset],
    metrics: Mapping[str, dict],
    judged: str,
    said: Prediction,
    calibration: Calibration | None,
    history: Sequence[Mapping[str, Any]],
    potential: Potential,
    findings: Sequence[Finding],
    seconds: float,
) -> Report:
    """What was fitted, to what, how well, and how it can be repeated.

    Args:
        recipe: as it was run.
        text: of the recipe.
        parts: ``train`` and perhaps ``valid`` and ``test``.
        metrics: ``errors`` of each.
        judged: which of them plots are about.
        said: what the potential says of that part.
        calibration: its standard deviations against its errors.
        history: of the fit, one row per epoch.
        potential: the fitted potential.
        findings: what the doctor found.
        seconds: wall time.
    """
    elements = ", ".join(potential.elements or ())
    name = " + ".join(recipe["potential"]) if isinstance(recipe["potential"], Mapping) else recipe["potential"]
    report = Report(
        recipe.get("title", f"{name} fitted to {parts['train'].info[0]['file'] or 'data'}"),
        kicker="Adlayer · fit",
        lead=f"{name} for {elements}, fitted to {len(parts['train'])} structures and judged on its {judged} set.",
        foot=provenance(recipe.get("seed", 0), seconds),
    )
    report.facts(_facts(metrics[judged], parts, potential, seconds))
    report.section("Data").table(*_data_table(parts))
    for f in findings:
        report.warning(f"{f.message} ({f.where}). {f.remedy[:1].upper()}{f.remedy[1:]}.")
    report.section("Errors").table(*error_rows(metrics), caption="Mean absolute and root-mean-square errors.")
    if (figure := parity_figure(said, parts[judged])) is not None:
        report.figure(figure, f"Each {'point' if judged == 'train' else 'held-out point'} of the {judged} set.")
    if calibration is not None:
        calibration_section(report, calibration, judged)
    if (figure := _history_figure(history)) is not None:
        report.section("Learning").figure(figure, "Errors on the validation set while the fit went on.")
    report.section("How to repeat it").text("The recipe, as it was run, and the versions it was run with.")
    report.code(text or str(recipe), "Recipe")
    report.code("\n".join(f"{k:<8} {v}" for k, v in about()["versions"].items()), "Versions")
    return report


def provenance(seed: int, seconds: float) -> str:
    """The last line of a report: who made it, when, from which seed, in what time."""
    versions = about()["versions"]
    made = f"adlayer {versions['adlayer']} · torch {versions['torch']} · seed {seed}"
    return f"{made} · {date.today():%d %B %Y} · {seconds:.0f} s"


def _facts(found: dict, parts: Mapping[str, Dataset], potential: Potential, seconds: float) -> dict[str, str]:
    facts = {}
    for key, words in (("forces_mae", "force MAE (meV/Å)"), ("energy_mae", "energy MAE (meV/atom)")):
        if key in found:
            facts[words] = f"{1000 * found[key]:.3g}"
    facts["structures"] = str(sum(map(len, parts.values())))
    facts["parameters"] = str(sum(x.numel() for x in potential.parameters()))
    facts["seconds in all"] = f"{seconds:.0f}"
    return facts


def _data_table(parts: Mapping[str, Dataset]) -> tuple[list[str], list[list[Any]]]:
    rows: list[list[Any]] = []
    groups = sorted({str(d["group"]) for p in parts.values() for d in p.info})
    for group in groups if len(groups) > 1 else []:
        rows.append([group or "(no group)", *(sum(str(d["group"]) == group for d in p.info) for p in parts.values())])
    rows.append(["structures", *(len(p) for p in parts.values())])
    rows.append(["atoms", *(p.structures.n_atoms for p in parts.values())])
    for quantity in ("energy", "forces", "stress"):
        rows.append([f"with {quantity}", *(int(p.has(quantity).sum()) for p in parts.values())])
    return ["", *parts], rows


def error_rows(metrics: Mapping[str, dict]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a table of errors, by set and group."""
    kinds = {"energy": "energy, meV/atom", "forces": "forces, meV/Å", "virial": "virial, meV/atom"}
    kinds = {k: v for k, v in kinds.items() if any(f"{k}_mae" in m for m in metrics.values())}
    columns = ["", *(f"{words} {m}" for words in kinds.values() for m in ("MAE", "RMSE"))]

    def cells(found: dict) -> list[str]:
        values = (found.get(f"{k}_{m}") for k in kinds for m in ("mae", "rmse"))
        return ["–" if v is None else f"{1000 * v:.3g}" for v in values]

    rows: list[list[Any]] = []
    for name, found in metrics.items():
        rows.append([f"**{name}**", *cells(found)])
        groups = found.get("groups", {})
        rows += [[f"\u2003{group}", *cells(inside)] for group, inside in groups.items() if len(groups) > 1]
    return columns, rows


def parity_figure(said: Prediction, dataset: Dataset):
    """Parity plots of energies per atom and forces, by group; None where nothing is known."""
    groups: dict[str, list[int]] = {}
    for k, info in enumerate(dataset.info):
        groups.setdefault(str(info["group"]) or "all", []).append(k)
    if len(groups) > 7:
        groups = {"all": list(range(len(dataset)))}
    energy, forces = {}, {}
    for name, ks in groups.items():
        part, mine = dataset[ks], said.select(dataset.structures, ks)
        per_atom = part.structures.counts
        for quantity, found, scale in (("energy", energy, per_atom), ("forces", forces, 1)):
            label = getattr(part.labels, quantity)
            if label is None:
                continue
            a, b = ((x / scale).double().numpy().ravel() for x in (label, getattr(mine, quantity)))
            if (known := np.isfinite(a)).any():
                found[name] = (a[known], b[known])
    return plots.parity(energy, forces) if energy or forces else None


def calibration_section(report: Report, calibration: Calibration, judged: str) -> None:
    """Whether the standard deviations can be believed: curves and scores."""
    h, quantities = calibration.heldout, {}
    if len(h.forces):
        quantities["forces (meV/Å)"] = (1000 * h.forces.ravel(), 1000 * h.forces_std.ravel())
    if len(h.energy):
        quantities["energy (meV/atom)"] = (1000 * h.energy, 1000 * h.energy_std)
    report.section("Can its uncertainty be believed?")
    report.figure(
        plots.calibration(quantities),
        f"On the {judged} set. Left: the share of errors within the central interval that should hold so many; the "
        "diagonal is honest, above it the potential is too modest, below too sure. Right: errors against standard "
        "deviations, and their root mean squares in bins of equal size.",
    )
    rows = []
    for name, q in h.qualities().items():
        numbers = (1000 * q.rmse, 1000 * q.sharpness, 100 * q.coverage["0.68"], 100 * q.coverage["0.95"])
        rows.append([name, q.n, *(f"{x:.3g}" for x in (*numbers, q.area, q.ence, q.correlation))])
    columns = ["", "errors", "RMSE (meV)", "expected (meV)", "within 68 %", "within 95 %", "area", "ENCE", "rank corr."]
    report.table(columns, rows)
    if len(h.forces):
        report.text(
            f"Nine of ten force errors are smaller than **{calibration.bound(0.9):.3g}** times the norm of their "
            f"standard deviations, ninety-nine of a hundred smaller than {calibration.bound(0.99):.3g} times "
            "(conformal bounds)."
        )


def _history_figure(history: Sequence[Mapping[str, Any]]):
    """Validation errors by epoch, where the fit went on for some."""
    curves = {}
    for key, words in (("valid_forces_mae", "Force MAE (meV/Å)"), ("valid_energy_mae", "Energy MAE (meV/atom)")):
        values = [1000 * row[key] for row in history if key in row]
        if len(values) > 2:
            curves[words] = values
    return plots.history(curves) if curves else None
