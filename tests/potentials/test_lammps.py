"""The classical families give the energies, forces and virials of LAMMPS, to 1e-10."""

import json
from pathlib import Path

import lammps_runs
import pytest
import torch
from ase import Atoms

from adlayer import Structures, build, evaluate, kernels
from adlayer.formats import read_potential

REFERENCE = Path(__file__).parents[1] / "reference"


def require_equal(potential, atoms, expected):
    """Energy (eV), forces (eV/Å) and virial in the periodic directions (eV), to 1e-10 of each or of their size."""
    s = Structures.from_ase(atoms)
    got = evaluate(potential, s)
    P = s.periodic_projector
    virial = torch.nan_to_num(got.stress) * s.measure
    expected = {k: torch.tensor(expected[k], dtype=torch.float64) for k in ("energy", "forces", "virial")}
    for name, x, y in (
        ("energy", got.energy[0], expected["energy"]),
        ("forces", got.forces, expected["forces"]),
        ("virial", virial[0], P[0] @ expected["virial"] @ P[0]),
    ):
        torch.testing.assert_close(x, y, atol=1e-10, rtol=1e-12, msg=lambda text, name=name: f"{name}: {text}")


def made(case):
    spec = case["potential"]
    return read_potential(REFERENCE / spec["file"]) if "file" in spec else build(spec)


def cases():
    for path in sorted(REFERENCE.glob("lammps_*.json")):
        for k, case in enumerate(json.loads(path.read_text())):
            yield pytest.param(case, id=f"{path.stem.removeprefix('lammps_')}-{k}-{case['kind']}")


@pytest.mark.parametrize("case", list(cases()))
@pytest.mark.parametrize("how", ["fused", "plain"])
def test_numbers(case, how):
    atoms = Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=case["pbc"])
    if how == "fused":
        return require_equal(made(case), atoms, case)
    with kernels.plain():
        require_equal(made(case), atoms, case)


FILES = {  # of LAMMPS's own: pair style, structure, lattice constant
    "SiC.tersoff": ("tersoff", "zincblende", 4.2),
    "BNC.tersoff": ("tersoff", "zincblende", 3.4),
    "GaN.tersoff": ("tersoff", "zincblende", 4.4),
    "GaN.sw": ("sw", "zincblende", 4.4),
    "CdTe.sw": ("sw", "zincblende", 6.4),
    "CuNi.eam.alloy": ("eam/alloy", "fcc", 3.5),
    "NiAlH_jea.eam.alloy": ("eam/alloy", "fcc", 3.6),
    "NiAlH_jea.eam.fs": ("eam/fs", "fcc", 3.6),
    "AlFe_mm.eam.fs": ("eam/fs", "fcc", 3.8),
    "NiO.eam.fs": ("eam/fs", "fcc", 4.0),
    "PdHHe.eam.he": ("eam/he", "fcc", 3.9),
    "Cu_u3.eam": ("eam", "fcc", 3.6),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", lammps_runs.KINDS)
def test_published_files(file, kind):
    try:
        path = lammps_runs.potential_files() / file
    except (ImportError, OSError):
        pytest.skip("LAMMPS is not installed")
    style, structure, a = FILES[file]
    potential = read_potential(path)
    elements = list(potential.elements)
    names = "1 1" if style == "eam" else "* *"
    coeff = f"pair_coeff {names} {path} {'' if style == 'eam' else ' '.join(elements)}"
    atoms = lammps_runs.system(kind, structure, elements, a, seed=5)
    require_equal(potential, atoms, lammps_runs.run(atoms, [f"pair_style {style}", coeff], elements))
