"""Candidates of adsorption side by side: which are the same, which are likely, and what the last adsorbate gained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from ..surfaces.actions import Action
from ..surfaces.sites import adsorption_sites
from ..units import BOLTZMANN
from .anomalies import occupied_sides, site_under
from .quantity import Quantity

ALIKE = 0.5  # Å: relaxed adsorbates whose atoms are within this of each other's places are the same


@dataclass
class Candidate:
    """Adsorbates on a surface, relaxed; ``total`` is the energy of adsorption of all of them, eV."""

    name: str
    species: list[str]
    surface: str
    before: Atoms
    after: Atoms
    total: float
    flags: list[str] = field(default_factory=list)
    site: str = ""
    same_as: str | None = None
    multiplicity: int = 1
    population: float | None = None
    differential: float | None = None

    @property
    def energy(self) -> float:
        """Per adsorbate, eV."""
        return self.total / len(self.species)

    @property
    def kind(self) -> tuple[str, ...]:
        """The surface and what is on it: candidates of one kind compete."""
        return (self.surface, *sorted(self.species))

    @property
    def competes(self) -> bool:
        """Whether it is what it is called, on some site, and none like it is there already."""
        return self.same_as is None and all(f.startswith("moved") for f in self.flags)

    @property
    def spelled(self) -> str:
        return self.name + (f" ({', '.join(self.flags)})" if self.flags else "")

    def row(self) -> dict[str, Any]:
        """What JSON can hold."""
        kept = ("name", "surface", "total", "energy", "flags", "site", "same_as", "multiplicity", "population")
        return {k: getattr(self, k) for k in (*kept, "differential", "species", "competes")}


def compare(candidates: Sequence[Candidate], surface: Atoms) -> None:
    """Say on which sites of the relaxed surface candidates ended, which moved there, and which became the same."""
    sites = adsorption_sites(surface, sides=occupied_sides([c.before for c in candidates]), tolerance=0.2)
    action = Action(surface, tolerance=0.2, flip=False)
    kept: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: c.total):
        before, after = ([sites[s].label for s in site_under(frame, sites)] for frame in (c.before, c.after))
        c.site = ", ".join(after)
        if before != after and "desorbed" not in c.flags:
            c.flags.append(f"moved to {c.site}")
        if not c.competes:
            continue
        on = c.after[c.after.arrays["adsorbate"] > 0]
        c.multiplicity = action.multiplicity(on, ALIKE)
        alike = [o for o in kept if o.kind == c.kind and abs(o.total - c.total) < 0.02]  # eV
        alike = [o for o in alike if action.same(on, o.after[o.after.arrays["adsorbate"] > 0], ALIKE)]
        if alike:
            c.same_as = alike[0].name
        else:
            kept.append(c)


def populate(candidates: Iterable[Candidate], temperature: float) -> list[Quantity]:
    """Give candidates that compete their populations; the mean adsorption energies."""
    kinds: dict[tuple[str, ...], list[Candidate]] = {}
    for c in candidates:
        if c.competes:
            kinds.setdefault(c.kind, []).append(c)
    means = []
    for (surface, *species), those in kinds.items():
        E = np.array([c.total for c in those])
        p = np.array([c.multiplicity for c in those]) * np.exp(-(E - E.min()) / (BOLTZMANN * temperature))
        p /= p.sum()
        for c, x in zip(those, p.tolist()):
            c.population = x
        what = " + ".join(f"{n} {s}" if n > 1 else s for s, n in Counter(species).items())
        where = f" on {surface}" if len({k[0] for k in kinds}) > 1 else ""
        mean = float(p @ E) / len(species)
        means.append(Quantity(f"mean of {what}{where} at {temperature:g} K, per adsorbate", mean, "eV"))
    return means


def add_differential(candidates: Iterable[Candidate]) -> None:
    """What the last adsorbates of one species gained in the best candidate of each kind, against the best with less."""
    best: dict[tuple[str, ...], Candidate] = {}
    for c in sorted(candidates, key=lambda c: c.total):
        if c.competes:
            best.setdefault(c.kind, c)
    for c in best.values():
        have, less = Counter(c.species), []
        for other in best.values():
            more = have - Counter(other.species)
            if other.surface == c.surface and len(more) == 1 and not Counter(other.species) - have:
                less.append((more.total(), other.total))
        if len(have) == 1:
            less.append((len(c.species), 0.0))
        if less:
            n, total = min(less)
            c.differential = (c.total - total) / n
