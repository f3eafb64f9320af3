"""Rotation-invariant products of spherical harmonics: generalized Clebsch-Gordan coefficients, generated from scratch.

Dusson, Bachmayr, Csányi, Drautz, Etter, van der Oord and Ortner, J. Comput. Phys. 454, 110946 (2022), Sections 3 and 4;
Drautz, Phys. Rev. B 99, 014104 (2019), Section IV. Harmonics are the real ones of ``spherical_harmonics``.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from math import sqrt

import numpy as np
from jaxtyping import Float, Int

from . import wigner


@cache
def clebsch_gordan(l1: int, l2: int, L: int) -> Float[np.ndarray, "m1 m2 M"]:
    """Couples two sets of real harmonics to a third, orthonormal in ``(m1, m2)``.

    For odd ``l1 + l2 + L`` the coefficients are imaginary and their imaginary part is given: still equivariant.
    """
    U1, U2, U3 = (_real_from_complex(l) for l in (l1, l2, L))
    C = np.einsum("Kc,abc,ia,jb->ijK", U3, wigner.clebsch_gordan(2 * l1, 2 * l2, 2 * L), U1.conj(), U2.conj())
    return np.ascontiguousarray(C.imag if (l1 + l2 + L) % 2 else C.real)


def _real_from_complex(l: int) -> np.ndarray:
    """``Y_lm(real) = sum_m' U[m, m'] Y_lm'(complex, Condon-Shortley)``."""
    U = np.zeros((2 * l + 1, 2 * l + 1), complex)
    U[l, l] = 1
    for m in range(1, l + 1):
        U[l + m, l + m], U[l + m, l - m] = (-1) ** m / sqrt(2), 1 / sqrt(2)
        U[l - m, l + m], U[l - m, l - m] = -1j * (-1) ** m / sqrt(2), 1j / sqrt(2)
    return U


@cache
def invariants(ls: tuple[int, ...]) -> Float[np.ndarray, "K *m"]:
    """All rotation-invariant tensors over harmonics of degrees ``ls``, orthonormal; none where ``sum(ls)`` is odd.

    The harmonics are coupled one after another; each path of intermediate degrees that ends at zero gives one tensor.
    """
    empty = np.zeros((0, *(2 * l + 1 for l in ls)))
    if sum(ls) % 2 or 2 * max(ls) > sum(ls):
        return empty
    paths = [(ls[0], np.eye(2 * ls[0] + 1))]  # (degree so far, tensor[m1, ..., M])
    for k, l in enumerate(ls[1:], start=1):
        reachable = sum(ls[k + 1 :])
        paths = [
            (L, np.tensordot(T, clebsch_gordan(J, l, L), axes=(-1, 0)))
            for J, T in paths
            for L in range(abs(J - l), min(J + l, reachable) + 1)
        ]
    return np.stack([T[..., 0] for J, T in paths if J == 0]) if paths else empty


@cache
def symmetric_invariants(
    ls: tuple[int, ...], same: tuple[int, ...]
) -> tuple[Int[np.ndarray, "products order"], Float[np.ndarray, "K products"]]:
    """Invariants of products of functions of which some are the same: a linearly independent, orthonormal set.

    A product does not depend on the order of its factors, so that tensors that differ by a permutation of equal
    factors count once and antisymmetric ones vanish. What remains is found by Gram-Schmidt over the symmetrized tensors
    in their order (not by eigenvectors: eigenvalues are degenerate, and the basis must not depend on the machine).

    Args:
        ls: degrees of the factors.
        same: one label per factor, ascending; factors with equal labels are the same function (and have equal degrees).

    Returns:
        the products as ``m`` of each factor (ascending among equal factors), and the coefficients of the invariants.
    """
    T = invariants(ls)
    m = np.indices(T.shape[1:]).reshape(len(ls), -1).T - np.array(ls)
    start = 0
    for _, group in groupby(same):
        end = start + len(list(group))
        m[:, start:end] = np.sort(m[:, start:end], axis=1)
        start = end
    products, place, multiplicity = np.unique(m, axis=0, return_inverse=True, return_counts=True)
    C = np.zeros((len(T), len(products)))
    np.add.at(C.T, place.reshape(-1), T.reshape(len(T), len(m)).T)
    C = _independent_rows(C / np.sqrt(multiplicity)) * np.sqrt(multiplicity)
    C[np.abs(C) < 1e-12] = 0
    used = np.any(C != 0, axis=0)
    return products[used], C[:, used]


def _independent_rows(X: Float[np.ndarray, "rows n"], tolerance: float = 1e-6) -> Float[np.ndarray, "rank n"]:
    """Orthonormal rows with the span of ``X``, by Gram-Schmidt in the order of its rows."""
    Q = np.zeros((0, X.shape[1]))
    for x in X:
        if np.linalg.norm(x) < tolerance:
            continue
        for _ in range(2):
            x = x - (x @ Q.T) @ Q
        if (norm := np.linalg.norm(x)) > tolerance:
            Q = np.concatenate([Q, x[None] / norm])
    return Q
