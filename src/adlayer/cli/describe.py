"""Features of a data set for other programs: ``describe``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import command
from .recipe import override, read_toml

if TYPE_CHECKING:
    from ..descriptor import Descriptor


@command(
    examples=(
        "describe frames.extxyz --descriptor SOAP --set cutoff=5.5 --set l_max=4 -o features.npz",
        "describe frames.extxyz --descriptor ACSF --average",
        "describe frames.extxyz --descriptor fit.toml --derivatives sparse",
        "describe frames.extxyz --descriptor potential.adl",
    )
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--descriptor",
    "name",
    required=True,
    help="A class, such as SOAP; { SOAP = { cutoff = 5.0 } }; a recipe; or a saved potential or descriptor.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="An argument of the descriptor; repeated.")
@click.option("--average", is_flag=True, help="The mean over the atoms of each structure.")
@click.option(
    "--derivatives",
    type=click.Choice(["none", "sparse", "dense"]),
    default="none",
    help="Derivatives by positions: of atoms that see each other, or of all.",
)
@click.option("--precision", type=click.Choice(["float64", "float32"]), default="float64", show_default=True)
@click.option("--index", help="Which frames, e.g. 0, -1 or ::10.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("features.npz"), show_default=True, help="The file."
)
def describe(
    data: Path,
    name: str,
    settings: tuple[str, ...],
    average: bool,
    derivatives: str,
    precision: str,
    index: str | None,
    output: Path,
) -> None:
    """Write features of every atom or structure of DATA to an npz file, with derivatives if asked for.

    Elements are those of DATA if they are not given.
    """
    import json

    import numpy as np
    from rich.console import Console as RichConsole

    from ..config import describe as written
    from ..data import read
    from ..data.features import features
    from ..saving import about, atomic
    from .console import Console

    if output.suffix != ".npz":
        raise ValueError(f"features are written to a file that ends in .npz, got {output}")
    dataset = read(data, index=index)
    descriptor = find_descriptor(name, settings, dataset.elements, dataset.structures)
    kind, options = np.dtype(precision).type, {"average": average, "derivatives": derivatives}
    with Console().stage(f"Describe {len(dataset)} structures") as progress:
        arrays = features(descriptor, dataset.structures, **options, dtype=kind, progress=progress)
    for key, entry in (("source", "file"), ("frame", "frame"), ("group", "group")):
        arrays[key] = np.array([d[entry] for d in dataset.info])
    arrays["descriptor"] = np.array(json.dumps(written(descriptor), default=str))
    arrays["about"] = np.array(json.dumps(about(**options)))
    with atomic(output) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    out = RichConsole(highlight=False)
    for key, x in arrays.items():
        if x.ndim and x.dtype.kind == "f":
            out.print(f"{key:<14} {' x '.join(map(str, x.shape))}", soft_wrap=True)
    out.print(f"\nfeatures   {output} ({output.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)


def find_descriptor(name: str, settings: Sequence[str], elements: Sequence[str], structures) -> Descriptor:
    """What ``--descriptor`` names, for these elements; its statistics, if it has any, are of these structures."""
    from ..config import find_class
    from ..descriptor import Descriptor, make_descriptor
    from ..graph import Graph
    from ..saving import is_saved_potential, load

    if Path(name).suffix == ".adl" or is_saved_potential(name):
        if settings:
            raise ValueError(f"--set {settings[0]}: a saved potential is taken as it is; name a class to set arguments")
        return _inside(load(name), name)
    if Path(name).suffix == ".toml":
        descriptor = _of_recipe(override(read_toml(Path(name)), settings), name, elements)
    else:
        spec = parsed(name)
        (cls,) = spec
        find_class(cls, None if "." in cls else Descriptor)
        descriptor = make_descriptor(
            override(spec, [f'"{cls}".{s}' if "." in cls else f"{cls}.{s}" for s in settings]), elements
        )
    descriptor.prepare(Graph.of(s, descriptor.cutoff) for s in structures)
    return descriptor


def _of_recipe(recipe: dict[str, Any], name: str, elements: Sequence[str]) -> Descriptor:
    from ..descriptor import make_descriptor
    from ..potential import make_potential

    if "descriptor" in recipe:
        return make_descriptor(recipe["descriptor"], elements)
    if "potential" in recipe:
        return _inside(make_potential(recipe["potential"], elements), name)
    raise ValueError(f"{name} has neither a table [descriptor] nor a table [potential]")


def _inside(thing: Any, place: str) -> Descriptor:
    """The descriptor that a potential is made of."""
    from ..descriptor import Descriptor

    for module in thing.modules():
        if isinstance(module, Descriptor):
            return module
    raise ValueError(f"{type(thing).__name__} of {place} is not made of a descriptor; name one, such as SOAP or ACSF")


def parsed(text: str) -> dict[str, Any]:
    """``SOAP`` or ``{ SOAP = { cutoff = 5.0 } }`` as a table of one class."""
    import tomllib

    if not text.lstrip().startswith("{"):
        return {text: {}}
    try:
        spec = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{text} is not valid TOML: {error}") from None
    if len(spec) != 1:
        raise ValueError(f"{text}: one class with its arguments is needed, got {', '.join(spec) or 'none'}")
    return spec
