"""What a reference method is, and one calculation with it. No torch here: worker processes import this file."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Part

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


class CalculationFailed(RuntimeError):
    """A reference calculation gave no result that can be used; other settings may."""


class ReferenceUnavailable(RuntimeError):
    """The reference method cannot be started at all, for any structure."""


class Reference(Part, ABC):
    """A method that labels structures. Its calculator is built anew, in a worker process, for every structure.

    A fresh calculator has no memory of earlier structures, so a label is a function of its structure alone.
    """

    @abstractmethod
    def calculator(self, charge: float = 0.0, spin: float = 0.0, attempt: int = 0) -> Calculator:
        """An ASE calculator; from the second attempt on with the settings this method takes when the first have failed.

        Args:
            charge: total charge, e.
            spin: number of unpaired electrons.
            attempt: 0 uses the settings as given.
        """

    def prepare(self, atoms: Atoms) -> Atoms:
        """The structure as the engine must see it; raises ``ValueError`` for one it cannot do."""
        return atoms


def compute(reference: Reference, atoms: Atoms, attempt: int = 0) -> dict[str, Any]:
    """Energy, true forces (constraints are not applied) and, where there is one, stress, of one structure.

    The energy is the one whose derivative the forces are: the free energy, where electrons are smeared. Stress is
    ASE's: Voigt order, eV/Å³ of ``atoms.cell``.
    """
    start = time.perf_counter()
    frame = atoms.copy()
    frame.set_constraint()
    frame = reference.prepare(frame)
    charge, spin = (float(atoms.info.get(name, 0.0)) for name in ("charge", "spin"))
    try:
        frame.calc = reference.calculator(charge=charge, spin=spin, attempt=attempt)
    except Exception as error:
        raise ReferenceUnavailable(_sentence(error)) from error
    try:
        result = calculate(frame)
    except Exception as error:
        raise CalculationFailed(_sentence(error)) from error
    return result | {"attempt": attempt, "seconds": time.perf_counter() - start}


def _sentence(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def calculate(frame: Atoms) -> dict[str, Any]:
    """What the calculator attached to ``frame`` says of it."""
    forces = np.array(frame.get_forces(apply_constraint=False))
    energy = frame.get_potential_energy()
    results = getattr(frame.calc, "results", {})
    energy = float(results.get("free_energy", energy))
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise CalculationFailed("the calculator returned an energy or forces that are not finite")
    try:
        stress = np.array(frame.get_stress(apply_constraint=False)) if frame.pbc.any() else None
    except (NotImplementedError, AttributeError):
        stress = None
    charges = results.get("charges")
    return {
        "energy": energy,
        "forces": forces,
        "stress": stress,
        "charges": None if charges is None else np.array(charges),
    }


def periodic_box(atoms: Atoms, vacuum: float, engine: str) -> Atoms:
    """The structure made periodic in all directions, for an engine that knows nothing else.

    Args:
        atoms: a slab, a wire or a bulk, whose cell spans the vacuum as well.
        vacuum: least empty space along each axis that was not periodic, Å.
        engine: who asks, for the message.
    """
    if atoms.pbc.all():
        return atoms
    rows = np.array(atoms.cell)
    for axis in np.flatnonzero(~atoms.pbc):
        normal = np.cross(rows[axis - 2], rows[axis - 1])
        area = np.linalg.norm(normal)
        heights = atoms.positions @ (normal / area) if area > 0 else np.zeros(1)
        gap = (abs(rows[axis] @ normal) / area if area > 0 else 0.0) - np.ptp(heights)
        if gap < vacuum:
            raise ValueError(
                f"{engine} repeats every structure in three dimensions and needs {vacuum:g} Å of vacuum along the "
                f"non-periodic axis {axis}; the cell leaves {max(gap, 0.0):.1f} Å, mend it with "
                f"atoms.center(vacuum={vacuum / 2:g}, axis={axis})"
            )
    periodic = atoms.copy()
    periodic.pbc = True
    return periodic
