"""Many families on the same data: fitted one after another, each in a process of its own, and put side by side."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import check_arguments, find_class, nearest, with_elements
from ..data import Dataset
from ..potential import Potential
from .family import Task
from .fit import Fit, Progress
from .measuring import read_json

KEYS = ("potential", "fit")


@dataclass(frozen=True)
class Compared:
    """What became of one family.

    Args:
        name: of the family.
        failed: why there is no potential; empty: there is one.
        metrics: ``errors`` of ``train`` and where there are any ``valid`` and ``test``.
        cpu_seconds: CPU time of the fit, all threads, errors on its training set included, s.
        seconds: wall time of the fit, s.
        memory: most memory that the fit took, beyond what the program and the data take, bytes.
        cost: CPU time of energy and forces of an atom, one thread, s.
        parameters: how many were fitted.
        method: that fitted.
        stopped: why it ended.
        potential: the file it is saved in.
    """

    name: str
    failed: str = ""
    metrics: Mapping[str, Mapping[str, Any]] | None = None
    cpu_seconds: float = np.nan
    seconds: float = np.nan
    memory: float = np.nan
    cost: float = np.nan
    parameters: int = 0
    method: str = ""
    stopped: str = ""
    potential: str = ""

    @property
    def judged(self) -> str:
        """The set that judges: of those there are, the one the fit has seen least of."""
        return next(name for name in ("test", "valid", "train") if name in (self.metrics or {"train": None}))

    def error(self, metric: str) -> float:
        """Of the set that judges: eV per atom, eV/Å."""
        return float((self.metrics or {}).get(self.judged, {}).get(metric, np.nan))


def compare(
    families: Mapping[str, Mapping[str, Any]] | Sequence[str],
    train: Dataset,
    valid: Dataset | None = None,
    test: Dataset | None = None,
    *,
    folder: Path | str,
    atoms: int = 1000,
    seconds: float | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> list[Compared]:
    """Fit each family to the same frames, judge all on the same others, and measure what each costs.

    A family that fails is listed with its reason. What is finished is kept in the folder, and is not done again there
    unless the family, the data or the seed has changed; a fit that was interrupted goes on where its method can.

    Args:
        families: by name, ``{"potential": {ClassName: {arguments}}, "fit": {ClassName: {arguments}}}``, or the names of
            potentials, with all their defaults.
        train: what all are fitted to.
        valid: what decides when to stop, where a method asks.
        test: what judges; else ``valid`` does.
        folder: where potentials and results are kept.
        atoms: of the box that energy and forces are timed on, at least.
        seconds: wall time after which a family is stopped, and counts as failed.
        progress: called as ``progress(done, total, message)``; a family is a unit, which progress within it divides.
        seed: of all random numbers.
    """
    parts = {name: data for name, data in {"train": train, "valid": valid, "test": test}.items() if data is not None}
    families = checked(families, Dataset.cat(parts.values()).elements)
    folder, found = Path(folder), []
    for k, (name, family) in enumerate(families.items()):
        task = Task(family["potential"], family.get("fit"), parts, folder / slug(name), atoms, seed)
        if (kept := read_json(task.folder / "result.json")) is None or kept["facts"] != task.facts():

            def report(done: int, total: int, message: str, name: str = name, k: int = k) -> None:
                if progress:
                    share = f"{done} of {total}: " if total else ""
                    progress(k, len(families), f"{name}: {share}{message}")

            report(0, 0, "begins")
            reason = run(task, report, seconds)
            kept = {} if reason else read_json(task.folder / "result.json")
            found.append(_compared(name, kept, reason))
        else:
            found.append(_compared(name, kept, ""))
        if progress:
            progress(k + 1, len(families), f"{name}: {found[-1].failed or 'done'}")
    return found


def _compared(name: str, result: Mapping[str, Any], failed: str) -> Compared:
    return Compared(name, failed, **{k: v for k, v in result.items() if k != "facts"})


def checked(families: Mapping | Sequence, elements: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Families as a table; misspelt classes and arguments are errors before anything is fitted."""
    if not isinstance(families, Mapping):
        families = {name: {"potential": {name: {}}} for name in families}
    if not families:
        raise ValueError("there are no families to compare; name some, such as [families.SNAP.potential.SNAP]")
    places: dict[str, str] = {}
    for name, family in families.items():
        if not isinstance(family, Mapping) or not family.get("potential"):
            raise ValueError(f"the family {name!r} needs a table potential, e.g. [families.{name}.potential.SNAP]")
        for key in family:
            if key not in KEYS:
                raise ValueError(
                    f"the family {name!r} has no entry {key!r}{nearest(key, KEYS)}; it takes potential, fit"
                )
        for key, kind in (("potential", Potential), ("fit", Fit)):
            _check_spec(family.get(key) or {}, kind, elements)
        if (other := places.setdefault(slug(name), name)) != name:
            raise ValueError(f"the families {other!r} and {name!r} would share the folder {slug(name)}; rename one")
    return dict(families)


def _check_spec(spec: Mapping | str, kind: type, elements: Sequence[str]) -> None:
    spec = {spec: {}} if isinstance(spec, str) else spec
    for name, arguments in with_elements(spec, elements).items():
        check_arguments(find_class(name, None if "." in name else kind), arguments or {})


def slug(name: str) -> str:
    """A name as that of a folder."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("_.") or "family"


def run(task: Task, progress: Progress, seconds: float | None = None) -> str:
    """Do a task in a process of its own; gives the reason where it fails, which harms nobody else."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    task.folder.mkdir(parents=True, exist_ok=True)
    late = threading.Event()
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", "from adlayer.fitting.family import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends this process
        )
        timer = threading.Timer(seconds, lambda: (late.set(), process.kill())) if seconds else None
        try:
            if timer:
                timer.start()
            with suppress(BrokenPipeError):  # it has died already, and will say why
                process.stdin.write(pickle.dumps(task))
                process.stdin.flush()
            for line in process.stdout:
                kind, *said = json.loads(line)
                if kind == "progress":
                    progress(*said)
                else:
                    return said[0] if kind == "failed" else ""
            code = process.wait()  # it has died without a word
        finally:
            if timer:
                timer.cancel()
            process.kill()
            process.wait()
        return f"took longer than {seconds:g} s and was stopped" if late.is_set() else _last_words(stderr, code)


def _last_words(stderr, code: int) -> str:
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 2000))
    lines = stderr.read().decode(errors="replace").strip().splitlines()
    why = "was killed, perhaps for want of memory" if code == -9 else f"ended with status {code}"
    return f"its process {why}" + (f": {lines[-1].strip()}" if lines else "")


def pareto_front(x: ArrayLike, y: ArrayLike) -> list[int]:
    """Places of those that no other beats in both numbers (smaller is better), by rising ``x``; NaN never counts."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    best, front = np.inf, []
    for k in np.lexsort((y, x)).tolist():
        if np.isfinite(x[k]) and y[k] < best:
            best = y[k]
            front.append(k)
    return front
