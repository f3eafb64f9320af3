"""How much of a gas a surface or a crystal takes up, at which pressure and temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..simulation import Run, run
from ..simulation.monte_carlo import Above, Displacement, Exchange, Gas, MonteCarlo, Region, Rotation, WholeCell
from ..simulation.monte_carlo.move import Move
from ..surfaces.generator import take
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..potential import Evaluate

BLOCKS = 10  # of time, for errors
RECORDS = 1000  # at most


@dataclass(frozen=True)
class CoverageCurve(Analysis):
    """Coverage against pressure and temperature, by grand canonical Monte Carlo of all conditions at once.

    Coverage is the number of particles of the gas for each site. The isosteric heat, what the gas gives off for each
    particle taken up, is that of the fluctuations (Nicholson and Parsonage, Computer Simulation and the Statistical
    Mechanics of Adsorption, 1982): ``q = h_gas - 3/2 k_B T - (<E N> - <E> <N>) / (<N²> - <N>²)``. Neighboring pressures
    exchange configurations, so that they do not stay on their side of a transition.

    Args:
        of: name of the slab or the crystal, one structure.
        gas: what it takes up, such as ``"CO"``, or ``"H"``.
        pressures: bar.
        temperatures: K.
        source: molecule of the gas whose atoms are taken up, such as ``"H2"``.
        energy: of a particle at rest in the gas, eV, where the method does not know it.
        flexible: whether molecules bend and stretch.
        region: where particles come and go; default: 4 Å above a slab and 1 Å into it, all of a crystal.
        cavity: places nearer than this to an atom are seldom tried, Å.
        sites: how many particles are a coverage of 1; default: the atoms with tag 1, or all atoms of a crystal.
        steps: trials at each condition.
        equilibration: share of them that is left out.
        host: how often atoms that are not of the gas move, relative to those of the gas; 0: they stay.
        exchange_every: trials between exchanges of neighboring pressures; 0: never.
    """

    of: str
    gas: str
    pressures: list[float]
    temperatures: list[float]
    source: str | None = None
    energy: float | None = None
    flexible: bool = False
    region: Region | None = None
    cavity: float = 1.0
    sites: int | None = None
    steps: int = 20000
    equilibration: float = 0.3
    host: float = 1.0
    exchange_every: int = 20
    title = "Coverage"

    def __post_init__(self):
        if not self.pressures or not self.temperatures:
            raise ValueError("CoverageCurve needs one pressure (bar) and one temperature (K) or more")
        if not 0 < self.equilibration < 1:
            raise ValueError(f"equilibration is a share between 0 and 1, got {self.equilibration}")

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        frames = take(self.of, made)
        if len(frames) != 1:
            raise ValueError(f"CoverageCurve takes one structure; {self.of!r} holds {len(frames)}")
        host = frames[0]
        sites = self.sites or _sites(host)
        n_T, n_p = len(self.temperatures), len(self.pressures)
        T = np.repeat(self.temperatures, n_p).tolist()
        gas = Gas(
            self.gas,
            pressure=self.pressures * n_T,
            source=self.source,
            reference=self.energy,
            flexible=self.flexible,
        )
        done = run(
            self._engine(gas, T, host),
            evaluate,
            [host] * len(T),
            torch.Generator().manual_seed(seed),
            every=max(1, self.steps // RECORDS),
            checkpoint=None if folder is None else Path(folder) / "coverage.checkpoint",
            checkpoint_every=max(1, self.steps // 100),
            progress=progress,
        )
        if not done.finished.all():
            raise ValueError(f"the run did not come to its end: {next(r for r in done.reason if r != 'finished')}")
        data = self._data(done, gas, evaluate, T, sites)
        lowest, highest = (int(f(data["coverage"])) for f in (np.argmin, np.argmax))
        shown = {self._named(*divmod(k, n_p)): done.frames[k] for k in sorted({lowest, highest})}
        return Findings(self._quantities(data), data, shown)

    def _engine(self, gas: Gas, T: list[float], host: Atoms) -> MonteCarlo:
        region = self.region or (WholeCell() if host.pbc.all() else Above(4.0, 1.0))
        moves: list[Move] = [Exchange(gas.of, region, self.cavity), Displacement(of=gas.of)]
        if len(gas.numbers) > 1:
            moves.append(Rotation(of=gas.of))
            moves += [Displacement(0.05, gas.of, whole=False)] * gas.flexible
        if self.host:
            moves.append(Displacement(0.1, weight=self.host))
        return MonteCarlo(
            T,
            moves,
            gases=[gas],
            steps=self.steps,
            equilibration=round(self.equilibration * self.steps),
            exchange_every=self.exchange_every if len(T) > 1 and not gas.flexible else 0,
        )

    def _data(self, done: Run, gas: Gas, evaluate: Evaluate, T: list[float], sites: int) -> dict[str, Any]:
        kept = done.log["step"] > self.equilibration * self.steps
        n, E = done.log[f"number of {gas.of}"][kept], done.log["potential energy (eV)"][kept]
        zero = gas.prepare(evaluate, torch.tensor(T[:1], dtype=torch.float64), torch.Generator())[2]
        rest = gas.rest_energy(evaluate, zero)
        shape = len(self.temperatures), len(self.pressures)
        heat, error = np.array([_heat(E[:, k], n[:, k], rest + gas.enthalpy(T[k])) for k in range(len(T))]).T
        return {
            "gas": gas.source or gas.of,
            "of": gas.of,
            "sites": sites,
            "temperatures": list(self.temperatures),
            "pressures": list(self.pressures),
            "coverage": (n.mean(0) / sites).reshape(shape).tolist(),
            "error": (_block_error(n) / sites).reshape(shape).tolist(),
            "fluctuation": (n.var(0) / sites).reshape(shape).tolist(),
            "heat": _known(heat.reshape(shape)),
            "heat_error": _known(error.reshape(shape)),
            "acceptance": done.log[f"acceptance of Exchange of {gas.of}"][-1].reshape(shape).tolist(),
        }

    def _named(self, i: int, j: int) -> str:
        return f"{self.gas} at {self.temperatures[i]:g} K, {self.pressures[j]:.3g} bar"

    def _quantities(self, data: Mapping[str, Any]) -> list[Quantity]:
        quantities = []
        for i, row in enumerate(data["coverage"]):
            for j, theta in enumerate(row):
                name = self._named(i, j)
                quantities.append(Quantity(f"coverage of {name}", theta, "", data["error"][i][j]))
                if data["heat"][i][j] is not None:
                    heat, error = data["heat"][i][j], data["heat_error"][i][j]
                    quantities.append(Quantity(f"isosteric heat of {name}", heat, "eV", error))
        return quantities

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Coverage and isosteric heat as curves, and coverage as a map where there are several temperatures."""
        from matplotlib.figure import Figure

        several = min(len(self.temperatures), len(self.pressures)) > 1
        figure = Figure(figsize=(9 if several else 7, 3.2 * len(findings)), layout="constrained")
        for axes, (method, found) in zip(figure.subplots(len(findings), 2 + several, squeeze=False), findings.items()):
            _draw_curves(axes[0], axes[1], found.data, method)
            if several:
                _draw_map(axes[2], found.data)
        return figure


def _sites(host: Atoms) -> int:
    if host.pbc.all():
        return len(host)
    n = int((host.get_tags() == 1).sum())
    if not n:
        raise ValueError("the structure does not say which atoms are its top layer (tag 1); give sites, a number")
    return n


def _block_error(x: np.ndarray) -> np.ndarray:
    """Standard error of means over time, from blocks; of [records, systems]."""
    blocks = np.array([b.mean(0) for b in np.array_split(x, min(BLOCKS, len(x)))])
    return blocks.std(0, ddof=1) / len(blocks) ** 0.5 if len(blocks) > 1 else np.full(x.shape[1], np.nan)


def _heat(E: np.ndarray, n: np.ndarray, enthalpy: float) -> tuple[float, float]:
    """Isosteric heat and its standard error, by leaving out one block at a time; NaN where nothing comes and goes."""
    if n.var() < 1e-3:
        return np.nan, np.nan

    def slope(keep: np.ndarray) -> float:
        e, m = E[keep] - E[keep].mean(), n[keep] - n[keep].mean()
        return float((e * m).mean() / max((m * m).mean(), 1e-12))

    every = np.arange(len(n))
    blocks = np.array_split(every, min(BLOCKS, len(n)))
    without = np.array([slope(np.setdiff1d(every, block)) for block in blocks])
    return enthalpy - slope(every), float(np.sqrt((len(blocks) - 1) * without.var()))


def _known(x: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in x]


def _draw_curves(coverage: Axes, heat: Axes, data: Mapping[str, Any], method: str) -> None:
    for i, T in enumerate(data["temperatures"]):
        coverage.errorbar(data["pressures"], data["coverage"][i], data["error"][i], fmt="o-", ms=4, label=f"{T:g} K")
        q, error = (np.array(data[k][i], dtype=float) for k in ("heat", "heat_error"))
        heat.errorbar(data["coverage"][i], q, error, fmt="o", ms=4)
    coverage.set(xscale="log", xlabel=f"pressure of {data['gas']} (bar)", ylabel=f"{data['of']} per site", title=method)
    coverage.legend()
    heat.set(xlabel=f"{data['of']} per site", ylabel="isosteric heat (eV)")


def _draw_map(axes: Axes, data: Mapping[str, Any]) -> None:
    p, T = np.array(data["pressures"]), np.array(data["temperatures"])
    order = np.argsort(p), np.argsort(T)
    image = axes.pcolormesh(
        p[order[0]], T[order[1]], np.array(data["coverage"])[order[1]][:, order[0]], shading="nearest"
    )
    axes.set(xscale="log", xlabel=f"pressure of {data['gas']} (bar)", ylabel="temperature (K)")
    axes.figure.colorbar(image, ax=axes, label=f"{data['of']} per site")
