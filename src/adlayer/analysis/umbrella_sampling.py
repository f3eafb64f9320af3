"""Free energy by umbrella sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation import Langevin, Restrained, Spring, run
from ..simulation.biased import CollectiveVariable
from ..simulation.biased.variables import names
from ..structures import Structures
from ..surfaces.generator import take
from ..units import BOLTZMANN
from .free_energy import doubt, landmarks, listed, mbar, plot_profiles, resampled, wham, zeroed
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate

SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class UmbrellaSampling(Analysis):
    """Free energy along a variable from windows that overlap: Torrie and Valleau, J. Comput. Phys. 23, 187 (1977).

    All windows are one batch. Springs first pull each to its place, then hold it there; the multistate Bennett
    acceptance ratio joins them, and for comparison the weighted histogram analysis method. Doubt is by bootstrap over
    blocks of time.

    Args:
        of: name of the structure to begin with, or of as many as there are windows.
        variable: the collective variable.
        start: place of the first window, in the variable's unit.
        end: of the last.
        windows: how many.
        stiffness: of the springs, eV per squared unit; default: neighbors overlap where the free energy is flat.
        temperature: K.
        picoseconds: of each window.
        equilibration: time to pull windows to their places and as long again to forget it, ps.
        timestep: fs.
        friction: of Langevin's thermostat, 1/fs.
        bins: of the profile.
        record: steps between samples.
        blocks: of each window, that doubt is estimated from.
    """

    of: str
    variable: CollectiveVariable
    start: float
    end: float
    windows: int = 16
    stiffness: float | None = None
    temperature: float = 300.0
    picoseconds: float = 20.0
    equilibration: float = 2.0
    timestep: float = 1.0
    friction: float = 0.01
    bins: int = 60
    record: int = 10
    blocks: int = 10
    title = "Free energy by umbrella sampling"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        series = self.sample(evaluate, take(self.of, made), progress, folder, seed)
        return self.analyze(series, np.random.default_rng(seed))

    @property
    def spring(self) -> float:
        """Stiffness of the springs, eV per squared unit; by default neighbors overlap by about one half."""
        apart = (self.end - self.start) / (self.windows - 1)
        return self.stiffness or 2 * BOLTZMANN * self.temperature / apart**2

    def sample(self, evaluate: Evaluate, frames: list[Atoms], progress, folder: Path | None, seed: int) -> np.ndarray:
        """The variable in each window, [windows, samples]."""
        if self.windows < 2 or len(frames) not in (1, self.windows):
            raise ValueError(
                f"UmbrellaSampling takes one structure, or one for each of its {self.windows} windows (two or more), "
                f"got {len(frames)}"
            )
        frames = frames * (self.windows // len(frames))
        s = self.variable(Structures.from_ase(frames)).tolist()
        settings = {"temperature": self.temperature, "timestep": self.timestep, "friction": self.friction}
        ends = [self.start, self.end]
        stages = {
            "pulling": (Spring(self.variable, s, self.spring, final=ends), self.equilibration),
            "settling": (Spring(self.variable, ends, self.spring), self.equilibration),
            "windows": (Spring(self.variable, ends, self.spring), self.picoseconds),
        }
        for stage, (name, (spring, time)) in enumerate(stages.items()):
            engine = Restrained(Langevin(**settings, picoseconds=time), [spring])
            file = folder and Path(folder) / f"{name}.pt"
            done = run(engine, evaluate, frames, seed + stage, every=self.record, checkpoint=file, progress=progress)
            if not done.finished.all():
                k = int(np.flatnonzero(~done.finished)[0])
                raise ValueError(f"window {k + 1} of {self.windows} ended while {name}: {done.reason[k]}")
            frames = done.frames
        return done.log[names([self.variable])[0]][1:].T

    def analyze(self, series: np.ndarray, rng: np.random.Generator) -> Findings:
        """Profile, doubt and convergence from the series of each window."""
        kT, n = BOLTZMANN * self.temperature, series.shape[1]
        edges = np.linspace(*sorted((self.start, self.end)), self.bins + 1)
        s = 0.5 * (edges[1:] + edges[:-1])
        centers = np.linspace(self.start, self.end, self.windows)[:, None]

        def bias(x: np.ndarray) -> np.ndarray:
            d = x - centers
            if self.variable.period:
                d = d - self.variable.period * np.round(d / self.variable.period)
            return 0.5 * self.spring * d * d / kT

        def joined(which: list[np.ndarray], start=None) -> tuple[np.ndarray, np.ndarray]:
            histograms = np.stack([np.histogram(x[k], edges)[0] for x, k in zip(series, which)])
            if not (histograms.sum(1) > 0).all():
                k = int(np.flatnonzero(histograms.sum(1) == 0)[0])
                raise ValueError(f"window {k + 1} was never between start and end; springs may be too weak")
            return wham(histograms, bias(s), start)

        best, f = mbar(list(series), [bias(x) for x in series], edges)
        other, f_wham = joined([np.arange(n)] * self.windows)
        drawn = [
            joined([resampled(n, self.blocks, rng) for _ in series], f_wham)[0]
            for _ in range(50 if self.blocks > 1 else 0)
        ]
        changes = []
        for share in SHARES[:-1]:
            part = series[:, : max(2, int(share * n))]
            early = mbar(list(part), [bias(x) for x in part], edges, f)[0]
            both = np.isfinite(early) & np.isfinite(best)
            changes.append(float(kT * (early[both] - best[both]).std()))
        overlap = [self._overlap(a, b) for a, b in pairwise(series)]
        drawn = kT * np.array(drawn)
        data = {
            "variable": names([self.variable])[0],
            "s": s.tolist(),
            "free energy (eV)": listed(kT * best),
            "std (eV)": listed(doubt(drawn)),
            "other estimate": "weighted histograms",
            "other estimate (eV)": listed(kT * zeroed(other)),
            "share of the run": list(SHARES),
            "rms change (eV)": [*changes, 0.0],
            "free energies of the windows (eV)": (kT * f).tolist(),
        }
        quantities = landmarks(s, kT * best, drawn, kT, self.variable.unit)
        return Findings([*quantities, Quantity("smallest overlap of neighboring windows", min(overlap))], data)

    @staticmethod
    def _overlap(a: np.ndarray, b: np.ndarray) -> float:
        """Area that two distributions share."""
        edges = np.linspace(min(a.min(), b.min()), max(a.max(), b.max()), 31)
        return float(np.minimum(*(np.histogram(x, edges)[0] / len(x) for x in (a, b))).sum())

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Free energy with its doubt, and its convergence."""
        return plot_profiles(findings)
