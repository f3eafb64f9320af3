"""A potential made faster: ``tabulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import command

if TYPE_CHECKING:
    from ..potential import Potential
    from ..structures import Structures


@command(
    examples=(
        "tabulate model.adl -o fast.adl",
        "tabulate flare.adl -o fast.adl --check data.extxyz --shortest 2.0",
        "tabulate Si.sw -o fast.adl --triplets 96",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file, .adl.")
@click.option("--check", type=click.Path(path_type=Path), help="Structures on which the error is measured.")
@click.option("--index", help="Which of them, e.g. 0, -1 or ::10.")
@click.option("--shortest", type=float, help="Where tables begin, Å; the smallest covalent radius if not given.")
@click.option("--pairs", default=400, show_default=True, help="Knots of the splines of pairs.")
@click.option("--triplets", default=64, show_default=True, help="Knots along each direction of those of triplets.")
def tabulate(
    model: Path, output: Path, check: Path | None, index: str | None, shortest: float | None, pairs: int, triplets: int
) -> None:
    """Make a potential faster by tables, and say how far it then is from the original.

    MODEL is a saved potential or a foreign file. Sums of pairs and triplets (FLARE, UF3, Stillinger-Weber ...) go on
    splines, with their doubt; a process of environments with zeta = 2 becomes a quadratic form; Deep Potential
    tabulates its embedding. Parts of a sum for which there is no table stay as they are.
    """
    from rich.console import Console as RichConsole

    from ..data import read
    from ..formats import read_potential
    from ..saving import save
    from ..tabulation import tabulate as faster
    from .console import Console

    if output.suffix != ".adl":
        raise ValueError(f"potentials are written to a file that ends in .adl, got {output}")
    if shortest is not None and not shortest > 0:
        raise ValueError(f"--shortest must be above 0 Å, got {shortest}")
    if min(pairs, triplets) < 5:
        raise ValueError(f"a spline needs at least 5 knots, got --pairs {pairs} and --triplets {triplets}")
    if index is not None and check is None:
        raise ValueError("--index chooses frames of --check, which is not given")
    potential, structures = read_potential(model), None if check is None else read(check, index=index).structures
    with Console().stage(f"Tabulate {type(potential).__name__}"):
        made = faster(potential, shortest, pairs, triplets, structures)
    facts = {"energy_error": made.energy, "forces_error": made.forces, "std_error": made.std}
    save(output, made.potential, tabulated=str(model), **facts)
    of = "random clusters of 12 atoms" if check is None else str(check)
    lines = {"largest force error": f"{made.forces:.2g} eV/Å", "largest energy error": f"{made.energy:.2g} eV/atom"}
    if made.std is not None:
        lines["largest error of ±"] = f"{made.std:.2g} eV/Å; rank correlation {made.alike:.3f}"
    if made.kept:
        lines["as it was"] = ", ".join(made.kept)
    if structures is not None:
        before, after = (_cost(p, structures) for p in (potential, made.potential))
        lines["CPU time"] = f"{before:.3g} to {after:.3g} µs/atom"
    out = RichConsole(highlight=False)
    out.print(f"on {of}:", soft_wrap=True)
    for key, value in lines.items():
        out.print(f"  {key:<22}{value}", soft_wrap=True)
    out.print(f"\npotential  {output} ({output.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)


def _cost(potential: Potential, structures: Structures) -> float:
    """CPU time of energy and forces, with doubt where there is any, and neighbors: µs per atom, least of three."""
    import time

    from ..potential import evaluate
    from ..structures import chunks

    some = structures[list(next(iter(chunks(structures, 1000))))]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        evaluate(potential, some, stress=False)
        seconds.append(time.process_time() - start)
    return min(seconds) / some.n_atoms * 1e6
