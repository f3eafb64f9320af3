"""Numbers of distinct adsorption sites by pymatgen's AdsorbateSiteFinder; writes adsorption_sites.json beside it.

Needs pymatgen (2026.10.24 was used) and ASE. The finder takes the atoms within 0.9 Å of the top for the surface, so on
stepped surfaces it sees less of the lower terrace than a ball does, and more edges of its Delaunay triangulation.
"""

import json
from pathlib import Path

from ase.build import bulk
from pymatgen.analysis.adsorption import AdsorbateSiteFinder
from pymatgen.io.ase import AseAtomsAdaptor

SURFACES = {
    "Cu 111": ("Cu", (1, 1, 1)),
    "Cu 100": ("Cu", (1, 0, 0)),
    "Cu 110": ("Cu", (1, 1, 0)),
    "Cu 211": ("Cu", (2, 1, 1)),
    "Fe 110": ("Fe", (1, 1, 0)),
    "Fe 100": ("Fe", (1, 0, 0)),
    "Ru 001": ("Ru", (0, 0, 1)),
}


def counts(element: str, miller: tuple[int, int, int]) -> dict[str, int]:
    crystal = bulk(element) if element == "Ru" else bulk(element, cubic=True)
    finder = AdsorbateSiteFinder.from_bulk_and_miller(
        AseAtomsAdaptor.get_structure(crystal), miller, min_slab_size=10.0, min_vacuum_size=12.0
    )
    found = finder.find_adsorption_sites(distance=0.0, symm_reduce=0.01)
    return {kind: len(found[kind]) for kind in ("ontop", "bridge", "hollow")}


if __name__ == "__main__":
    table = {name: counts(*surface) for name, surface in SURFACES.items()}
    Path(__file__).with_name("adsorption_sites.json").write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(table, indent=1))
