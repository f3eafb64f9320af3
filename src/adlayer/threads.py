"""How many threads the fused kernels use: all for large systems, one for small ones, which waiting would only slow."""

from __future__ import annotations

import numba

SMALL = 256  # atoms; below, waking a second thread costs more than it saves, much more on a busy machine


def use_threads(n_atoms: int) -> None:
    """Set the number of threads for the kernels that follow; at most ``NUMBA_NUM_THREADS``."""
    numba.set_num_threads(1 if n_atoms < SMALL else numba.config.NUMBA_NUM_THREADS)
