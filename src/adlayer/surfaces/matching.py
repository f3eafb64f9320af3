"""Cells in which two surfaces match: A. Zur and T. C. McGill, J. Appl. Phys. 55, 378 (1984)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms

TURNS = np.array(
    [
        m
        for m in (np.reshape(e, (2, 2)) for e in product((-1, 0, 1), repeat=4))
        if round(np.linalg.det(m)) == 1 and tuple(m.ravel()) > (0, 0, 0, 0)
    ]
)  # how reduced vectors can lie on others, but for a turn by 180 degrees


class Match(NamedTuple):
    """A supercell of the substrate and one of the film that are nearly the same.

    Rows of ``substrate @ A`` and ``film @ B`` are their vectors, with ``A`` and ``B`` the two surface cells; the film
    fits after a turn and the stretches.
    """

    substrate: np.ndarray  # [2, 2] of whole numbers
    film: np.ndarray
    area: float  # of the substrate's, Å²
    stretches: tuple[float, float]  # of the film, principal, less 1
    turn: float  # of the film about z, degrees
    deformation: np.ndarray  # [2, 2], r' = r F for the film

    @property
    def misfit(self) -> float:
        """The largest relative change of length."""
        return max(map(abs, self.stretches))


def match_lattices(
    substrate: Atoms | np.ndarray,
    film: Atoms | np.ndarray,
    misfit: float = 0.05,
    area: float = 300.0,
    smallest: bool = False,
) -> list[Match]:
    """Matches in order of area, each with less misfit than all smaller ones.

    All supercells up to the largest area are compared, each pair in all ways their reduced vectors can lie on each
    other; what counts is the stretch ``F = (film B)⁻¹ (substrate A)``, a turn aside.

    Args:
        substrate: slab, or its two surface vectors [2, 2], Å.
        film: the same of what lies on it.
        misfit: largest relative change of length.
        area: largest of the common cell, Å².
        smallest: only the first.
    """
    if not misfit > 0 or not area > 0:
        raise ValueError(f"misfit and area must be above 0, got {misfit:g} and {area:g}")
    A, B = _plane(substrate), _plane(film)
    size = abs(np.linalg.det(A)), abs(np.linalg.det(B))
    if area < max(size):
        raise ValueError(f"the two surface cells measure {size[0]:.1f} and {size[1]:.1f} Å², more than area = {area:g}")
    found: list[Match] = []
    for match in _matches(A, B, misfit, area):
        if match.misfit <= misfit and (not found or match.misfit < found[-1].misfit - 1e-6):
            found.append(match)
            if smallest or match.misfit < 1e-6:
                break
    if not found:
        near = min(_matches(A, B, 2 * misfit + 0.05, area), key=lambda match: match.misfit, default=None)
        near = f"; the nearest has {near.misfit:.1%} on {near.area:.0f} Å²" if near else ""
        raise ValueError(f"no common cell up to {area:g} Å² has a misfit of {misfit:.1%} or less{near}")
    return found


def _matches(A: np.ndarray, B: np.ndarray, misfit: float, area: float) -> Iterator[Match]:
    """The best match for every number of cells of the substrate that has one, by area."""
    a, b = (float(np.linalg.det(x)) for x in (A, B))
    for n in range(1, int(area / a) + 1):
        low, high = (n * a / b / (1 + s * misfit) ** 2 for s in (1, -1))
        matches = [_best(A, B, n, m) for m in range(max(1, int(np.ceil(low))), int(high) + 1)]
        if matches:
            yield min(matches, key=lambda match: match.misfit)


def _best(A: np.ndarray, B: np.ndarray, n: int, m: int) -> Match:
    """The pair of supercells with ``n`` and ``m`` cells that needs the least stretch, and of those the least turn."""
    S, T = _supercells(A, n), _supercells(B, m)
    F = np.linalg.inv(T @ B)[:, None, None] @ (TURNS[:, None] @ S @ A)  # [T, turns, S, 2, 2]
    q, d = np.square(F).sum((-2, -1)), n * np.linalg.det(A) / (m * np.linalg.det(B))
    root = np.sqrt(np.maximum(q**2 - 4 * d**2, 0))  # of s1² - s2², where q = s1² + s2² and d = s1 s2
    worst = np.maximum(np.sqrt((q + root) / 2) - 1, 1 - np.sqrt(np.maximum(q - root, 0) / 2))
    equal = np.argwhere(worst < worst.min() + 1e-7)
    either = [(sign, *k) for k in equal for sign in (1, -1)]  # turned by 180 degrees or not
    sign, t, u, s = min(either, key=lambda k: round(abs(_turn(k[0] * F[tuple(k[1:])])), 6))
    F = sign * F[t, u, s]
    stretches = tuple(float(x) - 1 for x in np.linalg.svd(F, compute_uv=False))
    return Match(sign * TURNS[u] @ S[s], T[t], n * float(np.linalg.det(A)), stretches, _turn(F), F)


def _turn(F: np.ndarray) -> float:
    """Angle of the rotation in a deformation, degrees: in two dimensions the polar decomposition is this simple."""
    return float(np.degrees(np.arctan2(F[0, 1] - F[1, 0], F[0, 0] + F[1, 1])))


def _supercells(cell: np.ndarray, n: int) -> np.ndarray:
    """All superlattices of ``n`` cells, by reduced vectors."""
    return np.array(
        [_reduced(np.array([[a, b], [0, n // a]]), cell) for a in range(1, n + 1) if n % a == 0 for b in range(n // a)]
    )


def _reduced(S: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The same lattice by its two shortest vectors, of the same handedness."""
    S = S.copy()
    while True:
        a, b = S @ cell
        if a @ a > b @ b * (1 + 1e-9):
            S = np.array([S[1], -S[0]])
            continue
        k = round(float(a @ b / (a @ a)) - 1e-9)
        if k == 0:
            return S
        S[1] = S[1] - k * S[0]


def _plane(surface: Atoms | np.ndarray) -> np.ndarray:
    cell = np.asarray(surface.cell)[:2, :2] if isinstance(surface, Atoms) else np.asarray(surface, float)
    if cell.shape != (2, 2) or not np.linalg.det(cell) > 1e-9:
        raise ValueError(
            "a surface cell is a slab with its normal along z, or two vectors in its plane, [2, 2], the second to the "
            "left of the first"
        )
    return cell
