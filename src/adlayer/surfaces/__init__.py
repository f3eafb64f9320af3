"""What people study, from a formula or a file: bulk, slabs, reconstructions, and disorder on all of them."""

from .alloys import Alloy, alloy
from .bulk import Bulk, Strained
from .changes import Rattle, Repeat
from .dimers import Dimers
from .generator import Generator, Given
from .liquids import Liquid, Slit, SolidLiquid
from .nanocrystals import Winterbottom, Wulff, wulff_particle
from .packing import pack
from .particles import Decahedron, Icosahedron, Octahedron, RandomParticle
from .pores import Filled, Nanotube, Pore, Sheet
from .slab import Slab, slab
from .symmetry import orbits, point_group, symmetries
from .wulff import wulff_shape

__all__ = [
    "Alloy",
    "Bulk",
    "Decahedron",
    "Dimers",
    "Filled",
    "Generator",
    "Given",
    "Icosahedron",
    "Liquid",
    "Nanotube",
    "Octahedron",
    "Pore",
    "RandomParticle",
    "Rattle",
    "Repeat",
    "Sheet",
    "Slab",
    "Slit",
    "SolidLiquid",
    "Strained",
    "Winterbottom",
    "Wulff",
    "alloy",
    "orbits",
    "pack",
    "point_group",
    "slab",
    "symmetries",
    "wulff_particle",
    "wulff_shape",
]
