"""Sign and unit of the stress, told by energies of strained frames and by the virial of forces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from ...neighbors import find_pairs
from ...units import GPA
from .findings import Finding
from .units import work
from .view import View

# How much too large a stress is that was given in another unit than eV/Å³.
_UNITS = {"GPa": 1 / GPA, "kbar": 10 / GPA, "bar": 1e4 / GPA}


def _judge(view: View, s: float, frames: list[int], how: str, slack: float) -> Iterator[Finding]:
    """Say what a stress must be that is ``s`` times the right one, give or take a factor ``slack``."""
    if 1 / slack < s < slack:
        return
    message = f"the stress is {s:.3g} times what {how}"
    unit = min(_UNITS, key=lambda u: abs(np.log(abs(s) / _UNITS[u])))
    unit = unit if 1 / slack < abs(s) / _UNITS[unit] < slack and abs(s) > slack else ""
    if unit:
        message += f": it is in {unit}"
    if s < 0:
        message += f"{' and' if unit else ':'} its sign is wrong (positive under compression)"
    said = f"{'-' if s < 0 else ''}{unit or 'eV/angstrom^3'}"
    remedy = (
        f"units={{'stress': '{said}'}}"
        if unit or s < 0
        else "compute it again, or ignore it with keys={'stress': None}"
    )
    if s < 0 and not unit:
        remedy += ", or units={'virial': '-eV'} if it is a virial"
    yield view.finding("error", "stress", frames, message, remedy)


def stress_against_energies(view: View) -> Iterator[Finding]:
    """Between near frames of different cells, ``dE = V stress:strain - F.dr``."""
    if view.stress is None:
        return
    rows = []
    for p in view.near:
        if np.abs(p.strain).max() < 1e-5 or not (view.has_forces[p.a] and view.has_forces[p.b]):
            continue
        a, b = (float((view.stress[k] * view.measure[k] * p.strain).sum()) for k in (p.a, p.b))
        along, doubt = work(view, p)
        rest = view.energy[p.b] - view.energy[p.a] - along
        # As for forces: only where the stresses of both frames, and their forces, say much the same.
        if abs(a - b) < abs(a + b) and abs(doubt) < 0.5 * abs(rest) and np.isfinite(a + b + rest):
            rows.append((0.5 * (a + b), rest, p.a, p.b))
    if len(rows) < 5:
        return
    x, y = np.array(rows)[:, :2].T
    ratio = np.where(y == 0, np.inf, x / np.where(y == 0, 1, y))
    s = float(np.median(ratio))
    if s != 0 and np.mean(np.abs(ratio - s) < 0.3 * abs(s)) > 0.5:
        frames = sorted({k for row in rows for k in row[2:]})
        yield from _judge(view, s, frames, f"the energies of {len(rows)} pairs of strained frames say", slack=2.5)


def stress_against_forces(view: View) -> Iterator[Finding]:
    """A pair potential that fits the forces has about the right virial, whose fluctuations the stress must follow."""
    if view.stress is None:
        return
    known = np.isfinite(view.stress).all((1, 2)) & view.has_forces & view.pbc.all(1) & (view.counts > 1)
    known &= np.nan_to_num(view.force_rms) > 0.02
    some = np.flatnonzero(known)
    some = some[:: max(1, len(some) // 40)]
    if len(some) < 4:
        return
    X, Y = [], []
    for k in some.tolist():
        dF, dW = _pair_design(view, k)
        X.append((dF, dW))
        Y.append((view.forces[view.atoms(k)].ravel(), (view.stress[k] * view.measure[k]).ravel()))
    A, b = np.concatenate([x[0] for x in X]), np.concatenate([y[0] for y in Y])
    c = np.linalg.lstsq(A, b, rcond=1e-6)[0]
    explained = 1 - np.square(b - A @ c).sum() / np.square(b).sum()
    if explained < 0.5:
        return
    mine, theirs = np.stack([x[1] @ c for x in X]).reshape(-1, 3, 3), np.stack([y[1] for y in Y]).reshape(-1, 3, 3)
    swapped = _swapped(mine, theirs)
    if swapped:
        yield view.finding(
            "error",
            "stress",
            some.tolist(),
            f"the components read as yz, xz, xy behave as {', '.join(swapped)}: the Voigt order is another",
            "give the order of the file: voigt='xx yy zz xy yz xz' (VASP), 'xx yy zz yz xz xy' (ASE) ...",
        )
        return
    # Isotropic parts carry what depends on the volume alone, which pairs cannot tell: compare what is left.
    mine, theirs = _anisotropic(mine), _anisotropic(theirs)
    if (mine**2).sum() > 0 and np.corrcoef(mine, theirs)[0, 1] ** 2 > 0.5:
        s = float((mine * theirs).sum() / (mine * mine).sum())
        yield from _judge(view, s, some.tolist(), "a pair potential fitted to the forces says", slack=6.0)


def _swapped(mine: np.ndarray, theirs: np.ndarray) -> tuple[str, ...]:
    """What the off-diagonal components yz, xz, xy are, by correlation, if clearly another permutation; else nothing."""
    rows, columns = [1, 0, 0], [2, 2, 1]
    a, b = mine[:, rows, columns], theirs[:, rows, columns]
    if len(a) < 8 or min(a.std(0).min(), b.std(0).min()) < 1e-6:
        return ()
    r = np.abs(np.corrcoef(a.T, b.T)[:3, 3:])  # r[true, called]
    best = max(itertools.permutations(range(3)), key=lambda p: sum(r[p[k], k] for k in range(3)))
    gain = sum(r[best[k], k] - r[k, k] for k in range(3))
    return (
        tuple(("yz", "xz", "xy")[k] for k in best) if gain > 0.8 and min(r[best[k], k] for k in range(3)) > 0.7 else ()
    )


def _anisotropic(W: np.ndarray) -> np.ndarray:
    return (W - np.trace(W, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)).ravel()


def _pair_design(view: View, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Forces and ``dE/dstrain`` of one frame by the coefficients of ``phi'(r) = sum_n c_n g_n(r)``."""
    structures = view.dataset.structures[k]
    pairs = find_pairs(structures, 6.0)
    r = pairs.vectors.norm(dim=1)
    centers = torch.linspace(1.0, 6.0, 14, dtype=r.dtype)
    g = torch.exp(-4.0 * (r[:, None] - centers) ** 2) * (1 - r[:, None] / 6.0) ** 2
    unit = pairs.vectors / r[:, None]
    F = torch.zeros(structures.n_atoms, 3, len(centers), dtype=r.dtype)
    F = F.index_add(0, pairs.i, unit[:, :, None] * g[:, None, :])
    W = 0.5 * torch.einsum("ea,eb,en->abn", pairs.vectors, unit, g)
    return F.flatten(0, 1).numpy(), W.flatten(0, 1).numpy()
