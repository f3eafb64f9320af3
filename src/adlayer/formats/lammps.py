"""LAMMPS's parameter files of Stillinger-Weber (``.sw``) and Tersoff (``.tersoff``).

An entry is three elements and then numbers; it may span lines, and ``#`` starts a comment. Entries whose names are no
elements (``Si(D)``) are variants and left out.
"""

from __future__ import annotations

from pathlib import Path

from ase.data import atomic_numbers

from ..potential import Potential
from ..potentials.stillinger_weber import StillingerWeber
from ..potentials.tersoff import Tersoff

COLUMNS = {
    StillingerWeber: ("epsilon", "sigma", "a", "lambda", "gamma", "costheta0", "A", "B", "p", "q", "tol"),
    Tersoff: (
        *("m", "gamma", "lambda3", "c", "d", "costheta0", "n"),
        *("beta", "lambda2", "B", "R", "D", "lambda1", "A"),
    ),
}
SUFFIXES = {".sw": StillingerWeber, ".tersoff": Tersoff}


def recognizes(path: Path) -> bool:
    """Whether its name ends as one of the two: other styles have entries of the same form."""
    return path.is_file() and path.suffix in SUFFIXES


def read(path: Path) -> Potential:
    """Read the entries of a file."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: the name must end in {' or '.join(SUFFIXES)}, which says what the numbers mean")
    family = SUFFIXES[path.suffix]
    columns = COLUMNS[family]
    lines = path.read_text(errors="replace").splitlines()
    words = [word for line in lines for word in line.split("#")[0].split()]
    size = 3 + len(columns)
    parameters = {}
    for start in range(0, len(words), size):
        names, numbers = words[start : start + 3], words[start + 3 : start + size]
        try:
            values = dict(zip(columns, map(float, numbers), strict=True))
        except ValueError:
            raise ValueError(
                f"{path}: the entry {' '.join(names)} needs {len(columns)} numbers, got {numbers}"
            ) from None
        values.pop("tol", None)  # a tolerance for speed, which changes nothing here
        if all(name in atomic_numbers for name in names):
            parameters["-".join(names)] = values
    if not parameters:
        raise ValueError(f"{path} has no entry whose three names are elements")
    return family(parameters)


def write(path: Path, potential: Potential) -> None:
    """Write the parameters as they are now, 17 digits."""
    family = type(potential)
    if family not in COLUMNS:
        raise TypeError(f"this format holds a StillingerWeber or a Tersoff, not a {family.__name__}")
    suffix = next(s for s, f in SUFFIXES.items() if f is family)
    if Path(path).suffix != suffix:
        raise ValueError(f"{path}: the name of a file that holds a {family.__name__} must end in {suffix}")
    tables, columns = {name: x.detach() for name, x in potential.tables.items()}, COLUMNS[family]
    lines = [f"# {family.__name__}, written by adlayer", f"# elements, {', '.join(columns)}"]
    for i, a in enumerate(potential.elements):
        for j, b in enumerate(potential.elements):
            for k, c in enumerate(potential.elements):
                numbers = [f"{float(tables[name][i, j, k]):.17g}" if name in tables else "0.0" for name in columns]
                lines.append(" ".join([a, b, c, *numbers]))
    Path(path).write_text("\n".join(lines) + "\n")
