"""From a data set to a potential: ``fit``, ``learning-curve`` and ``cutoff-test``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import command
from .recipe import default_folder, folder_option, override, read_toml, set_option

recipe_argument = click.argument("recipe", type=click.Path(path_type=Path))


@command(
    examples=(
        "fit examples/fit_extxyz.toml",
        "fit fit.toml --set potential.ACE.cutoff=6.0 -f runs/longer",
    )
)
@recipe_argument
@folder_option
@set_option
def fit(recipe: Path, folder: Path | None, settings: tuple[str, ...]) -> None:
    """Fit the potential that RECIPE describes, judge it on held-out data, and save it with a report."""
    from rich.console import Console as RichConsole

    from .console import Console
    from .data import error_table
    from .fit_job import KNOWN, fit_job

    spec = override(read_toml(recipe), settings, KNOWN)
    found = fit_job(spec, folder or default_folder(recipe), Console(), recipe_text(recipe, settings))
    out = RichConsole(highlight=False)
    out.print(error_table(found.metrics))
    out.print(f"\npotential  {found.potential}\nreport     {found.report}", soft_wrap=True)


def recipe_text(recipe: Path, settings: tuple[str, ...]) -> str:
    """The recipe as a report shows it, with what was set on the command line."""
    return recipe.read_text(encoding="utf-8") + "".join(f"\n# --set {s}" for s in settings)


@command(
    "learning-curve",
    examples=(
        "learning-curve examples/fit_extxyz.toml",
        "learning-curve fit.toml --sizes 25,50,100,200 --seeds 5",
    ),
)
@recipe_argument
@folder_option
@set_option
@click.option("--sizes", help="Numbers of structures, e.g. 25,50,100; by default doubled up to all.")
@click.option("--seeds", default=3, show_default=True, help="How many random orders of the structures.")
def learning_curve(recipe: Path, folder: Path | None, settings: tuple[str, ...], sizes: str | None, seeds: int) -> None:
    """Show how errors fall with the number of structures: fit RECIPE to growing parts of its training set."""
    import torch
    from rich.console import Console as RichConsole

    from ..config import build
    from ..data import Dataset
    from ..fitting import Fit
    from ..fitting.learning_curve import learning_curve as measure
    from ..formats import potential_of
    from ..report import Report
    from ..report.plots import learning_curve as plot
    from .console import Console
    from .fit_job import KNOWN, load_parts

    spec = override(read_toml(recipe), settings, KNOWN)
    folder, seed = folder or default_folder(recipe), spec.get("seed", 0)
    parts = load_parts(spec["data"], spec.get("split", {}), seed)
    judges = [parts[name] for name in ("valid", "test") if name in parts]
    if not judges:
        raise ValueError("a learning curve needs held-out structures; give [split] valid = 0.1")
    method = build(spec["fit"], Fit) if spec.get("fit") else None
    torch.manual_seed(seed)
    potential = potential_of(spec["potential"], Dataset.cat(parts.values()).elements)
    numbers = None if sizes is None else _numbers("sizes", sizes, int)
    with Console().stage("Learning curve") as progress:
        options = {"sizes": numbers, "seeds": seeds, "folder": folder, "progress": progress, "seed": seed}
        curve = measure(potential, parts["train"], Dataset.cat(judges), method, **options)
    metrics = {"Force MAE (meV/Å)": "forces_mae", "Energy MAE (meV/atom)": "energy_mae"}
    metrics = {words: key for words, key in metrics.items() if key in curve.rows[0]}
    out = RichConsole(highlight=False)
    out.print(_table(["structures", *metrics], [curve.sizes, *(1000 * curve.of(k)[1] for k in metrics.values())]))
    report = Report(f"Learning curve of {recipe.stem}", kicker="Adlayer · learning curve")
    report.figure(plot(curve.sizes, {words: 1000 * curve.of(k)[1] for words, k in metrics.items()}, "structures"))
    out.print(f"\nreport     {report.write(folder / 'learning_curve.html')}", soft_wrap=True)


@command(examples=("search examples/search.toml", "search fit.toml --set search.trials=100"))
@recipe_argument
@folder_option
@set_option
def search(recipe: Path, folder: Path | None, settings: tuple[str, ...]) -> None:
    """Search for hyperparameters: vary what [search.space] of RECIPE names, fit, and keep what does best.

    Run again with the same folder, it goes on with the trials it has. [search] also takes trials, seconds, sampler
    ("tpe", "gp", "random", "genetic") and minimize.

    With [descriptor.SOAP] in place of [potential], a descriptor is judged by a quick regression on its features:
    by = "linear" or "kernel".
    """
    from rich.console import Console as RichConsole

    from ..config import check_arguments
    from ..fitting.search import search as look
    from ..saving import write_json
    from .console import Console
    from .fit_job import KNOWN, load_parts

    takes = ("space", "trials", "seconds", "sampler", "minimize", "by")
    tables = (*KNOWN[""], "search", "descriptor")
    spec = override(read_toml(recipe), settings, {**KNOWN, "": tables, "search": takes})
    options = dict(spec.pop("search", {}))
    if not options.get("space"):
        raise ValueError('[search] needs a table space, e.g. [search.space] with "potential.ACE.cutoff" = [4.0, 6.0]')
    folder, seed = folder or default_folder(recipe), spec.get("seed", 0)
    parts = load_parts(spec["data"], spec.get("split", {}), seed)
    if "valid" not in parts:
        raise ValueError("a search needs held-out structures; give [split] valid = 0.1")
    table = {key: spec[key] for key in ("potential", "descriptor", "fit") if key in spec}
    if ("potential" in table) == ("descriptor" in table):
        raise ValueError("a search needs one of the tables [potential] and [descriptor], and not both")
    given = {"recipe": table, "train": parts["train"], "valid": parts["valid"], **options}
    check_arguments(look, given)
    with Console().stage("Search") as progress:
        found = look(**given, storage=folder / "trials.jsonl", progress=progress, seed=seed)
    write_json(folder / "search.json", {"values": found.values, "score": found.score, "front": found.front})
    out = RichConsole(highlight=False)
    for path, value in found.values.items():
        out.print(f"{path} = {value!r}")
    out.print(f"\nscore      {', '.join(f'{x:.4g}' for x in found.score)} after {len(found.trials)} trials")
    out.print(f"results    {folder / 'search.json'}", soft_wrap=True)


@command(
    "cutoff-test",
    examples=(
        "cutoff-test si100.adl bulk.extxyz --radii 3,4,5,6",
        "cutoff-test examples/si100.toml bulk.extxyz --radii 3,4,5,6 --samples 5",
    ),
)
@click.argument("method", type=click.Path(path_type=Path))
@click.argument("structure", type=click.Path(path_type=Path))
@click.option("--radii", default="3,4,5,6", show_default=True, help="Å, parted by commas.")
@click.option("--samples", default=10, show_default=True, help="Random displacements for each radius.")
@click.option("--tolerance", default=0.05, show_default=True, help="Spread of force that is good enough, eV/Å.")
@click.option(
    "--atom", "centers", multiple=True, type=int, help="Atoms whose forces are looked at; by default the first."
)
@click.option("--seed", default=0, show_default=True)
def cutoff_test(
    method: Path, structure: Path, radii: str, samples: int, tolerance: float, centers: tuple[int, ...], seed: int
) -> None:
    """Find the cutoff that a material needs: how the force on an atom depends on what lies beyond a radius.

    METHOD is a recipe with a [reference] table, or a saved potential; the first frame of STRUCTURE is used, which
    should be much larger than the radii.
    """
    from rich.console import Console as RichConsole

    from ..data import read
    from ..fitting.locality import locality
    from .console import Console

    frame = read(structure, index=0).structures
    with Console().stage("Cutoff test") as progress:
        found = locality(
            _evaluate(method),
            frame,
            _numbers("radii", radii, float),
            centers=centers or (0,),
            samples=samples,
            tolerance=tolerance,
            seed=seed,
            progress=progress,
        )
    out = RichConsole(highlight=False)
    out.print(_table(["radius (Å)", "spread of force (meV/Å)"], [found.radii, 1000 * found.spread]))
    if found.cutoff is None:
        out.print(f"\nNone of these radii brings the spread below {tolerance:g} eV/Å; try larger ones.")
    else:
        out.print(f"\nBeyond {found.cutoff:g} Å the spread stays below {tolerance:g} eV/Å: take that as the cutoff.")


def _evaluate(method: Path):
    """A saved potential or the reference method of a recipe, as a function of structures."""
    if method.suffix == ".toml":
        from ..config import build
        from ..reference import Reference, ReferenceEvaluate

        recipe = read_toml(method)
        if "reference" not in recipe:
            raise ValueError(f"{method} has no [reference] table")
        return ReferenceEvaluate(build(recipe["reference"], Reference))
    from ..formats import read_potential
    from ..potential import Evaluator

    return Evaluator(read_potential(method), stress=False)


def _numbers(name: str, text: str, kind: type) -> list:
    try:
        return [kind(x) for x in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name} takes numbers parted by commas, got {text!r}") from None


def _table(columns: list[str], values: list):
    from rich.table import Table

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right")
    for row in zip(*values):
        table.add_row(*(f"{x:.4g}" for x in row))
    return table
