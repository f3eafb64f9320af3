"""Liquids: alone, on a solid, between two walls, around a particle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from .contacts import contact_radii
from .generator import Generator, Made, take
from .packing import Mixture, mixture, molecule, number_at, pack
from .regions import Cell, Layer, Region


@dataclass(frozen=True)
class Liquid(Generator):
    """A liquid in a periodic cube: molecules at random places and turned at random, none too near another.

    Args:
        of: name of a molecule or atom, or several with their shares, ``{ H2O = 9, CH3OH = 1 }``.
        n: how many molecules.
        density: g/cm³.
        closest: distance of atoms of different molecules, as a fraction of the sum of their van der Waals radii.
        copies: how many such liquids.
    """

    of: str | dict[str, float]
    n: int = 64
    density: float = 1.0
    closest: float = 0.75
    copies: int = 1

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        if self.n < 1:
            raise ValueError(f"a liquid has one molecule or more, got {self.n}")
        million = number_at(self.density, 1e6 * self.n, self.of, made)  # of molecules, in so many Å³
        cell = np.eye(3) * (1e6 * self.n * self.n / million) ** (1 / 3)
        return [
            filled(Atoms(cell=cell, pbc=True), Cell(cell), self.of, self.density, rng, self.closest, made, self.n)
            for _ in range(self.copies)
        ]


@dataclass(frozen=True)
class SolidLiquid(Generator):
    """A liquid film on the top of slabs: solid below, liquid, and vacuum or the next image of the solid.

    The density counts from the van der Waals radius of the uppermost atoms.

    Args:
        slab: names of earlier slabs, their normal along z.
        of: name of a molecule, or several with their shares.
        thickness: of the film, Å.
        density: g/cm³.
        vacuum: above the film, Å; none if the cell is ``periodic`` in z, where the film touches the slab's other side.
        periodic: whether the cell repeats along z.
        gap: from the uppermost atoms to where the film begins, Å; default: their van der Waals radius.
        closest: distance of atoms of different molecules, as a fraction of the sum of their van der Waals radii.
    """

    slab: str | list[str]
    of: str | dict[str, float] = "H2O"
    thickness: float = 15.0
    density: float = 1.0
    vacuum: float = 10.0
    periodic: bool = False
    gap: float | None = None
    closest: float = 0.75

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [self._wetted(slab, made, rng) for slab in take(self.slab, made)]

    def _wetted(self, slab: Atoms, made: Made, rng: np.random.Generator) -> Atoms:
        check_slab(slab)
        if not self.thickness > 0:
            raise ValueError(f"a film has a thickness above 0 Å, got {self.thickness!r}")
        low = slab.positions[:, 2].max() + (gap_of(slab, 1) if self.gap is None else self.gap)
        high = low + self.thickness
        top = high + (gap_of(slab, -1) if self.gap is None else self.gap) if self.periodic else high + self.vacuum
        bottom = slab.positions[:, 2].min() if self.periodic else 0.0
        slab.cell[2] = [0.0, 0.0, top - bottom]
        slab.pbc = (True, True, self.periodic)
        region = Layer(np.asarray(slab.cell)[:2], low, high)
        return filled(slab, region, self.of, self.density, rng, self.closest, made)


@dataclass(frozen=True)
class Slit(Generator):
    """Two walls that face each other, and a liquid between them: periodic in two directions.

    The upper wall is the mirror image of the lower one.

    Args:
        wall: names of earlier slabs or sheets, their normal along z.
        width: from the uppermost atoms of the lower wall to the lowest of the upper, Å.
        of: name of a molecule, or several with their shares; none leaves the slit empty.
        density: g/cm³, of the space between the van der Waals radii of the walls.
        vacuum: on either side of the whole, Å.
        gap: from the walls' atoms to where the liquid begins, Å; default: their van der Waals radius.
        closest: distance of atoms of different molecules, as a fraction of the sum of their van der Waals radii.
    """

    wall: str | list[str]
    width: float
    of: str | dict[str, float] | None = "H2O"
    density: float = 1.0
    vacuum: float = 10.0
    gap: float | None = None
    closest: float = 0.75

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        frames = []
        for wall in take(self.wall, made):
            slit = empty_slit(wall, self.width, self.vacuum)
            top = wall.positions[:, 2].max() - wall.positions[:, 2].min() + self.vacuum
            gap = gap_of(wall, 1) if self.gap is None else self.gap
            if self.of is not None:
                region = Layer(np.asarray(slit.cell)[:2], top + gap, top + self.width - gap)
                slit = filled(slit, region, self.of, self.density, rng, self.closest, made)
            frames.append(slit)
        return frames


@dataclass(frozen=True)
class Solvated(Generator):
    """Particles or molecules in a periodic cube of liquid.

    The density is that of the space outside the van der Waals radii of the particle.

    Args:
        particle: names of earlier particles, or of one molecule.
        of: name of a molecule of the liquid, or several with their shares.
        margin: of liquid around the particle on each side, Å.
        density: g/cm³.
        closest: distance of atoms of different molecules, as a fraction of the sum of their van der Waals radii.
    """

    particle: str | list[str]
    of: str | dict[str, float] = "H2O"
    margin: float = 8.0
    density: float = 1.0
    closest: float = 0.75

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        known = self.particle not in made if isinstance(self.particle, str) else False
        frames = [molecule(self.particle, made)] if known else take(self.particle, made)
        return [self._solvated(particle, made, rng) for particle in frames]

    def _solvated(self, particle: Atoms, made: Made, rng: np.random.Generator) -> Atoms:
        if particle.pbc.any():
            raise ValueError("what is solvated must be a particle or a molecule, periodic in no direction")
        if not self.margin > 0:
            raise ValueError(f"a margin of liquid is above 0 Å, got {self.margin!r}")
        x = particle.positions
        cell = np.eye(3) * (np.ptp(x, axis=0).max() + 2 * self.margin)
        particle.positions += np.diag(cell) / 2 - (x.max(0) + x.min(0)) / 2
        particle.cell, particle.pbc = cell, True
        n = number_at(self.density, Cell(cell).volume - occupied(particle), self.of, made)
        return filled(particle, Cell(cell), self.of, self.density, rng, self.closest, made, n)


def occupied(atoms: Atoms, spacing: float = 0.4) -> float:
    """Volume within the van der Waals radii of atoms that do not reach across the cell, Å³, on a grid."""
    radii = contact_radii(atoms.numbers)
    low, high = (atoms.positions - radii[:, None]).min(0), (atoms.positions + radii[:, None]).max(0)
    axes = [np.arange(a, b, spacing) for a, b in zip(low, high)]
    inside = np.zeros(tuple(map(len, axes)), bool)
    for position, radius in zip(atoms.positions, radii):
        near = [np.flatnonzero(abs(axis - p) < radius) for axis, p in zip(axes, position)]
        squares = [(axis[k] - p) ** 2 for axis, k, p in zip(axes, near, position)]
        ball = squares[0][:, None, None] + squares[1][:, None] + squares[2] < radius**2
        inside[np.ix_(*near)] |= ball
    return float(inside.sum() * spacing**3)


def empty_slit(wall: Atoms, width: float, vacuum: float = 10.0) -> Atoms:
    """A wall and its mirror image at a distance ``width`` (Å) between the atoms that face each other."""
    check_slab(wall)
    if not width > 0:
        raise ValueError(f"a slit has a width above 0 Å, got {width!r}")
    lower, upper = wall.copy(), wall.copy()
    z = wall.positions[:, 2]
    lower.positions[:, 2] += vacuum - z.min()
    top = vacuum + np.ptp(z)
    upper.positions[:, 2] = 2 * (top + width / 2) - lower.positions[:, 2]
    held = np.concatenate([frozen_mask(lower), frozen_mask(upper)])
    slit = Atoms(np.tile(wall.numbers, 2), np.concatenate([lower.positions, upper.positions]), cell=wall.cell)
    slit.cell[2] = [0.0, 0.0, 2 * top + width]
    slit.pbc = (True, True, False)
    slit.set_tags(np.tile(wall.get_tags(), 2))
    if held.any():
        slit.set_constraint(FixAtoms(mask=held))
    slit.info["group"] = "slit"
    return slit


def filled(
    solid: Atoms,
    region: Region,
    of: Mixture,
    density: float,
    rng: np.random.Generator,
    closest: float = 0.75,
    made: Made | None = None,
    n: int | None = None,
) -> Atoms:
    """A solid with molecules in a region beside it, at a density (g/cm³) or ``n`` of them.

    ``arrays["molecule"]`` numbers the molecules, -1 for the solid, whose tags and frozen atoms are kept.
    """
    n = number_at(density, region.volume, of, made) if n is None else n
    liquid = pack(mixture(of, n, made), region, rng, solid, closest)
    whole = solid.copy()
    whole.set_array("molecule", np.full(len(solid), -1))
    whole.extend(liquid)
    whole.info["group"] = "solid and liquid" if len(solid) else "liquid"
    return whole


def check_slab(slab: Atoms) -> None:
    """A slab has its normal along z; raises ``ValueError`` if this one does not."""
    if not slab.pbc[:2].all() or np.abs(np.asarray(slab.cell)[:2, 2]).max() > 1e-6:
        raise ValueError("this needs a slab that is periodic in the plane of its first two vectors, its normal along z")


def gap_of(slab: Atoms, side: int) -> float:
    """Van der Waals radius of the atoms that are uppermost (``side`` 1) or lowest (-1), Å."""
    z = side * slab.positions[:, 2]
    return float(contact_radii(slab.numbers[z > z.max() - 0.5]).max())


def frozen_mask(atoms: Atoms) -> np.ndarray:
    """Which atoms ``FixAtoms`` holds."""
    mask = np.zeros(len(atoms), bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            mask[constraint.get_indices()] = True
    return mask
