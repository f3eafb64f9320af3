"""Makes lode.json: LODE coefficients of five atoms and their derivatives by positions as featomic (0.6.7) gives them.

python tests/reference/lode_make.py      # in an environment with featomic and ase
"""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from featomic import LodeSphericalExpansion

N_MAX, L_MAX, RADIUS, SMEARING = 3, 2, 2.0, 0.9
Z = [1, 6, 8]
rng = np.random.default_rng(0)
cell = np.array([[4.1, 0.2, 0.1], [-0.3, 3.8, 0.4], [0.5, -0.2, 4.6]])
atoms = Atoms("OCH2O", positions=(rng.uniform(0, 1, (5, 3)) @ cell).round(6), cell=cell, pbc=True)
# Derivatives of the sum of all coefficients of an atom, each times one of these.
weights = rng.uniform(-1, 1, (len(Z), (L_MAX + 1) ** 2, N_MAX)).round(3)
made = {
    "symbols": atoms.get_chemical_symbols(),
    "positions": atoms.positions.tolist(),
    "cell": cell.tolist(),
    "settings": {"n_max": N_MAX, "l_max": L_MAX, "radius": RADIUS, "smearing": SMEARING},
    "weights": weights.tolist(),
    "cases": [],
}
for exponent in range(1, 7):
    for weight in (1.0, 0.3) if exponent in (1, 6) else (1.0,):
        calculator = LodeSphericalExpansion(
            density={
                "type": "SmearedPowerLaw",
                "smearing": SMEARING,
                "exponent": exponent,
                "center_atom_weight": weight,
            },
            basis={
                "type": "TensorProduct",
                "max_angular": L_MAX,
                "radial": {"type": "Gto", "max_radial": N_MAX - 1, "radius": RADIUS},
                "spline_accuracy": None,
            },
        )
        found = calculator.compute(atoms, gradients=["positions"], use_native_system=True)
        v = np.zeros((5, len(Z), (L_MAX + 1) ** 2, N_MAX))
        slopes = np.zeros((5, 5, 3))  # of the sum of atom i, by the position of atom a
        for key, block in found.items():
            l, e = key["o3_lambda"], Z.index(key["neighbor_type"])
            of = slice(l * l, (l + 1) ** 2)
            i = block.samples["atom"]
            v[i, e, of] = block.values
            gradient = block.gradient("positions")
            for sample, row in zip(gradient.samples, gradient.values):
                slopes[i[sample["sample"]], sample["atom"]] += np.einsum("cmn,mn->c", row, weights[e, of])
        made["cases"].append(
            {
                "exponent": exponent,
                "central_weight": weight,
                "coefficients": v.round(10).tolist(),
                "slopes": slopes.round(10).tolist(),
            }
        )
(Path(__file__).parent / "lode.json").write_text(json.dumps(made))
