"""What fits into memory, asked before a fit and not found by its failure."""

from __future__ import annotations

import os
from collections.abc import Callable


def require_memory(needed: float, what: str, remedy: Callable[[float], str]) -> None:
    """Raise ``ValueError`` where more bytes are needed than are free; ``remedy`` says what would fit into these."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return
    if needed > free:
        raise ValueError(f"{what} need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; {remedy(free)}")
