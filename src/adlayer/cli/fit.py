"""From a data set to a potential: ``fit``, ``learning-curve`` and ``cutoff-test``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import command
from .recipe import default_folder, folder_option, override, read_toml, set_option

KNOWN = ("title", "seed", "data", "split", "potential", "fit", "uncertainty")


@command(
    examples=(
        "fit examples/fit_extxyz.toml",
        "fit fit.toml --set potential.ACE.cutoff=6.0 -f runs/longer",
    )
)
@click.argument("recipe", type=click.Path(path_type=Path))
@folder_option
@set_option
def fit(recipe: Path, folder: Path | None, settings: tuple[str, ...]) -> None:
    """Fit the potential that RECIPE describes, check it on held-out data, and save it with a report."""
    from rich.console import Console as RichConsole

    from .console import Console
    from .data import error_table
    from .fit_job import fit_job

    spec = override(read_toml(recipe), settings, KNOWN)
    folder = folder or default_folder(recipe)
    found = fit_job(spec, folder, Console(), place=recipe.parent)
    out = RichConsole(highlight=False)
    out.print(error_table(found.metrics))
    out.print(f"\npotential  {found.potential}\nreport     {found.report}")
