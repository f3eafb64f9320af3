"""Whatever goes wrong, in one sentence."""

from __future__ import annotations

import errno
import tomllib

import click


def explain(error: BaseException) -> tuple[str, int]:
    """What to tell a person, and the exit status."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted; what was finished is kept, and the same command goes on from there", 130
    if isinstance(error, BrokenPipeError):
        return "", 141
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"not valid TOML: {error}", 2
    if isinstance(error, OSError):
        return _explain_os(error), 1
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] != "adlayer":
        return f"this needs the package {error.name!r}, which is not installed: pip install {error.name}", 1
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ValueError | RuntimeError | NotImplementedError):
        return text, 1
    if isinstance(error, MemoryError):
        return "not enough memory; take fewer atoms at a time", 1
    return f"unexpected {type(error).__name__}: {text} (adlayer --debug ... shows where; please report it)", 70


def _explain_os(error: OSError) -> str:
    name = f" {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        where = f" while writing{name}" if name else ""
        return f"the disk is full{where}; nothing was left half-written: free some space and run it again"
    if isinstance(error, FileNotFoundError) and error.errno is not None:
        return f"there is no file{name}"
    if isinstance(error, PermissionError):
        return f"not allowed to open{name}"
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a folder, a file is needed"
    return str(error)
