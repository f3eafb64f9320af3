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

import torch

from ..config import build
from ..data import Dataset
from ..potential import make_potential
from ..saving import save, write_json
from .checkpoint import digest
from .fit import Fit, default_method
from .measuring import Clock, cost_per_atom, peak, read_json, reset_peak, warm_up
from .metrics import errors_of

if TYPE_CHECKING:
    from .fit import Progress

EVERY = 0.25  # seconds between reports


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
    warm_up(potential, task.parts["train"].structures)
    clock = Clock(folder / "spent.json", goes_on=(fitting / "last.pt").exists())
    before = reset_peak()

    def report(done: int, total: int, message: str) -> None:
        clock.keep()
        progress(done, total, message)

    sets = task.parts["train"], task.parts.get("valid")
    method.weights.check_groups(sets[0])
    fitted = method(potential, *sets, folder=fitting, progress=report, seed=task.seed)
    cpu, seconds, memory = *clock.read(), peak() - before
    potential = fitted.potential
    progress(0, 0, "judging")
    judged = {name: errors_of(potential, data) for name, data in task.parts.items()}
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
        if time.perf_counter() - last > EVERY:
            last = time.perf_counter()
            function(done, total, message)

    return limited


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
