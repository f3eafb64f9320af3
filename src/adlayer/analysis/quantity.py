"""What analyses are: things one can ask of a potential and of the reference alike, or of the frames of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Part

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Quantity:
    """A number with its unit and, where it is known, its standard deviation."""

    name: str
    value: float
    unit: str = ""
    std: float | None = None


@dataclass
class Findings:
    """What an analysis found: numbers for a table, data for a plot, and structures worth keeping."""

    quantities: list[Quantity]
    data: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, Atoms] = field(default_factory=dict)

    @staticmethod
    def of(kept: Mapping[str, Any], frames: Mapping[str, Atoms]) -> Findings:
        """From what was written down."""
        return Findings([Quantity(**q) for q in kept["quantities"]], dict(kept["data"]), dict(frames))


class Analysis(Part, ABC):
    """Something asked of an ``Evaluate``: the same code for a potential and for the reference method."""

    title: str = ""

    @abstractmethod
    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        """Find it out.

        Args:
            evaluate: a potential's ``Evaluator``, a reference method.
            made: the structures of the job, by name.
            progress: called as ``progress(done, total, message)``.
            folder: where a long analysis writes what it has, so that it goes on there after a kill; default: nothing is
                written.
            seed: of all random numbers.
        """

    def plot(self, findings: Mapping[str, Findings]) -> Figure | None:
        """One figure of what each of several methods found; None if numbers say it all."""
        return None


class Observable(Part, ABC):
    """Something to be seen in a structure, such as an angle: numbers for each frame."""

    title: str = ""
    unit: str = ""

    @abstractmethod
    def __call__(self, atoms: Atoms) -> Sequence[float]:
        """Its values in one frame: one, or one for each of several equal things (dimers, molecules)."""
