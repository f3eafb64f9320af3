"""Makes soap.json: SOAP features of six atoms as QUIP (quippy-ase 0.10.3) and DScribe (2.1.2) give them.

python tests/reference/soap_make.py      # in an environment with quippy-ase and dscribe
"""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from dscribe.descriptors import SOAP
from quippy.descriptors import Descriptor

rng = np.random.default_rng(0)
atoms = Atoms("C2OH3", rng.uniform(0, 3.2, (6, 3)).round(6), cell=np.eye(3) * 20, pbc=True)
made = {"symbols": atoms.get_chemical_symbols(), "positions": atoms.positions.tolist(), "quip": {}, "dscribe": {}}

SETTINGS = "soap cutoff=3.5 cutoff_transition_width=0.7 l_max=2 n_max=2 atom_sigma=0.4 n_species=3 species_Z={1 6 8}"
VARIANTS = {
    "plain": "",
    "not_normalized": "normalise=F",
    "central_weight": "central_weight=0.3",
    "diagonal": "diagonal_radial=T",
    "offset": "covariance_sigma0=0.4",
    "decay": "cutoff_dexp=3 cutoff_scale=1.5 cutoff_rate=0.8",
    "power_decay": "cutoff_dexp=2 cutoff_scale=1.5 cutoff_rate=0.0",
}
for name, more in VARIANTS.items():
    rows = [None] * len(atoms)
    for Z in (1, 6, 8):
        found = Descriptor(f"{SETTINGS} n_Z=1 Z={{{Z}}} {more}").calc(atoms)
        for i, x in zip(found["ci"].ravel(), found["data"]):
            rows[i - 1] = x.round(12).tolist()
    made["quip"][name] = {"arguments": more, "features": rows}

for basis in ("gto", "polynomial"):
    for mode in ("off", "mu2", "mu1nu1", "crossover"):
        soap = SOAP(
            species=["H", "C", "O"], r_cut=3.5, n_max=2, l_max=2, sigma=0.6, rbf=basis, compression={"mode": mode}
        )
        made["dscribe"][f"{basis} {mode}"] = np.round(soap.create(Atoms("C2OH3", atoms.positions)), 8).tolist()

(Path(__file__).parent / "soap.json").write_text(json.dumps(made))
