"""PLUMED through ASE, where its kernel is installed: for what the collective variables and biases here do not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..potential import Evaluate, Potential
from ..units import BOLTZMANN, KJ_PER_MOL
from .ase import Calculator

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator as ASECalculator


def plumed_calculator(
    potential: Potential | Evaluate,
    atoms: Atoms,
    lines: Sequence[str],
    timestep: float,
    temperature: float,
    log: str = "",
) -> ASECalculator:
    """A potential with PLUMED's bias as an ASE calculator, for ASE's dynamics.

    >>> atoms.calc = plumed_calculator(potential, atoms, ["d: DISTANCE ATOMS=1,2", ...], 1.0, 300)  # doctest: +SKIP

    Args:
        potential: a potential or any ``Evaluate``.
        atoms: whose dynamics it is.
        lines: PLUMED's input, whose atoms count from 1, in Å, fs and eV.
        timestep: of the dynamics, fs.
        temperature: K.
        log: file for PLUMED's log; default: none.
    """
    try:
        from plumed import Plumed

        Plumed().finalize()
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"PLUMED needs its kernel ({error}): conda install -c conda-forge plumed py-plumed, or compile it and set "
            "PLUMED_KERNEL to libplumedKernel.so before pip install plumed"
        ) from None
    from ase import units
    from ase.calculators.plumed import Plumed as Biased

    lines = [f"UNITS LENGTH=A TIME=fs ENERGY={1 / KJ_PER_MOL!r}", *lines]
    return Biased(Calculator(potential), lines, timestep * units.fs, atoms, BOLTZMANN * temperature, log)
