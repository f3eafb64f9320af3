"""Which element of an alloy goes to the surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..simulation import Run, relax, run
from ..simulation.monte_carlo import ChemicalDifference, Flip, HybridMD, MonteCarlo, Swap
from ..simulation.monte_carlo.move import Move
from ..surfaces.generator import crystal, take
from ..units import BOLTZMANN
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate

RECORDS = 200  # frames from which the layers are averaged
BLOCKS = 10


@dataclass(frozen=True)
class Segregation(Analysis):
    """Composition of the layers of an alloy slab, by Monte Carlo that exchanges elements while the atoms vibrate.

    With ``mu`` the slab is in contact with a crystal of any composition (semi-grand canonical), so that its inner
    layers are the bulk that its surface is in equilibrium with; without, its composition stays as it is and atoms only
    change places. The free energy of segregation is that of the exchange of one atom between the top layer and the
    inner ones: ``x_s / (1 - x_s) = x_b / (1 - x_b) exp(-G / k_B T)`` (Langmuir and McLean).

    Args:
        of: name of the slab, one structure.
        elements: the two that take part; profiles are of the second.
        temperatures: K.
        mu: chemical potential of the second element less that of the first, eV, from that of the pure crystals;
            several are sampled at once. Default: fixed composition.
        references: energy per atom of both elements, eV, from which ``mu`` counts; default: crystals relaxed.
        steps: trials at each condition.
        equilibration: share of them that is left out.
        vibrations: how often all atoms move (hybrid Monte Carlo), relative to trials with one or two; 0: they stay.
        exchange_every: trials between exchanges of neighboring conditions; 0: never.
    """

    of: str
    elements: list[str]
    temperatures: list[float]
    mu: list[float] | None = None
    references: dict | None = None
    steps: int = 20000
    equilibration: float = 0.3
    vibrations: float = 0.05
    exchange_every: int = 20
    title = "Segregation"

    def __post_init__(self):
        if len(self.elements) != 2:
            raise ValueError(f"Segregation is of two elements, got {', '.join(self.elements) or 'none'}")
        if not self.temperatures or self.mu == []:
            raise ValueError("Segregation needs one temperature (K) or more, and one mu (eV) or more if any")
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
            raise ValueError(f"Segregation takes one slab; {self.of!r} holds {len(frames)}")
        slab, mus = frames[0], self.mu or [None]
        T = np.repeat(self.temperatures, len(mus))
        conditions = [(float(t), m) for t in self.temperatures for m in mus]
        with TemporaryDirectory() as temporary:
            place = Path(folder or temporary)
            done = run(
                self._engine(evaluate, conditions),
                evaluate,
                [slab] * len(conditions),
                torch.Generator().manual_seed(seed),
                every=max(1, self.steps // RECORDS),
                trajectory=place / "segregation.extxyz",
                checkpoint=place / "segregation.checkpoint",
                checkpoint_every=max(1, self.steps // 100),
                progress=progress,
            )
            if not done.finished.all():
                raise ValueError(f"the run did not come to its end: {next(r for r in done.reason if r != 'finished')}")
            data = self._data(done, place / "segregation.extxyz", slab, conditions)
        quantities = []
        for k, (t, m) in enumerate(conditions):
            name = f"{self.elements[1]} at {t:g} K" + ("" if m is None else f", {m:+.3g} eV")
            for what in ("surface", "bulk"):
                mean, error = data[what][k], data[f"{what}_error"][k]
                quantities.append(
                    Quantity(f"fraction in the {'top layer' if what == 'surface' else 'bulk'}, {name}", mean, "", error)
                )
            if data["free_energy"][k] is not None:
                quantities.append(Quantity(f"free energy of segregation, {name}", data["free_energy"][k], "eV"))
        return Findings(quantities, data, dict(zip((f"at {t:g} K" for t in T), done.frames)))

    def _engine(self, evaluate: Evaluate, conditions: list[tuple[float, float | None]]) -> MonteCarlo:
        a, b = self.elements
        moves: list[Move] = [Swap([a, b])]
        reservoirs = []
        if self.mu is not None:
            zero = self.references or {e: _crystal_energy(e, evaluate) for e in self.elements}
            if set(zero) != {a, b}:
                raise ValueError(f"references must be of {a} and {b}, got {', '.join(zero)}")
            mu = [float(m) + zero[b] - zero[a] for _, m in conditions]
            moves.append(Flip([a, b]))
            reservoirs.append(ChemicalDifference({a: 0.0, b: mu}))
        if self.vibrations:
            moves.append(HybridMD(2.0, 8, weight=self.vibrations * len(moves)))
        return MonteCarlo(
            [t for t, _ in conditions],
            moves,
            reservoirs=reservoirs,
            steps=self.steps,
            equilibration=round(self.equilibration * self.steps),
            exchange_every=self.exchange_every if len(conditions) > 1 else 0,
        )

    def _data(self, done: Run, path: Path, slab: Atoms, conditions: list) -> dict[str, Any]:
        from ase.data import atomic_numbers

        from ..simulation import fixed_atoms

        layer, heights = layers(slab)
        free = ~fixed_atoms([slab]).numpy() & np.isin(slab.numbers, [atomic_numbers[e] for e in self.elements])
        size = np.bincount(layer[free], minlength=len(heights))
        numbers = _numbers(path, len(conditions))[:, :, free]
        kept = numbers[int(self.equilibration * len(numbers)) + 1 :] == atomic_numbers[self.elements[1]]
        x = np.stack([kept[:, :, layer[free] == k].mean(-1) for k in range(len(heights)) if size[k]], -1)
        bulk = slice(None) if x.shape[-1] < 3 else slice((x.shape[-1] - 1) // 2, x.shape[-1] // 2 + 1)
        surface, inside = x[..., 0], x[..., bulk].mean(-1)
        free_energies = []
        for k, (t, _) in enumerate(conditions):
            s, b = surface[:, k].mean(), inside[:, k].mean()
            known = 0 < s < 1 and 0 < b < 1
            free_energies.append(float(-BOLTZMANN * t * np.log(s * (1 - b) / (b * (1 - s)))) if known else None)
        return {
            "elements": list(self.elements),
            "temperatures": [t for t, _ in conditions],
            "mu": [m for _, m in conditions],
            "heights": [float(h) for h, n in zip(heights, size) if n],
            "profile": x.mean(0).tolist(),
            "profile_error": _error(x).tolist(),
            "surface": surface.mean(0).tolist(),
            "surface_error": _error(surface).tolist(),
            "bulk": inside.mean(0).tolist(),
            "bulk_error": _error(inside).tolist(),
            "free_energy": free_energies,
        }

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Profiles of the layers, and the composition of the surface against that of the bulk."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.4 * len(findings)), layout="constrained")
        for (profile, isotherm), (method, found) in zip(
            figure.subplots(len(findings), 2, squeeze=False), findings.items()
        ):
            data = found.data
            element = data["elements"][1]
            depth = 1 + np.arange(len(data["heights"]))
            for k, (t, m) in enumerate(zip(data["temperatures"], data["mu"])):
                label = f"{t:g} K" + ("" if m is None else f", {m:+.3g} eV")
                profile.errorbar(depth, data["profile"][k], data["profile_error"][k], fmt="o-", ms=4, label=label)
            profile.set(xlabel="layer, from the top", ylabel=f"fraction of {element}", title=method, ylim=(-0.02, 1.02))
            profile.legend(fontsize="small")
            for t in dict.fromkeys(data["temperatures"]):
                rows = [k for k, other in enumerate(data["temperatures"]) if other == t]
                bars = [[data[name][k] for k in rows] for name in ("bulk", "surface", "surface_error", "bulk_error")]
                isotherm.errorbar(*bars, fmt="o", ms=4, label=f"{t:g} K")
            isotherm.plot([0, 1], [0, 1], color="0.7", lw=1)
            isotherm.set(xlabel=f"fraction of {element} in the bulk", ylabel="in the top layer")
            isotherm.legend(fontsize="small")
        return figure


def layers(slab: Atoms, gap: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """The layer of each atom, from the top, and their heights, Å: by tags, or by gaps between heights."""
    tags = slab.get_tags()
    normal = np.cross(slab.cell[0], slab.cell[1])
    z = slab.positions @ (normal / np.linalg.norm(normal))
    if (tags > 0).all():
        layer = np.unique(tags, return_inverse=True)[1]
    else:
        order = np.argsort(-z)
        layer = np.empty(len(z), dtype=int)
        layer[order] = np.concatenate([[0], np.cumsum(-np.diff(z[order]) > gap)])
    return layer, np.array([z[layer == k].mean() for k in range(layer.max() + 1)])


def _numbers(path: Path, n: int) -> np.ndarray:
    """Atomic numbers [frames, systems, atoms] of a trajectory."""
    from ase.io import iread

    return np.array([atoms.numbers for atoms in iread(path, index=":")]).reshape(
        -1, n, *np.shape(next(iread(path)).numbers)
    )


def _error(x: np.ndarray) -> np.ndarray:
    """Standard error of the mean over time, from blocks."""
    blocks = np.array([b.mean(0) for b in np.array_split(x, min(BLOCKS, len(x)))])
    return blocks.std(0, ddof=1) / len(blocks) ** 0.5


def _crystal_energy(element: str, evaluate: Evaluate) -> float:
    """Energy per atom of the relaxed crystal, eV."""
    atoms = crystal(element, {})
    done = relax(evaluate, atoms, fmax=0.01, cell=True)
    if not done.finished.all():
        raise ValueError(
            f"the crystal of {element} did not relax; give references, the energy per atom of both elements"
        )
    return float(done.prediction.energy) / len(atoms)
