"""What people study, from a formula or a file: bulk, slabs, reconstructions, and disorder on all of them."""

from .alloys import Alloy, alloy
from .amorphous import AmorphousSlab
from .bulk import Bulk, Strained
from .changes import Rattle, Repeat
from .das import DAS, das
from .defects import Adatoms, Kinks, Vacancies
from .dimers import Dimers
from .generator import Generator, Given
from .liquids import Liquid, Slit, SolidLiquid
from .nanocrystals import Winterbottom, Wulff, wulff_particle
from .packing import pack
from .particles import Decahedron, Icosahedron, Octahedron, RandomParticle
from .polarity import tasker
from .pores import Filled, Nanotube, Pore, Sheet
from .rearranged import Rearranged
from .reconstructions import HexagonalTop, MissingRow
from .seeds import RandomSurfaces
from .slab import Slab, slab
from .steps import Vicinal, vicinal
from .symmetry import orbits, point_group, symmetries
from .terminations import terminations
from .wulff import wulff_shape

__all__ = [
    "DAS",
    "Adatoms",
    "Alloy",
    "AmorphousSlab",
    "Bulk",
    "Decahedron",
    "Dimers",
    "Filled",
    "Generator",
    "Given",
    "HexagonalTop",
    "Icosahedron",
    "Kinks",
    "Liquid",
    "MissingRow",
    "Nanotube",
    "Octahedron",
    "Pore",
    "RandomParticle",
    "RandomSurfaces",
    "Rattle",
    "Rearranged",
    "Repeat",
    "Sheet",
    "Slab",
    "Slit",
    "SolidLiquid",
    "Strained",
    "Vacancies",
    "Vicinal",
    "Winterbottom",
    "Wulff",
    "alloy",
    "das",
    "orbits",
    "pack",
    "point_group",
    "slab",
    "symmetries",
    "tasker",
    "terminations",
    "vicinal",
    "wulff_particle",
    "wulff_shape",
]
