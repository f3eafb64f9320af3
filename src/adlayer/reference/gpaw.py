"""Density-functional theory by GPAW: Mortensen et al., J. Chem. Phys. 160, 092503 (2024)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .method import Reference

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class GPAW(Reference):
    """Plane-wave density-functional theory.

    Symmetry is off, so that a structure that happens to be symmetric is treated as its rattled neighbors are.

    Args:
        cutoff: of the plane waves, eV.
        xc: exchange-correlation functional.
        kpts: k-points along each axis.
        smearing: Fermi-Dirac width, eV.
        extra: anything else for GPAW's own constructor.
    """

    cutoff: float = 350.0
    xc: str = "PBE"
    kpts: list[int] = field(default_factory=lambda: [1, 1, 1])
    smearing: float = 0.1
    extra: dict[str, Any] = field(default_factory=dict)

    def calculator(self, charge: float = 0.0, spin: float = 0.0, attempt: int = 0):
        """A second attempt mixes more slowly and for longer, at the same level of theory."""
        try:
            from gpaw import GPAW as Calculator
            from gpaw import PW, FermiDirac, Mixer
        except ImportError:
            raise ValueError("reference GPAW needs gpaw: pip install gpaw (see its site for the build)") from None
        arguments = {
            "mode": PW(self.cutoff),
            "xc": self.xc,
            "kpts": {"size": tuple(self.kpts), "gamma": True},
            "occupations": FermiDirac(self.smearing),
            "symmetry": "off",
            "charge": charge,
            "txt": None,
        }
        if attempt >= 1:
            arguments |= {"mixer": Mixer(0.02, 5, 100), "maxiter": 1000}
        return Calculator(**(arguments | self.extra))

    def prepare(self, atoms: Atoms) -> Atoms:
        """Unpaired electrons start spread over all atoms, where no moments are given."""
        if (spin := atoms.info.get("spin", 0.0)) and not atoms.has("initial_magmoms"):
            atoms = atoms.copy()
            atoms.set_initial_magnetic_moments([spin / len(atoms)] * len(atoms))
        return atoms
