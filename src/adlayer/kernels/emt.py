"""Effective-medium energies and their derivatives; the meaning is ``potentials/emt.py``."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _fcc_sums(constants, beta, middle, steepness):
    """``gamma1`` and ``gamma2`` of each element."""
    gammas = np.zeros((len(constants), 2))
    for z in range(len(constants)):
        near, eta2, kappa = beta * constants[z, 1], constants[z, 3], constants[z, 4]
        for shell, count in ((1.0, 12), (2.0, 6), (3.0, 24)):
            r = near * sqrt(shell)
            weight = count / 12 / (1 + exp(steepness * (r - middle)))
            gammas[z, 0] += weight * exp(-eta2 * (r - near))
            gammas[z, 1] += weight * exp(-kappa / beta * (r - near))
    return gammas


@njit(cache=True, parallel=True, error_model="numpy")
def emt_kernel(first, j, vectors, z, constants, beta, middle, steepness, cutoff):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.empty(len(first) - 1), np.zeros(vectors.shape)
    by_sigma = np.zeros(len(j))  # first d sigma1 / dr / r of the edge
    gammas = _fcc_sums(constants, beta, middle, steepness)
    for i in prange(len(first) - 1):
        a = z[i]
        E0, s0, V0, eta2, kappa, lambda_, n0 = constants[a]
        mine = V0 / gammas[a, 1]
        sigma1, pairs = 0.0, 0.0
        for e in range(first[i], first[i + 1]):
            r = sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            if r >= cutoff:
                continue
            b = z[j[e]]
            weight = 1 / (1 + exp(steepness * (r - middle)))
            falling = steepness * (weight - 1)  # w' / w
            x, ratio = r - beta * constants[b, 1], constants[b, 6] / n0
            eta_b, kappa_b = constants[b, 3], constants[b, 4] / beta
            density = ratio * weight * exp(-eta_b * x)
            sigma1 += density
            by_sigma[e] = density * (falling - eta_b) / r
            forth = mine * ratio * weight * exp(-kappa_b * x)
            if a == b:
                pairs += 2 * forth
                slope = 2 * forth * (falling - kappa_b)
            else:
                back = constants[b, 2] / gammas[b, 1] / ratio * weight * exp(-kappa / beta * (r - beta * s0))
                pairs += forth + back
                slope = forth * (falling - kappa_b) + back * (falling - kappa / beta)
            for k in range(3):
                G[e, k] = -0.25 * slope / r * vectors[e, k]
        E[i] = -0.25 * pairs - E0
        if sigma1 > 0:
            ds = -log(sigma1 / (12 * gammas[a, 0])) / (beta * eta2)
            bound, repelled = E0 * exp(-lambda_ * ds), 6 * V0 * exp(-kappa * ds)
            E[i] += bound * (1 + lambda_ * ds) + repelled
            by_ds = -bound * lambda_ * lambda_ * ds - kappa * repelled
            slope = -by_ds / (beta * eta2 * sigma1)
            for e in range(first[i], first[i + 1]):
                for k in range(3):
                    G[e, k] += slope * by_sigma[e] * vectors[e, k]
    return E, G
