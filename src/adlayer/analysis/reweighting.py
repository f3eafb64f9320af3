"""Averages at temperatures that were not simulated, from those that were."""

from __future__ import annotations

import numpy as np

from ..units import BOLTZMANN


def free_energies(
    u: np.ndarray, counts: np.ndarray, start: np.ndarray | None = None, tolerance: float = 1e-6, most: int = 2000
) -> np.ndarray:
    """Reduced free energies ``f_k`` of states that share their samples: Shirts and Chodera, J. Chem. Phys. 129, 124105.

    ``f_k = -ln sum_n exp(-u_kn) / sum_l N_l exp(f_l - u_ln)`` (their Eq. 11, by iteration), with ``f_0 = 0``.

    Args:
        u: [states, samples], reduced potential of every sample in every state.
        counts: how many of the samples are of each state.
        start: where the iteration begins.
        tolerance: change at which the iteration ends.
        most: at most so many iterations.
    """
    f = np.zeros(len(u)) if start is None else start
    for _ in range(most):
        weight = _log_sum_exp((f + np.log(counts))[:, None] - u, axis=0)
        new = -_log_sum_exp(-u - weight, axis=1)
        new -= new[0]
        change = np.abs(new - f).max()
        f = new
        if change < tolerance:
            return f
    raise ValueError(f"the states do not overlap: free energies did not settle in {most} iterations")


class CaloricCurve:
    """Mean energy and heat capacity at any temperature, from the energies of canonical runs at several.

    Args:
        energies: [temperatures, samples], potential energies, eV.
        temperatures: of the runs, K.
        freedom: number of degrees of freedom, for the kinetic part.
        start: free energies of a curve through similar energies, which saves most of the work.
    """

    def __init__(self, energies: np.ndarray, temperatures: np.ndarray, freedom: float, start: np.ndarray | None = None):
        self.lowest, self.freedom = energies.min(), freedom
        self.E = (energies - self.lowest).ravel()
        beta = 1 / (BOLTZMANN * np.asarray(temperatures))
        counts = np.full(len(beta), energies.shape[1])
        u = beta[:, None] * self.E
        self.f = free_energies(u, counts, start)
        self.log_sum = _log_sum_exp((self.f + np.log(counts))[:, None] - u, axis=0)

    def __call__(self, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean potential energy (eV), and ``C = (<E²> - <E>²) / (k_B T)² + freedom / 2`` (``k_B``), at ``T`` (K)."""
        beta = 1 / (BOLTZMANN * T)
        log_w = -beta[:, None] * self.E - self.log_sum
        w = np.exp(log_w - _log_sum_exp(log_w, axis=1)[:, None])
        mean = w @ self.E
        return mean + self.lowest, (w @ self.E**2 - mean**2) * beta**2 + self.freedom / 2


def _log_sum_exp(x: np.ndarray, axis: int) -> np.ndarray:
    most = x.max(axis, keepdims=True)
    return np.log(np.exp(x - most).sum(axis)) + most.squeeze(axis)
