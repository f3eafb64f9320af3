"""Makes gap.json: a small GAP of AlCu as gap_fit (quippy-ase 0.10.3) writes it, and what QUIP predicts with it.

python tests/reference/gap_make.py      # in an environment with quippy-ase
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from quippy.potential import Potential

rng = np.random.default_rng(1)
frames = []
for _ in range(8):
    atoms = bulk("Cu", "fcc", a=3.7, cubic=True).repeat((1, 1, 2))
    atoms.numbers[rng.permutation(8)[:4]] = 13
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.12, atoms.positions.shape)
    labeled = atoms.copy()
    labeled.calc = EMT()
    labels = {"energy": labeled.get_potential_energy(), "forces": labeled.get_forces(), "stress": labeled.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    frames.append(atoms)

SETTINGS = [
    "gap={distance_2b cutoff=4.5 n_sparse=4 covariance_type=ard_se delta=1.0 theta_uniform=1.0 sparse_method=uniform "
    "add_species : angle_3b cutoff=3.2 n_sparse=4 covariance_type=ard_se delta=0.1 theta_fac=0.5 "
    "sparse_method=uniform add_species : soap l_max=1 n_max=2 cutoff=4.0 cutoff_transition_width=1.0 atom_sigma=0.5 "
    "zeta=2 delta=0.2 n_sparse=6 covariance_type=dot_product sparse_method=cur_points add_species}",
    "at_file=frames.xyz",
    "default_sigma={0.001 0.05 0.05 0.0}",
    "e0={Al:-0.5:Cu:0.3}",
    "e0_method=isolated",
    "energy_parameter_name=energy",
    "force_parameter_name=forces",
    "virial_parameter_name=none",
    "sparse_jitter=1e-8",
    "do_copy_at_file=F",
    "sparse_separate_file=T",
    "gp_file=gap.xml",
]
with tempfile.TemporaryDirectory() as folder:
    write(f"{folder}/frames.xyz", frames, format="extxyz")
    subprocess.run([Path(sys.executable).parent / "gap_fit", *SETTINGS], cwd=folder, check=True, capture_output=True)
    files = {file.name: file.read_text() for file in sorted(Path(folder).glob("gap.xml*"))}
    said = []
    for atoms in frames[:2]:
        atoms.calc = Potential(param_filename=f"{folder}/gap.xml")
        said.append(
            {
                "numbers": atoms.numbers.tolist(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.tolist(),
                "energy": atoms.get_potential_energy(),
                "forces": atoms.get_forces().tolist(),
                "stress": atoms.get_stress(voigt=False).tolist(),
            }
        )
(Path(__file__).parent / "gap.json").write_text(json.dumps({"files": files, "frames": said}))
