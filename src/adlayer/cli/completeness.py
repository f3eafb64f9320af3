"""What descriptors cannot see: ``completeness``."""

from __future__ import annotations

import click

from .command import command


@command(
    examples=(
        "completeness",
        "completeness SOAP ACSF Bispectrum",
        'completeness "{ ACE = { order = 3 } }" "{ ACE = { order = 4, degree = 14 } }"',
        "completeness potential.adl",
    )
)
@click.argument("names", nargs=-1)
@click.option("--element", default="C", show_default=True, help="Of all atoms, where it is not in what is saved.")
@click.option("--members", default=4, show_default=True, help="Pairs of environments of each kind.")
@click.option("--seed", default=0, show_default=True)
def completeness(names: tuple[str, ...], element: str, members: int, seed: int) -> None:
    """Show which degenerate environments descriptors and potentials cannot tell apart.

    NAMES are classes, such as SOAP, with arguments as in { SOAP = { l_max = 4 } }, or saved potentials; by default all
    descriptors, and ACE to fourth order. Numbers say how different two environments look that are equal in all pairs,
    triplets or quadruplets of the center and its neighbors; 1 is as much as when each neighbor moves by a twentieth of
    its distance.
    """
    from rich.console import Console
    from rich.table import Table

    from ..descriptors.completeness import KINDS
    from ..descriptors.completeness import completeness as judge

    if members < 1:
        raise ValueError(f"members is at least 1, got {members}")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for kind in KINDS:
        table.add_column(f"same {kind}", justify="right", no_wrap=True)
    out = Console(highlight=False)
    for name, thing in _things(names, element):
        found = judge(thing, members=members, seed=seed)
        cells = ["[red]blind[/red]" if kind in found.fails else f"{found.contrast[kind]:.2g}" for kind in KINDS]
        table.add_row(name, *cells)
    out.print(table)


def _things(names: tuple[str, ...], element: str):
    """What is to be judged, by name."""
    from ..config import find_class
    from ..descriptor import Descriptor, make_descriptor
    from ..potential import make_potential
    from ..saving import is_saved_potential, load
    from .describe import parsed

    if not names:
        yield from _all(element)
    for name in names:
        if name.endswith(".adl") or is_saved_potential(name):
            yield name, load(name)
            continue
        spec = parsed(name)
        is_descriptor = issubclass(find_class(next(iter(spec))), Descriptor)
        yield name, (make_descriptor if is_descriptor else make_potential)(spec, [element])


def _all(element: str):
    """Every descriptor that needs to know nothing but elements, and ACE by order."""
    import inspect

    from ..config import catalogue
    from ..descriptor import Descriptor
    from ..potential import make_potential

    for name, cls in catalogue(Descriptor).items():
        needed = [p for p in inspect.signature(cls).parameters.values() if p.default is p.empty]
        if [p.name for p in needed] == ["elements"]:
            yield name, cls([element])
    for order in range(1, 5):
        yield f"ACE, order {order}", make_potential({"ACE": {"order": order, "degree": 12, "weight_l": 1.0}}, [element])
