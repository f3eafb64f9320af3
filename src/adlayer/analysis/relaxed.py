"""Structures that a method relaxes before others are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase import Atoms

from ..potential import Evaluate
from ..simulation import relax
from ..surfaces.generator import Generator, Made, crystal, take


@dataclass(frozen=True)
class Relaxed(Generator):
    """Structures at their minima by the method of the job: the reference that is learned from, or what studies ask.

    A crystal whose cell is relaxed has the lattice constant of the method; slabs cut of it are free of strain::

        crystal.Relaxed = { of = "Cu" }
        slab.Slab = { of = "crystal", miller = [1, 1, 1], layers = 6 }

    Args:
        of: formula of a crystal, file, or names of earlier structures.
        cell: whether cells relax, in their periodic directions; or along which of x, y, z.
        fmax: no force exceeds this, eV/Å; with a cell, no stress does either, times the volume and per atom.
        max_steps: at most; more is an error.
        a: lattice constant to start from, for a formula, Å.
        structure: crystal structure of a formula, as ASE names it.
    """

    of: str | list[str]
    cell: bool | list[bool] = True
    fmax: float = 0.005
    max_steps: int = 300
    a: float | None = None
    structure: str | None = None

    asks: ClassVar[bool] = True

    def __call__(self, made: Made, rng: np.random.Generator, evaluate: Evaluate | None = None) -> list[Atoms]:
        if evaluate is None:
            raise ValueError("Relaxed needs a method to relax with: call it with evaluate, or name it in a recipe")
        known = not isinstance(self.of, str) or self.of in made or Path(self.of).is_file()
        frames = take(self.of, made) if known else [crystal(self.of, made, self.structure, self.a)]
        done = relax(evaluate, frames, self.fmax, self.max_steps, self.cell)
        for k, reason in enumerate(done.reason):
            if not done.finished[k]:
                raise ValueError(f"Relaxed: structure {k + 1} of {self.of!r} did not come to rest: {reason}")
        frames = done.frames
        for frame in frames:
            frame.calc = None
        return frames
