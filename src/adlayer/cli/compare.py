"""Many families on the same data: ``compare``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import command
from .recipe import default_folder, folder_option, override, read_toml, set_option

TABLES = ("title", "seed", "data", "split", "families", "compare")
OPTIONS = ("atoms", "seconds")


@command(
    examples=(
        "compare examples/compare.toml",
        "compare compare.toml --set data.file=mine.extxyz --set compare.seconds=3600",
    )
)
@click.argument("recipe", type=click.Path(path_type=Path))
@folder_option
@set_option
def compare(recipe: Path, folder: Path | None, settings: tuple[str, ...]) -> None:
    """Fit several families of potentials to the same data, and show what accuracy costs.

    [families.NAME] of RECIPE holds a potential and perhaps a fit; or families = ["SNAP", "ACE"] with all defaults.
    [compare] takes atoms (of the box that is timed) and seconds (after which a family is stopped).

    What is finished is kept: interrupted, the same command goes on. A family that fails is listed, and harms no other.
    """
    import time

    from rich.console import Console as RichConsole

    from ..config import check_arguments, nearest
    from ..fitting.comparison import compare as measure
    from ..report.comparison import compare_report, table
    from .console import Console
    from .fit import recipe_text
    from .fit_job import KNOWN, load_parts

    start = time.perf_counter()
    spec = override(read_toml(recipe), settings, {**KNOWN, "": TABLES, "compare": OPTIONS})
    for name in spec:
        if name not in TABLES:
            raise ValueError(f"the recipe has no table {name!r}{nearest(name, TABLES)}; it takes {', '.join(TABLES)}")
    for name in ("data", "families"):
        if not spec.get(name):
            raise ValueError(f"the recipe needs the table [{name}]")
    folder, seed = folder or default_folder(recipe), spec.get("seed", 0)
    options = spec.get("compare", {})
    if wrong := [name for name in options if name not in OPTIONS]:
        near = nearest(wrong[0], OPTIONS)
        raise ValueError(f"[compare] has no entry {wrong[0]!r}{near}; it takes {', '.join(OPTIONS)}")
    check_arguments(measure, {"families": spec["families"], "train": None, "folder": folder, "seed": seed, **options})
    console = Console()
    with console.stage("Read and split") as progress:
        parts = load_parts(spec["data"], spec.get("split", {}), seed)
        progress(1, 1, "")
    with console.stage("Compare") as progress:
        found = measure(spec["families"], **parts, folder=folder, **options, progress=progress, seed=seed)
    title, text = spec.get("title", f"Families on {recipe.stem}"), recipe_text(recipe, settings)
    seconds = time.perf_counter() - start
    write_results(folder, found)
    page = compare_report(title, text, found, parts, seed, seconds).write(folder / "report.html")
    out = RichConsole(highlight=False)
    out.print(_rich(*table(found, short=True)))
    for c in found:
        if c.failed:
            out.print(f"\n[red]{c.name}[/red] ", end="")
            out.print(f"failed: {c.failed}", markup=False)
    out.print(f"\ntable      {folder / 'compare.csv'}\nresults    {folder / 'compare.json'}", soft_wrap=True)
    out.print(f"report     {page}", soft_wrap=True)
    if all(c.failed for c in found):
        raise ValueError("no family could be fitted")


def write_results(folder: Path, found: list) -> None:
    """``compare.json`` and ``compare.csv``: eV, Å, s and bytes, one row for each family."""
    import csv
    from dataclasses import asdict

    from ..saving import about, atomic, write_json

    rows = [{k: None if x != x else x for k, x in asdict(c).items()} for c in found]  # NaN is no JSON
    write_json(folder / "compare.json", about(families=rows))
    errors = [f"{name}_{kind}" for name in ("energy", "forces", "virial") for kind in ("mae", "rmse")]
    plain = (
        "name",
        "failed",
        "judged",
        "cpu_seconds",
        "seconds",
        "memory",
        "cost",
        "parameters",
        "method",
        "potential",
    )
    with atomic(folder / "compare.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*plain, *errors])
        writer.writerows([[*(getattr(c, name) for name in plain), *(c.error(e) for e in errors)] for c in found])


def _rich(columns: list[str], rows: list):
    from rich.table import Table

    shown = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for k, column in enumerate(columns):
        shown.add_column(column.replace(", ", "\n"), justify="right" if k else "left", no_wrap=True)
    for name, *cells in rows:
        bold = name.startswith("**")
        shown.add_row(
            f"[bold]{name.strip('*')}[/bold]" if bold else name, *("" if c is None else str(c) for c in cells)
        )
    return shown
