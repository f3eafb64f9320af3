"""The page of a whole job: what was done, how good the potential is, what it found, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import plots
from .fit import calibration_section, error_rows, parity_figure, provenance
from .page import Report, number
from .picture import picture
from .style import style

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..active.job import Job
    from ..active.learning import Learned
    from ..analysis.quantity import Findings, Quantity
    from ..data import Dataset
    from ..uncertainty import Doubtful


def job_report(
    job: Job,
    results: Mapping[str, Any],
    checked: Mapping[str, Mapping[str, Findings]],
    studies: Mapping[str, Findings],
    learned: Learned | None,
    folder: Path,
    text: str = "",
) -> Report:
    """The whole job on one page.

    Args:
        job: what was asked for.
        results: what is in ``results.json``.
        checked: of each validation, what the potential and what the reference found.
        studies: what each study found.
        learned: the potential that was made here, with its labels.
        folder: of the job, where trajectories are.
        text: of the recipe.
    """
    report = Report(
        job.title or ("A potential and what it says" if learned else "Study"),
        kicker="Adlayer · whole job" if learned else "Adlayer · study",
        lead=_lead(job, results, learned),
        foot=provenance(job.seed, results["seconds"]),
    )
    report.facts(_facts(results))
    _studies(report, job, studies)
    _physics(report, job, checked)
    if learned:
        _learning(report, results)
        _errors(report, learned.data, learned.potential)
    _simulations(report, job, results, folder)
    _aside(report, results)
    report.section("How to repeat it").text("The recipe as it was run, the versions it was run with, and what it cost.")
    report.table(["stage", "seconds"], [[s["title"], f"{s['seconds']:.1f}"] for s in results["stages"]])
    report.code(text or "", "Recipe")
    report.code("\n".join(f"{k:<8} {v}" for k, v in results["versions"].items()), "Versions")
    return report


def _lead(job: Job, results: Mapping[str, Any], learned: Learned | None) -> str:
    if not learned:
        asked = [a.title or _spaced(n) for n, a in [*job.study.items(), *job.validate.items()]]
        asked += [f"dynamics of {_spaced(s.of)}" for s in job.simulation.values()]
        beside = f", and {_name(job.reference)} beside it" if job.validate else ""
        return f"{', '.join(dict.fromkeys(asked))}: what {_method(job)} says{beside}."
    elements, n = ", ".join(learned.potential.elements or ()), results["rounds"][-1]["labels"]
    rounds = len(results["rounds"]) - 1
    return (
        f"A potential for {elements} learned from {n} structures labeled by {_name(job.reference)}, the last of them "
        f"chosen by its own doubt in {rounds} round{'s' * (rounds != 1)} of exploring; then held against the reference "
        "itself."
    )


def _method(job: Job) -> str:
    """Who is asked, in words."""
    if job.potential is None:
        return _name(job.reference)
    if job.given:
        return f"the potential in {Path(job.potential).name}"
    return " + ".join(job.potential) if isinstance(job.potential, Mapping) else str(job.potential)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _name(reference: Any) -> str:
    return str(getattr(reference, "method", type(reference).__name__))


def _facts(results: Mapping[str, Any]) -> dict[str, str]:
    minutes = {"minutes in all": f"{sum(s['seconds'] for s in results['stages']) / 60:.1f}"}
    if not results["rounds"]:
        return minutes
    last = results["rounds"][-1]
    facts = {
        "test force MAE (meV/Å)": f"{1000 * last['errors']['forces_mae']:.3g}",
        "test energy MAE (meV/atom)": f"{1000 * last['errors']['energy_mae']:.2g}",
        "labeled structures": str(last["labels"]),
    }
    facts["times faster than the reference"] = f"{results['cost']['reference'] / results['cost']['potential']:.0f}"
    return facts | minutes


def _studies(report: Report, job: Job, studies: Mapping[str, Findings]) -> None:
    for name, found in studies.items():
        analysis = job.study[name]
        report.section(analysis.title or _spaced(name), (type(analysis).__doc__ or "").strip().split("\n")[0])
        with style():
            figure = analysis.plot({_method(job): found})
        if figure is not None:
            report.figure(figure)
        if found.quantities:
            report.table(["", "value", "unit"], [[q.name, _with_error(q), q.unit] for q in found.quantities])
        for frame_name, frame in list(found.frames.items())[:4]:
            report.figure(picture(frame), frame_name, photo=True)


def _with_error(q: Quantity) -> Any:
    return q.value if q.std is None else number(q.value, q.std)


def _physics(report: Report, job: Job, found: Mapping[str, Mapping[str, Findings]]) -> None:
    if not found:
        return
    report.section(
        "Physics, side by side",
        "Each row was found twice, by the same code: once with the potential, once with the reference method itself. "
        "The difference is the potential's own error.",
    )
    titles = {name: job.validate[name].title or name for name in found}
    shared = [t for t in titles.values() if list(titles.values()).count(t) > 1]
    titles = {name: f"{title}: {name}" if title in shared else title for name, title in titles.items()}
    rows: list[list[Any]] = []
    for name, both in found.items():
        rows.append([titles[name]])
        reference = {q.name: q for q in both["reference"].quantities}
        for q in both["potential"].quantities:
            r = reference.get(q.name)
            unit = f" ({q.unit})" if q.unit else ""
            difference = None if r is None else q.value - r.value
            values = (q.value, None if r is None else r.value, difference)
            rows.append([q.name + unit, *(x if x is None or abs(x) > 1e-9 else 0.0 for x in values)])
    report.table(["", "potential", "reference", "difference"], rows)
    for name, both in found.items():
        with style():
            figure = job.validate[name].plot(both)
        if figure is not None:
            report.heading(titles[name]).figure(figure)


def _learning(report: Report, results: Mapping[str, Any]) -> None:
    rounds = results["rounds"]
    report.section(
        "Rounds of learning",
        "In each round the potential moved the atoms itself, stopped where its calibrated uncertainty said that a "
        "force error beyond the tolerance could no longer be excluded, and had the reference label what was new there.",
    )
    rows = []
    for k, r in enumerate(rounds):
        e = r["exploration"] or {}
        runs = f"{e['stopped']} of {e['runs']}" if e else None
        doubt = f"{e['doubtful']} of {e['candidates']}" if e else None
        errors = [f"{1000 * r['errors'][q]:.3g}" for q in ("forces_mae", "energy_mae")]
        rows.append([str(k), runs, doubt, r["labels"], *errors, f"{1000 * r['threshold']:.3g}"])
    columns = ["round", "runs stopped by doubt", "frames in doubt", "labeled in all"]
    report.table([*columns, "force MAE (meV/Å)", "energy MAE (meV/atom)", "threshold (meV/Å)"], rows)
    if len(rounds) > 1:
        curves = {
            "forces (meV/Å)": [1000 * r["errors"]["forces_mae"] for r in rounds],
            "energy (meV/atom)": [1000 * r["errors"]["energy_mae"] for r in rounds],
        }
        report.figure(
            plots.learning_curve([r["labels"] for r in rounds], curves),
            "Mean absolute errors of the potential of each round, all on the test set of the last.",
        )


def _errors(report: Report, data: Dataset, potential: Doubtful) -> None:
    from ..fitting import errors, predict
    from ..uncertainty import assess

    parts = {m: data[[k for k, d in enumerate(data.info) if d["split"] == m]] for m in ("train", "valid", "test")}
    stress = data.labels.stress is not None
    said = {name: predict(potential, part.structures, stress=stress) for name, part in parts.items()}
    metrics = {name: errors(said[name], part) for name, part in parts.items()}
    report.section("Errors").table(*error_rows(metrics), caption="Mean absolute and root-mean-square errors.")
    if (figure := parity_figure(said["test"], parts["test"])) is not None:
        report.figure(figure, "Structures of the test set, to which nothing was fitted or calibrated.")
    calibration_section(report, assess(said["test"], parts["test"]), "test")


def _simulations(report: Report, job: Job, results: Mapping[str, Any], folder: Path) -> None:
    from ase.io import read

    for name, run in results["simulation"].items():
        report.section(f"Simulation: {name}", _run_text(job, name, run))
        seen = dict(run["seen"])
        clock = "time (ps)" if "time (ps)" in seen else "step"
        time = np.array(seen.pop(clock))
        doubt = "force uncertainty (eV/Å)"
        log = {key: np.array(x, float)[:, 0] for key, x in run["log"].items() if np.ndim(x) == 2}
        series = seen | {key: log[key] for key in ("potential energy (eV)", "temperature (K)", doubt) if key in log}
        n = min([len(time), *map(len, series.values())])
        series = {key: np.array(x, float)[:n] for key, x in series.items()}
        limits = {doubt: run["limit"]} if run["limit"] else {}
        report.figure(plots.time_series(time[:n], series, limits, clock))
        last = read(folder / "simulation" / name / "trajectory.extxyz", index=-1)
        if "forces_std" in last.arrays:
            caption = "The last frame; each atom in the color of its uncertainty, on the scale of those that move."
            report.figure(doubt_picture(last), caption, photo=True)
        else:
            report.figure(picture(last), "The last frame.", photo=True)


def doubt_picture(frame: Atoms) -> Figure:
    """A frame of a watched run, each atom in the color of its uncertainty, on the scale of those that move."""
    doubts = 1000 * np.linalg.norm(frame.arrays["forces_std"], axis=1)
    held = [i for constraint in frame.constraints for i in constraint.get_indices()]
    moving = np.delete(doubts, held)
    return picture(frame, doubts, "force uncertainty (meV/Å)", limits=(moving.min(), moving.max()))


def _run_text(job: Job, name: str, run: Mapping[str, Any]) -> str:
    engine, reason = job.simulation[name].engine, run["reasons"][0]
    end = "came to its end within the tolerance" if reason == "finished" else f"was stopped: {reason}"
    length = f"{run['steps'][0]} steps"
    if hasattr(engine, "timestep"):
        length = f"{run['steps'][0] * engine.timestep / 1000:g} ps"
    return f"{run['atoms']} atoms for {length} by {type(engine).__name__}; the run {end}."


def _aside(report: Report, results: Mapping[str, Any]) -> None:
    if failures := results["failures"]:
        report.section("Set aside", "Structures that the reference method could not label; nothing was fitted to them.")
        report.table(["group", "reason", "attempts"], [[f["group"], f["reason"], f["attempts"]] for f in failures])
