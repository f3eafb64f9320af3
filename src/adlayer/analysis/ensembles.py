"""Ensembles of minima: how likely each is at a temperature and, where atoms come and go, at chemical potentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from ..config import nearest
from ..simulation import fixed_atoms
from ..surfaces.symmetry import symmetries
from ..units import BOLTZMANN, PLANCK
from .vibrations import frequencies, hessian

if TYPE_CHECKING:
    from ase import Atoms

    from ..potential import Evaluate

THZ = 1e12 * PLANCK  # eV: energy of a quantum of 1 THz


def boltzmann_weights(
    free_energies: Sequence[float], temperature: float, degeneracy: Sequence[float] | None = None
) -> np.ndarray:
    """``p_i = g_i exp(-F_i / k_B T) / sum_j g_j exp(-F_j / k_B T)``.

    Args:
        free_energies: eV; energies or grand potentials, with what vibrations add to them.
        temperature: K.
        degeneracy: ``g_i``; default: 1.
    """
    if not temperature > 0:
        raise ValueError(f"populations need a temperature above 0 K, got {temperature}")
    F = np.asarray(free_energies, float)
    p = np.exp(-(F - F.min()) / (BOLTZMANN * temperature)) * (1.0 if degeneracy is None else np.asarray(degeneracy))
    return p / p.sum()


def grand_potential(energy: float, atoms: Atoms, chemical_potentials: Mapping[str, float]) -> float:
    """``Omega = E - sum_A mu_A N_A``, eV, over the elements that have a chemical potential."""
    for symbol in chemical_potentials:
        if symbol not in atomic_numbers:
            raise ValueError(f"{symbol!r} is not a chemical symbol{nearest(symbol, atomic_numbers)}")
    return energy - sum(mu * int((atoms.symbols == symbol).sum()) for symbol, mu in chemical_potentials.items())


def symmetry_weight(atoms: Atoms, tolerance: float = 0.1) -> float:
    """``1 / h``, to which the number of equal copies of a minimum is proportional; ``h`` is the order of its group.

    Of ``prod_A N_A!`` numberings of the atoms in each hand, ``h`` are the same structure turned. Of periodic structures
    ``h`` counts the translations within the cell as well.
    """
    operations, site = symmetries(atoms, tolerance)
    return 1 / (len(operations) * len(atoms) / len(np.unique(site)))


def harmonic_free_energy(nu: Sequence[float], temperature: float) -> float:
    """``sum_k h nu_k / 2 + k_B T ln(1 - exp(-h nu_k / k_B T))``, eV, of frequencies in THz; at 0 K the zero point."""
    quanta = THZ * np.asarray(nu, float)
    if (quanta <= 0).any():
        raise ValueError(f"a frequency of {float(np.min(nu)):.2f} THz is no vibration of a minimum; relax it further")
    thermal = BOLTZMANN * temperature
    return float(quanta.sum() / 2 + (thermal * np.log(-np.expm1(-quanta / thermal)).sum() if temperature > 0 else 0.0))


def vibrations_of(evaluate: Evaluate, atoms: Atoms, delta: float = 0.01) -> np.ndarray:
    """Frequencies of a minimum, THz, without those of rigid motion; atoms that are fixed do not vibrate."""
    moving = np.flatnonzero(~fixed_atoms([atoms]).numpy())
    nu, _ = frequencies(hessian(evaluate, atoms, moving, delta), atoms.get_masses()[moving])
    rigid = 0
    if len(moving) == len(atoms):
        spread = np.linalg.matrix_rank(atoms.positions - atoms.positions.mean(0), tol=1e-2)
        turns = {0: {0: 0, 1: 2}.get(int(spread), 3), 1: 1}.get(int(atoms.pbc.sum()), 0)
        rigid = 3 + turns
    return np.sort(nu[np.argsort(np.abs(nu))[rigid:]])
