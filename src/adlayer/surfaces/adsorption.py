"""One adsorbate on a surface, in every way that differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from ase import Atoms

from .actions import Action
from .adsorbates import Adsorbate, Placed, adsorbed, least_distance, place
from .contacts import pairs
from .exposed import without_vacuum
from .generator import Generator, Made, take
from .sites import Site, adsorption_sites, choose, clean, distinct


@dataclass(frozen=True)
class Adsorbates(Generator):
    """A molecule on every site of a slab or a particle, in every orientation asked for, once each by symmetry.

    ``info`` says which ``adsorbates`` are on which ``sites`` and for how many placements this one stands
    (``degeneracy``); the array ``adsorbate`` says which atoms are theirs. What carries adsorbates gets one more.

    Args:
        of: names of earlier slabs or particles, or a file.
        adsorbate: a molecule that ASE knows by name, an element, an earlier structure or a file.
        sites: kinds (``top``, ``bridge``, ``hollow``), names (``fcc``, ``4-fold``) or whole labels; default: all.
        binding: element or number of the atom that binds; two, for a molecule with a foot on each of two sites; or
            ``"flat"``. Default: the only atom, or the only one beside hydrogen.
        tilts: of the molecule's axis away from the normal, degrees.
        rolls: about the molecule's own axis before it is tilted, degrees; ``[0, 90]`` also tilts a planar molecule
            out of its plane.
        turns: about the normal, so many, evenly spaced; those that symmetry makes the same are one.
        height: of what binds above the site, Å; default: by covalent radii.
        sides: of slabs: ``"top"``, ``"bottom"`` or ``"both"``.
        apart: atoms of different adsorbates, and of an adsorbate and its images, are this far apart at least, Å.
        probe: radius of the ball that finds the sites, Å; see ``exposed``.
    """

    of: str | list[str]
    adsorbate: str
    sites: str | list[str] | None = None
    binding: str | int | list[str] | list[int] | None = None
    tilts: list[float] = (0.0,)
    rolls: list[float] = (0.0,)
    turns: int = 12
    height: float | None = None
    sides: str = "top"
    apart: float = 2.0
    probe: float | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        if self.turns < 1 or not self.tilts or not self.rolls:
            raise ValueError("a molecule is placed with one tilt, one roll and one turn at least; 0 leaves it upright")
        adsorbate = Adsorbate.of(self.adsorbate, self.binding, made)
        return [frame for surface in take(self.of, made) for frame in self._on(surface, adsorbate)]

    def _on(self, surface: Atoms, adsorbate: Adsorbate) -> list[Atoms]:
        sites = choose(adsorption_sites(surface, self.probe, self.sides), self.sites)
        placed = placements(surface, adsorbate, sites, self.tilts, self.rolls, self.turns, self.height)
        frames, near = [], []
        for p in placed:
            frame = adsorbed(surface, [p])
            frame.info |= {"degeneracy": p.multiplicity, "pattern": _name(surface, p, placed)}
            near.append(least_distance(frame))
            if near[-1] >= self.apart:
                frames.append(frame)
        if not frames:
            raise ValueError(
                f"every {adsorbate.name} would be within {max(near, default=0):.2f} Å of another or of its own image, "
                f"and {self.apart:g} Å are asked for; repeat the cell or take a smaller `apart`"
            )
        return frames


def placements(
    surface: Atoms,
    adsorbate: Adsorbate,
    sites: Sequence[Site],
    tilts: Sequence[float] = (0.0,),
    rolls: Sequence[float] = (0.0,),
    turns: int = 12,
    height: float | None = None,
) -> list[Placed]:
    """A molecule on sites of a surface in every orientation, once each by symmetry; see ``Adsorbates``."""
    surface = without_vacuum(surface)
    bare = clean(surface)
    action = Action(surface, flip=len({s.contact.side for s in sites}) > 1)
    two = len(adsorbate.binding) == 2
    where = _two_feet(bare, adsorbate, sites) if two else [(s, None) for s in distinct(sites)]
    found: list[Placed] = []
    for site, other in where:
        new: list[Placed] = []
        for tilt, roll, turn in product(tilts, rolls, (0.0, 180.0) if two else np.arange(turns) * (360 / turns)):
            p = place(bare, adsorbate, site, other, tilt, turn, roll, height)
            if not any(action.same(p.atoms, q.atoms) for q in (found + new if two else new)):
                new.append(p)
        found += new
    return [replace(p, multiplicity=action.multiplicity(p.atoms)) for p in found]


def _two_feet(surface: Atoms, adsorbate: Adsorbate, sites: Sequence[Site]) -> list[tuple[Site, Site]]:
    """Pairs of sites as far apart as the two feet, within 1 Å; with one of each orbit as the first."""
    x = adsorbate.atoms.positions[list(adsorbate.binding)]
    span = float(np.linalg.norm(x[1] - x[0]))
    points = Atoms(f"X{len(sites)}", [s.position for s in sites], cell=surface.cell, pbc=surface.pbc)
    i, j, D = pairs(points, span + 1.0)
    r = np.linalg.norm(D, axis=1)
    firsts = {id(s) for s in distinct(sites)}
    found = []
    for a, b, d, length in zip(i, j, D, r):
        if length > max(span - 1.0, 0.8) and id(sites[a]) in firsts:
            c = sites[b].contact
            moved = replace(c, places=c.places + sites[a].position + d - sites[b].position)
            found.append((sites[a], replace(sites[b], contact=moved)))
    if not found:
        raise ValueError(f"no two of these sites are as far apart as the feet of {adsorbate.name}, {span:.2f} Å")
    return found


def _name(surface: Atoms, p: Placed, placed: Sequence[Placed]) -> str:
    alike = [q for q in placed if q.where == p.where]
    number = f" {1 + [q is p for q in alike].index(True)}" if len(alike) > 1 else ""
    before = f"{surface.info['pattern']}: " if "pattern" in surface.info else ""
    return f"{before}{p.what} on {p.where}{number}"
