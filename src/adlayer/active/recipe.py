"""A recipe from a file to a report: the stages of the whole job, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from ..analysis.quantity import Findings
from ..config import check_arguments
from ..data import Dataset
from ..fitting import errors, predict
from ..potential import Evaluator, Potential, make_potential
from ..reference import ReferenceEvaluate
from ..saving import about, save, write_json
from ..simulation import MaxTemperature, MaxUncertainty, MinDistance
from ..simulation import run as run_engine
from .job import Job, Simulation
from .loop import explore, fit_and_judge, generate, label_and_split, part
from .stages import Observer, Progress, Silent, Stages


def job_of(recipe: Mapping[str, Any]) -> Job:
    """The job a recipe describes; unknown and missing sections are errors that name the nearest match."""
    check_arguments(Job, recipe)
    return Job(**recipe)


def report(folder: Path) -> Path:
    """The report of a finished job once more, from what is in its folder."""
    try:
        kept = json.loads((Path(folder) / "recipe.json").read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} is not the folder of a job: it has no recipe.json") from None
    return Path(run(kept["recipe"], folder, None, kept["text"], finished=True)["report"])


def run(
    recipe: Mapping[str, Any], folder: Path, observer: Observer | None = None, text: str = "", finished: bool = False
) -> dict[str, Any]:
    """Do the whole job. Run again in the same folder, it goes on where it was.

    Args:
        recipe: as read from its file.
        folder: where everything is written.
        observer: who is told.
        text: of the recipe, for the report.
        finished: only read what is there and report; an error if something is missing.
    """
    start = time.perf_counter()
    job, folder, observer = job_of(recipe), Path(folder), observer or Silent()
    torch.manual_seed(job.seed)
    stages = Stages(folder, job.seed, observer, finished)
    if not finished:
        write_json(folder / "recipe.json", {"recipe": dict(recipe), "text": text})
    made = generate(job, stages)
    elements = sorted({symbol for frames in made.values() for atoms in frames for symbol in atoms.symbols})
    potential = make_potential(job.potential, elements)

    frames = [atoms for name in job.train for atoms in made[name]]
    title = f"Label {len(frames)} structures with {type(job.reference).__name__}"
    data, failures = label_and_split(job, stages, "round-0", title, frames)
    fitted = fit_and_judge(job, stages, "round-0", potential, data)
    rounds = [{"exploration": None, "labels": len(data), **fitted["facts"]}]
    potentials = [fitted["potential"]]
    for r in range(1, job.active.rounds + 1):
        picked, facts = explore(job, stages, f"round-{r}", fitted, made)
        if not facts["doubtful"] or not picked:
            observer.note(f"round {r}: nothing was in doubt beyond {facts['threshold']:.3g} eV/Å; the loop ends")
            break
        title = f"Label {len(picked)} structures that were in doubt (round {r})"
        new, failed = label_and_split(job, stages, f"round-{r}", title, picked)
        data, failures = Dataset.cat([data, new]), failures + failed
        fitted = fit_and_judge(job, stages, f"round-{r}", potential, data)
        rounds.append({"exploration": facts, "labels": len(data), **fitted["facts"]})
        potentials.append(fitted["potential"])
    for known, found in zip(rounds, judge_all(stages, potentials, part(data, "test"))):
        known["errors"] = found

    save(folder / "potential.adl", fitted["potential"], recipe=dict(recipe), seed=job.seed, errors=rounds[-1]["errors"])
    found = {name: validate(job, stages, name, fitted["potential"], made) for name in job.validate}
    runs = {name: simulate(job, stages, name, fitted, made) for name in job.simulation}
    cost = measure_cost(stages, fitted["potential"], data)
    results = {
        "title": job.title,
        "rounds": rounds,
        "failures": failures,
        "cost": cost,
        "validation": {n: {who: _plain(f) for who, f in both.items()} for n, both in found.items()},
        "simulation": runs,
        "stages": [{k: r[k] for k in ("name", "title", "seconds")} for r in stages.records],
        "seconds": time.perf_counter() - start,
        **about(seed=job.seed),
    }
    write_json(folder / "results.json", results)
    from ..report.job import job_report

    page = job_report(job, results, found, data, fitted["potential"], folder, text).write(folder / "report.html")
    return results | {"report": str(page), "potential": str(folder / "potential.adl")}


def judge_all(stages: Stages, potentials: Sequence[Potential], test: Dataset) -> list[dict[str, Any]]:
    """Errors of the potentials of all rounds on one test set, the last, so that they can be compared."""

    def work(folder: Path, progress: Progress) -> dict:
        stress = test.labels.stress is not None
        return {"errors": [errors(predict(p, test.structures, stress=stress), test) for p in potentials]}

    return stages.run("learning", "Judge every round on the last test set", len(potentials), work)["errors"]


def validate(job: Job, stages: Stages, name: str, potential, made: Mapping[str, list[Atoms]]) -> dict[str, Findings]:
    """One analysis, made with the potential and with the reference by the same code."""
    analysis = job.validate[name]

    def both(folder: Path, progress: Progress) -> dict:
        with ReferenceEvaluate(job.reference, stages.folder / "labels", job.workers, job.timeout) as reference:
            results: dict[str, Any] = {}
            found = Findings([])
            for who, evaluate in (("potential", Evaluator(potential, std=False)), ("reference", reference)):
                asked, given = analysis, made
                if who == "reference" and getattr(analysis, "judge", False):
                    asked, given = replace(analysis, of="judged", max_steps=0), {"judged": list(found.frames.values())}
                found = asked(evaluate, given, lambda d, n, m, who=who: progress(d, n, f"{who}: {m}"))
                results[who] = _plain(found)
                if found.frames:
                    results[f"{who}-frames"] = Dataset.from_ase(_named(found.frames))
        return results

    title = f"Check: {analysis.title or type(analysis).__name__} with the potential and with the reference"
    kept = stages.run(f"validate/{name}", title, analysis, both)
    found = {}
    for who in ("potential", "reference"):
        frames = kept[f"{who}-frames"].to_ase() if f"{who}-frames" in kept else []
        found[who] = Findings.of(kept[who], {a.info["group"]: a for a in frames})
    return found


def simulate(
    job: Job, stages: Stages, name: str, fitted: Mapping[str, Any], made: Mapping[str, list[Atoms]]
) -> dict[str, Any]:
    """One run of the finished potential, watched, and what was seen in its frames."""
    simulation: Simulation = job.simulation[name]
    tolerance = simulation.tolerance or 3 * job.active.tolerance
    limit = fitted["facts"]["threshold"] * tolerance / job.active.tolerance

    def work(folder: Path, progress: Progress) -> dict:
        starts = made[simulation.of]
        done = run_engine(
            simulation.engine,
            Evaluator(fitted["potential"], std=False),
            starts,
            torch.Generator().manual_seed(int(stages.rng(name).integers(2**31))),
            watch=[MaxUncertainty(limit), MaxTemperature(), MinDistance()],
            every=simulation.every,
            trajectory=folder / "trajectory.extxyz",
            checkpoint=folder / "run.checkpoint",
            doubt=Evaluator(fitted["potential"], stress=False),
            doubt_every=simulation.every,
            progress=progress,
        )
        seen = observe(simulation, folder / "trajectory.extxyz", starts)
        log = {key: np.asarray(x).tolist() for key, x in done.log.items()}
        facts = {"atoms": sum(map(len, starts)), "reasons": done.reason, "steps": done.steps.tolist(), "limit": limit}
        return {"run": facts | {"log": log, "seen": seen}, "end": Dataset.from_ase(done.frames)}

    title = f"Simulate: {name}"
    return stages.run(f"simulation/{name}", title, simulation, work)["run"]


def measure_cost(stages: Stages, potential: Potential, data: Dataset) -> dict[str, float]:
    """Median seconds of one evaluation, energy and forces, of the reference and of the potential with its doubt.

    The reference's are those of the labels themselves, on one core; the potential's are of the same structures.
    """

    def work(folder: Path, progress: Progress) -> dict:
        chosen = list(range(0, len(data), max(1, len(data) // 20)))
        seconds = []
        for s in data.structures[chosen]:
            evaluator = Evaluator(potential)
            evaluator(s)
            start = time.perf_counter()
            evaluator(s)
            seconds.append(time.perf_counter() - start)
        reference = [float(data.info[k]["seconds"]) for k in chosen]
        return {"cost": {"reference": float(np.median(reference)), "potential": float(np.median(seconds))}}

    return stages.run("cost", "Measure what an evaluation costs", None, work)["cost"]


def observe(simulation: Simulation, trajectory: Path, starts: list[Atoms]) -> dict[str, Any]:
    """What the observables see in each frame of the first system, with the times (ps)."""
    from ase.io import iread

    seen: dict[str, Any] = {"time (ps)": []}
    for frame in iread(trajectory, index=":"):
        if int(frame.info["system"]) != 0:
            continue
        atoms = starts[0].copy()
        atoms.positions, atoms.cell = frame.positions, frame.cell
        seen["time (ps)"].append(float(frame.info["time"]) / 1000)
        for name, observable in simulation.observe.items():
            seen.setdefault(f"{name} ({observable.unit})", []).append(np.asarray(observable(atoms), float).tolist())
    return seen


def _plain(found: Findings) -> dict[str, Any]:
    return {"quantities": [asdict(q) for q in found.quantities], "data": found.data}


def _named(frames: Mapping[str, Atoms]) -> list[Atoms]:
    named = []
    for name, atoms in frames.items():
        atoms = atoms.copy()
        atoms.info["group"] = name
        named.append(atoms)
    return named
