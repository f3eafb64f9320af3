"""Adatoms that hop on copper, with effective medium theory."""

import numpy as np
from ase import Atom, Atoms
from ase.build import fcc100, fcc110, fcc111
from ase.constraints import FixAtoms

FACES = {  # slab, its size, the two sites in units of the surface cell, and the height, Å
    "100": (fcc100, (2, 2, 3), [(0.5, 0.5), (1.5, 0.5)], 1.7),
    "110": (fcc110, (2, 2, 4), [(0.5, 0.5), (1.5, 0.5)], 1.2),
    "111": (fcc111, (2, 2, 3), [(1 / 3, 1 / 3), (2 / 3, 2 / 3)], 1.9),
}


def hop(face: str) -> list[Atoms]:
    """Both ends, not relaxed; all but the adatom and two layers are fixed."""
    build, size, sites, height = FACES[face]
    slab = build("Cu", size, vacuum=8.0)
    slab.pbc = (True, True, False)
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 2))
    top = slab.positions[slab.get_tags() == 1][0]
    ends = []
    for x, y in sites:
        end = slab.copy()
        end.append(Atom("Cu", top + x * slab.cell[0] / size[0] + y * slab.cell[1] / size[1] + np.array([0, 0, height])))
        ends.append(end)
    return ends
