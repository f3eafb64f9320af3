"""The hot functions again, fused, for speed on a CPU.

Each function here has its meaning elsewhere, in readable torch; a test holds the two equal to rounding. Which one runs
is chosen here, by device and by what autograd needs, never in the file that reads like the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_plain_only = False


def use_fused(*tensors: Tensor) -> bool:
    """Whether a fused CPU kernel may stand in for the plain definition here."""
    return not _plain_only and all(x.device.type == "cpu" for x in tensors)


@contextmanager
def plain() -> Iterator[None]:
    """Within this block every fused kernel steps aside for its plain definition: for tests and for doubt."""
    global _plain_only
    before, _plain_only = _plain_only, True
    try:
        yield
    finally:
        _plain_only = before
