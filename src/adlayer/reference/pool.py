"""Several workers at once, and how one structure is calculated: attempts, time-outs, what failed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from .method import CalculationFailed, Reference, compute
from .worker import Worker

if TYPE_CHECKING:
    from ase import Atoms

_here = threading.local()


class WorkerPool(ThreadPoolExecutor):
    """The executor used when no other is given: threads of this process, each of which drives one worker process.

    Args:
        workers: how many processes.
        threads: how many threads each of them may use.
    """

    def __init__(self, workers: int = 2, threads: int = 1):
        self._workers: list[Worker] = []

        def start() -> None:
            _here.worker = Worker(threads)
            self._workers.append(_here.worker)

        super().__init__(workers, thread_name_prefix="adlayer-reference", initializer=start)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As any executor's; with ``wait=False`` running calculations are killed."""
        if not wait:
            super().shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.close()
        super().shutdown(wait=True, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.close()


class Outcome(NamedTuple):
    """What became of one structure: a result, or the reason why there is none."""

    result: dict[str, Any] | None
    reason: str = ""
    attempts: int = 1


def attempt(reference: Reference, atoms: Atoms, timeout: float | None, retries: int) -> Outcome:
    """Calculate in this thread's worker process; what fails is tried again with the reference's other settings.

    This is what an executor runs. A calculation that timed out, or a structure that is refused, is not tried again.
    """
    worker = getattr(_here, "worker", None)
    if worker is None:  # an executor that is not ours: Dask, Parsl, a process pool
        worker = _here.worker = Worker()
    reason = ""
    for k in range(retries + 1):
        try:
            return Outcome(worker(compute, reference, atoms, k, timeout=timeout), reason, k + 1)
        except CalculationFailed as error:
            reason = str(error)
        except (TimeoutError, ValueError) as error:
            return Outcome(None, str(error), k + 1)
    return Outcome(None, reason, retries + 1)
