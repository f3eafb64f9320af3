"""A command with examples below its options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click


def command(name: str | None = None, *, examples: Iterable[str] = (), **kwargs: Any) -> Callable:
    """``click.command`` whose help ends with examples, one to a line, and begins with what lists of commands show."""

    def decorate(function: Callable) -> click.Command:
        first = (function.__doc__ or "").partition("\n\n")[0].partition(":")[0].strip().rstrip(".")
        epilog = verbatim("Examples:", *(f"  adlayer {e}" for e in examples))
        return click.command(name, epilog=epilog, short_help=first, **kwargs)(function)

    return decorate


def verbatim(*lines: str) -> str:
    """A paragraph that click must not wrap."""
    return "\b\n" + "\n".join(lines)
