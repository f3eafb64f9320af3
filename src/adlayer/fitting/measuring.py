"""What a fit and a potential cost: CPU time, memory, time per atom."""

from __future__ import annotations

import ctypes
import json
import sys
import time
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..graph import Graph
from ..potential import Evaluator, Potential, evaluate
from ..saving import write_json
from ..structures import Structures

EVERY = 1.0  # seconds between what is written down


def warm_up(potential: Potential, structures: Structures) -> None:
    """Compile the kernels that fit and runs need, which happens once on a machine and is no cost of the family."""
    potential, middle = deepcopy(potential), int(structures.counts.argsort()[len(structures) // 2])
    graph = Graph.of(structures[middle], potential.cutoff)
    with suppress(Exception), torch.random.fork_rng():  # if it cannot, the fit will say why
        potential.prepare([graph])
        if potential.linear:
            potential.design(graph)
        evaluate(potential, graph, std=False)
        if not potential.linear:
            said = evaluate(potential, graph, create_graph=True)
            (said.energy.sum() + said.forces.square().sum()).backward()


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
    box = enlarged(structures[int(structures.counts.argmax())], atoms, bool(potential.any_atoms))
    ask, generator, spent = Evaluator(potential, stress=False, std=False), torch.Generator().manual_seed(0), []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while len(spent) < 2 or (len(spent) < 8 and sum(spent) < seconds):
            moves = torch.randn(box.positions.shape, generator=generator, dtype=torch.float64)
            box = box.with_positions(box.positions + 1e-3 * moves)
            start = time.process_time()
            ask(box)
            spent.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
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


def reset_peak() -> float:
    """Forget the peak of memory so far, where the system lets us; gives what is held now, bytes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what is free but kept would hide what is taken next
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return _status("VmRSS") or peak()


def peak() -> float:
    """The most memory held since then, bytes."""
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
