r"""Plane waves of structures that are periodic in three, two, one or no directions.

A field that its periodic images share has waves ``k = G + q``: ``G`` of the reciprocal lattice of the periodic
directions, and any ``q`` along the open ones, over which an integral remains,

    f(r) = 1/M sum_G  1/(2 pi)^(3-d) int d^(3-d)q  f^(G + q) e^{i (G + q) r},

``M`` the volume, area or length of the cell. There is no box and no vacuum: within the sphere ``|k| < k_cutoff`` the
integral over an interval, disk or ball is a Gauss-Legendre rule that is as fine as the farthest pair of atoms asks for.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..nn.polynomials import gauss_legendre

_SINGULAR = 9  # more points of a rule, for what is singular close to it: 1e-9 of the integral


class Waves(NamedTuple):
    """One of ``k`` and ``-k`` each, ``k = 0`` left out, such that ``f(r) = sum_k w_k Re(f^(k) e^{i k r})``."""

    vectors: Float[Tensor, "K 3"]  # 1/Å
    weights: Float[Tensor, "K"]  # 1/Å³
    level: Bool[Tensor, "K"]  # those with G = 0: constant along the periodic directions


def waves(
    cell: Float[Tensor, "3 3"],
    pbc: Bool[Tensor, "3"],
    k_cutoff: float,
    extent: float,
    reach: float = 0.0,
    order: int = 0,
    grade: int = 1,
) -> Waves:
    """The waves of one structure, differentiable in its cell.

    Args:
        cell: rows are lattice vectors, Å; those of open directions count for nothing.
        pbc: which lattice vectors repeat.
        k_cutoff: 1/Å.
        extent: farthest distance of two atoms along the open directions, Å.
        reach: length over which what is integrated besides varies with ``|k|``, as an inverse, Å.
        order: largest ``l`` of spherical harmonics of ``k`` that are integrated besides.
        grade: points of the rule crowd towards ``k = 0`` with this power, for a singular ``f^``.
    """
    rows = cell[pbc]
    d = len(rows)
    G = reciprocal_vectors(rows, k_cutoff) if d else rows
    scale = 2 / measure(rows) / (2 * np.pi) ** (3 - d)
    if d == 3:
        return Waves(G, scale.expand(len(G)), torch.zeros(len(G), dtype=torch.bool))
    axes = open_directions(rows)
    turns = 6 * int(np.ceil(k_cutoff * extent / 6))  # in steps, so that rules are few and stay while atoms move
    u, w = (torch.from_numpy(x).to(cell) for x in half_ball(3 - d, turns, k_cutoff * reach, order, grade))
    level = k_cutoff * u @ axes, scale * k_cutoff ** (3 - d) * w
    if not len(G):
        return Waves(*level, torch.ones(len(u), dtype=torch.bool))
    u, w = (torch.from_numpy(x).to(cell) for x in half_ball(3 - d, turns, k_cutoff * reach, order, 1))
    u, w = torch.cat([u, -u]), torch.cat([w, w])
    radius = (k_cutoff**2 - G.square().sum(1)).sqrt()[:, None]
    across = G[:, None] + radius[:, :, None] * (u @ axes)
    k, w = across.reshape(-1, 3), (scale * radius ** (3 - d) * w).flatten()
    is_level = torch.arange(len(level[0]) + len(k)) < len(level[0])
    return Waves(torch.cat([level[0], k]), torch.cat([level[1], w]), is_level)


def measure(rows: Float[Tensor, "d 3"]) -> Float[Tensor, ""]:
    """Volume (Å³), area (Å²) or length (Å) between lattice vectors; 1 without any."""
    return torch.linalg.det(rows @ rows.T).sqrt()


def reciprocal_vectors(rows: Float[Tensor, "d 3"], k_cutoff: float) -> Float[Tensor, "K 3"]:
    """``G``, one of ``G`` and ``-G`` each, shorter than ``k_cutoff`` (1/Å), without 0."""
    most = [int(x) for x in k_cutoff * torch.linalg.vector_norm(rows.detach(), dim=1) / (2 * np.pi)]
    m = _half_grid(tuple(most))
    B = 2 * np.pi * torch.linalg.solve(rows @ rows.T, rows)
    G = torch.from_numpy(m).to(rows) @ B
    return G[G.detach().square().sum(1) < k_cutoff**2]


@lru_cache(maxsize=16)
def _half_grid(most: tuple[int, ...]) -> Int[np.ndarray, "K d"]:
    """Integers up to these, one of ``m`` and ``-m`` each: the first that is not 0 is positive."""
    grid = np.array(list(product(*(range(-n, n + 1) for n in most)))).reshape(-1, len(most))
    return grid[len(grid) // 2 + 1 :]


def count_waves(
    cell: Float[Tensor, "3 3"], pbc: Bool[Tensor, "3"], k_cutoff: float, extent: float, reach: float, order: int
) -> float:
    """About how many waves there are, without making them."""
    rows = cell.detach()[pbc]
    d = len(rows)
    lattice = float(measure(rows)) * [1, k_cutoff / np.pi, k_cutoff**2 / (4 * np.pi), k_cutoff**3 / (6 * np.pi**2)][d]
    across = 0.25 * k_cutoff * (extent + reach) + _SINGULAR
    around = [0.12 * (k_cutoff * extent + order + 12) ** 2, 0.4 * (k_cutoff * extent + order + 12), 1.0, 0.5][d]
    return lattice * (1.0 if d == 3 else across) * around


def open_directions(rows: Float[Tensor, "d 3"]) -> Float[Tensor, "3-d 3"]:
    """Unit vectors normal to the lattice vectors and to each other, which turn with them."""
    d = len(rows)
    if d == 0:
        return torch.eye(3).to(rows)
    if d == 2:
        normal = torch.linalg.cross(rows[0], rows[1])
        return (normal / torch.linalg.vector_norm(normal))[None]
    along = rows[0] / torch.linalg.vector_norm(rows[0])
    other = torch.eye(3).to(rows)[along.detach().abs().argmin()]
    side = other - (other @ along) * along
    side = side / torch.linalg.vector_norm(side)
    return torch.stack([side, torch.linalg.cross(along, side)])


def open_extent(positions: Float[Tensor, "atoms 3"], rows: Float[Tensor, "d 3"]) -> float:
    """At least the distance along the open directions of any two atoms, Å."""
    if len(rows) == 3 or not len(positions):
        return 0.0
    x = positions.detach() @ open_directions(rows.detach()).T
    return 2 * float(torch.linalg.vector_norm(x - 0.5 * (x.amax(0) + x.amin(0)), dim=1).max())


@lru_cache(maxsize=64)
def half_ball(
    dimension: int, turns: float, more: float, order: int, grade: int
) -> tuple[Float[np.ndarray, "Q dimension"], Float[np.ndarray, "Q"]]:
    """A rule for the half of the unit ball, disk or interval, for even functions.

    It integrates ``e^{i turns u x}``, ``|x| <= 1``, times harmonics of ``order`` and ``e^{i more |u|}``, to rounding.
    """
    n = int(np.ceil(grade * (turns + more) / 4)) + _SINGULAR * min(grade, 2)
    s, w = gauss_legendre(0.0, 1.0, n)
    radius = s**grade
    w = w * grade * s ** (grade - 1) * radius ** (dimension - 1)
    nodes, weights = [], []
    for r, weight in zip(radius, w):
        x = turns * r
        u, of = _half_sphere(dimension, 2 * int(np.ceil(0.5 * (x + 8 * np.cbrt(x) + order + 3))))
        nodes.append(r * u)
        weights.append(weight * of)
    return np.concatenate(nodes), np.concatenate(weights)


@lru_cache(maxsize=256)
def _half_sphere(dimension: int, degree: int) -> tuple[Float[np.ndarray, "P dimension"], Float[np.ndarray, "P"]]:
    """Half of a rule for the sphere, circle or two points, exact up to an even degree."""
    if dimension == 1:
        return np.ones((1, 1)), np.ones(1)
    n = degree + 2
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    if dimension == 2:
        return circle[: n // 2], np.full(n // 2, 2 * np.pi / n)
    z, w = np.polynomial.legendre.leggauss(2 * ((degree + 2) // 4 + 1))
    z, w = z[z > 0], w[z > 0]
    sphere = [(*(np.sqrt(1 - c * c) * xy), c) for c, xy in product(z, circle)]
    return np.array(sphere), np.repeat(w, n) * 2 * np.pi / n
