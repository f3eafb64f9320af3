"""How many threads the fused kernels use: all for large systems, one for small ones, which waiting would only slow.

Numba's kernels and torch share one OpenMP runtime, in which the last to set the number of threads wins. So the two are
set together here: ``torch.set_num_threads`` (or ``OMP_NUM_THREADS``) says how many there may be for both.
"""

from __future__ import annotations

import numba
import torch

SMALL = 256  # atoms; below, waking a second thread costs more than it saves, much more on a busy machine
_allowed, _set_here = 1, -1


def use_threads(n_atoms: int) -> None:
    """Set the number of threads for what follows, at most ``NUMBA_NUM_THREADS`` and what torch was told."""
    global _allowed, _set_here
    now = torch.get_num_threads()
    if now != _set_here:  # somebody else has spoken
        _allowed = now
    n = 1 if n_atoms < SMALL else min(_allowed, numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(n)  # the first time it starts the threads, and thereby changes torch's number
    if torch.get_num_threads() != n:
        torch.set_num_threads(n)
    _set_here = n


def use_all_threads() -> None:
    """For linear algebra on large matrices, whatever the last kernel needed."""
    use_threads(SMALL)
