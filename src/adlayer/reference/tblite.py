"""Semi-empirical tight binding through tblite: Grimme, Bannwarth, Shushkov, JCTC 13, 1989 (2017), GFN1-xTB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .method import Reference, periodic_box

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class TBLite(Reference):
    """GFN1-xTB and its kin: quantum-mechanical energies of any element in a second, from a wheel.

    Periodic structures are done at the Gamma point alone, so cells of different size are different electronic systems:
    compare energies only between cells with the same periodic vectors.

    Args:
        method: the Hamiltonian.
        electronic_temperature: of the Fermi smearing, K.
        accuracy: of the self-consistent field; smaller is tighter.
        max_iterations: of the self-consistent field.
        vacuum: least vacuum along axes that are not periodic, Å. Slabs are repeated across it.
    """

    method: Literal["GFN1-xTB", "GFN2-xTB", "IPEA1-xTB"] = "GFN1-xTB"
    electronic_temperature: float = 300.0
    accuracy: float = 1.0
    max_iterations: int = 250
    vacuum: float = 8.0

    def calculator(self, charge: float = 0.0, spin: float = 0.0, attempt: int = 0):
        """Attempt 1 mixes more slowly and for longer at the same level of theory; attempt 2 heats the electrons too."""
        try:
            from tblite.ase import TBLite as Calculator
        except ImportError:
            raise ValueError("reference TBLite needs tblite: pip install tblite") from None
        settings = {"max_iterations": self.max_iterations, "electronic_temperature": self.electronic_temperature}
        if attempt >= 1:
            settings |= {"mixer_damping": 0.1, "max_iterations": 2 * self.max_iterations}
        if attempt >= 2:
            settings["electronic_temperature"] = max(2000.0, 2 * self.electronic_temperature)
        return Calculator(
            method=self.method,
            accuracy=self.accuracy,
            charge=charge,
            multiplicity=round(spin) + 1,
            verbosity=0,
            **settings,
        )

    def prepare(self, atoms: Atoms) -> Atoms:
        """Slabs and wires become periodic across their vacuum; molecules stay molecules."""
        return periodic_box(atoms, self.vacuum, "TBLite") if atoms.pbc.any() else atoms
