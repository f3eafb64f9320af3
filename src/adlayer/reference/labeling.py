"""Label structures with a reference method: in parallel, each label kept the moment it exists, none computed twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .method import Reference
from .pool import WorkerPool, attempt
from .store import LabelStore

if TYPE_CHECKING:
    from ase import Atoms


class Failure(NamedTuple):
    """A structure that could not be labeled, and why."""

    index: int  # its place among the frames that were given
    frame: Atoms
    reason: str
    attempts: int


class Labeled(NamedTuple):
    """What ``label`` returns."""

    frames: list[Atoms]  # with their results attached, in the order given, failures left out
    failures: list[Failure]
    computed: int  # how many were not in the store
    seconds: float


def label(
    reference: Reference,
    frames: Sequence[Atoms],
    store: LabelStore | Path | str | None = None,
    executor: Executor | None = None,
    workers: int = 2,
    timeout: float | None = 600.0,
    retries: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Labeled:
    """Label frames; those already in the store, for this very structure and method, are only read.

    Args:
        reference: the method.
        frames: structures; constraints are kept on the frames but labels are the true forces.
        store: folder of labels.
        executor: any ``concurrent.futures`` executor (Dask and Parsl give one for a cluster); default: ``WorkerPool``.
        workers: how many processes calculate at a time, where no executor is given.
        timeout: seconds after which a calculation is killed.
        retries: how often a failed calculation is tried with the method's other settings.
        progress: called as ``progress(done, total, message)``.
    """
    start = time.perf_counter()
    store = store if store is None or isinstance(store, LabelStore) else LabelStore(store)
    keys = [LabelStore.key(reference, frame) for frame in frames]
    unique = dict(zip(keys, frames))
    results: dict[str, Any] = {key: store.read(key) for key in unique} if store is not None else {}
    missing = [key for key in unique if results.get(key) is None]
    failed: dict[str, tuple[str, int]] = {}
    own = WorkerPool(workers) if executor is None and missing else None
    futures = {}
    try:
        for key in missing:
            bare = _bare(unique[key])
            futures[(own or executor).submit(attempt, reference, bare, timeout, retries)] = key
        for done, future in enumerate(as_completed(futures), start=len(unique) - len(missing) + 1):
            key, outcome = futures[future], future.result()
            if outcome.result is None:
                failed[key] = (outcome.reason, outcome.attempts)
            else:
                results[key] = outcome.result | {"reason": outcome.reason}
                if store is not None:
                    store.write(key, reference, unique[key], results[key])
            if progress:
                progress(done, len(unique), f"labeled {done} of {len(unique)}, {len(failed)} failed")
    finally:
        for future in futures:
            future.cancel()
        if own:
            own.shutdown(wait=False)
    labeled = [attach(reference, frame, results[key]) for key, frame in zip(keys, frames) if key not in failed]
    failures = [Failure(k, frames[k], *failed[key]) for k, key in enumerate(keys) if key in failed]
    return Labeled(labeled, failures, len(missing), time.perf_counter() - start)


def attach(reference: Reference, frame: Atoms, result: dict[str, Any]) -> Atoms:
    """A copy of the frame that carries its label as ASE results, and how it came about in ``info``."""
    from ase.calculators.singlepoint import SinglePointCalculator

    names = ("energy", "forces", "stress", "charges")
    labeled = frame.copy()
    labeled.calc = SinglePointCalculator(labeled, **{n: result[n] for n in names if result.get(n) is not None})
    labeled.info |= {"method": repr(reference), "seconds": result["seconds"]}
    if result["attempt"]:
        labeled.info["attempt"] = result["attempt"]
    return labeled


def _bare(frame: Atoms) -> Atoms:
    """Only what a calculation needs, to be sent."""
    from ase import Atoms

    info = {name: frame.info[name] for name in ("charge", "spin") if name in frame.info}
    magnetic = frame.get_initial_magnetic_moments() if frame.has("initial_magmoms") else None
    return Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, info=info, magmoms=magnetic)
