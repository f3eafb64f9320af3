"""One family of a comparison, in a process of its own: fitted, judged, timed, its memory measured.

The parent writes one pickled task to standard input and keeps it open; lines of JSON come back, and the result is a
file. The process ends by itself when its parent is gone.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ..config import build
from ..data import Dataset
from ..potential import Evaluator, Potential, make_potential
from ..saving import save, write_json
from ..structures import Structures
from .checkpoint import digest
from .fit import Fit, default_method
from .metrics import errors, predict

if TYPE_CHECKING:
    from .fit import Progress

EVERY = 1.0  # seconds between reports


class Task(NamedTuple):
    """What is to be done.

    Args:
        potential: ``{ClassName: {arguments}}``, several are added.
        fit: ``{ClassName: {arguments}}``; None: what is usual for the potential.
        parts: ``train`` and perhaps ``valid`` and ``test``.
        folder: where everything is written.
        atoms: of the box that energy and forces are timed on.
        seed: of all random numbers.
    """

    potential: Mapping[str, Any] | str
    fit: Mapping[str, Any] | str | None
    parts: Mapping[str, Dataset]
    folder: Path
    atoms: int = 1000
    seed: int = 0

    def facts(self) -> dict[str, Any]:
        """What must be the same for a result to be kept."""
        sets = {name: digest(data) for name, data in self.parts.items()}
        facts = {"potential": self.potential, "fit": self.fit, "sets": sets, "atoms": self.atoms, "seed": self.seed}
        return json.loads(json.dumps(facts, default=str))


def train(task: Task, progress: Progress) -> dict[str, Any]:
    """Fit, judge and measure; the potential and ``result.json`` are in the folder then."""
    folder, fitting = task.folder, task.folder / "fit"
    facts = task.facts()
    if read_json(folder / "family.json") != facts:
        shutil.rmtree(fitting, ignore_errors=True)
        write_json(folder / "family.json", facts)
    elements = Dataset.cat(task.parts.values()).elements
    torch.manual_seed(task.seed)
    potential = make_potential(task.potential, elements)
    method = build(task.fit, Fit) if task.fit else default_method(potential)
    clock = Clock(folder / "spent.json", goes_on=(fitting / "last.pt").exists())
    before = _reset_peak()

    def report(done: int, total: int, message: str) -> None:
        clock.keep()
        progress(done, total, message)

    sets = task.parts["train"], task.parts.get("valid")
    method.weights.check_groups(sets[0])
    fitted = method(potential, *sets, folder=fitting, progress=report, seed=task.seed)
    cpu, seconds, memory = *clock.read(), _peak() - before
    potential = fitted.potential
    progress(0, 0, "judging")
    judged = {name: _errors(potential, data) for name, data in task.parts.items()}
    progress(0, 0, "timing energy and forces")
    cost = cost_per_atom(potential, task.parts.get("test", task.parts["train"]).structures, task.atoms)
    recipe = {"potential": task.potential, "fit": task.fit}
    place = save(folder / "potential.adl", potential, recipe=recipe, seed=task.seed, metrics=judged)
    result = {
        "metrics": judged,
        "cpu_seconds": cpu,
        "seconds": seconds,
        "memory": memory,
        "cost": cost,
        "parameters": sum(x.numel() for x in potential.parameters() if x.requires_grad),
        "method": type(method).__name__,
        "stopped": fitted.stopped,
        "potential": str(place),
    }
    write_json(folder / "result.json", {"facts": facts, **result})
    return result


def _errors(potential: Potential, data: Dataset) -> dict[str, Any]:
    return errors(predict(potential, data.structures, stress=data.labels.stress is not None), data)


def cost_per_atom(potential: Potential, structures: Structures, atoms: int = 1000, seconds: float = 5.0) -> float:
    """CPU time of energy and forces, one thread, seconds per atom: the median over steps of a few thousandths of an Å.

    The largest structure is repeated along its periodic axes to about so many atoms; a cluster, or one of a potential
    that is made for one list of atoms, is copied, all copies in one batch.

    Args:
        potential: any.
        structures: of which the largest is taken.
        atoms: how many at least.
        seconds: to spend.
    """
    torch.set_num_threads(1)
    box = enlarged(structures[int(structures.counts.argmax())], atoms, bool(potential.any_atoms))
    evaluate, generator, spent = Evaluator(potential, stress=False, std=False), torch.Generator().manual_seed(0), []
    while len(spent) < 2 or (len(spent) < 8 and sum(spent) < seconds):
        moves = torch.randn(box.positions.shape, generator=generator, dtype=torch.float64)
        box = box.with_positions(box.positions + 1e-3 * moves)
        start = time.process_time()
        evaluate(box)
        spent.append(time.process_time() - start)
    return float(np.median(spent[1:])) / box.n_atoms


def enlarged(structure: Structures, atoms: int, repeat: bool = True) -> Structures:
    """One structure, repeated along its periodic axes or copied until there are so many atoms."""
    (frame,) = structure.to_ase()
    while repeat and frame.pbc.any() and len(frame) < atoms:
        lengths = np.where(frame.pbc, frame.cell.lengths(), np.inf)
        by = np.ones(3, int)
        by[lengths.argmin()] = 2
        frame = frame.repeat(by)
    return Structures.from_ase([frame] * max(1, -(-atoms // max(len(frame), 1))))


class Clock:
    """CPU and wall time since it was made, those of an interrupted run that is gone on with included.

    Args:
        path: where they are kept.
        goes_on: whether an earlier run is gone on with.
    """

    def __init__(self, path: Path, goes_on: bool):
        before = read_json(path) if goes_on else None
        self.path, self.before = path, (before or {"cpu": 0.0, "seconds": 0.0}).values()
        self.start = time.process_time(), time.perf_counter()
        self.kept = 0.0

    def read(self) -> tuple[float, float]:
        """CPU and wall time, s."""
        now = time.process_time(), time.perf_counter()
        return tuple(b + n - s for b, n, s in zip(self.before, now, self.start))

    def keep(self) -> None:
        """Write them down, now and then."""
        if time.perf_counter() - self.kept > EVERY:
            write_json(self.path, dict(zip(("cpu", "seconds"), self.read())))
            self.kept = time.perf_counter()


def read_json(path: Path) -> dict[str, Any] | None:
    """What is in a file of JSON, where there is one."""
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return None


def _reset_peak() -> float:
    """Forget the peak of memory so far, where the system lets us; gives what is held now, bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS") or _peak()


def _peak() -> float:
    if (found := _status("VmHWM")) is not None:
        return found
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _status(name: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(name)), None)


def serve() -> None:
    """Do the task on standard input; tell how it goes on standard output, one line of JSON each."""
    say = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what others print must not mix with what we say
    task = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    say_sometimes = _sometimes(lambda *args: say.write(json.dumps(["progress", *args]) + "\n"))
    try:
        train(task, say_sometimes)
        say.write(json.dumps(["done"]) + "\n")
    except Exception as error:
        text = " ".join(str(error).split())
        say.write(json.dumps(["failed", f"{type(error).__name__}: {text}" if text else type(error).__name__]) + "\n")


def _sometimes(function: Callable) -> Callable:
    last = 0.0

    def limited(done: int, total: int, message: str) -> None:
        nonlocal last
        if time.perf_counter() - last > EVERY / 4:
            last = time.perf_counter()
            function(done, total, message)

    return limited


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
