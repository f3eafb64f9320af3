"""Which structures are lowest: searches for minima, their energies as a ladder, and how likely each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..simulation import relax
from ..simulation.search import BasinHopping, Fingerprint, Search, find_minima
from ..surfaces.generator import take
from .ensembles import boltzmann_weights, grand_potential, harmonic_free_energy, symmetry_weight, vibrations_of
from .gallery import draw_atoms
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class StructureSearch(Analysis):
    """The lowest minima that a search finds from some seeds: how low, how often and when they were found, how likely.

    Seeds of different compositions are searched one composition after another. Populations at ``temperature`` are
    ``p_i ~ exp(-(Omega_i + F_i) / k_B T) / h_i`` with ``Omega = E - sum mu N``, the harmonic free energy ``F_i`` of the
    vibrations where asked, and the order ``h_i`` of the symmetry group: a metastable ensemble, in which the lowest
    minimum is not all that matters (Sun and Sautet, J. Am. Chem. Soc. 140, 2812 (2018)). They compare minima of one
    composition, or of all where chemical potentials are given.

    Args:
        of: names of the seeds.
        search: how minima are looked for.
        keep: so many of the lowest minima of each composition are shown.
        fmax: force at which a minimum is reached, eV/Å.
        max_steps: of a relaxation; 0 takes the structures as they are and only compares them.
        fingerprint: says which minima are the same.
        temperature: of the populations, K.
        chemical_potentials: of the elements that come and go, eV.
        vibrations: whether vibrations count in the populations; 6 evaluations for each atom of each minimum kept.
        judge: in a job, the reference takes the minima of the potential, and only judges.
    """

    of: str | list[str]
    search: Search = field(default_factory=BasinHopping)
    keep: int = 10
    fmax: float = 0.01
    max_steps: int = 1000
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    temperature: float = 300.0
    chemical_potentials: dict[str, float] | None = None
    vibrations: bool = False
    judge: bool = True
    title = "Structure search"

    def __post_init__(self):
        if self.keep < 1:
            raise ValueError(f"StructureSearch: keep must be 1 or more, got {self.keep}")
        if not self.temperature > 0:
            raise ValueError(f"StructureSearch: temperature must be above 0 K, got {self.temperature}")

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        groups: dict[str, list[Atoms]] = {}
        for frame in take(self.of, made):
            groups.setdefault(frame.get_chemical_formula(), []).append(frame)
        findings = Findings([], {"searches": {}, "minima": []})
        minima: list[tuple[str, Atoms]] = []
        for k, (formula, seeds) in enumerate(groups.items()):
            frames, facts = self._search(evaluate, seeds, folder and folder / formula, seed + k, progress)
            findings.data["searches"][formula] = facts
            minima += [(formula, frame) for frame in frames]
            findings.quantities.append(Quantity(f"lowest energy of {formula}", frames[0].get_potential_energy(), "eV"))
            if facts:
                findings.quantities += [
                    Quantity(f"distinct minima of {formula}", facts["distinct"]),
                    Quantity(f"lowest of {formula} found, times", frames[0].info["found"]),
                    Quantity(f"lowest of {formula} found first, relaxations", frames[0].info["first_found"]),
                ]
        findings.data["minima"] = self._populations(evaluate, minima)
        for found, (formula, frame) in zip(findings.data["minima"], minima):
            findings.frames[f"{formula} {found['rank']}"] = frame
        best = max(findings.data["minima"], key=lambda m: m["population"])
        share = f"population of {best['formula']} {best['rank']} at {self.temperature:g} K"
        findings.quantities.append(Quantity(share, best["population"]))
        return findings

    def _search(
        self, evaluate: Evaluate, seeds: list[Atoms], folder: Path | None, seed: int, progress: Progress | None
    ) -> tuple[list[Atoms], dict[str, Any]]:
        """The lowest minima of one composition, and facts about the search."""
        if self.max_steps == 0:
            return self._as_they_are(evaluate, seeds), {}
        settings = {"fmax": self.fmax, "max_steps": self.max_steps, "fingerprint": self.fingerprint}
        found = find_minima(self.search, evaluate, seeds, seed, folder=folder, progress=progress, **settings)
        facts = {"distinct": len(found.minima), "relaxations": found.relaxed, "evaluations": found.evaluations}
        return found.frames[: self.keep], facts | {"history": [list(h) for h in found.history]}

    @staticmethod
    def _as_they_are(evaluate: Evaluate, frames: list[Atoms]) -> list[Atoms]:
        done = relax(evaluate, frames, max_steps=0)
        return [done.frames[k] for k in np.argsort(done.prediction.energy.tolist(), kind="stable")]

    def _populations(self, evaluate: Evaluate, minima: list[tuple[str, Atoms]]) -> list[dict[str, Any]]:
        """One entry for each minimum that is shown."""
        entries: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for formula, frame in minima:
            counts[formula] = counts.get(formula, 0) + 1
            E = float(frame.get_potential_energy())
            omega = grand_potential(E, frame, self.chemical_potentials or {})
            F = harmonic_free_energy(vibrations_of(evaluate, frame), self.temperature) if self.vibrations else 0.0
            facts = {"formula": formula, "rank": counts[formula], "energy": E, "omega": omega, "vibrations": F}
            facts |= {"weight": symmetry_weight(frame), "found": int(frame.info.get("found", 1))}
            entries.append(facts | {"first_found": int(frame.info.get("first_found", 0))})
        alone = [[e for e in entries if e["formula"] == formula] for formula in counts]
        ensembles = [entries] if self.chemical_potentials else alone
        for members in ensembles:
            F = [e["omega"] + e["vibrations"] for e in members]
            for entry, p in zip(members, boltzmann_weights(F, self.temperature, [e["weight"] for e in members])):
                entry["population"] = float(p)
        return entries

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """The energy ladder, one column for each method and composition, above portraits of the lowest minima."""
        from matplotlib.figure import Figure

        first = next(iter(findings.values()))
        shown = list(first.frames.items())[:6]
        figure = Figure(figsize=(6, 5.5), layout="constrained")
        ladder, gallery = figure.subfigures(2, 1, height_ratios=[2.4, 1])
        self._draw_ladder(ladder.subplots(), findings)
        for axes, (name, frame) in zip(np.atleast_1d(gallery.subplots(1, max(len(shown), 1))), shown):
            draw_atoms(axes, frame)
            axes.set_title(name, fontsize=7)
        return figure

    def _draw_ladder(self, axes: Axes, findings: Mapping[str, Findings]) -> None:
        names, together = [], self.chemical_potentials is not None
        for m, (method, found) in enumerate(findings.items()):
            zero = min(e["omega"] for e in found.data["minima"])
            for formula in dict.fromkeys(e["formula"] for e in found.data["minima"]):
                mine = [e for e in found.data["minima"] if e["formula"] == formula]
                lowest = zero if together else min(e["omega"] for e in mine)
                for e in mine:
                    at = e["omega"] - lowest
                    width = 0.12 + 0.3 * np.sqrt(e["population"])
                    axes.hlines(at, len(names) - width, len(names) + width, color=f"C{m}", linewidth=1.5)
                    if at == 0 or e["population"] > 0.01:
                        share = f" {100 * e['population']:.0f} %"
                        axes.annotate(share, (len(names) + width, at), fontsize=7, va="center")
                names.append(f"{formula}\n{method}")
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.6, len(names) - 0.3)
        axes.set_ylabel("grand potential above the lowest (eV)" if together else "energy above the lowest (eV)")
