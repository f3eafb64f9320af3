"""UF3 as LAMMPS has it: ``X.uf3`` with one block for each pair and triplet of elements.

Its knots are repeated at the ends, ours go on beyond them at equal distances: other coefficients, the same splines.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers
from scipy.interpolate import BSpline

from ..potential import Potential
from ..potentials.uf3 import TRIM, UF3


class Block(NamedTuple):
    """A spline of one or of three distances; of three the knots are those of ``r_ij``, ``r_ik`` and ``r_jk``."""

    elements: tuple[str, ...]
    knots: tuple[np.ndarray, ...]
    coefficients: np.ndarray


def recognizes(path: Path) -> bool:
    """Whether its name ends as one."""
    return path.is_file() and path.suffix == ".uf3"


def read(path: Path) -> UF3:
    """Read a potential whose splines of pairs all have the same knots, and those of triplets too."""
    path = Path(path)
    blocks = _blocks(path)
    twos, threes = ([b for b in blocks if len(b.elements) == n] for n in (2, 3))
    elements = sorted({e for b in blocks for e in b.elements}, key=lambda e: atomic_numbers[e])
    grid = [_grid(path, twos, 0)] + [_grid(path, threes, k) for k in range(3 if threes else 0)]
    if threes and (grid[1] != grid[2] or abs(grid[3][1] - 2 * grid[1][1]) > 1e-6 or grid[3][2] != 2 * grid[1][2]):
        raise ValueError(f"{path}: r_jk must go to twice the cutoff of r_ij and r_ik, with twice as many intervals")
    if any(abs(g[0] - grid[0][0]) > 1e-6 for g in grid):
        raise ValueError(f"{path}: splines begin at {', '.join(sorted({f'{g[0]:g}' for g in grid}))} Å; all must alike")
    reach, n = (grid[1][1], grid[1][2]) if threes else (0.0, 8)
    made = UF3(elements, grid[0][1], reach, grid[0][0], grid[0][2], n)
    c = made.coefficients.new_zeros(made.n_coefficients + 1)
    place = {e: k for k, e in enumerate(elements)}
    for b in blocks:
        values, i = b.coefficients, [place[e] for e in b.elements]
        for axis, knots in enumerate(b.knots):
            values = np.moveaxis(np.tensordot(_to_ours(knots), values, (1, axis)), 0, axis)
        if len(i) == 2:
            c[made.place_2[i[0] * len(elements) + i[1]]] = torch.from_numpy(values)
        else:
            values = values.transpose(1, 0, 2) if i[1] > i[2] else values
            c[made.place_3[made.triple[tuple(i)]]] = torch.from_numpy(np.ascontiguousarray(values))
    made.coefficients = c[:-1]
    return made


def write(path: Path, potential: Potential) -> None:
    """Write a ``UF3`` for LAMMPS's ``pair_style uf3``."""
    if not isinstance(potential, UF3):
        raise TypeError(f"a .uf3 file holds UF3 alone; got {type(potential).__name__}")
    p, names = potential, potential.elements
    c = torch.cat([p.coefficients, p.coefficients.new_zeros(1)]).double()
    knots = [_repeated(p.begin, p.cutoff, p.shape_2 - 3)]
    back = [np.linalg.inv(_to_ours(k)) for k in knots]
    lines = []
    for i, j in p.couples:
        values = _trimmed(back[0] @ c[p.place_2[i * len(names) + j]].numpy(), 1)
        lines += ["#UF3 POT UNITS: metal", f"2B {names[i]} {names[j]} 0 {TRIM} nk", f"{p.cutoff!r} {len(knots[0])}"]
        lines += [_row(knots[0]), str(len(values)), _row(values), "#"]
    if p.triples:
        side, third = (
            _repeated(p.begin, p.cutoff_3, p.shape_3[0] - 3),
            _repeated(p.begin, 2 * p.cutoff_3, p.shape_3[2] - 3),
        )
        to_side, to_third = (np.linalg.inv(_to_ours(k)) for k in (side, third))
    for i, j, k in p.triples:
        values = np.einsum("ax,by,cz,xyz->abc", to_side, to_side, to_third, c[p.place_3[p.triple[i, j, k]]].numpy())
        values = _trimmed(values, 3)
        lines += ["#UF3 POT UNITS: metal", f"3B {names[i]} {names[j]} {names[k]} 0 {TRIM} nk"]
        lines += [f"{2 * p.cutoff_3!r} {p.cutoff_3!r} {p.cutoff_3!r} {len(third)} {len(side)} {len(side)}"]
        lines += [_row(third), _row(side), _row(side), " ".join(map(str, values.shape))]
        lines += [_row(values[a, b]) for a, b in product(range(len(values)), repeat=2)] + ["#"]
    Path(path).write_text("\n".join(lines) + "\n")


def _blocks(path: Path) -> list[Block]:
    words = iter([line.split() for line in path.read_text(errors="replace").splitlines() if line[:1] not in ("#", "")])
    found = []
    for head in words:
        n = {"2B": 2, "3B": 3}.get(head[0])
        if n is None or any(e not in atomic_numbers for e in head[1 : n + 1]):
            raise ValueError(f"{path}: expected 2B or 3B and symbols of elements, found {' '.join(head)!r}")
        next(words)  # cutoffs and numbers of knots, which the next lines say again
        knots = [np.array(next(words), float) for _ in range(1 if n == 2 else 3)][::-1]  # r_jk is the first
        shape = [int(x) for x in next(words)]
        values = np.array([next(words) for _ in range(1 if n == 2 else shape[0] * shape[1])], float).reshape(shape)
        found.append(Block(tuple(head[1 : n + 1]), tuple(knots), values))
    return found


def _grid(path: Path, blocks: list[Block], axis: int) -> tuple[float, float, int]:
    """Where the knots begin and end, and how many intervals there are."""
    known = {tuple(b.knots[axis].round(6)) for b in blocks}
    if len(known) != 1:
        raise ValueError(
            f"{path}: all {len(blocks)} splines of one kind must have the same knots, there are {len(known)}"
        )
    t = blocks[0].knots[axis]
    inner = t[3:-3]
    if np.ptp(np.diff(inner)) > 1e-6 or np.ptp(t[:4]) or np.ptp(t[-4:]):
        raise ValueError(f"{path}: knots must be equally spaced, and four times at both ends")
    return float(inner[0]), float(inner[-1]), len(inner) - 1


def _to_ours(knots: np.ndarray) -> np.ndarray:
    """From coefficients with repeated knots to those with equal distances."""
    a, b, n = knots[3], knots[-4], len(knots) - 7
    h = (b - a) / n
    x = np.linspace(a, b, n + 3)
    ours = a + h * np.arange(-3.0, n + 4)
    x[0], x[-1] = a, b * (1 - 1e-15)
    A, B = (BSpline.design_matrix(x, t, 3, extrapolate=True).toarray() for t in (ours, knots))
    return np.linalg.solve(A, B)


def _repeated(begin: float, end: float, n: int) -> np.ndarray:
    return np.concatenate([[begin] * 3, np.linspace(begin, end, n + 1), [end] * 3])


def _trimmed(values: np.ndarray, axes: int) -> np.ndarray:
    """Without rounding errors where there is nothing."""
    for axis in range(axes):
        np.moveaxis(values, axis, 0)[-TRIM:] = 0
    return values


def _row(values: np.ndarray) -> str:
    return " ".join(repr(float(x)) for x in values)
