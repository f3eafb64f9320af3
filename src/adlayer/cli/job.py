"""The whole job, ``run``, and its ``report`` made again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .command import command
from .recipe import default_folder, folder_option, override, read_toml, set_option


@command(
    examples=(
        "run examples/si100.toml",
        "run si100.toml --set active.rounds=1 --set potential.ACE.cutoff=5.0",
    )
)
@click.argument("recipe", type=click.Path(path_type=Path))
@folder_option
@set_option
def run(recipe: Path, folder: Path | None, settings: tuple[str, ...]) -> None:
    """Do the whole job that RECIPE describes: structures, labels, fit, active learning, checks, studies, report.

    A recipe without a reference method, or with nothing but one, learns nothing: it studies what is ready.

    Interrupted at any point, the same command goes on where it was.
    """
    import inspect

    from ..active.job import Active, Job, Split
    from ..active.recipe import run as run_job
    from .console import Console

    sections = {"": Job, "active": Active, "split": Split}
    known = {name: inspect.signature(section).parameters for name, section in sections.items()}
    spec = override(read_toml(recipe), settings, known)
    text = recipe.read_text(encoding="utf-8")
    print_summary(run_job(spec, folder or default_folder(recipe), Console(), text))


@command(examples=("report runs/si100",))
@click.argument("folder", type=click.Path(exists=False, path_type=Path))
def report(folder: Path) -> None:
    """Make the report of a finished job again, from what is in its FOLDER."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; a job's folder is runs/ and the name of its recipe")
    from ..active.recipe import report as report_job

    click.echo(report_job(folder))


def print_summary(results: Mapping[str, Any]) -> None:
    """One screen on what a job found."""
    from rich.console import Console as RichConsole
    from rich.table import Table

    from ..report.page import number

    out = RichConsole(highlight=False)
    out.print(f"\n[bold]{results['title']}[/bold]\n")
    if results["rounds"]:
        _print_rounds(out, results["rounds"])
    if results["study"]:
        found = Table(box=None, show_header=False)
        for one in results["study"].values():
            for q in one["quantities"]:
                found.add_row(q["name"], number(q["value"], q["std"]), q["unit"])
        out.print("", found)
    if results["validation"]:
        physics = Table("", "potential", "reference", "", box=None)
        for both in results["validation"].values():
            reference = {q["name"]: q["value"] for q in both["reference"]["quantities"]}
            for q in both["potential"]["quantities"]:
                known = reference.get(q["name"])
                physics.add_row(q["name"], number(q["value"]), "–" if known is None else number(known), q["unit"])
        out.print("", physics)
    for name, seen in results["simulation"].items():
        reason = seen["reasons"][0]
        end = "came to its end" if reason == "finished" else f"stopped: {reason}"
        out.print(f"\nsimulation {name}: {seen['atoms']} atoms, {seen['steps'][0]} steps, {end}")
    if failures := results["failures"]:
        out.print(f"{len(failures)} structures could not be labeled; the report lists them")
    if cost := results["cost"]:
        out.print(f"\nan evaluation costs {1000 * cost['potential']:.1f} ms, the reference {cost['reference']:.2g} s")
    if "potential" in results:
        out.print(f"potential  {results['potential']}")
    out.print(f"report     {results['report']}")


def _print_rounds(out, all_rounds: list) -> None:
    from rich.table import Table

    rounds = Table("round", "labeled", "force MAE (meV/Å)", "energy MAE (meV/atom)", "frames in doubt", box=None)
    for k, r in enumerate(all_rounds):
        seen = r["exploration"]
        doubt = f"{seen['doubtful']} of {seen['candidates']}" if seen else "–"
        errors = (f"{1000 * r['errors'][q]:.3g}" for q in ("forces_mae", "energy_mae"))
        rounds.add_row(str(k), str(r["labels"]), *errors, doubt)
    out.print(rounds)
