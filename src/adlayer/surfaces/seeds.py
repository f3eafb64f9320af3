"""Random starts of a search: C. J. Pickard and R. J. Needs, J. Phys. Condens. Matter 23, 053201 (2011)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import get_distances

from .generator import Generator, Made, take


@dataclass(frozen=True)
class RandomSurfaces(Generator):
    """Slabs with atoms at random places above them, none too close to another.

    Args:
        slab: name of earlier slabs.
        atoms: how many atoms of each element; or a density in atoms/Å³ if ``density``.
        region: where, from so far to so far above the highest atom that stays, Å.
        n: how many structures, of each slab.
        closest: no two atoms come closer than this part of the sum of their covalent radii.
        replace: how many layers are taken off the slab first.
        density: whether ``atoms`` are densities, in the region.
        tries: how often each atom is placed anew before the whole is begun again, and how often that.
    """

    slab: str | list[str]
    atoms: dict[str, float]
    region: list[float] = (0.5, 3.5)
    n: int = 10
    closest: float = 0.75
    replace: int = 0
    density: bool = False
    tries: int = 200

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {k: getattr(self, k) for k in ("atoms", "region", "closest", "replace", "density", "tries")}
        return [random_surface(slab, rng=rng, **settings) for slab in take(self.slab, made) for _ in range(self.n)]


def random_surface(
    slab: Atoms,
    atoms: Mapping[str, float],
    rng: np.random.Generator,
    region: Sequence[float] = (0.5, 3.5),
    closest: float = 0.75,
    replace: int = 0,
    density: bool = False,
    tries: int = 200,
) -> Atoms:
    """The slab with atoms at random above it, tagged 1, other layers one more; see ``RandomSurfaces``."""
    low, high = region
    tags = slab.get_tags()
    if unknown := [s for s in atoms if s not in atomic_numbers]:
        raise ValueError(f"{unknown[0]!r} is not a chemical symbol")
    if not low < high:
        raise ValueError(f"region is [from, to] in Å above the slab, got {list(region)}")
    if replace and replace >= len(np.unique(tags[tags > 0])):
        raise ValueError(f"{replace} layers cannot be replaced: the slab has {len(np.unique(tags[tags > 0]))}")
    base = slab[(tags < 1) | (tags > replace)] if replace else slab.copy()
    top = base.positions[:, 2].max()
    volume = np.linalg.norm(np.cross(base.cell[0], base.cell[1])) * (high - low)
    counts = {s: round(x * volume) if density else x for s, x in atoms.items()}
    if any(k < 0 or k != int(k) for k in counts.values()) or not sum(counts.values()):
        raise ValueError(f"counts of atoms are whole numbers, one or more in all, got {dict(atoms)}")
    numbers = rng.permutation([atomic_numbers[s] for s, k in counts.items() for _ in range(int(k))])
    for _ in range(tries):
        places = _place(base, numbers, top + low, top + high, closest, tries, rng)
        if places is not None:
            break
    else:
        raise ValueError(f"{len(numbers)} atoms do not fit into {volume:.0f} Å³: enlarge region or lower closest")
    base.set_tags(np.where(base.get_tags() > replace, base.get_tags() - replace + 1, 0))
    base += Atoms(numbers, places, tags=np.ones(len(numbers), dtype=int))
    base.cell[2, 2] = max(base.cell[2, 2], slab.cell[2, 2] + base.positions[:, 2].max() - slab.positions[:, 2].max())
    base.wrap()
    return base


def _place(base, numbers, low, high, closest, tries, rng) -> np.ndarray | None:
    """Random places one after the other, or None where one finds none."""
    kept = base[base.positions[:, 2] > low - 2 * closest * covalent_radii[np.append(base.numbers, numbers)].max()]
    plane, placed, known = np.asarray(base.cell)[:2], kept.positions, kept.numbers
    for Z in numbers:
        least = closest * (covalent_radii[known] + covalent_radii[Z])
        fresh = rng.random((tries, 2)) @ plane
        fresh[:, 2] = rng.uniform(low, high, tries)
        d = get_distances(fresh, placed, base.cell, (1, 1, 0))[1]
        fits = np.flatnonzero((d >= least).all(1))
        if not len(fits):
            return None
        placed, known = np.concatenate([placed, fresh[fits[:1]]]), np.append(known, Z)
    return placed[len(kept) :]
