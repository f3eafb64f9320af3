"""Makes turbo_soap.json: features of soap_turbo and a small GAP of AlCu with it, from quippy-ase 0.10.3.

python tests/reference/turbo_soap_make.py      # in an environment with quippy-ase

Each variant has a process of its own: the original keeps the basis of the one before. It leaves out tails of Gaussians
beyond four widths, which is seen in the variant "usual" alone: the others are wide, or fade quickly.
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from quippy.descriptors import Descriptor
from quippy.potential import Potential

PLAIN = {
    "l_max": "2",
    "rcut_hard": "3.5",
    "rcut_soft": "3.4",
    "alpha_max": "{3 3 3}",
    "atom_sigma_r": "{0.45 0.45 0.45}",
    "atom_sigma_t": "{0.45 0.45 0.45}",
    "atom_sigma_r_scaling": "{0 0 0}",
    "atom_sigma_t_scaling": "{0 0 0}",
    "amplitude_scaling": "{1 1 1}",
    "central_weight": "{1 1 1}",
    "radial_enhancement": "0",
    "basis": "poly3",
    "scaling_mode": "polynomial",
    "n_species": "3",
    "species_Z": "{1 6 8}",
}
VARIANTS = {
    "plain": {},
    "wide": {"rcut_soft": "2.9", "atom_sigma_r": "{0.8 0.8 0.8}", "amplitude_scaling": "{2 2 2}"},
    "gauss": {"basis": "poly3gauss"},
    "trivial": {"compress_mode": "trivial", "radial_enhancement": "1"},
    "tangential": {"atom_sigma_t": "{0.7 0.6 0.5}", "radial_enhancement": "2"},
    "growing": {
        "atom_sigma_r": "{0.5 0.4 0.45}",
        "atom_sigma_r_scaling": "{0.1 0.05 0.08}",
        "atom_sigma_t_scaling": "{0.05 0 0.1}",
        "amplitude_scaling": "{2 1 1.5}",
        "central_weight": "{0.5 1 0.2}",
    },
    "growing_gauss": {
        "basis": "poly3gauss",
        "radial_enhancement": "2",
        "compress_mode": "trivial",
        "atom_sigma_r_scaling": "{0.1 0.05 0.08}",
        "atom_sigma_t_scaling": "{0.05 0 0.1}",
        "amplitude_scaling": "{2 1 1.5}",
        "central_weight": "{0.5 1 0.2}",
    },
    "usual": {
        "rcut_hard": "5.0",
        "rcut_soft": "4.5",
        "alpha_max": "{8 8 8}",
        "atom_sigma_r": "{0.5 0.5 0.5}",
        "atom_sigma_t": "{0.5 0.5 0.5}",
        "basis": "poly3gauss",
        "radial_enhancement": "1",
        "compress_mode": "trivial",
    },
}


def molecule():
    rng = np.random.default_rng(0)
    return Atoms("C2OH3", rng.uniform(0, 3.2, (6, 3)).round(6), cell=np.eye(3) * 20, pbc=True)


def features(more):
    settings, atoms = " ".join(f"{k}={v}" for k, v in {**PLAIN, **more}.items()), molecule()
    rows = [None] * len(atoms)
    for center in (1, 2, 3):
        found = Descriptor(f"soap_turbo {settings} central_index={center}").calc(atoms)
        for i, x in zip(found["ci"].ravel(), found["data"]):
            rows[i - 1] = x.round(12).tolist()
    return rows


def alloys():
    rng, frames = np.random.default_rng(1), []
    for _ in range(8):
        atoms = bulk("Cu", "fcc", a=3.7, cubic=True)
        atoms.numbers[rng.permutation(4)[:2]] = 13
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.12, atoms.positions.shape)
        labeled = atoms.copy()
        labeled.calc = EMT()
        atoms.calc = SinglePointCalculator(
            atoms, energy=labeled.get_potential_energy(), forces=labeled.get_forces(), stress=labeled.get_stress()
        )
        frames.append(atoms)
    return frames


TURBO = (
    "soap_turbo l_max=2 alpha_max={{3 3}} atom_sigma_r={{0.5 0.55}} atom_sigma_t={{0.6 0.5}} "
    "atom_sigma_r_scaling={{0. 0.}} atom_sigma_t_scaling={{0.1 0.}} amplitude_scaling={{1. 1.}} "
    "central_weight={{1. 1.}} rcut_hard=4.0 rcut_soft=3.95 basis=poly3gauss scaling_mode=polynomial "
    "radial_enhancement=1 compress_mode=trivial n_species=2 species_Z={{13 29}} central_index=%d zeta=2 delta=0.2 "
    "n_sparse=4 covariance_type=dot_product sparse_method=cur_points add_species=F"
)
SETTINGS = [
    "gap={distance_2b cutoff=4.5 n_sparse=4 covariance_type=ard_se delta=1.0 theta_uniform=1.0 sparse_method=uniform "
    f"add_species : {TURBO % 1} : {TURBO % 2}}}",
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
    "gp_file=turbo.xml",
]


def fitted():
    """The files of a fit, and what it predicts."""
    frames = alloys()
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/frames.xyz", frames, format="extxyz")
        command = [Path(sys.executable).parent / "gap_fit", *SETTINGS]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        files = {file.name: file.read_text() for file in sorted(Path(folder).glob("turbo.xml*"))}
        said = []
        for atoms in frames[:2]:
            atoms.calc = Potential(param_filename=f"{folder}/turbo.xml")
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
    return files, said


if __name__ == "__main__":
    atoms = molecule()
    made = {"symbols": atoms.get_chemical_symbols(), "positions": atoms.positions.tolist()}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        made["features"] = dict(zip(VARIANTS, pool.map(features, VARIANTS.values())))
    made["files"], made["frames"] = fitted()
    (Path(__file__).parent / "turbo_soap.json").write_text(json.dumps(made))
