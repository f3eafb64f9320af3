"""What a job asks once it has something that evaluates: studies, comparisons with the reference, simulations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from ..analysis.quantity import Analysis, Findings
from ..data import Dataset
from ..formats import potential_of
from ..potential import Evaluate, Evaluator, Potential
from ..reference import ReferenceEvaluate
from ..reference.evaluation import calculator_evaluate
from ..simulation import Dynamics, MaxTemperature, MaxUncertainty, MinDistance, Tempering
from ..simulation import run as run_engine
from .job import Job, Simulation
from .stages import Progress, Stages


@contextmanager
def reference_evaluate(job: Job, stages: Stages) -> Iterator[Evaluate]:
    """The reference method as an ``Evaluate``."""
    if not job.workers:
        yield calculator_evaluate(job.reference.calculator())
        return
    with ReferenceEvaluate(job.reference, stages.folder / "labels", job.workers, job.timeout) as evaluate:
        yield evaluate


@contextmanager
def method(job: Job, stages: Stages, ready: Potential | None) -> Iterator[Evaluate]:
    """What is asked before anything is learned: a potential that is ready, or else the reference."""
    if ready is not None:
        yield Evaluator(ready, std=False)
    elif job.reference is None:
        yield lambda s: Evaluator(untrained(job, {chemical_symbols[z] for z in s.numbers.tolist()}), std=False)(s)
    else:
        with reference_evaluate(job, stages) as evaluate:
            yield evaluate


def untrained(job: Job, elements: Iterable[str]) -> Potential:
    """The potential of a job whose constructor says all, such as a Lennard-Jones one."""
    potential = potential_of(job.potential, elements)
    if potential.trained:
        raise ValueError(
            f"{type(potential).__name__} has to learn first: give a [reference] to learn from, or the file of a "
            'potential that has learned, as in potential = "runs/si100/potential.adl"'
        )
    return potential


def study(
    job: Job, stages: Stages, name: str, potential: Potential | None, made: Mapping[str, list[Atoms]], what: Any
) -> Findings:
    """One analysis, made with the potential, or with the reference where there is no potential.

    Args:
        what: what is asked, such that another potential makes another stage.
    """
    analysis = job.study[name]
    seed = int(stages.rng(f"study/{name}").integers(2**31))

    def work(folder: Path, progress: Progress) -> dict:
        if potential is not None:
            return _keep("found", analysis(Evaluator(potential, std=False), made, progress, folder, seed))
        with reference_evaluate(job, stages) as evaluate:
            return _keep("found", analysis(evaluate, made, progress, folder, seed))

    kept = stages.run(f"study/{name}", f"Study: {_title(analysis)}", {"analysis": analysis, "of": what}, work, True)
    return _recall("found", kept)


def validate(
    job: Job, stages: Stages, name: str, potential: Potential, made: Mapping[str, list[Atoms]]
) -> dict[str, Findings]:
    """One analysis, made with the potential and with the reference by the same code."""
    analysis = job.validate[name]
    seed = int(stages.rng(f"validate/{name}").integers(2**31))

    def work(folder: Path, progress: Progress) -> dict:
        results: dict[str, Any] = {}
        found = Findings([])
        with reference_evaluate(job, stages) as reference:
            for who, evaluate in (("potential", Evaluator(potential, std=False)), ("reference", reference)):
                asked, given = analysis, made
                if who == "reference" and getattr(analysis, "judge", False):
                    asked, given = replace(analysis, of="judged", max_steps=0), {"judged": list(found.frames.values())}

                def tell(done: int, total: int, message: str, who: str = who) -> None:
                    progress(done, total, f"{who}: {message}")

                found = asked(evaluate, given, tell, folder / who, seed)
                results |= _keep(who, found)
        return results

    title = f"Check: {_title(analysis)} with the potential and with the reference"
    kept = stages.run(f"validate/{name}", title, analysis, work, True)
    return {who: _recall(who, kept) for who in ("potential", "reference")}


def simulate(
    job: Job, stages: Stages, name: str, potential: Potential, made: Mapping[str, list[Atoms]], threshold: float | None
) -> dict[str, Any]:
    """One run of the finished potential, watched, and what was seen in its frames.

    Args:
        threshold: the doubt that belongs to the tolerance of the active loop, eV/Å; None where there was none.
    """
    simulation: Simulation = job.simulation[name]
    limit = None
    if threshold is not None:
        tolerance = simulation.tolerance or 3 * job.active.tolerance
        limit = threshold * tolerance / job.active.tolerance

    def work(folder: Path, progress: Progress) -> dict:
        starts = made[simulation.of]
        watch, doubts = [MinDistance()], {}
        if isinstance(simulation.engine, Dynamics | Tempering):
            watch.append(MaxTemperature())
        if limit is not None:
            watch.insert(0, MaxUncertainty(limit))
            doubts = {"doubt": Evaluator(potential, stress=False), "doubt_every": simulation.every}
        done = run_engine(
            simulation.engine,
            Evaluator(potential, std=False),
            starts,
            torch.Generator().manual_seed(int(stages.rng(name).integers(2**31))),
            watch=watch,
            every=simulation.every,
            trajectory=folder / "trajectory.extxyz",
            checkpoint=folder / "run.checkpoint",
            progress=progress,
            **doubts,
        )
        seen = _observe(simulation, folder / "trajectory.extxyz", starts)
        log = {key: np.asarray(x).tolist() for key, x in done.log.items()}
        facts = {"atoms": sum(map(len, starts)), "reasons": done.reason, "steps": done.steps.tolist(), "limit": limit}
        return {"run": facts | {"log": log, "seen": seen}, "end": Dataset.from_ase(done.frames)}

    return stages.run(f"simulation/{name}", f"Simulate: {name}", simulation, work, True)["run"]


def _observe(simulation: Simulation, trajectory: Path, starts: list[Atoms]) -> dict[str, Any]:
    """What the observables see in each frame of the first system, with the times (ps), or steps where none goes by."""
    from ase.io import iread

    seen: dict[str, Any] = {}
    for frame in iread(trajectory, index=":"):
        if int(frame.info["system"]) != 0:
            continue
        clock = (
            ("time (ps)", float(frame.info["time"]) / 1000) if "time" in frame.info else ("step", frame.info["step"])
        )
        seen.setdefault(clock[0], []).append(clock[1])
        atoms = frame
        if len(frame) == len(starts[0]) and (frame.numbers == starts[0].numbers).all():
            atoms = starts[0].copy()
            atoms.positions, atoms.cell = frame.positions, frame.cell
        for name, observable in simulation.observe.items():
            seen.setdefault(f"{name} ({observable.unit})", []).append(np.asarray(observable(atoms), float).tolist())
    return seen


def _title(analysis: Analysis) -> str:
    return analysis.title or type(analysis).__name__


def plain(found: Findings) -> dict[str, Any]:
    """Numbers and data, as JSON takes them."""
    return {"quantities": [asdict(q) for q in found.quantities], "data": found.data}


def _keep(who: str, found: Findings) -> dict[str, Any]:
    """Findings as results of a stage; frames are told apart by their group."""
    results: dict[str, Any] = {who: plain(found)}
    frames = []
    for name, atoms in found.frames.items():
        atoms = atoms.copy()
        atoms.info["group"] = name
        frames.append(atoms)
    return results | ({f"{who}-frames": Dataset.from_ase(frames)} if frames else {})


def _recall(who: str, kept: Mapping[str, Any]) -> Findings:
    frames = kept[f"{who}-frames"].to_ase() if f"{who}-frames" in kept else []
    return Findings.of(kept[who], {a.info["group"]: a for a in frames})
