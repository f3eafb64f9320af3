"""Averages at temperatures that were not simulated, from those that were."""

from __future__ import annotations

import numpy as np

from ..units import BOLTZMANN


def free_energies(
    u: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray | None = None,
    multiplicity: np.ndarray | None = None,
    tolerance: float = 1e-7,
    most: int = 100,
) -> np.ndarray:
    """Reduced free energies ``f_k`` of states that share their samples: Shirts and Chodera, J. Chem. Phys. 129, 124105.

    ``f_k = -ln sum_n exp(-u_kn) / sum_l N_l exp(f_l - u_ln)`` (their Eq. 11) with ``f_0 = 0``, where the convex
    function ``sum_n ln sum_l N_l exp(f_l - u_ln) - sum_l N_l f_l`` is least, found by Newton's method. With the samples
    gathered in bins it is the weighted histogram analysis method: Zhu and Hummer, J. Comput. Chem. 33, 453 (2012).

    Args:
        u: [states, samples], reduced potential of every sample in every state.
        counts: how many of the samples are of each state.
        start: where the search begins.
        multiplicity: how often each sample was seen; default: once.
        tolerance: change at which the search ends.
        most: at most so many steps.
    """
    N, w = np.asarray(counts, float), np.ones(u.shape[1]) if multiplicity is None else np.asarray(multiplicity, float)
    f = np.zeros(len(u)) if start is None else np.array(start, float)

    def sums(f: np.ndarray) -> tuple[np.ndarray, float]:
        L = log_sum_exp((f + np.log(N))[:, None] - u, axis=0)
        return L, w @ L - N @ f

    L, A = sums(f)
    for _ in range(most):
        p = np.exp((f + np.log(N))[:, None] - u - L)
        slope, H = p @ w - N, np.diag(p @ w) - (p * w) @ p.T
        step = np.zeros(len(f))
        step[1:] = -np.linalg.lstsq(H[1:, 1:], slope[1:], rcond=1e-14)[0]
        length = min(1.0, 50.0 / max(np.abs(step).max(), 1e-300))
        while length > 1e-6 and not sums(f + length * step)[1] <= A + 1e-12 * abs(A):
            length /= 2
        f = f + length * step
        L, A = sums(f)
        if np.abs(length * step).max() < tolerance:
            _check_overlap(np.exp((f + np.log(N))[:, None] - u - L) * w, N)
            return f
    raise ValueError(f"the states do not overlap: free energies did not settle in {most} steps")


def _check_overlap(p: np.ndarray, N: np.ndarray) -> None:
    """Raise ``ValueError`` where some states share no sample with the others, so that nothing binds their energies."""
    shared = (p / N[:, None]) @ (p > 1e-6 * p.sum(0)).T > 1e-12
    together = {0}
    while more := {k for k in range(len(N)) if k not in together and shared[sorted(together), k].any()}:
        together |= more
    if len(together) < len(N):
        apart = ", ".join(str(k + 1) for k in range(len(N)) if k not in together)
        raise ValueError(f"the states do not overlap: nothing was seen between those of number {apart} and the others")


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
        if start is None:  # d f / d beta = <E>, by the trapezoidal rule
            mean = energies.mean(1) - self.lowest
            start = np.concatenate([[0.0], np.cumsum(np.diff(beta) * (mean[1:] + mean[:-1]) / 2)])
        self.f = free_energies(u, counts, start)
        self.log_sum = log_sum_exp((self.f + np.log(counts))[:, None] - u, axis=0)

    def __call__(self, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean potential energy (eV), and ``C = (<E²> - <E>²) / (k_B T)² + freedom / 2`` (``k_B``), at ``T`` (K)."""
        beta = 1 / (BOLTZMANN * T)
        log_w = -beta[:, None] * self.E - self.log_sum
        w = np.exp(log_w - log_sum_exp(log_w, axis=1)[:, None])
        mean = w @ self.E
        return mean + self.lowest, (w @ self.E**2 - mean**2) * beta**2 + self.freedom / 2


def log_sum_exp(x: np.ndarray, axis: int) -> np.ndarray:
    """``ln sum exp x`` along an axis, without overflow."""
    most = x.max(axis, keepdims=True)
    return np.log(np.exp(x - most).sum(axis)) + most.squeeze(axis)
