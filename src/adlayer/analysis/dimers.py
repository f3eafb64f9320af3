"""Dimers on (100) surfaces of the diamond structure: how long, how tilted, and what their patterns cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation import relax
from ..surfaces.generator import take
from .quantity import Analysis, Findings, Observable, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


def find_dimers(atoms: Atoms, longest: float = 3.0) -> np.ndarray:
    """The dimers of a surface as vectors [dimers, 3], Å: pairs of top atoms that are each other's nearest.

    Top atoms are those with tag 1, or else those within 1.1 Å of the highest. Vectors point along the positive
    direction of the axis that most of their length lies along, so that the sign of a tilt means the same in each frame.
    Atoms more than ``longest`` (Å) apart are no dimer.
    """
    from ase.geometry import get_distances

    tags, z = atoms.get_tags(), atoms.positions[:, 2]
    top = np.flatnonzero(tags == 1 if (tags == 1).any() else z > z.max() - 1.1)
    vectors, distances = get_distances(atoms.positions[top], cell=atoms.cell, pbc=atoms.pbc)
    np.fill_diagonal(distances, np.inf)
    partner = distances.argmin(1) if len(top) > 1 else np.zeros(0, int)
    here = np.arange(len(partner))
    pair = (partner[partner] == here) & (here < partner) & (distances[here, partner] <= longest)
    dimers = vectors[here[pair], partner[pair]]
    axis = np.abs(dimers[:, :2]).argmax(1)
    return dimers * np.sign(dimers[np.arange(len(dimers)), axis])[:, None]


def tilts(dimers: np.ndarray) -> np.ndarray:
    """Angles between dimers and the surface, degrees, with sign."""
    return np.degrees(np.arctan2(dimers[:, 2], np.linalg.norm(dimers[:, :2], axis=1)))


@dataclass(frozen=True)
class DimerTilt(Observable):
    """Angle of each dimer with the surface; its sign says which end is up.

    Args:
        longest: distance up to which two top atoms are a dimer, Å.
    """

    longest: float = 3.0
    title = "Tilt of the dimers"
    unit = "degrees"

    def __call__(self, atoms: Atoms) -> list[float]:
        return tilts(find_dimers(atoms, self.longest)).tolist()


@dataclass(frozen=True)
class DimerLength(Observable):
    """Length of each dimer.

    Args:
        longest: distance up to which two top atoms are a dimer, Å.
    """

    longest: float = 3.0
    title = "Length of the dimers"
    unit = "Å"

    def __call__(self, atoms: Atoms) -> list[float]:
        return np.linalg.norm(find_dimers(atoms, self.longest), axis=1).tolist()


@dataclass(frozen=True)
class Reconstructions(Analysis):
    """Patterns of dimers, relaxed: energy per dimer, lengths and tilts.

    Energies are relative to the first structure with the same number of atoms, for with a method of one k-point no
    others compare; a pair of top atoms counts as a dimer whether it is bonded or not.

    Args:
        of: names of the structures.
        fmax: force at which they count as relaxed, eV/Å.
        max_steps: at most; 0 takes them as they are.
        judge: in a job, the reference takes the structures as the potential has relaxed them, and only judges.
    """

    of: str | list[str]
    fmax: float = 0.02
    max_steps: int = 200
    judge: bool = False
    title = "Reconstructions"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        frames = take(self.of, made)
        done = relax(evaluate, frames, self.fmax, self.max_steps, progress=progress)
        energies, first = done.prediction.energy.tolist(), {}
        names = [_name(frame, k) for k, frame in enumerate(frames)]
        quantities, data = [], {"energy": {}, "length": {}, "tilt": {}, "steps": dict(zip(names, done.steps.tolist()))}
        for name, frame, energy in zip(names, done.frames, energies):
            reference, zero = first.setdefault(len(frame), (name, energy))
            dimers = find_dimers(frame)
            data["energy"][name] = e = (energy - zero) / (max((frame.get_tags() == 1).sum(), 2 * len(dimers), 2) / 2)
            if name != reference:
                quantities.append(Quantity(f"energy of {name} above {reference}, per dimer", e, "eV"))
            if len(dimers):
                data["length"][name] = length = float(np.linalg.norm(dimers, axis=1).mean())
                data["tilt"][name] = tilt = float(np.abs(tilts(dimers)).mean())
                quantities.append(Quantity(f"dimer length of {name}", length, "Å"))
                quantities.append(Quantity(f"dimer tilt of {name}", tilt, "degrees"))
        return Findings(quantities, data, dict(zip(names, done.frames)))

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Energy per dimer of every pattern as a level, one column for each method."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        for column, found in enumerate(findings.values()):
            for k, (name, energy) in enumerate(found.data["energy"].items()):
                axes.hlines(energy, column - 0.35, column + 0.35, color=f"C{k}", label=None if column else name)
        axes.set_xticks(range(len(findings)), list(findings))
        axes.set_ylabel("energy per dimer (eV)")
        axes.legend()
        return figure


def _name(frame: Atoms, k: int) -> str:
    return str(frame.info.get("pattern", f"structure {k + 1}"))
