"""Structures to begin a data set with: bulk, strained, surfaces, defects, adsorbates, particles and liquids at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from ..config import nearest
from .adsorption import Adsorbates
from .alloys import alloy
from .bulk import strained
from .changes import Rattle
from .contacts import bonds
from .defects import Adatoms, Vacancies
from .generator import Generator, Made, crystal
from .liquids import Liquid, SolidLiquid
from .nanocrystals import wulff_particle
from .packing import pack
from .particles import Decahedron, Icosahedron, random_particle
from .regions import Cell
from .slab import slab

PARTS = ("bulk", "strained", "slabs", "defects", "adsorbates", "particles", "liquids")


@dataclass(frozen=True)
class Nanoset(Generator):
    """A set of structures of a given chemistry, from which a potential for its surfaces and particles can begin.

    Of each crystal: supercells (``bulk``); strained and rattled ones (``strained``); slabs of each facet (``slabs``);
    vacancies in the crystal, vacancies and adatoms on slabs (``defects``); each adsorbate on sites of the slabs
    (``adsorbates``); particles in the Wulff shape of equal energies, decahedra, icosahedra and random ones
    (``particles``); melts, and the liquid alone and on slabs (``liquids``). All but the bulk are rattled too. Of
    several elements two thirds of the structures are alloys of random composition and order. ``info["group"]`` names
    the part.
    Particles, slabs and bulk together are what a potential for nanoalloys needs: Z. Ma et al., npj Comput. Mater. 8,
    51 (2022); ``Coverage`` tells what of a target the set has.

    Args:
        of: formulas, files or names of earlier crystals.
        n: how many of each part, for each crystal; of slabs and adsorbates, for each facet.
        parts: which: bulk, strained, slabs, defects, adsorbates, particles, liquids; default: all that apply.
        facets: Miller indices of the slabs.
        layers: of the slabs.
        repeat: of the slabs' smallest cells.
        bulk_repeat: of the crystal's cell, in bulk, strained, defects and melts.
        adsorbates: names of molecules; where it is not plain, with what binds, ``{ CO = "C", O = "O" }``.
        liquid: name of a molecule, or several with their shares.
        particles: about how many atoms particles have.
        strain: largest relative change of length.
        rattle: largest standard deviation of the displacements, Å.
        mix: whether several elements also share their crystals.
        structure: crystal structure of a formula, as ASE names it.
        a: lattice constant of a formula, Å.
    """

    of: str | list[str]
    n: int = 4
    parts: list[str] | None = None
    facets: list[list[int]] = ((1, 1, 1), (1, 0, 0), (1, 1, 0))
    layers: int = 5
    repeat: list[int] = (2, 2)
    bulk_repeat: list[int] = (2, 2, 2)
    adsorbates: list[str] | dict[str, str] = ()
    liquid: str | dict[str, float] | None = None
    particles: list[int] = (13, 38, 55)
    strain: float = 0.06
    rattle: float = 0.15
    mix: bool = True
    structure: str | None = None
    a: float | None = None

    def __post_init__(self):
        for part in self.parts or ():
            if part not in PARTS:
                raise ValueError(f"there is no part {part!r}{nearest(part, PARTS)}; there are {', '.join(PARTS)}")
        if self.n < 1:
            raise ValueError(f"n must be 1 or more, got {self.n}")

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        names = [self.of] if isinstance(self.of, str) else list(self.of)
        maker = _Maker(self, [crystal(name, made, self.structure, self.a) for name in names], made, rng)
        frames = []
        for part in self.parts or PARTS:
            for frame in getattr(maker, part)():
                frame.set_constraint()
                keep = {k: v for k, v in frame.info.items() if k in ("pattern", "adsorbates", "sites", "miller")}
                frame.info = keep | {"group": part}
                frames.append(frame)
        return frames


class _Maker:
    """Makes the parts of one set."""

    def __init__(self, of: Nanoset, crystals: list[Atoms], made: Made, rng: np.random.Generator):
        self.of, self.crystals, self.made, self.rng = of, crystals, dict(made), rng
        self.elements = sorted({s for c in crystals for s in c.symbols})
        pure = all(len(set(c.numbers)) == 1 for c in crystals)
        self.mixed = of.mix and pure and len(self.elements) > 1

    def dress(self, frame: Atoms, k: int) -> Atoms:
        """As it is, or of mixed elements: two of three."""
        if not self.mixed or k % 3 == 0:
            return frame.copy()
        shares = dict(zip(self.elements, self.rng.dirichlet(np.ones(len(self.elements)))))
        free = not frame.pbc.all()
        ordering = self.rng.choice(["random", "core-shell", "janus"]) if free else "random"
        return alloy(frame, shares, str(ordering), self.rng)

    def rattled(self, frame: Atoms) -> Atoms:
        width = float(self.rng.uniform(0.02, max(self.of.rattle, 0.03)))
        (found,) = Rattle("it", [width], 1, closest=0.65)({"it": [frame]}, self.rng)
        return found

    @cached_property
    def cells(self) -> list[Atoms]:
        return [c.repeat(tuple(self.of.bulk_repeat)) for c in self.crystals]

    @cached_property
    def surfaces(self) -> list[Atoms]:
        return [slab(c, hkl, self.of.layers, self.of.repeat) for c in self.crystals for hkl in self.of.facets]

    def bulk(self) -> list[Atoms]:
        mixed = [self.dress(cell, k) for cell in self.cells for k in range(1, self.of.n + 1) if self.mixed and k % 3]
        return [c.copy() for c in self.crystals] + mixed

    def strained(self) -> list[Atoms]:
        amounts = np.linspace(-self.of.strain, self.of.strain, self.of.n) if self.of.n > 1 else [0.0]
        return [
            self.rattled(strained(self.dress(cell, k), e, self.of.strain / 2, self.rng))
            for cell in self.cells
            for k, e in enumerate(amounts)
        ]

    def slabs(self) -> list[Atoms]:
        dressed = [self.dress(surface, k) for surface in self.surfaces for k in range(self.of.n)]
        return [d if k % self.of.n == 0 else self.rattled(d) for k, d in enumerate(dressed)]

    def defects(self) -> list[Atoms]:
        frames = []
        for cell in self.cells:
            for k in range(self.of.n):
                vacant = self.dress(cell, k)
                del vacant[int(self.rng.integers(len(vacant)))]
                frames.append(self.rattled(vacant))
        for surface in self.surfaces:
            found = Vacancies("it", frames=self.of.n)({"it": [surface]}, self.rng)
            found += Adatoms("it", frames=self.of.n)({"it": [surface]}, self.rng)
            frames += [self.rattled(self.dress(frame, k)) for k, frame in enumerate(found)]
        return frames

    def adsorbates(self) -> list[Atoms]:
        frames = []
        names = self.of.adsorbates
        for name, binding in names.items() if isinstance(names, Mapping) else product(names, [None]):
            for surface in self.surfaces:
                for k in range(self.of.n):
                    bare = self.made | {"it": [self.dress(surface, k)]}
                    placed = Adsorbates("it", name, binding=binding, turns=1)(bare, self.rng)
                    frames.append(self.rattled(placed[self.rng.integers(len(placed))]))
        return frames

    def particles(self) -> list[Atoms]:
        frames = []
        for c in self.crystals:
            symbols = c.get_chemical_symbols()
            energies = dict.fromkeys(map(tuple, self.of.facets), 1.0)
            shapes = [wulff_particle(c, energies, n, 0.5) for n in self.of.particles]
            if len(set(symbols)) == 1:
                shapes += Icosahedron(symbols[0], 1)({}, self.rng) + Icosahedron(symbols[0], 2)({}, self.rng)
                shapes += Decahedron(symbols[0], 2, 2, 1)({}, self.rng)
            frames += [self.rattled(self.dress(shape, k)) for shape in shapes for k in range(self.of.n)]
            for n in self.of.particles:
                formula = "".join(symbols[k % len(symbols)] for k in range(n))
                frames.append(random_particle(formula, self.rng))
        return frames

    def liquids(self) -> list[Atoms]:
        frames = [self.melt(self.dress(cell, k)) for cell in self.cells for k in range(self.of.n)]
        if self.of.liquid is not None:
            frames += [self.rattled(f) for f in Liquid(self.of.liquid, 32, copies=self.of.n)(self.made, self.rng)]
            dressed = [self.dress(surface, k) for surface in self.surfaces for k in range(self.of.n)]
            wet = SolidLiquid("it", self.of.liquid, thickness=10.0)
            frames += [self.rattled(f) for f in wet(self.made | {"it": dressed}, self.rng)]
        return frames

    def melt(self, cell: Atoms) -> Atoms:
        """The atoms of a cell, a tenth more room, at random."""
        box = np.asarray(cell.cell) * 1.1 ** (1 / 3)
        radii = covalent_radii[cell.numbers]
        near = np.linalg.norm(bonds(cell)[2], axis=1).min(initial=2 * radii.min())
        closest = 0.85 * min(1.0, near / (2 * radii.mean()))
        melt = pack([Atoms(s) for s in cell.symbols], Cell(box), self.rng, Atoms(cell=box, pbc=True), closest, radii)
        return Atoms(melt.numbers, melt.positions, cell=box, pbc=True)
