"""One table of constants. Inside: eV, angstrom, elementary charge, amu, fs at the interfaces; conversion at the door.

Values: CODATA 2022. A quantity in a foreign unit times the constant is the quantity in ours: ``3 * HARTREE`` is 3 Ha
in eV.
"""

from math import pi

BOHR = 0.529177210544  # Å
HARTREE = 27.211386245981  # eV
RYDBERG = HARTREE / 2  # eV
AVOGADRO = 6.02214076e23  # 1/mol
ELEMENTARY_CHARGE = 1.602176634e-19  # C
KCAL_PER_MOL = 4184.0 / (AVOGADRO * ELEMENTARY_CHARGE)  # eV
KJ_PER_MOL = 1000.0 / (AVOGADRO * ELEMENTARY_CHARGE)  # eV
BOLTZMANN = 8.617333262e-5  # eV/K
PLANCK = 4.135667696e-15  # eV s
HBAR = PLANCK / (2 * pi)  # eV s
COULOMB = 14.399645478  # eV Å / e²: 1 / (4 pi epsilon_0)
AMU = 1.66053906892e-27  # kg
DEBYE = 0.2081943  # e Å
GPA = 1e9 * 1e-30 / ELEMENTARY_CHARGE  # eV/Å³
KBAR = GPA / 10  # eV/Å³
G_PER_CM3 = 1e-27 / AMU  # amu/Å³
N_PER_M = 1e-20 / ELEMENTARY_CHARGE  # eV/Å²: a surface stress or surface energy; 1 N/m = 1 J/m²

# Time: with masses in amu and energies in eV the natural unit of time is angstrom sqrt(amu/eV).
FS = 1e-15 * 1e10 * (ELEMENTARY_CHARGE / AMU) ** 0.5  # one fs in angstrom sqrt(amu/eV)
INVERSE_CM = PLANCK * 299792458.0 * 100  # eV: energy of one wavenumber
