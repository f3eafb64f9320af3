"""What lies between two minima: paths, barriers with their doubt, and rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ..simulation import NEB, Run, StringMethod, fixed_atoms, interpolate, lowest_modes, relax, run
from ..simulation.curvature import rigid_motions
from ..simulation.interpolation import minimum_image
from ..structures import Structures
from ..surfaces.generator import take
from ..units import BOLTZMANN
from .quantity import Analysis, Findings, Progress, Quantity
from .rates import NOISE, arrhenius, vineyard
from .vibrations import frequencies, hessian

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class Barrier(Analysis):
    """The lowest way from one minimum to another: its barrier, and how often it is gone.

    Both ends are relaxed, images between them become minimum energy paths, all paths in one batch, and the highest
    image of each climbs to its saddle, which is one if it has exactly one negative curvature. Harmonic transition state
    theory gives the rate, ``k = nu* exp(-E / k_B T)`` with Vineyard's ``nu*``. Where an ensemble is asked, the standard
    deviation is that of the difference of energies, in which most of the doubt about either cancels.

    Args:
        start: names of the structures that paths start from; one may serve all.
        end: names of those where they end, with the atoms in the same order.
        n_images: of each path, ends included.
        interpolation: how paths begin, ``"idpp"`` or ``"linear"``.
        engine: what finds them, ``NEB`` or ``StringMethod``.
        fmax: force at which ends count as relaxed, eV/Å.
        max_steps: of their relaxation; 0 takes them as they are, if they are relaxed.
        temperature: at which rates are asked, K.
        prefactor: whether frequencies and rates are computed; otherwise only the two lowest curvatures of each saddle.
        within: only atoms so near to one that moves by more than 0.3 Å vibrate, Å; default: all that are free.
        delta: displacement for curvatures, Å.
        chunk: how many displaced structures are evaluated at once.
    """

    start: str | list[str]
    end: str | list[str]
    n_images: int = 7
    interpolation: Literal["idpp", "linear"] = "idpp"
    engine: NEB | StringMethod = field(default_factory=NEB)
    fmax: float = 0.01
    max_steps: int = 500
    temperature: list[float] = (300.0,)
    prefactor: bool = True
    within: float | None = None
    delta: float = 0.01
    chunk: int = 32
    title = "Barriers"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        folder = folder and Path(folder)
        starts, ends = self._ends(evaluate, made, progress, folder)
        names = [str(end.info.get("path", f"path {k + 1}")) for k, end in enumerate(ends)]
        done = self._paths(evaluate, starts, ends, progress, folder)
        quantities, data, frames = [], {}, {}
        for k, name in enumerate(names):
            images = slice(k * self.n_images, (k + 1) * self.n_images)
            found = _profile(done, images) | _doubt(evaluate, done, images)
            if not done.finished[images.start]:
                found["unfinished"] = done.reason[images.start]
            path = done.frames[images]
            if (top := found["top"]) not in (0, self.n_images - 1):
                where = folder and folder / f"modes-{k + 1}.npz"
                found |= self._modes(evaluate, path, top, progress, where, seed)
            data[name] = found
            quantities += _quantities(name, found, self.temperature)
            frames |= {f"{name}, image {i + 1}": image for i, image in enumerate(path)}
        return Findings(quantities, data, frames)

    def _ends(self, evaluate: Evaluate, made, progress, folder) -> tuple[list[Atoms], list[Atoms]]:
        """Both ends of each path, relaxed, or found to be."""
        starts, ends = take(self.start, made), take(self.end, made)
        if len(starts) == 1:
            starts = [starts[0].copy() for _ in ends]
        if len(starts) != len(ends):
            raise ValueError(f"Barrier has {len(starts)} structures to start from and {len(ends)} to end at")
        interpolate(starts, ends, 3, "linear")  # says at once what is wrong with them
        settings = {"progress": progress, "checkpoint": folder and folder / "ends.pt"}
        done = relax(evaluate, [*starts, *ends], self.fmax, self.max_steps, **settings)
        for k, reason in enumerate(done.reason):
            if reason != "finished":
                which = f"the {'start' if k < len(starts) else 'end'} of path {k % len(starts) + 1}"
                raise ValueError(f"{which} is not relaxed to {self.fmax:g} eV/Å ({reason}); allow more max_steps")
        both = done.frames
        pair = [Structures.from_ase(x) for x in (both[: len(starts)], both[len(starts) :])]
        way = minimum_image(pair[1].positions - pair[0].positions, pair[0]).norm(dim=-1)
        for k, part in enumerate(way.split(pair[0].counts.tolist())):
            if float(part.max()) < 0.05:
                raise ValueError(f"both ends of path {k + 1} relax to the same minimum: no barrier lies between them")
        return both[: len(starts)], both[len(starts) :]

    def _paths(self, evaluate: Evaluate, starts, ends, progress, folder) -> Run:
        images, path = interpolate(starts, ends, self.n_images, self.interpolation)
        frames = []
        for k, positions in enumerate(images.positions.split(images.counts.tolist())):
            frames.append(starts[k // self.n_images].copy())
            frames[-1].set_positions(positions.numpy(), apply_constraint=False)
        checkpoint = folder and folder / "paths.pt"
        return run(self.engine, evaluate, frames, path=path, progress=progress, checkpoint=checkpoint)

    def _modes(self, evaluate: Evaluate, path: list[Atoms], top: int, progress, where, seed: int) -> dict[str, Any]:
        """Curvatures or frequencies of the saddle, and of the minima at both ends."""
        saddle = Structures.from_ase(path[top])
        free = ~fixed_atoms([path[top]])
        if not self.prefactor:
            generator = torch.Generator().manual_seed(seed)
            modes = lowest_modes(evaluate, saddle, free, 2, generator=generator, delta=self.delta)
            return {"curvatures": modes.curvatures[0].tolist(), "negative": int((modes.curvatures[0] < 0).sum())}
        moving = free.numpy() & self._near(path, top)
        n_rigid = int((rigid_motions(saddle, free).flatten(0, 1).norm(dim=0) > 0.5).sum()) if moving.all() else 0
        if where is not None and where.exists():
            kept = dict(np.load(where))
        else:
            at = {"start": path[0], "saddle": path[top], "end": path[-1]}
            moving = np.flatnonzero(moving)
            H = {k: hessian(evaluate, x, moving, self.delta, self.chunk, progress) for k, x in at.items()}
            kept = {k: frequencies(h, path[0].get_masses()[moving])[0] for k, h in H.items()}
            if where is not None:
                np.savez(where, **kept)
        nu = {k: np.sort(x[np.argsort(abs(x))[n_rigid:]]) for k, x in kept.items()}
        found = {"frequencies": {k: x.tolist() for k, x in nu.items()}, "negative": int((nu["saddle"] < -NOISE).sum())}
        for back, minimum in (("prefactor", "start"), ("reverse prefactor", "end")):
            if found["negative"] == 1 and nu[minimum].min() > 0 and (nu["saddle"] < 0).sum() == 1:
                found[back] = vineyard(nu[minimum], nu["saddle"])
        return found

    def _near(self, path: list[Atoms], top: int) -> np.ndarray:
        """The atoms near enough to what moves."""
        if self.within is None:
            return np.ones(len(path[0]), dtype=bool)
        moved = np.max([np.linalg.norm(path[top].positions - x.positions, axis=1) for x in (path[0], path[-1])], axis=0)
        far = [path[top].get_distances(a, range(len(path[0])), mic=True) for a in np.flatnonzero(moved > 0.3)]
        return np.min([*far, np.where(moved == moved.max(), 0.0, np.inf)], axis=0) <= self.within

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Energy along the paths, as the energies and forces of the images have it."""
        from matplotlib.figure import Figure
        from scipy.interpolate import CubicHermiteSpline

        figure = Figure(figsize=(5.5, 3.5), layout="constrained")
        axes = figure.subplots()
        for m, (method, found) in enumerate(findings.items()):
            for k, (name, path) in enumerate(found.data.items()):
                s, E = np.array(path["distance"]), np.array(path["energy"])
                fine, color = np.linspace(s[0], s[-1], 300), f"C{k if len(findings) == 1 else m}"
                label = name if len(findings) == 1 else f"{method}, {name}" if len(found.data) > 1 else method
                axes.plot(fine, CubicHermiteSpline(s, E, path["slope"])(fine), color=color, label=label)
                axes.errorbar(s, E, path.get("std"), fmt="o", markersize=4, color=color, capsize=2)
        axes.set_xlabel("distance along the path (Å)")
        axes.set_ylabel("energy (eV)")
        axes.legend()
        return figure


def _profile(done: Run, images: slice) -> dict[str, Any]:
    """Of each image: distance along the path (Å), energy above its start (eV), and the slope by its forces (eV/Å)."""
    part = list(range(*images.indices(len(done.structures))))
    R = done.structures[part].positions.reshape(len(part), -1)
    F = done.prediction.select(done.structures, part).forces.reshape(len(part), -1)
    E = done.prediction.energy[images]
    s = torch.cat([R.new_zeros(1), R.diff(dim=0).norm(dim=1).cumsum(0)])
    tangent = torch.cat([R[1:2] - R[:1], R[2:] - R[:-2], R[-1:] - R[-2:-1]])
    slope = -(F * tangent).sum(1) / tangent.norm(dim=1)
    rising = E.diff() > 0
    minima = 1 + (~rising[:-1] & rising[1:]).nonzero()[:, 0]
    return {
        "distance": s.tolist(),
        "energy": (E - E[0]).tolist(),
        "slope": slope.tolist(),
        "top": int(E.argmax()),
        "minima between": [int(k) for k in minima],
    }


def _doubt(evaluate: Evaluate, done: Run, images: slice) -> dict[str, Any]:
    """Standard deviations of the energies above the start: of all members alike, or else as if each erred alone."""
    part = list(range(*images.indices(len(done.structures))))
    ask = getattr(evaluate, "deviations", None)
    D = None if ask is None else ask(done.structures[part])
    if D is not None:
        above_end = (D - D[-1]).norm(dim=1)
        return {"std": (D - D[0]).norm(dim=1).tolist(), "std above the end": above_end.tolist()}
    if done.prediction.std is None or done.prediction.std.energy is None:
        return {}
    std = done.prediction.std.energy[images]
    above = [torch.where(std == std, (std**2 + std[k] ** 2).sqrt(), std) for k in (0, -1)]
    above[0][0] = above[1][-1] = 0.0
    return {"std": above[0].tolist(), "std above the end": above[1].tolist()}


def _quantities(name: str, found: dict[str, Any], temperatures) -> list[Quantity]:
    E, top = found["energy"], found["top"]
    std, back_std = (found[k][top] if k in found else None for k in ("std", "std above the end"))
    barrier, back = E[top], E[top] - E[-1]
    rows = [
        Quantity(f"barrier of {name}", barrier, "eV", std),
        Quantity(f"barrier of {name}, backwards", back, "eV", back_std),
        Quantity(f"energy of {name} from start to end", E[-1], "eV", found["std"][-1] if "std" in found else None),
    ]
    if "negative" in found:
        rows.append(Quantity(f"negative curvatures of the saddle of {name} (1 is right)", found["negative"]))
    if "curvatures" in found:
        rows.append(Quantity(f"lowest curvature of the saddle of {name}", found["curvatures"][0], "eV/Å²"))
    if "frequencies" in found:
        lowest = found["frequencies"]["saddle"][0]
        rows.append(Quantity(f"imaginary frequency of the saddle of {name}", abs(min(lowest, 0.0)), "THz"))
    for key, height, doubt, word in (
        ("prefactor", barrier, std, ""),
        ("reverse prefactor", back, back_std, ", backwards"),
    ):
        if key not in found:
            continue
        rows.append(Quantity(f"prefactor of {name}{word}", found[key], "THz"))
        for T in temperatures:
            rate = arrhenius(height, found[key], T)
            error = None if doubt is None else rate * doubt / (BOLTZMANN * T)
            rows.append(Quantity(f"rate of {name}{word} at {T:g} K", rate, "1/s", error))
    return rows
