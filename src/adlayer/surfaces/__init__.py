"""What people study, from a formula or a file: bulk, slabs, reconstructions, and disorder on all of them."""

from .adsorption import Adsorbates
from .alloys import Alloy, alloy
from .amorphous import AmorphousSlab
from .bulk import Bulk, Strained
from .changes import Rattle, Repeat
from .das import DAS, das
from .defects import Adatoms, Kinks, Vacancies
from .dimers import Dimers
from .generator import Generator, Given
from .interfaces import Interface, interface
from .liquids import Liquid, Slit, SolidLiquid, Solvated
from .matching import Match, match_lattices
from .nanocrystals import Winterbottom, Wulff, wulff_particle
from .nanoset import Nanoset
from .overlayers import Overlayers
from .packing import pack
from .particles import Decahedron, Icosahedron, Octahedron, RandomParticle
from .point_groups import point_group
from .polarity import tasker
from .pores import Filled, Nanotube, Pore, Sheet
from .rearranged import Rearranged
from .reconstructions import HexagonalTop, MissingRow
from .seeds import RandomSurfaces
from .sites import adsorption_sites
from .slab import Slab, slab
from .steps import Vicinal, vicinal
from .supported import Supported, supported
from .symmetry import orbits, symmetries
from .terminations import terminations
from .wood import supercell
from .wulff import wulff_shape

__all__ = [
    "DAS",
    "Adatoms",
    "Adsorbates",
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
    "Interface",
    "Kinks",
    "Liquid",
    "Match",
    "MissingRow",
    "Nanoset",
    "Nanotube",
    "Octahedron",
    "Overlayers",
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
    "Solvated",
    "Strained",
    "Supported",
    "Vacancies",
    "Vicinal",
    "Winterbottom",
    "Wulff",
    "adsorption_sites",
    "alloy",
    "das",
    "interface",
    "match_lattices",
    "orbits",
    "pack",
    "point_group",
    "slab",
    "supercell",
    "supported",
    "symmetries",
    "tasker",
    "terminations",
    "vicinal",
    "wulff_particle",
    "wulff_shape",
]
