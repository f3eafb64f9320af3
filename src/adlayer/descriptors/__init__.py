"""Local environments as numbers: a graph in, features per atom out."""

from __future__ import annotations

from ..config import catalogue


def __getattr__(name: str) -> type:
    """The classes of this room, wherever their files are: ``from adlayer.descriptors import ...``."""
    if name[:1].isupper() and name in (known := catalogue("descriptors")):
        return known[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
