"""Energies of SNAP with their derivatives, in one pass.

The energy is linear or quadratic in the components ``B``, ``E = e + w . B + B a B / 2``. Where it is linear, its
derivative by the sums ``c`` over neighbors needs no ``B``, and as ``B`` is of third degree in ``c``, neither does the
energy itself: ``w . B = c . d(w . B)/dc / 3``.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float
from numba import njit, prange

from ..nn.sphere import sphere_of
from .bispectrum import buffers, couple, couplings_of, mirror, most_chunks, pull, values
from .simd import WIDTH, load, spread, store
from .sphere import fast, gather, n_densities, points_of, room, scatter, turned


class Polynomial(NamedTuple):
    """Coefficients of each element's energy."""

    constant: Float[np.ndarray, "elements"]
    linear: Float[np.ndarray, "elements K"]
    quadratic: Float[np.ndarray, "elements K K"]  # symmetric; no elements where there is none


def energies(
    first: np.ndarray, j: np.ndarray, vectors: np.ndarray, species: np.ndarray, spec: str, polynomial: Polynomial
) -> tuple[Float[np.ndarray, "atoms"], Float[np.ndarray, "edges 3"]]:
    """``E_i`` and ``dE_i/d(r_j - r_i)``."""
    E, G = np.zeros(len(first) - 1, vectors.dtype), np.zeros_like(vectors)
    T, C = points_of(spec, vectors.dtype.type), couplings_of(sphere_of(spec).twojmax, vectors.dtype.type)
    n_threads = max(1, min(numba.get_num_threads(), -(-len(E) // WIDTH)))
    _energies(vectors, j, first, species, T, C, polynomial, E, G, n_threads)
    return E, G


@njit(parallel=True, **fast)
def _energies(vectors, j, first, species, T, C, polynomial, E, G, n_threads):
    n_atoms, n, n_U = len(E), n_densities(T), T.start[-1]
    n_B, most, like = polynomial.linear.shape[1] // n**3, most_chunks(first, T, WIDTH), vectors
    quadratic = len(polynomial.quadratic) > 0
    for thread in prange(n_threads):
        edges, c = room(most, T, like), np.zeros((n, n_U, 2), like.dtype)
        V, Z1, P = buffers(T, C, n, like)
        Z = np.empty((n * n, *Z1.shape), like.dtype)
        y, B = np.empty((n_B * n**3, WIDTH), like.dtype), np.empty(n_B * n**3, like.dtype)
        D, Q = np.empty((n, n_U, 2, WIDTH), like.dtype), np.empty((n, n_U, 8), like.dtype)
        end = np.empty(WIDTH + 1, np.int64)
        for begin in range(thread * WIDTH, n_atoms, n_threads * WIDTH):
            lanes = min(WIDTH, n_atoms - begin)
            end[0] = 0
            D[:] = 0
            y[:] = 0
            for lane in range(lanes):
                a = begin + lane
                end[lane + 1] = gather(a, T, first, j, species, vectors, edges, end[lane], c)
                mirror(T, c, V, lane)
            for pair in range(n * n):
                couple(C, V[pair // n], V[pair % n], Z[pair], P, pair % n == pair // n, False)
                if quadratic:
                    values(C, Z[pair], V, pair // n, pair % n, n_B, y)
            for lane in range(lanes):
                E[begin + lane] = _weights(polynomial, species[begin + lane], y, B, lane)
            for pair in range(n * n):
                pull(T, C, Z[pair], pair // n, pair % n, n_B, y, D)
            if not quadratic:
                S = _inner(T, D, V)
                for lane in range(lanes):
                    E[begin + lane] += S[lane] / 3
            for lane in range(lanes):
                for e in range(n):
                    turned(D[e], T, Q[e], lane)
                scatter(Q, edges, end[lane], end[lane + 1], G)


@njit(**fast)
def _weights(polynomial, element, y, B, lane):
    """Put ``dE/dB`` in the place of ``B``; returns what of the energy is known."""
    w, E = polynomial.linear[element], polynomial.constant[element]
    if len(polynomial.quadratic) == 0:
        y[:, lane] = w
        return E
    B[:] = y[:, lane]
    a = polynomial.quadratic[element]
    for k in range(len(B)):
        slope = 0.0
        for l in range(len(B)):
            slope += a[k, l] * B[l]
        E += (w[k] + 0.5 * slope) * B[k]
        y[k, lane] = w[k] + slope
    return E


@njit(**fast)
def _inner(T, D, V):
    """``Re c* . D`` of each lane; ``D`` is of rows up to the middle."""
    S = spread(0.0, D)
    for e in range(len(D)):
        full = 0
        for tj in range(len(T.start) - 1):
            for k in range(T.start[tj + 1] - T.start[tj]):
                d, v = D[e, T.start[tj] + k], V[e, full + k]
                S += load(d[0]) * load(v[0]) + load(d[1]) * load(v[1])
            full += (tj + 1) ** 2
    out = np.empty(WIDTH, D.dtype)
    store(out, S)
    return out
