"""Melting of particles: caloric curve, mobility from the surface inwards, melting point and how it goes with size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..simulation import Langevin, Run, run
from ..simulation.tempering import Tempering
from ..surfaces.generator import take
from ..units import BOLTZMANN
from .mobility import lindemann, shells
from .quantity import Analysis, Findings, Progress, Quantity
from .reweighting import CaloricCurve

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..potential import Evaluate

REACH = 1.35  # of neighbors, in distances to the nearest: between the first and the second shell
MOBILE = 0.1  # Lindemann's index of the distances to them, above which an atom counts as mobile
SHELLS = 6
WINDOW = 10  # frames in a pause between exchanges, and as many exchanges between two pauses
SAMPLES = 200  # energies of each replica that are reweighted, at most
DRAWS = 50  # of the bootstrap
BRIDGED = 0.01  # share of exchanges that must be accepted for two temperatures to have found their equilibrium


@dataclass(frozen=True)
class Melting(Analysis):
    """Melting of particles by parallel tempering: caloric curve, heat capacity, and who moves first.

    All replicas of a particle run at once, and exchange configurations, so that solid and liquid meet in equilibrium:
    nothing is overheated, as in a ramp. The melting point is where the heat capacity, reweighted from all temperatures,
    is largest; its error is a bootstrap over blocks of time. The latent heat is the area of that peak above the median
    of the heat capacity. With particles of three sizes or more, a line ``T = T_bulk - c N^(-1/3)`` is laid through
    their melting points (Pawlow, Z. Phys. Chem. 65, 545 (1909)).

    Who moves is told by Lindemann's index of the distances to neighbors in pauses between exchanges, in shells of equal
    numbers of atoms.

    Temperatures too far apart exchange nothing where solid and liquid differ by much: the melting point is then only
    known to lie between two of them, and that is its error.

    Args:
        of: names of the particles.
        temperatures: lowest and highest, K; or such a pair for each particle.
        replicas: how many temperatures.
        picoseconds: length of the run.
        equilibration: share of it that is left out.
        timestep: fs.
        friction: of the thermostat, 1/fs.
        exchange: time between exchanges, ps; ten are followed by a pause as long as they.
        blocks: for the bootstrap.
    """

    of: str | list[str]
    temperatures: list
    replicas: int = 12
    picoseconds: float = 200.0
    equilibration: float = 0.25
    timestep: float = 5.0
    friction: float = 0.005
    exchange: float = 0.2
    blocks: int = 10
    title = "Melting"

    def __post_init__(self):
        if not isinstance(self.temperatures[0], list | tuple):
            pairs = [self.temperatures]
        else:
            pairs = self.temperatures
        if any(len(pair) != 2 or not 0 < pair[0] < pair[1] for pair in pairs) or self.replicas < 3:
            raise ValueError(
                "Melting needs a lowest and a highest temperature above 0 K, and 3 replicas or more; "
                f"got {self.temperatures} and {self.replicas}"
            )
        object.__setattr__(self, "temperatures", [list(pair) for pair in pairs])

    def _ladder(self, k: int) -> np.ndarray:
        """The temperatures of a particle, evenly spaced, K."""
        return np.linspace(*self.temperatures[k % len(self.temperatures)], self.replicas)

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        particles = take(self.of, made)
        if any(atoms.pbc.any() for atoms in particles):
            raise ValueError("Melting is of particles, which have no periodic axis; for a crystal make one of it first")
        if len(self.temperatures) not in (1, len(particles)):
            raise ValueError(
                f"Melting got {len(self.temperatures)} ranges of temperature for {len(particles)} particles; give one "
                "for all or one for each"
            )
        rng = np.random.default_rng(seed)
        findings = Findings([], {"particles": []})
        for k, atoms in enumerate(particles):
            name, T = str(atoms.symbols), self._ladder(k)
            with TemporaryDirectory() as temporary:
                place = Path(folder or temporary) / f"particle-{k}"
                done = self._run(evaluate, atoms, T, place, seed + k, progress and _named(progress, name))
                energies, positions = done.log["potential energy (eV)"], _positions(place, self.replicas, len(atoms))
            start = int(self.equilibration * len(energies)) // (2 * WINDOW) * (2 * WINDOW)
            found = {"name": name, "atoms": len(atoms)}
            found |= self._curve(energies[start:].T, T, 3 * len(atoms), rng) | self._mobility(positions[start:], T)
            findings.data["particles"].append(found)
            findings.quantities += [
                Quantity(f"melting point of {name}", found["melting"], "K", found["error"]),
                Quantity(f"latent heat of {name}, per atom", found["latent"] / len(atoms), "eV"),
            ]
            for shell, half in (("outermost", found["half"][-1]), ("innermost", found["half"][0])):
                if half is not None:
                    findings.quantities.append(Quantity(f"{shell} shell of {name}, half of it mobile at", half, "K"))
            for t, frame in ((T[0], done.frames[0]), (T[-1], done.frames[-1])):
                findings.frames[f"{name} at {t:.0f} K"] = frame
        if len(particles) > 2:
            line = _size_line(findings.data["particles"], rng)
            findings.data["line"] = line
            findings.quantities.append(Quantity("melting point of the bulk, by size", line["bulk"], "K", line["error"]))
        return findings

    def _run(self, evaluate, atoms: Atoms, T: np.ndarray, folder: Path, seed: int, progress: Progress | None) -> Run:
        every = max(round(1000 * self.exchange / self.timestep), 1)
        settings = {"picoseconds": self.picoseconds, "timestep": self.timestep, "friction": self.friction}
        done = run(
            Tempering(Langevin(T.tolist(), **settings), every, burst=WINDOW, pause=WINDOW * every),
            evaluate,
            [atoms] * self.replicas,
            torch.Generator().manual_seed(seed),
            every=every,
            trajectory=folder / "run.extxyz",
            checkpoint=folder / "run.checkpoint",
            checkpoint_every=WINDOW * every,
            progress=progress,
        )
        for reason in done.reason:
            if reason != "finished":
                raise ValueError(f"the run of {atoms.symbols} did not come to its end: {reason}")
        return done

    def _curve(self, energies: np.ndarray, T: np.ndarray, freedom: int, rng: np.random.Generator) -> dict[str, Any]:
        """Caloric curve and melting point, from energies [temperatures, samples]."""
        energies = energies[:, :: max(1, energies.shape[1] // SAMPLES)]
        n = energies.shape[1] // self.blocks
        if n < 2:
            raise ValueError(f"{energies.shape[1]} samples are too few for {self.blocks} blocks; run longer")
        found = {"temperatures": T.tolist(), "energies": energies.mean(1).tolist()}
        if _acceptance(energies, T).min() < BRIDGED:
            return found | _jump(T, energies.mean(1), rng)
        grid = np.linspace(T[0], T[-1], 241)
        curve = CaloricCurve(energies, T, freedom)
        mean, capacity = curve(grid)
        drawn = []
        for _ in range(DRAWS):
            chosen = rng.integers(0, self.blocks, self.blocks)
            sample = np.concatenate([energies[:, b * n : (b + 1) * n] for b in chosen], axis=1)
            drawn.append(float(grid[CaloricCurve(sample, T, freedom, curve.f)(grid)[1].argmax()]))
        excess = np.clip(capacity - np.median(capacity), 0, None)
        return found | {
            "grid": grid.tolist(),
            "mean": mean.tolist(),
            "capacity": capacity.tolist(),
            "melting": float(grid[capacity.argmax()]),
            "error": float(max(np.std(drawn), grid[1] - grid[0])),
            "drawn": drawn,
            "latent": float(BOLTZMANN * np.trapezoid(excess, grid)),
        }

    def _mobility(self, positions: np.ndarray, T: np.ndarray) -> dict[str, Any]:
        """Lindemann's index and the share of mobile atoms by temperature and shell; of [frames, replicas, atoms, 3]."""
        pauses = [positions[k + WINDOW : k + 2 * WINDOW] for k in range(0, len(positions) - 2 * WINDOW + 1, 2 * WINDOW)]
        index, mobile = np.zeros((2, self.replicas, SHELLS))
        for pause in pauses:
            for k in range(self.replicas):
                delta, shell = lindemann(pause[:, k], REACH), shells(pause[:, k], SHELLS)
                size = np.bincount(shell, minlength=SHELLS).clip(1) * len(pauses)
                index[k] += np.bincount(shell, delta, SHELLS) / size
                mobile[k] += np.bincount(shell, delta > MOBILE, SHELLS) / size
        half = [_half(T, mobile[:, s]) for s in range(SHELLS)]
        return {"lindemann": index.tolist(), "mobile": mobile.tolist(), "half": half}

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Of each particle the caloric curve, the heat capacity and mobility by shell; then melting point and size."""
        from matplotlib.figure import Figure

        rows = [(method, p) for method, found in findings.items() for p in found.data["particles"]]
        lines = {method: found.data["line"] for method, found in findings.items() if "line" in found.data}
        figure = Figure(figsize=(9, 2.9 * (len(rows) + bool(lines))), layout="constrained")
        all_axes = figure.subplots(len(rows) + bool(lines), 3, squeeze=False)
        for axes, (method, p) in zip(all_axes, rows):
            _draw_curve(axes[0], axes[1], p, method)
            image = axes[2].imshow(
                np.array(p["mobile"]).T,
                origin="lower",
                aspect="auto",
                extent=(p["temperatures"][0], p["temperatures"][-1], 0.5, SHELLS + 0.5),
                vmin=0,
                vmax=1,
                cmap="magma",
            )
            axes[2].set(xlabel="temperature (K)", ylabel="shell, core to surface")
            figure.colorbar(image, ax=axes[2], label="share of mobile atoms")
        if lines:
            _draw_sizes(all_axes[-1, 0], findings, lines)
            for axes in all_axes[-1, 1:]:
                axes.axis("off")
        return figure


def _named(progress: Progress, name: str) -> Progress:
    return lambda done, total, message: progress(done, total, f"{name}, {message}")


def _positions(folder: Path, replicas: int, n: int) -> np.ndarray:
    """Positions [frames, replicas, atoms, 3] of a trajectory, Å."""
    from ase.io import iread

    frames = [atoms.positions for atoms in iread(folder / "run.extxyz", index=":")]
    return np.array(frames).reshape(-1, replicas, n, 3)


def _acceptance(energies: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Which share of the exchanges between neighbors in temperature is accepted."""
    d_beta = -np.diff(1 / (BOLTZMANN * T))
    pairs = zip(energies, energies[1:], d_beta)
    return np.array([np.exp(np.minimum(b * (x[:, None] - y), 0)).mean() for x, y, b in pairs])


def _jump(T: np.ndarray, energies: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """The melting point, known only to lie between two temperatures, and the latent heat from what lies beside."""
    k = int(np.diff(energies).argmax())
    usual = float(np.median(np.diff(energies)))
    return {
        "grid": T.tolist(),
        "mean": energies.tolist(),
        "capacity": (np.gradient(energies, T) / BOLTZMANN).tolist(),
        "melting": float(T[k] + T[k + 1]) / 2,
        "error": float(T[k + 1] - T[k]) / 2,
        "drawn": rng.uniform(T[k], T[k + 1], DRAWS).tolist(),
        "latent": float(energies[k + 1] - energies[k]) - usual,
    }


def _half(T: Sequence[float], share: np.ndarray) -> float | None:
    """The temperature at which a share that rises passes one half, if it does."""
    above = np.flatnonzero(share > 0.5)
    if not len(above) or above[0] == 0:
        return None
    k = above[0]
    return float(np.interp(0.5, share[k - 1 : k + 1], T[k - 1 : k + 1]))


def _size_line(particles: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    """``T = T_bulk - c N^(-1/3)``, with the error of ``T_bulk`` from the bootstraps of all sizes."""
    x = np.array([p["atoms"] for p in particles]) ** (-1 / 3)
    slope, bulk = np.polyfit(x, [p["melting"] for p in particles], 1)
    drawn = [np.polyfit(x, [rng.choice(p["drawn"]) for p in particles], 1)[1] for _ in range(200)]
    return {"bulk": float(bulk), "slope": float(slope), "error": float(np.std(drawn))}


def _draw_curve(energy: Axes, capacity: Axes, p: Mapping[str, Any], method: str) -> None:
    n = p["atoms"]
    lowest = min(p["energies"])
    energy.plot(p["temperatures"], (np.array(p["energies"]) - lowest) / n, "o", ms=4, label=f"{p['name']}, {method}")
    energy.plot(p["grid"], (np.array(p["mean"]) - lowest) / n, color="C0")
    energy.set(xlabel="temperature (K)", ylabel="energy per atom (eV)")
    energy.legend()
    capacity.plot(p["grid"], np.array(p["capacity"]) / n, color="C1")
    capacity.axvspan(p["melting"] - p["error"], p["melting"] + p["error"], color="C1", alpha=0.2, lw=0)
    capacity.set(xlabel="temperature (K)", ylabel="heat capacity per atom (k$_B$)")
    capacity.set_title(f"{p['melting']:.0f} ± {p['error']:.0f} K")


def _draw_sizes(axes: Axes, findings: Mapping[str, Findings], lines: Mapping[str, Mapping[str, float]]) -> None:
    for k, (method, line) in enumerate(lines.items()):
        particles = findings[method].data["particles"]
        x = np.array([p["atoms"] for p in particles]) ** (-1 / 3)
        T, error = ([p[key] for p in particles] for key in ("melting", "error"))
        axes.errorbar(x, T, error, fmt="o", color=f"C{k}", label=method)
        ends = np.array([0.0, x.max()])
        axes.plot(ends, line["bulk"] + line["slope"] * ends, color=f"C{k}")
    axes.set(xlabel="N$^{-1/3}$", ylabel="melting point (K)")
