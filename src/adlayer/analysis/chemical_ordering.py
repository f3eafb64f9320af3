"""Which element sits where in an alloy of given shape: excess energies, their hull, and how elements segregate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..simulation.search import SymmetryConstrainedGA, find_minima
from ..surfaces.generator import take
from ..surfaces.symmetry import orbits
from .gallery import draw_atoms
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class ChemicalOrdering(Analysis):
    """The best orderings of two or more elements on the sites of a structure that keep its symmetry.

    ``E_x = E - sum_A N_A E_A / N`` is the excess energy, with ``E_A`` the relaxed structure made of ``A`` alone
    (Ferrando, Jellinek and Johnston, Chem. Rev. 108, 845 (2008)); orderings on the lower hull of ``E_x`` over
    composition do not gain by separating into others. Orbits are numbered from the center outward in particles, from
    the top down in slabs.

    Args:
        of: name of the structure; which elements it has does not matter, unless they are ``marked``.
        elements: symbols of what may sit on its sites.
        marked: whether its elements lower its symmetry, so that the ordering may do so, too.
        composition: numbers of atoms of each element; default: any.
        generations: of the genetic algorithm.
        population: of it.
        children: of each generation.
        tolerance: by how much an atom may miss its image, Å.
        fmax: force at which an ordering is relaxed, eV/Å.
        max_steps: of a relaxation.
        keep: so many orderings, best first, are shown.
    """

    of: str
    elements: list[str]
    marked: bool = False
    composition: dict[str, int] | None = None
    generations: int = 30
    population: int = 20
    children: int = 16
    tolerance: float = 0.1
    fmax: float = 0.01
    max_steps: int = 500
    keep: int = 6
    title = "Chemical ordering"

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
            raise ValueError(f"{self.of!r} holds {len(frames)} structures; ChemicalOrdering is of one")
        labels = orbits(frames[0], self.tolerance, elements=self.marked)
        sizes = {name: getattr(self, name) for name in ("generations", "population", "children", "composition")}
        search = SymmetryConstrainedGA(labels.tolist(), list(self.elements), **sizes)
        frame = frames[0].copy()
        frame.symbols[:] = self.elements[0]
        settings = {"folder": folder, "progress": progress, "fmax": self.fmax, "max_steps": self.max_steps}
        found = find_minima(search, evaluate, frame, seed, **settings)
        best = found.frames
        data: dict[str, Any] = {"orbits": np.bincount(labels).tolist(), "relaxations": found.relaxed, "orderings": []}
        for atoms in best:
            data["orderings"].append(
                {
                    "formula": atoms.get_chemical_formula(),
                    "counts": [int((atoms.symbols == e).sum()) for e in self.elements],
                    "energy": float(atoms.get_potential_energy()),
                    "excess": float(atoms.info.get("grand_potential", atoms.get_potential_energy())),
                    "shells": [str(atoms.symbols[labels == k][0]) for k in range(labels.max() + 1)],
                }
            )
        first = data["orderings"][0]
        what = "excess energy" if self.composition is None else "energy"
        quantities = [
            Quantity(f"lowest {what} ({first['formula']})", first["excess"], "eV"),
            Quantity("orderings relaxed", found.relaxed),
            Quantity("orderings there are", len(self.elements) ** len(data["orbits"])),
        ]
        shown = {f"{k + 1}: {a.get_chemical_formula()}": a for k, a in enumerate(best[: self.keep])}
        return Findings(quantities, data, shown)

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Excess energies over composition with their lower hull, above portraits of the best."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 5.5), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=[2.4, 1])
        axes = above.subplots()
        for m, (method, found) in enumerate(findings.items()):
            points = [(o["counts"][-1], o["excess"]) for o in found.data["orderings"]]
            axes.plot(*zip(*points), ".", color=f"C{m}", alpha=0.4)
            axes.plot(*zip(*lower_hull(points)), "o-", color=f"C{m}", label=method)
        axes.set_xlabel(f"{self.elements[-1]} atoms")
        axes.set_ylabel("excess energy (eV)" if self.composition is None else "energy (eV)")
        axes.legend()
        shown = list(next(iter(findings.values())).frames.items())
        for place, (name, frame) in zip(np.atleast_1d(below.subplots(1, max(len(shown), 1))), shown):
            middle = frame[frame.positions[:, 2] < frame.positions[:, 2].mean() + 0.1]  # cut open, seen from above
            draw_atoms(place, middle)
            place.set_title(name, fontsize=7)
        return figure


def lower_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The lower convex hull of points, from left to right: Andrew, Inf. Process. Lett. 9, 216 (1979)."""
    hull: list[tuple[float, float]] = []
    for p in sorted(set(points)):
        while len(hull) > 1 and _turn(hull[-2], hull[-1], p) <= 0:
            hull.pop()
        if not (hull and hull[-1][0] == p[0]):
            hull.append(p)
    return hull


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Positive if the way from ``a`` over ``b`` to ``c`` turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
