"""Makes pymatgen_slabs.json with pymatgen (2026.10): how many stoichiometric slabs of a plane differ.

python tests/reference/pymatgen_slabs.py
"""

import json
from pathlib import Path

from pymatgen.core import Lattice, Structure
from pymatgen.core.surface import SlabGenerator

CUBIC = {
    "Cu": ("Fm-3m", 3.61, ["Cu"], [[0, 0, 0]]),
    "Si": ("Fd-3m", 5.43, ["Si"], [[0, 0, 0]]),
    "MgO": ("Fm-3m", 4.2, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "GaAs": ("F-43m", 5.65, ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "CaF2": ("Fm-3m", 5.46, ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "SrTiO3": ("Pm-3m", 3.905, ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]),
}
PLANES = [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1), (2, 1, 0), (2, 1, 1), (3, 2, 1)]

crystals = {name: Structure.from_spacegroup(g, Lattice.cubic(a), *basis) for name, (g, a, *basis) in CUBIC.items()}
rutile = [[0, 0, 0], [0.3053, 0.3053, 0]]
crystals["TiO2"] = Structure.from_spacegroup("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], rutile)
rows = []
for name, crystal in crystals.items():
    for hkl in PLANES:
        slabs = SlabGenerator(crystal, hkl, 10, 15, primitive=True, lll_reduce=True).get_slabs(ftol=0.1, tol=0.1)
        rows.append(json.dumps([name, hkl, len(slabs)]))
Path(__file__).with_suffix(".json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
