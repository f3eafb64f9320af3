"""Learning from a reference method: label, fit, explore and label again, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from ..data import Dataset
from ..fitting import errors, predict
from ..formats import potential_of
from ..potential import Evaluator, Potential
from ..saving import save
from ..uncertainty import Doubtful
from .job import Job
from .loop import explore, fit_and_judge, label_and_split, part
from .stages import Progress, Stages


class Learned(NamedTuple):
    """A potential that learned from a reference method, and how."""

    potential: Doubtful
    data: Dataset  # all labels, marked as train, valid, test
    rounds: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    cost: dict[str, float]  # seconds of one evaluation

    @property
    def threshold(self) -> float:
        """The doubt at which a force error beyond the tolerance can no longer be excluded, eV/Å."""
        return self.rounds[-1]["threshold"]


def learn(job: Job, stages: Stages, made: Mapping[str, list[Atoms]], recipe: Mapping[str, Any]) -> Learned:
    """All rounds; the potential is also written to ``potential.adl``, with the recipe."""
    elements = sorted({symbol for frames in made.values() for atoms in frames for symbol in atoms.symbols})
    potential = potential_of(job.potential, elements)
    frames = [atoms for name in job.train for atoms in made[name]]
    title = f"Label {len(frames)} structures with {type(job.reference).__name__}"
    data, failures = label_and_split(job, stages, "round-0", title, frames)
    fitted = fit_and_judge(job, stages, "round-0", potential, data)
    rounds = [{"exploration": None, "labels": len(data), **fitted["facts"]}]
    potentials = [fitted["potential"]]
    for r in range(1, job.active.rounds + 1):
        picked, facts = explore(job, stages, f"round-{r}", fitted, made)
        if not facts["doubtful"] or not picked:
            stages.observer.note(f"round {r}: nothing was in doubt beyond {facts['threshold']:.3g} eV/Å; the loop ends")
            break
        title = f"Label {len(picked)} structures that were in doubt (round {r})"
        new, failed = label_and_split(job, stages, f"round-{r}", title, picked)
        data, failures = Dataset.cat([data, new]), failures + failed
        fitted = fit_and_judge(job, stages, f"round-{r}", potential, data)
        rounds.append({"exploration": facts, "labels": len(data), **fitted["facts"]})
        potentials.append(fitted["potential"])
    for known, found in zip(rounds, _judge_all(stages, potentials, part(data, "test"))):
        known["errors"] = found
    facts = {"recipe": dict(recipe), "seed": job.seed, "errors": rounds[-1]["errors"]}
    save(stages.folder / "potential.adl", fitted["potential"], **facts)
    return Learned(fitted["potential"], data, rounds, failures, _cost(stages, fitted["potential"], data))


def _judge_all(stages: Stages, potentials: Sequence[Potential], test: Dataset) -> list[dict[str, Any]]:
    """Errors of the potentials of all rounds on one test set, the last, so that they can be compared."""

    def work(folder: Path, progress: Progress) -> dict:
        stress = test.labels.stress is not None
        return {"errors": [errors(predict(p, test.structures, stress=stress), test) for p in potentials]}

    return stages.run("learning", "Judge every round on the last test set", len(potentials), work, True)["errors"]


def _cost(stages: Stages, potential: Potential, data: Dataset) -> dict[str, float]:
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

    return stages.run("cost", "Measure what an evaluation costs", None, work, True)["cost"]
