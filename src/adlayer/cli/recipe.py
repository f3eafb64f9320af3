"""Recipes from files, with ``--set`` on top."""

from __future__ import annotations

import copy
import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ..config import catalogue, nearest

set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override an entry of the recipe, e.g. --set potential.ACE.cutoff=6.0; may be repeated.",
)


def folder_option(function: Callable) -> Callable:
    """The option ``--folder``."""
    return click.option(
        "-f",
        "--folder",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where everything is written; by default runs/ and the name of the recipe.",
    )(function)


def default_folder(recipe: Path) -> Path:
    """Where a job goes if nothing is said."""
    return Path("runs") / Path(recipe).stem


def read_toml(path: Path) -> dict[str, Any]:
    """A recipe as a dictionary."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file; a recipe is TOML") from None


def override(
    recipe: Mapping[str, Any], settings: Iterable[str], known: Mapping[str, Iterable[str]] | None = None
) -> dict[str, Any]:
    """The recipe with ``"a.b=c"`` applied; values are TOML, a word that is not is taken as text.

    A key must be in the recipe already, be an argument of the class whose table it is in, or be ``known``; any other is
    an error that names the nearest match.

    Args:
        recipe: is left as it was.
        settings: ``"a.b=c"``, applied in order.
        known: the entries that tables may have, by dotted path; ``""`` is the top.
    """
    recipe = copy.deepcopy(dict(recipe))
    for setting in settings:
        keys, value = parse(setting)
        table, names = recipe, [*(known or {}).get("", ()), *recipe]
        for depth, key in enumerate(keys):
            if key not in table and key not in names:
                where = f"[{'.'.join(keys[:depth])}]" if depth else "the recipe"
                takes = f"; there are {', '.join(dict.fromkeys(names))}" if names else ""
                raise ValueError(f"--set {setting}: {where} has no entry {key!r}{nearest(key, names)}{takes}")
            if depth == len(keys) - 1:
                table[key] = value
                break
            if not isinstance(table.setdefault(key, {}), dict):
                raise ValueError(f"--set {setting}: {'.'.join(keys[: depth + 1])} is a value, not a table")
            table = table[key]
            path = ".".join(keys[: depth + 1])
            names = [*(known or {}).get(path, ()), *table, *_arguments(key)] or [keys[depth + 1]]
    return recipe


def parse(setting: str) -> tuple[list[str], Any]:
    """``"a.b=c"`` as keys and a value."""
    name, equals, value = setting.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--set takes KEY=VALUE, e.g. potential.ACE.cutoff=6.0, got {setting!r}")
    keys, table = [], {}
    try:
        table = tomllib.loads(f"{name} = 0")
    except tomllib.TOMLDecodeError:
        raise ValueError(f"--set {setting}: {name.strip()!r} is not a key such as potential.ACE.cutoff") from None
    while isinstance(table, dict):
        key = next(iter(table))
        keys.append(key)
        table = table[key]
    try:
        return keys, tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return keys, value.strip()


def _arguments(name: str) -> list[str]:
    """The arguments of a class of the package, if that is what it names."""
    cls = catalogue().get(name) if name[:1].isupper() else None
    return [] if cls is None else list(inspect.signature(cls).parameters)
