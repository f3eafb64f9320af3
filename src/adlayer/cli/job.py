"""The whole job, ``run``, and its ``report`` made again."""

from __future__ import annotations

from pathlib import Path

import click

from .command import command
from .recipe import default_folder, folder_option, set_option


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
    """Do the whole job that RECIPE describes: structures, labels, fit, active learning, checks, simulation, report.

    Interrupted at any point, the same command goes on where it was.
    """
    from ..active.recipe import run as run_job
    from .console import Console

    run_job(recipe, folder or default_folder(recipe), list(settings), Console())


@command(examples=("report runs/si100",))
@click.argument("folder", type=click.Path(exists=False, path_type=Path))
def report(folder: Path) -> None:
    """Make the report of a finished job again, from what is in its FOLDER."""
    from ..active.recipe import report as report_job

    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; a job's folder is runs/ and the name of its recipe")
    click.echo(report_job(folder))
