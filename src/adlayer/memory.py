"""What fits into memory, asked before the work and not found by its failure."""

from __future__ import annotations

import os
from collections.abc import Callable


def require_memory(needed: float, what: str, remedy: Callable[[float], str], free: float | None = None) -> None:
    """Raise ``ValueError`` where more is needed than there is.

    Args:
        needed: bytes.
        what: needs them, in the plural.
        remedy: says what would fit into the bytes there are.
        free: bytes; what is free now if not given.
    """
    free = available_memory() if free is None else free
    if needed > free:
        raise ValueError(f"{what} need {gigabytes(needed)} and {gigabytes(free)} are free; {remedy(free)}")


def available_memory() -> float:
    """Bytes that can be had without swapping, as far as the system says."""
    try:
        with open("/proc/meminfo") as file:
            return 1024.0 * next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return 0.8 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return float("inf")


def gigabytes(x: float) -> str:
    """In words."""
    return f"{x / 1e9:.1f} GB" if x > 1e8 else f"{x / 1e6:.1f} MB"
