"""Chemical potentials of gases from statistical mechanics: rigid rotors, harmonic vibrations, ideal mixing.

D. A. McQuarrie, Statistical Mechanics (1976), chapters 5, 6 and 8.
"""

from __future__ import annotations

from functools import cache
from math import exp, log, pi, sqrt
from typing import NamedTuple

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from ...config import nearest
from ...units import AMU, BOLTZMANN, ELEMENTARY_CHARGE, HBAR, INVERSE_CM, PLANCK

BAR = 1e5 * 1e-30 / ELEMENTARY_CHARGE  # eV/Å³
_MASS = AMU / ELEMENTARY_CHARGE * 1e-20  # amu in eV s²/Å²


class Molecule(NamedTuple):
    """What a partition function needs beside the geometry."""

    symmetry: int  # number of rotations that change nothing
    wavenumbers: tuple[float, ...]  # of the fundamentals, 1/cm
    unpaired: int = 0  # electrons


# Fundamentals: T. Shimanouchi, Tables of Molecular Vibrational Frequencies I (NSRDS-NBS 39, 1972); diatomics: Huber and
# Herzberg, Constants of Diatomic Molecules (1979). Geometries are those of ase.build.molecule.
MOLECULES = {
    "H2": Molecule(2, (4161,)),
    "N2": Molecule(2, (2330,)),
    "O2": Molecule(2, (1556,), 2),
    "F2": Molecule(2, (894,)),
    "Cl2": Molecule(2, (554,)),
    "CO": Molecule(1, (2143,)),
    "HCl": Molecule(1, (2886,)),
    "CO2": Molecule(2, (667, 667, 1333, 2349)),
    "H2O": Molecule(2, (1595, 3657, 3756)),
    "NH3": Molecule(3, (950, 1627, 1627, 3337, 3444, 3444)),
    "CH4": Molecule(12, (1306, 1306, 1306, 1534, 1534, 2917, 3019, 3019, 3019)),
}


def wavelength(mass: float, temperature: float) -> float:
    """Thermal wavelength ``Λ = h / sqrt(2 pi m k_B T)``, Å; mass in amu, temperature in K."""
    return PLANCK / sqrt(2 * pi * mass * _MASS * BOLTZMANN * temperature)


@cache
def ideal_gas(of: str, temperature: float, pressure: float = 1.0, zero_point: bool = True) -> float:
    """Chemical potential of an ideal gas, from the energy of the resting molecule or atom, eV.

    ``mu = k_B T ln(p Λ³ / k_B T) - k_B T ln(q_rot q_vib q_el)``, with ``q_rot`` of linear molecules summed over levels.

    >>> round(ideal_gas("O2", 600.0, zero_point=False) / 2, 2)  # Reuter and Scheffler, Phys. Rev. B 65, 035406 (2001)
    -0.61

    Args:
        of: an element, for a gas of single atoms, or one of ``MOLECULES``.
        temperature: K.
        pressure: bar.
        zero_point: whether the zero-point energy is part of it.
    """
    kT = BOLTZMANN * temperature
    if of not in MOLECULES and of not in atomic_numbers:
        raise ValueError(
            f"the partition function of {of!r} is not known{nearest(of, MOLECULES)}; known are {', '.join(MOLECULES)}, "
            "and single atoms: give mu instead of pressure"
        )
    mass = _mass(of)
    ln_q = -log(pressure * BAR / kT * wavelength(mass, temperature) ** 3)
    if of not in MOLECULES:
        return -kT * ln_q
    known = MOLECULES[of]
    energies = [INVERSE_CM * w for w in known.wavenumbers]
    ln_q += log(_rotation(of, kT) / known.symmetry) + log(known.unpaired + 1)
    ln_q -= sum(log(1 - exp(-e / kT)) for e in energies)
    return 0.5 * sum(energies) * zero_point - kT * ln_q


def _mass(of: str) -> float:
    from ase.formula import Formula

    return sum(n * atomic_masses[atomic_numbers[e]] for e, n in Formula(of).count().items())


def _rotation(of: str, kT: float) -> float:
    """Partition function of rotation, with symmetry number 1."""
    from ase.build import molecule

    moments = molecule(of).get_moments_of_inertia() * _MASS / HBAR**2  # 1/eV
    moments = moments[moments > 1e-3 * moments.max()]
    if len(moments) == 2:
        J = np.arange(2000)
        return float(((2 * J + 1) * np.exp(-J * (J + 1) / (2 * moments[0] * kT))).sum())
    return sqrt(pi) * float(np.prod(np.sqrt(2 * moments * kT)))
