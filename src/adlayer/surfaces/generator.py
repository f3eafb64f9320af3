"""What makes structures: from nothing but a formula, or from structures made before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..config import Part, nearest

if TYPE_CHECKING:
    from ase import Atoms

Made = Mapping[str, "list[Atoms]"]


class Generator(Part, ABC):
    """Makes structures. Frozen atoms carry ASE's ``FixAtoms``.

    One that ``asks`` is called with ``evaluate`` as well: the method that a job learns from, or the one it studies.
    """

    asks: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        """The structures.

        Args:
            made: what earlier generators made, by name.
            rng: of all random numbers.
        """


@dataclass(frozen=True)
class Given(Generator):
    """Structures from a file, or earlier ones under another name.

    Args:
        of: name of earlier structures, or a file that ASE reads.
    """

    of: str

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return take(self.of, made)


def take(of: str | Sequence[str], made: Made) -> list[Atoms]:
    """Copies of earlier structures by name (one or several), or those in a file."""
    if not isinstance(of, str):
        return [atoms for name in of for atoms in take(name, made)]
    if of in made:
        return [atoms.copy() for atoms in made[of]]
    if Path(of).is_file():
        from ase.io import read

        return read(of, index=":")
    raise ValueError(
        f"{of!r} is neither a file nor made before{nearest(of, made)}; made: {', '.join(made) or 'nothing'}"
    )


def take_named(of: str | Sequence[str], made: Made) -> dict[str, Atoms]:
    """Copies of earlier structures by what people call them: their pattern, else the name they were made under."""
    found: dict[str, Atoms] = {}
    for name in [of] if isinstance(of, str) else of:
        frames = take(name, made)
        for k, atoms in enumerate(frames, start=1):
            called = str(atoms.info.get("pattern", name if len(frames) == 1 else f"{name} {k}"))
            found[called if called not in found else f"{called} ({name} {k})"] = atoms
    return found


def crystal(of: str, made: Made, structure: str | None = None, a: float | None = None) -> Atoms:
    """One crystal: an earlier structure, a file, or a formula in the structure ASE knows for it.

    Formulas give the conventional cubic cell where there is one, to which Miller indices refer.
    """
    from ase.build import bulk

    if of in made or Path(of).is_file():
        frames = take(of, made)
        if len(frames) != 1:
            raise ValueError(f"{of!r} holds {len(frames)} structures where one crystal is needed")
        return frames[0]
    settings = {"crystalstructure": structure, "a": a}
    try:
        return bulk(of, cubic=True, **settings)
    except (ValueError, RuntimeError):
        pass
    try:
        return bulk(of, **settings)
    except (ValueError, RuntimeError, KeyError) as error:
        raise ValueError(
            f"{of!r} is neither made before, nor a file, nor a formula whose crystal is known ({error}); "
            "give structure = 'rocksalt' or the like and a = lattice constant, or a file"
        ) from None
