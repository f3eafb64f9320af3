"""Invariants as PACE writes them, in complex harmonics, and as they are here, in real ones.

PACE couples neighbors pairwise: ``((l1 l2)L1 (l3 l4)L2)L3 ...``, Drautz, Phys. Rev. B 99, 014104 (2019), Section IV;
its harmonics have the phase of Condon and Shortley and ``Y_00 = 1``. Products do not depend on the order of their
factors, so that tensors of both kinds are vectors over the same ``symmetric_invariants``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from math import pi, sqrt

import numpy as np
from jaxtyping import Float

from . import wigner
from .couplings import symmetric_invariants

Numbers = tuple[int, ...]


@cache
def from_complex(ls: Numbers, same: Numbers, ms: tuple[Numbers, ...]) -> Float[np.ndarray, "K ms"]:
    """What the real part of each product ``A_l1m1 A_l2m2 ...`` of complex harmonics adds to each invariant.

    Args:
        ls: degrees of the factors.
        same: one label per factor, ascending, as in ``symmetric_invariants``.
        ms: the products.
    """
    products, C = symmetric_invariants(ls, same)
    place = {tuple(m): k for k, m in enumerate(products.tolist())}
    T = np.zeros((len(products), len(ms)))
    for k, m in enumerate(ms):
        for real, value in _expanded(m, -1):
            key = _ordered(real, same)
            if key in place:
                T[place[key], k] += value.real
    return np.linalg.lstsq(C.T, T, rcond=None)[0] * sqrt(4 * pi) ** len(ls)


@cache
def to_complex(ls: Numbers, same: Numbers) -> tuple[list[Numbers], Float[np.ndarray, "ms K"]]:
    """Products of complex harmonics, of each and its conjugate one, and how invariants are made of their real parts.

    The inverse of ``from_complex``.
    """
    products, C = symmetric_invariants(ls, same)
    found: dict[Numbers, np.ndarray] = {}
    for m, column in zip(products.tolist(), C.T):
        for other, value in _expanded(tuple(m), 1):
            key = _ordered(max(other, tuple(-x for x in other)), same)
            found[key] = found.get(key, 0.0) + value.real * column
    ms = sorted(m for m, x in found.items() if np.abs(x).max() > 1e-12)
    return ms, np.array([found[m] for m in ms]).reshape(len(ms), len(C)) / sqrt(4 * pi) ** len(ls)


@cache
def coupled(ls: Numbers, order: Numbers, same: Numbers, between: Numbers) -> Float[np.ndarray, "K"]:
    """One of PACE's invariants as a vector over ours.

    Args:
        ls: degrees of the factors, in PACE's order.
        order: where each of our factors is among these.
        same: labels of our factors.
        between: the intermediate degrees ``L``.
    """
    T = _tensor(ls, between)
    ms = [tuple(m) for m in (np.argwhere(np.abs(T) > 1e-14) - np.array(ls)).tolist()]
    values = np.array([T[tuple(np.add(m, ls))] for m in ms])
    mine = tuple(tuple(m[k] for k in order) for m in ms)
    return from_complex(tuple(ls[k] for k in order), same, mine) @ values


def paths(ls: Numbers) -> Iterator[Numbers]:
    """All intermediate degrees by which factors couple to an invariant, as PACE writes them."""
    n = len(ls)
    if n <= 2:
        if n == 1 or ls[0] == ls[1]:
            yield (0,) * 0
        return
    pairs = [range(abs(a - b), a + b + 1) for a, b in zip(ls[::2], ls[1::2])]
    last = ls[-1:] if n % 2 else ()
    for Ls in product(*pairs):
        ends = Ls + last  # what remains to be coupled: two, or three by one more degree
        if len(ends) == 2 and ends[0] == ends[1]:
            yield Ls
        if len(ends) == 3 and abs(ends[0] - ends[1]) <= ends[2] <= ends[0] + ends[1]:
            yield (*Ls, ends[2])


@cache
def _tensor(ls: Numbers, between: Numbers) -> Float[np.ndarray, "*m"]:
    """Clebsch-Gordan coefficients multiplied along the tree."""
    parts, L = [(l, np.eye(2 * l + 1)) for l in ls], iter(between)
    if len(ls) > 2:
        parts = [_join(*parts[k : k + 2], next(L)) for k in range(0, len(ls) - 1, 2)] + parts[len(ls) // 2 * 2 :]
    while len(parts) > 1:
        parts[:2] = [_join(*parts[:2], next(L, 0))]
    return parts[0][1][..., 0]


def _join(one: tuple[int, np.ndarray], other: tuple[int, np.ndarray], L: int) -> tuple[int, np.ndarray]:
    """Two tensors, whose last axes are ``M`` of a degree, as one."""
    T = np.tensordot(one[1], wigner.clebsch_gordan(2 * one[0], 2 * other[0], 2 * L), (-1, 0))
    return L, np.moveaxis(np.tensordot(T, other[1], (-2, -1)), one[1].ndim - 1, -1)


@cache
def _expanded(m: Numbers, sign: int) -> list[tuple[Numbers, complex]]:
    """A product of harmonics as a sum of products of the others: from complex to real ones for -1, back for 1."""
    terms = [((), 1.0 + 0.0j)]
    for x in m:
        terms = [((*t, y), v * w) for t, v in terms for y, w in _expanded_one(x, sign)]
    return [(t, v) for t, v in terms if abs(v) > 1e-15]


def _expanded_one(m: int, sign: int) -> list[tuple[int, complex]]:
    """Complex harmonics with the phase of Condon and Shortley, real ones without it."""
    if m == 0:
        return [(0, 1.0)]
    k, odd = abs(m), (-1) ** abs(m)
    if sign < 0:  # Y_m = odd (c + i s) / sqrt 2, Y_-m = (c - i s) / sqrt 2
        return [(k, (odd if m > 0 else 1) / sqrt(2)), (-k, (1j * odd if m > 0 else -1j) / sqrt(2))]
    if m > 0:
        return [(k, odd / sqrt(2)), (-k, 1 / sqrt(2))]
    return [(k, -1j * odd / sqrt(2)), (-k, 1j / sqrt(2))]


def _ordered(m: Numbers, same: Numbers) -> Numbers:
    """``m`` ascending among equal factors."""
    return tuple(x for _, x in sorted(zip(same, m)))
