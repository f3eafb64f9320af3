"""A command with examples below its options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click


def command(name: str | None = None, *, examples: Iterable[str] = (), **kwargs: Any) -> Callable:
    """``click.command`` whose help ends with examples, one to a line."""
    return click.command(name, epilog=verbatim("Examples:", *(f"  adlayer {e}" for e in examples)), **kwargs)


def verbatim(*lines: str) -> str:
    """A paragraph that click must not wrap."""
    return "\b\n" + "\n".join(lines)
