"""What there is: ``list``, ``show`` and completion; all of it from constructors and their docstrings."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click

from .command import command


def _names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from ..config import catalogue

    return [n for n in catalogue() if n.lower().startswith(begun.lower())]


def _rooms(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from ..config import _ROOMS

    return [r for r in _ROOMS if r.startswith(begun)]


@command(
    "list",
    examples=(
        "list",
        "list potentials",
    ),
)
@click.argument("room", required=False, shell_complete=_rooms)
def list_(room: str | None) -> None:
    """List what recipes can name: of one ROOM (potentials, descriptors, fitting, ...) or of all."""
    from rich.console import Console
    from rich.table import Table

    from ..config import _ROOMS, catalogue, nearest

    if room is not None and room not in _ROOMS:
        raise ValueError(f"there is no room {room!r}{nearest(room, _ROOMS)}; there are {', '.join(_ROOMS)}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name in [room] if room else _ROOMS:
        if parts := catalogue(name):
            table.add_row(f"[cyan]{name}[/cyan]", "")
            for part, cls in parts.items():
                table.add_row(f"  {part}", _plain(_summary(cls)))
    Console(highlight=False).print(table)


@command(
    examples=(
        "show ACE",
        "show my_package.MyPotential",
        "show si100.adl",
    )
)
@click.argument("name", shell_complete=_names)
def show(name: str) -> None:
    """Show what NAME is and the arguments it takes; or what is in a saved potential."""
    from ..config import find_class

    if Path(name).is_file():
        _show_file(Path(name))
    else:
        _show_class(find_class(name))


def _show_class(cls: type) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    doc = inspect.getdoc(cls) or ""
    story, _, rest = doc.partition("\nArgs:\n")
    kind = next((b.__name__ for b in cls.__mro__[1:] if inspect.isabstract(b)), "Part")
    console.print(f"[bold]{cls.__name__}[/bold]  [dim]{kind}, {cls.__module__}[/dim]\n")
    console.print(_plain(_reflowed(story)))
    module = (inspect.getmodule(cls).__doc__ or "").strip().splitlines()
    if module and module[0] not in story and cls.__module__.startswith("adlayer."):
        console.print(f"\n[dim]{_plain(module[0])}[/dim]")
    parameters = _parameters(cls)
    if not parameters:
        return
    said = _argument_texts(rest)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in ("argument", "default", ""):
        table.add_column(column, no_wrap=column != "")
    for key, p in parameters.items():
        default = "[red]needed[/red]" if p.default is p.empty else _plain(_toml(p.default))
        table.add_row(f"[bold]{key}[/bold]", default, _plain(said.get(key, "")))
    console.print()
    console.print(table)
    console.print("\n[dim]In a recipe:[/dim]")
    console.print(f"  {{ {cls.__name__} = {{ {_example(cls, parameters)} }} }}", markup=False)


def _show_file(path: Path) -> None:
    import json

    from rich.console import Console

    from ..config import describe
    from ..saving import load, read_about

    console = Console(highlight=False)
    about, potential = read_about(path), load(path)
    learned = sum(x.numel() for x in potential.parameters())
    console.print(f"[bold]{type(potential).__name__}[/bold]  [dim]{path}[/dim]\n")
    facts = {"elements": ", ".join(potential.elements or ("any",)), "cutoff": f"{potential.cutoff:g} Å"}
    facts |= {"parameters": f"{learned}", "precision": str(potential.dtype).removeprefix("torch.")}
    for key, value in facts.items():
        console.print(f"  {key:<12}{value}")
    console.print()
    console.print(json.dumps(describe(potential), indent=1, default=str), markup=False)
    console.print()
    console.print(json.dumps(about, indent=1), style="dim", markup=False)


@command(
    examples=(
        "completion bash >> ~/.bashrc",
        "completion zsh >> ~/.zshrc",
        "completion fish > ~/.config/fish/completions/adlayer.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete the commands, options and names of adlayer."""
    from click.shell_completion import get_completion_class

    from . import commands

    click.echo(get_completion_class(shell)(commands, {}, "adlayer", "_ADLAYER_COMPLETE").source())


def _summary(cls: type) -> str:
    """The first sentence of the class; of its module, where the class begins with an equation."""
    first = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    module = (inspect.getmodule(cls).__doc__ or "").strip().partition("\n")[0]
    return module if first.startswith("``") and module else first


def _reflowed(text: str) -> str:
    """Paragraphs as single lines, for the terminal to wrap; what is indented stays as it is."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p if any(l[:1] in " -|" for l in p.split("\n")) else " ".join(p.split()) for p in paragraphs)


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {n: p for n, p in inspect.signature(cls).parameters.items() if p.kind not in variable}


def _argument_texts(block: str) -> dict[str, str]:
    """``name: text`` entries of an Args section, their lines joined."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", "\n" + block.split("\n\n")[0]):
        key, colon, text = entry.strip().partition(":")
        if colon and key.isidentifier():
            found[key] = " ".join(text.split())
    return found


def _example(cls: type, parameters: dict[str, inspect.Parameter]) -> str:
    small = getattr(cls, "small", {})
    needed = {n: small.get(n, "...") for n, p in parameters.items() if p.default is p.empty}
    first = {n: p.default for n, p in parameters.items() if isinstance(p.default, int | float | str | bool)}
    shown = needed or dict(list(first.items())[:2])
    return ", ".join(f"{key} = {_toml(value)}" for key, value in shown.items())


def _toml(value: object) -> str:
    """A value as a recipe writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int | float) else type(value).__name__


def _plain(text: str) -> str:
    """Text of a docstring without its marks, safe for rich."""
    from rich.markup import escape

    return escape(text.replace("``", ""))
