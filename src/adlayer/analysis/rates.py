"""How often what is rare happens: harmonic transition state theory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..units import BOLTZMANN, PLANCK

THZ = 1e12  # 1/s
NOISE = 0.1  # THz; finite differences make soft modes imaginary by no more


def vineyard(minimum: Sequence[float], saddle: Sequence[float]) -> float:
    """Attempt frequency of a rare event, THz: ``nu* = prod_i nu_i(minimum) / prod_j' nu_j(saddle)``.

    The product over the saddle leaves out its one imaginary frequency. Vineyard, J. Phys. Chem. Solids 3, 121 (1957),
    Eq. 12.

    Args:
        minimum: all frequencies, THz.
        saddle: as many, THz; the imaginary one negative.
    """
    low, high = _real(minimum, saddle)
    return float(np.exp(np.log(low).sum() - np.log(high).sum()))


def arrhenius(barrier: float, prefactor: float, temperature: float) -> float:
    """Events per second, ``k = nu* exp(-E / k_B T)``.

    Args:
        barrier: eV.
        prefactor: THz.
        temperature: K.
    """
    return float(prefactor * THZ * np.exp(-barrier / (BOLTZMANN * temperature)))


def quantum_rate(barrier: float, minimum: Sequence[float], saddle: Sequence[float], temperature: float) -> float:
    """Events per second with quantum vibrations and no tunneling; Vineyard's rate where ``k_B T`` is large.

    ``k = k_B T / h  prod_i 2 sinh(h nu_i / 2 k_B T) / prod_j' 2 sinh(h nu_j / 2 k_B T)  exp(-E / k_B T)``, zero-point
    energies included. Eyring, J. Chem. Phys. 3, 107 (1935).

    Args:
        barrier: between the potential energies, eV.
        minimum: all frequencies, THz.
        saddle: as many, THz; the imaginary one negative.
        temperature: K.
    """
    kT = BOLTZMANN * temperature
    low, high = (PLANCK * THZ * nu / (2 * kT) for nu in _real(minimum, saddle))

    def log_2_sinh(x: np.ndarray) -> np.ndarray:
        return x + np.log1p(-np.exp(-2 * x))

    return float(kT / PLANCK * np.exp(log_2_sinh(low).sum() - log_2_sinh(high).sum() - barrier / kT))


def _real(minimum: Sequence[float], saddle: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.asarray(minimum, dtype=float), np.asarray(saddle, dtype=float)
    if len(low) != len(high):
        raise ValueError(f"minimum and saddle need equally many frequencies, got {len(low)} and {len(high)}")
    if bad := int((low <= 0).sum()):
        raise ValueError(f"the minimum has {bad} imaginary or vanishing frequencies: it is no minimum, or not relaxed")
    if (n := int((high < 0).sum())) != 1:
        raise ValueError(f"a saddle has exactly one imaginary frequency, got {n}")
    return low, high[high > 0]
