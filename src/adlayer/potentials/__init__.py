"""From a graph to energies: one file per published family, in the order and the letters of its paper."""

from __future__ import annotations

from ..config import catalogue


def __getattr__(name: str) -> type:
    """The classes of this room, wherever their files are: ``from adlayer.potentials import ...``."""
    if name[:1].isupper() and name in (known := catalogue("potentials")):
        return known[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
