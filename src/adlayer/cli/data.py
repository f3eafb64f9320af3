"""Commands on data sets: ``predict`` and ``check``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import command


@command(
    examples=(
        "predict si100.adl frames.extxyz -o predicted.extxyz",
        "predict n2p2_folder/ input.data --index ::10",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write structures with predictions (.extxyz, .db)."
)
@click.option("--index", help="Which frames, e.g. 0, -1 or ::10.")
def predict(model: Path, data: Path, output: Path | None, index: str | None) -> None:
    """Predict energies, forces, stress and, with an ensemble, their standard deviations.

    MODEL is a saved potential or a foreign file or folder (n2p2, setfl ...). Where DATA has labels, errors are shown.
    """
    from rich.console import Console as RichConsole

    from ..data import Dataset, read, write
    from ..fitting import errors
    from ..fitting import predict as predict_all
    from ..formats import read_potential
    from .console import Console

    potential, dataset = read_potential(model), read(data, index=index)
    with Console().stage(f"Predict {len(dataset)} structures") as progress:
        said = _in_batches(potential, dataset, predict_all, progress)
    out = RichConsole(highlight=False)
    if output is not None:
        info = [_with_std(said, dataset, k) for k in range(len(dataset))]
        out.print(f"wrote {write(output, Dataset(dataset.structures, said._replace(std=None), tuple(info)))}")
    if any(getattr(dataset.labels, name) is not None for name in ("energy", "forces", "stress")):
        out.print(error_table({"all": errors(said, dataset)}))
    elif output is None:
        _print_energies(out, said, dataset)


def _in_batches(potential, dataset, predict_all, progress, structures: int = 50):
    from ..potential import Prediction, check_elements

    check_elements(potential, dataset.structures)
    parts = []
    for start in range(0, len(dataset), structures):
        batch = dataset.structures[list(range(start, min(start + structures, len(dataset))))]
        parts.append((batch, predict_all(potential, batch)))
        progress(min(start + structures, len(dataset)), len(dataset), "")
    return Prediction.cat(parts)


def _with_std(said, dataset, k: int) -> dict:
    """What is known of frame k, with standard deviations beside it."""
    info, structures = dict(dataset.info[k]), dataset.structures
    if said.std is None:
        return info
    atoms = slice(int(structures.offsets[k]), int(structures.offsets[k + 1]))
    arrays = dict(info.get("arrays", {}))
    for name in ("forces", "energies"):
        if (x := getattr(said.std, name)) is not None:
            arrays[f"{name}_std"] = x[atoms].numpy()
    return {**info, "energy_std": float(said.std.energy[k]), "arrays": arrays}


def _print_energies(out, said, dataset, most: int = 20) -> None:
    from rich.table import Table

    table = Table("frame", "atoms", "energy (eV)", "largest force (eV/Å)", box=None, header_style="dim")
    for column in table.columns:
        column.justify = "right"
    if said.std is not None:
        table.add_column("± (eV)", justify="right")
    for k, s in enumerate(dataset.structures.counts.tolist()[:most]):
        F = said.select(dataset.structures, k).forces
        row = [
            str(dataset.info[k]["frame"]),
            str(s),
            f"{float(said.energy[k]):.6f}",
            f"{float(F.norm(dim=1).max()):.4f}",
        ]
        table.add_row(*row, *([] if said.std is None else [f"{float(said.std.energy[k]):.6f}"]))
    out.print(table)
    if len(dataset) > most:
        out.print(f"[dim]... and {len(dataset) - most} more; write them all with -o[/dim]")


def error_table(sets: dict[str, dict]):
    """Errors of several data sets, in meV, side by side; groups below their set."""
    from rich.table import Table

    units = {"energy": ("energy", "meV/atom"), "forces": ("force", "meV/Å"), "virial": ("virial", "meV/atom")}
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("")
    for word, unit in units.values():
        table.add_column(f"{word} MAE\n{unit}", justify="right")
        table.add_column("RMSE\n", justify="right")

    def row(name: str, found: dict) -> None:
        cells = [found.get(f"{key}_{kind}") for key in units for kind in ("mae", "rmse")]
        table.add_row(name, *("" if x is None else f"{1000 * x:.3g}" for x in cells))

    for name, found in sets.items():
        row(f"[bold]{name}[/bold]", found)
        for group, inside in found.get("groups", {}).items():
            row(f"  {group}", inside)
    return table


@command(
    examples=(
        "check data.extxyz",
        "check train.extxyz test.extxyz",
    )
)
@click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)
def check(data: tuple[Path, ...]) -> None:
    """Look for what is wrong with a data set: units, signs, duplicates, outliers, leaks.

    With several files, leaks between the first and each of the others are looked for as well. The exit status is 1
    where there are errors.
    """
    from rich.console import Console

    from ..data import read
    from ..data.doctor import check as examine

    out, worst = Console(highlight=False), False
    sets = {path: read(path) for path in data}
    for k, (path, dataset) in enumerate(sets.items()):
        found = examine(dataset, against=sets[data[0]] if k else None)
        out.print(f"{path}: {dataset!r}", markup=False, style="bold", soft_wrap=True)
        for f in found:
            color = {"error": "red", "warning": "yellow"}.get(f.severity, "cyan")
            out.print(f"\n[{color}]{f.severity}[/{color}] ", end="")
            out.print(str(f).partition(": ")[2], markup=False, soft_wrap=True)
        counts = {s: sum(f.severity == s for f in found) for s in ("error", "warning", "note")}
        said = ", ".join(f"{n} {s}{'s' if n > 1 else ''}" for s, n in counts.items() if n)
        out.print(f"\n{said or 'Nothing wrong was found.'}\n")
        worst |= counts["error"] > 0
    if worst:
        raise SystemExit(1)
