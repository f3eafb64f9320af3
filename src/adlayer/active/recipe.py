"""A recipe from a file to a report: the stages of the whole job, in order."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from ..config import check_arguments
from ..formats import find_potential, read_potential
from ..potential import Potential
from ..saving import about, write_json
from .asking import plain, simulate, study, untrained, validate
from .job import Job
from .learning import learn
from .loop import generate
from .stages import Observer, Silent, Stages


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
    ready, what = _given(job) if job.given else (None, None)
    stages = Stages(folder, job.seed, observer, finished)
    if not finished:
        write_json(folder / "recipe.json", {"recipe": dict(recipe), "text": text})
    what = what or {"potential": job.potential, "reference": job.reference}
    made = generate(job, stages, ready, job.reference if job.learns else what)
    learned = learn(job, stages, made, recipe) if job.learns else None
    potential = learned.potential if learned else ready or _made(job, made)
    checked = {name: validate(job, stages, name, potential, made) for name in job.validate}
    threshold = learned.threshold if learned else None
    runs = {name: simulate(job, stages, name, potential, made, threshold) for name in job.simulation}
    studies = {name: study(job, stages, name, potential, made, what) for name in job.study}
    results = {
        "title": job.title,
        "rounds": learned.rounds if learned else [],
        "failures": learned.failures if learned else [],
        "cost": learned.cost if learned else {},
        "validation": {n: {who: plain(f) for who, f in both.items()} for n, both in checked.items()},
        "simulation": runs,
        "study": {n: plain(found) for n, found in studies.items()},
        "stages": [{k: r[k] for k in ("name", "title", "seconds")} for r in stages.records],
        "seconds": time.perf_counter() - start,
        **about(seed=job.seed),
    }
    if learned:
        results["potential"] = str(folder / "potential.adl")
    write_json(folder / "results.json", results)
    from ..report.job import job_report

    page = job_report(job, results, checked, studies, learned, folder, text).write(folder / "report.html")
    return results | {"report": str(page)}


def _given(job: Job) -> tuple[Potential, dict[str, str]]:
    """A potential from its file, and what tells it from another."""
    path = find_potential(job.potential)
    content = path.read_bytes() if path.is_file() else b"".join(p.read_bytes() for p in sorted(path.glob("*.*")))
    return read_potential(path), {"file": path.name, "content": hashlib.sha256(content).hexdigest()}


def _made(job: Job, made: Mapping[str, list[Atoms]]) -> Potential | None:
    """A potential whose constructor says all, for the elements of all structures; None where there is none."""
    if job.potential is None:
        if job.simulation:
            raise ValueError("[simulation] needs a [potential]; with a reference method alone there are only studies")
        return None
    return untrained(job, {symbol for frames in made.values() for atoms in frames for symbol in atoms.symbols})
