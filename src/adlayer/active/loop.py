"""The active loop: explore until in doubt, choose what is new, label it, fit again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from ..data import Dataset
from ..data.selection import choose
from ..fitting import errors, predict
from ..graph import Graph
from ..potential import Evaluator, Potential
from ..reference import label
from ..simulation import MaxTemperature, MaxUncertainty, MinDistance, fixed_atoms, relax, run
from ..structures import Structures
from ..surfaces.contacts import bonds
from ..uncertainty import Doubtful, assess, force_deviation
from .asking import method
from .job import Active, Job, Split
from .stages import Progress, Stages


def generate(job: Job, stages: Stages, ready: Potential | None = None, what: Any = None) -> dict[str, list[Atoms]]:
    """All structures of the job, by name.

    Args:
        ready: a potential that need not learn, which generators may ask; else they ask the reference.
        what: what is asked, such that another method makes other structures.
    """

    def work(folder: Path, progress: Progress) -> dict:
        made: dict[str, list[Atoms]] = {}
        for k, (name, generator) in enumerate(job.structures.items()):
            progress(k, len(job.structures), name)
            if generator.asks:
                with method(job, stages, ready) as evaluate:
                    made[name] = generator(made, stages.rng(f"structures/{name}"), evaluate)
            else:
                made[name] = generator(made, stages.rng(f"structures/{name}"))
            for atoms in made[name]:
                atoms.info["group"] = name
        return {"structures": Dataset.from_ase([a for frames in made.values() for a in frames])}

    asking = any(generator.asks for generator in job.structures.values())
    settings = {"structures": job.structures, "of": what} if asking else job.structures
    frames = stages.run("structures", "Build the structures", settings, work)["structures"].to_ase()
    made: dict[str, list[Atoms]] = {name: [] for name in job.structures}
    for atoms in frames:
        made[atoms.info["group"]].append(atoms)
    return made


def label_and_split(
    job: Job, stages: Stages, name: str, title: str, frames: Sequence[Atoms]
) -> tuple[Dataset, list[dict[str, Any]]]:
    """Labels for all frames, each marked in ``info["split"]`` as train, valid or test; and those that failed."""

    def work(folder: Path, progress: Progress) -> dict:
        labeled = label(job.reference, frames, stages.folder / "labels", None, job.workers, job.timeout, 1, progress)
        if not labeled.frames:
            reasons = "; ".join(sorted({f.reason for f in labeled.failures}))
            raise ValueError(f"none of {len(frames)} structures could be labeled: {reasons}")
        groups = [str(atoms.info.get("group", "")) for atoms in labeled.frames]
        marks = split(job.split, groups, stages.rng(name))
        for atoms, mark in zip(labeled.frames, marks):
            atoms.info.setdefault("split", mark)
        failures = [
            {"group": f.frame.info.get("group", ""), "reason": f.reason, "attempts": f.attempts}
            for f in labeled.failures
        ]
        return {"labels": Dataset.from_ase(labeled.frames), "failures": failures}

    settings = {"reference": job.reference, "split": job.split}
    results = stages.run(f"{name}/labels", title, settings, work)
    return results["labels"], results["failures"]


def split(shares: Split, groups: Sequence[str], rng: np.random.Generator) -> list[str]:
    """A mark for each frame, spread evenly over the groups; at least one of each kind where there are three frames."""
    n = len(groups)
    order = sorted(rng.permutation(n).tolist(), key=lambda k: groups[k])
    marks = ["train"] * n
    for mark, share in (("test", shares.test), ("valid", shares.valid)):
        left = [k for k in order if marks[k] == "train"]
        wanted = max(1, round(share * n)) if n >= 3 else 0
        for k in range(wanted):
            marks[left[int((k + 0.5) * len(left) / wanted)]] = mark
    return marks


def part(dataset: Dataset, mark: str) -> Dataset:
    """The frames with this mark."""
    return dataset[[k for k, info in enumerate(dataset.info) if info["split"] == mark]]


def fit_and_judge(job: Job, stages: Stages, name: str, potential: Potential, data: Dataset) -> dict[str, Any]:
    """A potential that knows its doubt, its errors on the test set, and the doubt at which to stop."""

    def work(folder: Path, progress: Progress) -> dict:
        train, valid, test = (part(data, mark) for mark in ("train", "valid", "test"))
        fitted = job.uncertainty.fit(
            potential,
            train,
            valid,
            job.fit,
            folder=folder,
            progress=progress,
            seed=int(stages.rng(name).integers(2**31)),
        )
        facts = judge(fitted, valid, test, job.active)
        return {"potential": fitted, "facts": facts | {"train": len(train), "valid": len(valid), "test": len(test)}}

    settings = {"potential": job.potential, "fit": job.fit, "uncertainty": job.uncertainty}
    settings |= {"tolerance": job.active.tolerance, "level": job.active.level, "rule": job.active.rule}
    return stages.run(f"{name}/fit", f"Fit the potential ({name})", settings, work)


def judge(fitted: Doubtful, valid: Dataset, test: Dataset, active: Active) -> dict[str, Any]:
    """Errors and honesty on held-out data, and the threshold that follows from them."""
    calibration = assess(predict(fitted, valid.structures, stress=False), valid)
    n = len(calibration.scores)
    level = min(active.level, n / (n + 1))  # so few held-out atoms can vouch for no more
    on_test = predict(fitted, test.structures, stress=test.labels.stress is not None)
    asks = calibration.threshold(active.tolerance, level) if active.rule is None else active.rule.threshold(fitted)
    return {
        "errors": errors(on_test, test),
        "threshold": asks,
        "calibration": calibration.as_dict(),
        "test": assess(on_test, test).as_dict(),
    }


def explore(
    job: Job, stages: Stages, name: str, fitted: dict[str, Any], made: Mapping[str, list[Atoms]]
) -> tuple[list[Atoms], dict[str, Any]]:
    """What should be labeled next: frames of runs that the potential itself drives, new and doubtful ones first."""
    active = job.active

    def work(folder: Path, progress: Progress) -> dict:
        potential, threshold = fitted["potential"], fitted["facts"]["threshold"]
        starts = [a for s in job.start for a in made[s] for _ in range(active.replicas)]
        generator = torch.Generator().manual_seed(int(stages.rng(name).integers(2**31)))
        path = folder / "exploration.extxyz"
        done = run(
            active.explore,
            Evaluator(potential, std=False),
            starts,
            generator,
            watch=[MaxUncertainty(2.0 * threshold), MaxTemperature(), MinDistance()],
            every=active.every,
            trajectory=path,
            checkpoint=folder / "exploration.checkpoint",
            doubt=Evaluator(potential, stress=False),
            doubt_every=active.every,
            progress=progress,
        )
        candidates, doubts = candidates_of(path, starts, potential)
        frames = [a for s in job.start for a in made[s]]
        minima = relaxed(potential, frames, active.minima, threshold, progress) if active.minima else []
        n = max(active.labels - len(minima), 0)
        chosen = select(potential, candidates, doubts, threshold, n, stages.rng(f"{name}/choice"))
        picked = minima + [candidates[k] for k in chosen]
        stopped = [r for r in done.reason if r != "finished"]
        facts = {
            "runs": len(starts),
            "stopped": len(stopped),
            "reasons": stopped,
            "candidates": len(candidates),
            "doubtful": int((doubts > threshold).sum()),
            "largest": float(doubts.max()) if len(doubts) else 0.0,
            "threshold": threshold,
        }
        return {"picked": Dataset.from_ase(picked), "facts": facts}

    settings = {"active": active, "start": job.start}
    results = stages.run(f"{name}/exploration", f"Explore until in doubt ({name})", settings, work)
    return results["picked"].to_ase(), results["facts"]


def relaxed(
    potential: Potential, frames: Sequence[Atoms], weight: float, threshold: float, progress: Progress
) -> list[Atoms]:
    """Where the potential thinks that the minima are, near these frames: what is asked of it most often.

    A relaxation ends on the way, with no more weight than any frame, where the doubt exceeds four times the threshold.
    """
    done = relax(
        Evaluator(potential, std=False),
        frames,
        fmax=0.05,
        max_steps=200,
        watch=[MaxUncertainty(4 * threshold), MinDistance()],
        doubt=Evaluator(potential, stress=False),
        doubt_every=5,
        progress=progress,
    )
    minima = []
    for frame, finished, steps in zip(done.frames, done.finished, done.steps):
        if steps and plausible(frame):
            frame.calc = None
            frame.info |= {"weight": weight, "split": "train"} if finished else {}
            minima.append(frame)
    return minima


def plausible(atoms: Atoms, closest: float = 0.6) -> bool:
    """Whether no two atoms are nearer than this part of the sum of their covalent radii; elsewhere methods fail."""
    return not len(bonds(atoms, closest)[0])


def candidates_of(trajectory: Path, starts: Sequence[Atoms], potential: Doubtful) -> tuple[list[Atoms], np.ndarray]:
    """The bare frames of an exploration and the largest doubt about a force on an atom that moves in each (eV/Å)."""
    from ase.io import iread

    candidates = []
    for frame in iread(trajectory, index=":"):
        if frame.info["step"] == 0:
            continue
        atoms = starts[int(frame.info["system"])].copy()
        atoms.positions, atoms.cell = frame.positions, frame.cell
        if plausible(atoms):
            candidates.append(atoms)
    doubts = []
    for atoms in candidates:
        said = predict(potential, Structures.from_ase(atoms), stress=False)
        doubts.append(float((force_deviation(said) * ~fixed_atoms([atoms])).max()))
    return candidates, np.array(doubts)


def select(
    potential: Potential,
    candidates: Sequence[Atoms],
    doubts: np.ndarray,
    threshold: float,
    n: int,
    rng: np.random.Generator,
) -> list[int]:
    """Which candidates to label: those that the potential itself chooses, or far from one another, and in doubt.

    Frames in which the doubt exceeds four times the threshold are left out while there are others: they are often
    unphysical, and the next round will come near them better informed.
    """
    sane = np.flatnonzero(doubts <= max(4 * threshold, np.quantile(doubts, 0.2))) if len(doubts) else np.arange(0)
    if len(sane) <= n:
        return sane.tolist()
    structures = Structures.from_ase([candidates[k] for k in sane])
    chosen = potential.choose(structures, n)
    if chosen is None:
        chosen = choose(fingerprints(potential, structures), doubts[sane], n, rng)
    return sorted(sane[chosen].tolist())


def fingerprints(potential: Potential, structures: Structures) -> np.ndarray:
    """Features of whole structures: the mean of what a linear potential is linear in, else of symmetry functions."""
    potential = getattr(potential, "potential", potential)  # of an ensemble, what its members are made of
    rows = []
    for s in structures:
        graph = Graph.of(s, potential.cutoff)
        if potential.linear:
            x = potential.design(graph, forces=False, virial=False).energy[0] / s.n_atoms
        else:
            from ..descriptors.acsf import ACSF

            elements = potential.elements or tuple(dict.fromkeys(a for f in structures.to_ase() for a in f.symbols))
            descriptor = ACSF(elements=list(elements), cutoff=potential.cutoff)
            x = descriptor(graph).mean(0)
        rows.append(x.detach().double().numpy())
    return np.stack(rows)
