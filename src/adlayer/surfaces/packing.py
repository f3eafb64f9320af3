"""Molecules packed into a region at a given density, turned at random, none too near another.

They start at random, and rigid molecules that overlap push and turn each other away until none do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from scipy.spatial.transform import Rotation

from ..config import nearest
from ..units import G_PER_CM3
from .contacts import contact_radii, pairs
from .generator import Made, take
from .regions import Region

Mixture = str | Mapping[str, float]


def molecule(name: str, made: Made | None = None) -> Atoms:
    """A molecule of ASE's G2 collection (``"H2O"``, ``"CH3OH"``), an atom, an earlier structure or one in a file."""
    from ase.build import molecule as known
    from ase.collections import g2

    if name in (made or {}) or Path(name).is_file():
        frames = take(name, made or {})
        if len(frames) != 1:
            other = "; give them another name if the molecule is meant" if name in (*g2.names, *atomic_numbers) else ""
            raise ValueError(f"{name!r} holds {len(frames)} structures where one molecule is needed{other}")
        found = frames[0]
    elif name in g2.names:
        found = known(name)
        found.set_initial_magnetic_moments(None)
    elif name in atomic_numbers:
        found = Atoms(name)
    else:
        near = nearest(name, [*g2.names, *(made or {})])
        raise ValueError(f"{name!r} is no molecule that is known, no element, no file and not made before{near}")
    return Atoms(found.numbers, found.positions - found.positions.mean(0))


def mixture(of: Mixture, n: int, made: Made | None = None) -> list[Atoms]:
    """``n`` molecules of one kind, or of several in given ratios of numbers, as near as whole numbers allow."""
    shares = _shares(of)
    exact = np.array(list(shares.values())) * n
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    return [molecule(name, made) for name, count in zip(shares, counts) for _ in range(count)]


def _shares(of: Mixture) -> dict[str, float]:
    shares = {of: 1.0} if isinstance(of, str) else dict(of)
    if not shares or min(shares.values()) < 0 or not sum(shares.values()) > 0:
        raise ValueError(f"a mixture names molecules with their shares, such as {{H2O = 9, CH3OH = 1}}, got {of!r}")
    return {name: x / sum(shares.values()) for name, x in shares.items()}


def number_at(density: float, volume: float, of: Mixture, made: Made | None = None) -> int:
    """How many molecules are in a volume (Å³) at a density (g/cm³)."""
    if not density > 0:
        raise ValueError(f"a density is positive, in g/cm³, got {density!r}")
    if volume <= 0:
        raise ValueError("the region to be filled has no volume; widen it, or narrow the gap to its walls")
    mass = sum(x * molecule(name, made).get_masses().sum() for name, x in _shares(of).items())
    n = round(density * G_PER_CM3 * volume / mass)
    if n < 1:
        raise ValueError(f"at {density:g} g/cm³ the region of {volume:.0f} Å³ holds less than one molecule")
    return n


def pack(
    molecules: Sequence[Atoms],
    region: Region,
    rng: np.random.Generator,
    around: Atoms | None = None,
    closest: float = 0.75,
    radii: np.ndarray | None = None,
    sweeps: int = 600,
) -> Atoms:
    """Rigid molecules in a region, beside the atoms that are there; raises ``ValueError`` where they do not fit.

    Atoms of different molecules, and of molecules and ``around``, end up no nearer than ``closest`` times the sum of
    their radii: in each sweep a pair that is nearer is pushed apart, and each molecule moves and turns as a rigid body.

    Args:
        molecules: what is packed.
        region: where all their atoms are to be.
        rng: of the places and turns they start from.
        around: atoms that stay; its cell and periodic axes are those of what comes out.
        closest: fraction of the sum of two radii.
        radii: of all atoms, those of ``around`` first, Å; default: van der Waals radii.
        sweeps: at most.
    """
    solid = Atoms() if around is None else around
    free = Atoms(cell=solid.cell, pbc=solid.pbc)
    for m in molecules:
        free += m
        _check_size(m, region)
    local = np.concatenate([m.positions - m.positions.mean(0) for m in molecules])
    of = np.repeat(np.arange(len(molecules)), [len(m) for m in molecules])
    inertia = np.maximum(_mean(np.sum(local**2, 1), of), 0.25)
    everything = Atoms([*solid.numbers, *free.numbers], cell=solid.cell, pbc=solid.pbc)
    owner = np.concatenate([np.full(len(solid), -1), of])
    radii = closest * (contact_radii(everything.numbers) if radii is None else np.asarray(radii))
    centers, turns = region.draw(len(molecules), rng), Rotation.random(len(molecules), rng=rng)
    for sweep in range(sweeps):
        x = turns[of].apply(local) + centers[of]
        back = region.back(x)
        everything.positions = np.concatenate([solid.positions, x])
        push, worst = _overlaps(everything, owner, radii)
        if worst <= 0 and np.abs(back).max() < 1e-9:
            free.positions = x
            free.set_array("molecule", of)
            return free
        push = push[len(solid) :] + back * (1 + 0.02 / np.maximum(np.linalg.norm(back, axis=1, keepdims=True), 1e-9))
        step = 0.7 * _sum(push, of)
        turn = 0.7 * _sum(np.cross(x - centers[of], push), of) / inertia[:, None]
        if sweep % 100 == 99:  # where they are stuck, a shake
            step, turn = step + rng.normal(0, 0.2, step.shape), turn + rng.normal(0, 0.3, turn.shape)
        centers = centers + _limited(step, 0.5)
        turns = Rotation.from_rotvec(_limited(turn, 0.5)) * turns
    raise ValueError(
        f"{len(molecules)} molecules do not fit into {region.volume:.0f} Å³ with no contact below {closest:g} times "
        "the sum of the radii; take a lower density, a larger region or a smaller `closest`"
    )


def _check_size(molecule: Atoms, region: Region) -> None:
    x = molecule.positions - molecule.positions.mean(0)
    thinnest = np.ptp(x @ np.linalg.svd(x)[2].T, axis=0).min()
    if thinnest > region.width or region.width <= 0:
        raise ValueError(
            f"a molecule {molecule.symbols} measures {thinnest:.1f} Å at its thinnest and is larger than its region, "
            f"which is {region.width:.1f} Å wide"
        )


def _overlaps(atoms: Atoms, owner: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, float]:
    """Where overlapping atoms push each other (Å), and by how much the worst pair is too near."""
    push = np.zeros_like(atoms.positions)
    i, j, D = pairs(atoms, 2.06 * radii.max(), both=False)
    direct = np.linalg.norm(D - atoms.positions[j] + atoms.positions[i], axis=1) < 1e-6
    apart = (owner[i] != owner[j]) | ((owner[i] >= 0) & ~direct)
    i, j, D = i[apart], j[apart], D[apart]
    r = np.linalg.norm(D, axis=1)
    overlap = 1.03 * (radii[i] + radii[j]) - r
    worst = float((radii[i] + radii[j] - r).max(initial=-np.inf))
    near = overlap > 0
    i, j, D, r, overlap = i[near], j[near], D[near], r[near], overlap[near]
    half = (0.5 * overlap / np.maximum(r, 1e-9))[:, None] * D
    np.add.at(push, i, -half * (1 + (owner[j] < 0))[:, None])
    np.add.at(push, j, half * (1 + (owner[i] < 0))[:, None])
    return push, worst


def _sum(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    out = np.zeros((of.max() + 1, *x.shape[1:]))
    np.add.at(out, of, x)
    return out


def _mean(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    return _sum(x, of) / np.bincount(of)


def _limited(x: np.ndarray, most: float) -> np.ndarray:
    size = np.linalg.norm(x, axis=1, keepdims=True)
    return x * np.minimum(1, most / np.maximum(size, 1e-12))
