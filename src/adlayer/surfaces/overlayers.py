"""Ordered layers of adsorbates: a coverage, one or several species, in every pattern that a cell holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ..config import nearest
from .actions import Action
from .adsorbates import Adsorbate, Binding, adsorbed, least_distance, place
from .contacts import pairs
from .decorations import Decorations, decorations
from .exposed import without_vacuum
from .generator import Generator, Made, take
from .sites import Site, adsorption_sites, choose
from .symmetry import primitive_lattice
from .wood import supercell


@dataclass(frozen=True)
class Overlayers(Generator):
    """Adsorbates on a slab or a particle at a coverage, in all patterns that no symmetry makes the same.

    Coverage counts adsorbates per smallest surface cell of the clean slab, or per exposed atom of a particle.
    ``info`` has the ``coverage``, the ``degeneracy`` of the pattern and what ``Adsorbates`` write.

    Args:
        of: names of earlier slabs or particles, or a file; without adsorbates.
        coverage: monolayers of each species, such as ``{O = 0.25, CO = 0.25}``; several adsorb together.
        cell: of the pattern, in terms of the slab's own: in Wood's notation (``"p(2x2)"``, ``"c(4x2)"``,
            ``"(√3x√3)R30"``) or two rows of two whole numbers; default: the slab as it is.
        sites: kinds, names or labels of sites, for all species or for each; default: all.
        binding: of each species, as for ``Adsorbates``.
        turns: about the normal, degrees, of each species; patterns of molecules that are turned otherwise are others.
        n: at most so many patterns, drawn at random where there are more.
        apart: atoms of different adsorbates are this far apart at least, Å.
        sides: of slabs: ``"top"``, ``"bottom"`` or ``"both"``.
        probe: radius of the ball that finds the sites, Å; see ``exposed``.
    """

    of: str | list[str]
    coverage: dict[str, float]
    cell: str | list[list[int]] | None = None
    sites: str | list[str] | dict[str, str | list[str]] | None = None
    binding: dict[str, str | int | list[str] | list[int]] | None = None
    turns: dict[str, float] | None = None
    n: int = 50
    apart: float = 2.0
    sides: str = "top"
    probe: float | None = None

    def __post_init__(self):
        if not self.coverage or min(self.coverage.values()) <= 0:
            raise ValueError(
                f"coverage names species with monolayers above 0, such as {{O = 0.25}}; got {self.coverage}"
            )
        for table in (self.binding, self.turns, self.sites if isinstance(self.sites, Mapping) else None):
            for name in set(table or {}) - set(self.coverage):
                raise ValueError(f"{name!r} has no coverage{nearest(name, self.coverage)}")

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        binding: Mapping[str, Binding] = self.binding or {}
        species = [Adsorbate.of(name, binding.get(name), made) for name in self.coverage]
        return [frame for surface in take(self.of, made) for frame in self._on(surface, species, rng)]

    def _on(self, surface: Atoms, species: list[Adsorbate], rng: np.random.Generator) -> list[Atoms]:
        if "adsorbate" in surface.arrays:
            raise ValueError("Overlayers start from a clean surface, and this one carries adsorbates; see Adsorbates")
        surface = without_vacuum(surface)
        if self.cell is not None:
            surface = supercell(surface, self.cell)
        sites = adsorption_sites(surface, self.probe, self.sides)
        counts = [_whole(name, x, _cells(surface, sites)) for name, x in self.coverage.items()]
        which = [a for a, count in zip(species, counts) for _ in range(count)]
        used, found = self._decorations(surface, sites, counts, rng)
        frames: dict[int, Atoms] = {}
        for k in rng.permutation(len(found.sites)).tolist():
            turns = [(self.turns or {}).get(a.name, 0.0) for a in which]
            placed = [place(surface, a, used[s], turn=t) for a, s, t in zip(which, found.sites[k], turns)]
            frame = adsorbed(surface, placed)
            if least_distance(frame) >= self.apart:
                frame.info |= {"degeneracy": int(found.multiplicities[k]), "coverage": sum(self.coverage.values())}
                frames[k] = frame
            if len(frames) == self.n:
                break
        if not frames:
            raise ValueError(
                f"{_spell(self.coverage)} cannot be reached in this cell with {self.apart:g} Å between adsorbates on "
                f"{len(used)} site{'s' * (len(used) != 1)}; take a lower coverage, other sites or a smaller `apart`"
            )
        for number, k in enumerate(sorted(frames), start=1):
            frames[k].info["pattern"] = self._name(number)
        return [frames[k] for k in sorted(frames)]

    def _decorations(
        self, surface: Atoms, sites: list[Site], counts: list[int], rng: np.random.Generator
    ) -> tuple[list[Site], Decorations]:
        """The sites that may be occupied, and the ways to occupy them."""
        chosen = [{id(s) for s in choose(sites, self._wanted(name))} for name in self.coverage]
        used = [s for s in sites if any(id(s) in those for those in chosen)]
        allowed = [np.array([id(s) in those for s in used]) for those in chosen]
        tips = np.array([s.position + s.normal for s in used])
        action = Action(surface, flip=self.sides == "both")
        permutations = action.permutations(tips, [len(s.contact.atoms) for s in used])
        together = _far_enough(surface, used, self.apart)
        return used, decorations(permutations, counts, allowed, together, rng, draws=self.n)

    def _wanted(self, name: str) -> str | list[str] | None:
        return self.sites.get(name) if isinstance(self.sites, Mapping) else self.sites

    def _name(self, number: int) -> str:
        cell = f"{self.cell} " if isinstance(self.cell, str) else ""
        return f"{cell}{_spell(self.coverage)} {number}"


def _spell(coverage: Mapping[str, float]) -> str:
    return " + ".join(f"{x:.3g} ML {name}" for name, x in coverage.items())


def _cells(surface: Atoms, sites: list[Site]) -> int:
    """How many adsorbates make a monolayer."""
    if surface.pbc.sum() != 2:
        return len({a for s in sites if s.kind == "top" for a in s.contact.atoms})
    rows = np.asarray(surface.cell)[surface.pbc]
    sides = len({s.contact.side for s in sites})
    return sides * round(float(np.linalg.norm(np.cross(*rows)) / np.linalg.norm(np.cross(*primitive_lattice(surface)))))


def _whole(name: str, coverage: float, cells: int) -> int:
    count = round(coverage * cells)
    if abs(count - coverage * cells) > 0.02 or not count:
        near = max(count, 1)
        raise ValueError(
            f"{coverage:g} ML of {name} is {coverage * cells:.3g} adsorbates on {cells} surface cells, not a whole "
            f"number; {near / cells:.4g} ML is reachable, or take another cell"
        )
    return count


def _far_enough(surface: Atoms, sites: list[Site], apart: float) -> np.ndarray:
    """Which sites, their images included, are far enough apart for two adsorbates; none is with itself."""
    points = Atoms(f"X{len(sites)}", [s.position for s in sites], cell=surface.cell, pbc=surface.pbc)
    i, j, _ = pairs(points, apart)
    together = ~np.eye(len(sites), dtype=bool)
    together[i, j] = False
    alone = i[i == j]  # too near its own image
    together[alone] = False
    return together
