"""Free energy by metadynamics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..simulation import Langevin, Metadynamics, run
from ..simulation.biased.variables import names
from ..surfaces.generator import take
from ..units import BOLTZMANN
from .free_energy import doubt, landmarks, listed, numbers, plot_profiles, resampled, zeroed
from .quantity import Analysis, Findings, Progress, Quantity
from .reweighting import log_sum_exp

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class MetadynamicsSampling(Analysis):
    """Free energy along one variable or two by well-tempered metadynamics of several walkers.

    Two estimates, which must agree: samples weighted by ``exp((V(s, t) - c(t)) / k_B T)``, Tiwary and Parrinello,
    J. Phys. Chem. B 119, 736 (2015), with doubt by bootstrap over blocks of time; and the hills,
    ``-gamma / (gamma - 1) V(s)``.

    Args:
        of: name of the structure to begin with, or of one for each walker.
        variables: one collective variable or two.
        widths: of hills, in the variables' units: about their fluctuation in a valley.
        ranges: lowest and highest value of each variable in the profile.
        height: of the first hills, eV.
        bias_factor: by which the temperature of the variables is raised.
        every: steps between hills.
        walkers: that fill the valleys together.
        walls: springs (``Spring`` with a side) that keep walkers from where they should not go.
        temperature: K.
        picoseconds: of each walker.
        timestep: fs.
        friction: of Langevin's thermostat, 1/fs.
        bins: of the profile along each variable.
        record: steps between samples.
        discard: share of the run at its beginning that is not weighted.
        blocks: of time, that doubt is estimated from.
    """

    of: str
    variables: list
    widths: list[float]
    ranges: list[list[float]]
    height: float = 0.02
    bias_factor: float = 10.0
    every: int = 100
    walkers: int = 8
    walls: list | None = None
    temperature: float = 300.0
    picoseconds: float = 100.0
    timestep: float = 1.0
    friction: float = 0.01
    bins: int = 60
    record: int = 10
    discard: float = 0.2
    blocks: int = 20
    title = "Free energy by metadynamics"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        frames = take(self.of, made)
        if len(self.variables) not in (1, 2) or len(self.ranges) != len(self.variables):
            raise ValueError("MetadynamicsSampling takes one variable or two, and a range for each")
        if len(frames) not in (1, self.walkers):
            raise ValueError(f"{self.of!r} holds {len(frames)} structures; give one, or one for each walker")
        settings = {"temperature": self.temperature, "timestep": self.timestep, "friction": self.friction}
        engine = Metadynamics(
            Langevin(**settings, picoseconds=self.picoseconds),
            self.variables,
            self.widths,
            self.height,
            self.bias_factor,
            self.every,
            self.walls,
        )
        file = folder and Path(folder) / "walkers.pt"
        frames = frames * (self.walkers // len(frames))
        done = run(engine, evaluate, frames, seed, every=self.record, checkpoint=file, progress=progress)
        if not done.finished.all():
            k = int(np.flatnonzero(~done.finished)[0])
            raise ValueError(f"walker {k + 1} of {self.walkers} ended: {done.reason[k]}")
        columns = names(engine.along)[: len(self.variables)]
        series = np.stack([done.log[name][1:] for name in columns], -1)  # [samples, walkers, D]
        V = done.log["bias (eV)"][1:]
        for wall, name in zip(self.walls or [], names(engine.along)[len(columns) :]):
            V = V - wall.energy(*(torch.as_tensor(x) for x in (done.log[name][1:], wall.center))).numpy()
        return self.analyze(engine, series, V, done.log["step"][1:], done.state, np.random.default_rng(seed))

    def analyze(self, engine: Metadynamics, series, V, steps, state, rng: np.random.Generator) -> Findings:
        """Profile, doubt and convergence from the samples of all walkers and their hills."""
        hills, heights = state.hills, state.heights
        kT, gamma = BOLTZMANN * self.temperature, self.bias_factor
        edges = [np.linspace(low, high, self.bins + 1) for low, high in self.ranges]
        axes = [0.5 * (e[1:] + e[:-1]) for e in edges]
        grid = torch.as_tensor(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)))
        felt = (steps - 1) // self.every  # rounds of hills, at each sample
        on_grid, log_w = torch.zeros(len(grid), dtype=torch.float64), np.zeros(series.shape[:2])
        n_rounds, shapes = len(heights) // self.walkers, {}
        last = [round(share * n_rounds) for share in SHARES]
        for k in range(n_rounds + 1):
            now, u = felt == k, on_grid.numpy() / kT
            c = log_sum_exp(gamma / (gamma - 1) * u, 0) - log_sum_exp(u / (gamma - 1), 0)  # Eq. 12
            log_w[now] = V[now] / kT - c
            if k in last:
                shapes[k] = zeroed(-gamma / (gamma - 1) * on_grid.numpy())
            new = slice(k * self.walkers, (k + 1) * self.walkers)
            on_grid = on_grid + engine.hilltop(grid, hills[new], heights[new])
        first = int(self.discard * len(series))
        series, log_w = series[first:], log_w[first:]

        def weighted(which: np.ndarray) -> np.ndarray:
            w = np.exp(log_w[which] - log_w.max()).ravel()
            p = np.histogramdd(series[which].reshape(-1, len(axes)), edges, weights=w)[0].ravel()
            with np.errstate(divide="ignore"):
                return zeroed(-kT * np.log(p))

        F = weighted(np.arange(len(series)))
        drawn = np.array([weighted(resampled(len(series), self.blocks, rng)) for _ in range(50)])
        seen = np.isfinite(F) & (F - 3 * kT < 0.6 * np.max(F[np.isfinite(F)]))
        final = shapes[last[-1]]
        changes = [_rms(shapes[k] - final, seen) for k in last]
        agree = _rms(F - final, seen)
        data = {
            "variable": names(self.variables)[0],
            "variables": names(self.variables),
            "s": axes[0].tolist(),
            "free energy (eV)": listed(F.reshape([self.bins] * len(axes))),
            "std (eV)": listed(doubt(drawn).reshape([self.bins] * len(axes))),
            "other estimate": "hills",
            "other estimate (eV)": listed(
                (final - final[seen].mean() + F[seen].mean()).reshape([self.bins] * len(axes))
            ),
            "share of the run": list(SHARES),
            "rms change (eV)": changes,
            "axes": [axis.tolist() for axis in axes],
        }
        quantities = landmarks(axes[0], F, drawn, kT, self.variables[0].unit) if len(axes) == 1 else []
        quantities.append(Quantity("rms difference of weighted samples and hills", agree, "eV"))
        return Findings([*quantities, Quantity("hills", float(len(heights)))], data)

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Free energy with its doubt, and its convergence; of two variables a map of each."""
        if len(self.variables) == 1:
            return plot_profiles(findings)
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.2 * len(findings)), layout="constrained")
        rows = figure.subplots(len(findings), 3, squeeze=False)
        for (method, found), (left, middle, right) in zip(findings.items(), rows):
            d = found.data
            x, y = d["axes"]
            for panel, key in ((left, "free energy (eV)"), (middle, "std (eV)")):
                image = panel.contourf(x, y, np.ma.masked_invalid(numbers(d[key])).T, 20)
                figure.colorbar(image, ax=panel, label=key)
                panel.set_xlabel(d["variables"][0])
                panel.set_ylabel(d["variables"][1])
            left.set_title(method)
            right.plot(d["share of the run"], d["rms change (eV)"], "o-")
            right.set_xlabel("share of the run")
            right.set_ylabel("rms difference from all of it (eV)")
        return figure


def _rms(change: np.ndarray, where: np.ndarray) -> float:
    return float((change[where] - change[where].mean()).std())
