"""The page of a comparison of families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fitting.comparison import pareto_front
from ..saving import about
from .fit import provenance
from .page import Report
from .pareto import pareto

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting.comparison import Compared

COLUMNS = {  # heading, its factor, and where it comes from
    "force MAE, meV/Å": (1e3, "forces_mae"),
    "force RMSE, meV/Å": (1e3, "forces_rmse"),
    "energy MAE, meV/atom": (1e3, "energy_mae"),
    "energy RMSE, meV/atom": (1e3, "energy_rmse"),
    "fit, CPU s": (1.0, "cpu_seconds"),
    "memory, MB": (1e-6, "memory"),
    "cost, µs/atom": (1e6, "cost"),
    "parameters": (1.0, "parameters"),
}
PRICES = {"energy and forces of an atom (µs)": (1e6, "cost"), "fit (CPU s)": (1.0, "cpu_seconds")}


def compare_report(
    title: str,
    text: str,
    found: Sequence[Compared],
    parts: Mapping[str, Dataset],
    seed: int,
    seconds: float,
) -> Report:
    """Which family is how good at what price, on which data, and how to repeat it.

    Args:
        title: of the page.
        text: of the recipe.
        found: what became of each.
        parts: ``train`` and perhaps ``valid`` and ``test``.
        seed: of all random numbers.
        seconds: wall time.
    """
    fitted = [c for c in by_error(found) if not c.failed]
    judged = fitted[0].judged if fitted else "train"
    report = Report(title, "Adlayer · comparison", _lead(found, parts, judged), provenance(seed, seconds))
    if fitted:
        report.facts(_facts(fitted))
        report.section("What accuracy costs")
        report.figure(
            pareto([c.name for c in fitted], _errors(fitted), _numbers(fitted, PRICES)),
            f"Errors on the {judged} set. Filled: no other is both more accurate and cheaper; the line joins these. "
            "What an atom costs is CPU time of energy and forces on one thread; that of a fit is of all threads.",
        )
    columns, rows = table(found)
    caption = "In bold: no other both errs less and costs less to run. Memory is what the fit took beside the data."
    report.section("Families").table([c.replace("/", "/\u2060") for c in columns], rows, caption)
    for c in found:
        if c.failed:
            report.warning(f"**{c.name}** gave no potential: {c.failed}.")
    if len(groups := _groups(fitted)) > 1:
        report.section("Errors by group", f"Mean absolute errors of each group of the {judged} set.")
        for key, unit in (("forces_mae", "forces, meV/Å"), ("energy_mae", "energy, meV/atom")):
            rows = [
                [c.name, *(_scaled(c.metrics[judged]["groups"].get(g, {}).get(key), 1e3) for g in groups)]
                for c in fitted
            ]
            if any(x is not None for row in rows for x in row[1:]):
                report.table([unit, *groups], rows)
    report.section("How to repeat it").text("The recipe, as it was run, and the versions it was run with.")
    report.table(["", *parts], _sizes(parts))
    report.code(text, "Recipe")
    report.code("\n".join(f"{k:<8} {v}" for k, v in about()["versions"].items()), "Versions")
    return report


def table(found: Sequence[Compared], short: bool = False) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows: errors on what judges, and the price; the most accurate first, those that failed last.

    Args:
        found: what became of each.
        short: leave out root mean squares.
    """
    on_front = {c.name for c in front(found)}
    columns = {h: v for h, v in COLUMNS.items() if not (short and "RMSE" in h)}
    columns = {h: v for h, v in columns.items() if any(np.isfinite(_value(c, v[1])) for c in found if not c.failed)}
    rows: list[list[Any]] = []
    for c in by_error(found):
        name = f"**{c.name}**" if c.name in on_front else c.name
        cells = [_scaled(_value(c, key), factor) for factor, key in columns.values()]
        rows.append([name, *(["failed", *[""] * (len(cells) - 1)] if c.failed else cells)])
    return ["", *columns], rows


def by_error(found: Sequence[Compared]) -> list[Compared]:
    """The most accurate first, those that failed last."""
    key = main_error(found)
    return sorted(found, key=lambda c: (bool(c.failed), np.nan_to_num(c.error(key), nan=np.inf)))


def front(found: Sequence[Compared]) -> list[Compared]:
    """Those that no other beats in both error and cost of an atom, the cheapest first."""
    fitted = [c for c in found if not c.failed]
    error = main_error(found)
    return [fitted[k] for k in pareto_front([c.cost for c in fitted], [c.error(error) for c in fitted])]


def main_error(found: Sequence[Compared]) -> str:
    """That of forces, where there are any."""
    known = any(np.isfinite(c.error("forces_mae")) for c in found)
    return "forces_mae" if known else "energy_mae"


def _value(c: Compared, key: str) -> float:
    return float(getattr(c, key)) if hasattr(c, key) else c.error(key)


def _scaled(x: float | None, factor: float) -> Any:
    if x is None or not np.isfinite(x):
        return None
    return f"{x * factor:.3g}" if x * factor < 1e3 else f"{x * factor:.0f}"


def _numbers(fitted: Sequence[Compared], columns: Mapping[str, tuple[float, str]]) -> dict[str, list[float]]:
    return {name: [factor * _value(c, key) for c in fitted] for name, (factor, key) in columns.items()}


def _errors(fitted: Sequence[Compared]) -> dict[str, list[float]]:
    kinds = {"force MAE (meV/Å)": (1e3, "forces_mae"), "energy MAE (meV/atom)": (1e3, "energy_mae")}
    return {name: y for name, y in _numbers(fitted, kinds).items() if np.isfinite(y).any()}


def _groups(fitted: Sequence[Compared]) -> list[str]:
    return sorted({g for c in fitted for g in c.metrics[c.judged].get("groups", {})})


def _lead(found: Sequence[Compared], parts: Mapping[str, Dataset], judged: str) -> str:
    n, good = len(found), front(found)
    begin = f"{n} families fitted to the same {len(parts['train'])} structures and judged on the same"
    begin += f" {len(parts[judged])} others" if judged != "train" else " ones"
    if not good:
        return f"{begin}: none succeeded."
    if len(good) == 1:
        return f"{begin}. {good[0].name} is both the most accurate and the cheapest to run."
    cheap, best, key = good[0], good[-1], main_error(found)
    return (
        f"{begin}. {best.name} is the most accurate. {cheap.name} costs {cheap.cost / best.cost:.2g} of it and errs "
        f"{cheap.error(key) / best.error(key):.2g} times as much."
    )


def _facts(fitted: Sequence[Compared]) -> dict[str, str]:
    facts = {}
    for key, words in (("forces_mae", "least force MAE (meV/Å)"), ("energy_mae", "least energy MAE (meV/atom)")):
        values = [(c.error(key), c.name) for c in fitted if np.isfinite(c.error(key))]
        if values:
            facts[f"{words}: {min(values)[1]}"] = f"{1e3 * min(values)[0]:.3g}"
    for key, factor, words in (("cost", 1e6, "least cost (µs/atom)"), ("cpu_seconds", 1.0, "shortest fit (CPU s)")):
        value, name = min((getattr(c, key), c.name) for c in fitted)
        facts[f"{words}: {name}"] = f"{factor * value:.3g}"
    return facts


def _sizes(parts: Mapping[str, Dataset]) -> list[list[Any]]:
    rows = [
        ["structures", *(len(p) for p in parts.values())],
        ["atoms", *(p.structures.n_atoms for p in parts.values())],
    ]
    for quantity in ("energy", "forces", "stress"):
        rows.append([f"with {quantity}", *(int(p.has(quantity).sum()) for p in parts.values())])
    return rows
