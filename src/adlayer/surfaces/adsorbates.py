"""Molecules on sites: which atom binds, how they stand, and how high, so that they touch and do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.spatial.transform import Rotation

from ..config import nearest
from .contacts import pairs
from .generator import Made
from .packing import molecule
from .sites import Site

ASIDE = 1.25  # atoms that do not bind stay away by so many times the sum of the covalent radii

Binding = str | int | Sequence[str | int] | None


@dataclass(frozen=True)
class Adsorbate:
    """A molecule as it stands on a surface: what binds at the origin, the rest above, along z.

    Args:
        name: what it is called.
        atoms: those of the molecule, turned so.
        binding: indices of the atoms that touch the surface; none for a molecule that lies flat.
    """

    name: str
    atoms: Atoms
    binding: tuple[int, ...]

    @staticmethod
    def of(name: str, binding: Binding = None, made: Made | None = None) -> Adsorbate:
        """A molecule by name, an element, an earlier structure or a file.

        Args:
            name: such as ``"CO"``.
            binding: element or number of the atom that binds, two of them for a molecule with two feet, or ``"flat"``.
                It can be left out where there is one atom, or one beside hydrogen.
            made: earlier structures.
        """
        atoms = molecule(name, made)
        feet = _feet(name, atoms, binding)
        atoms.positions = _upright(atoms.positions, feet)
        return Adsorbate(name, atoms, feet)


def _feet(name: str, atoms: Atoms, binding: Binding) -> tuple[int, ...]:
    heavy = np.flatnonzero(atoms.numbers > 1)
    if binding == "flat":
        return ()
    if binding is None:
        if len(atoms) == 1 or len(heavy) == 1:
            return (int(heavy[0]) if len(heavy) else 0,)
        symbols = " or ".join(f"'{s}'" for s in dict.fromkeys(atoms.symbols))
        raise ValueError(
            f"{name} has {len(atoms)} atoms: which one binds? Give binding = {symbols}, a number, or 'flat'"
        )
    wanted = [binding] if isinstance(binding, str | int) else list(binding)
    feet: list[int] = []
    for w in wanted:
        if isinstance(w, str):
            free = [k for k in np.flatnonzero(atoms.symbols == w) if k not in feet]
            if not free:
                known = dict.fromkeys(atoms.symbols)
                raise ValueError(
                    f"{name} has no {'other ' * (w in atoms.symbols)}atom {w!r}{nearest(w, known)} to bind"
                )
            feet.append(int(free[0]))
        elif not 0 <= w < len(atoms):
            raise ValueError(f"{name} has atoms 0 to {len(atoms) - 1}, so atom {w} cannot bind")
        else:
            feet.append(int(w))
    if len(feet) > 2 or len(set(feet)) < len(feet):
        raise ValueError(f"one atom binds, or two different ones, or the molecule lies 'flat'; got {binding!r}")
    return tuple(feet)


def _upright(x: np.ndarray, feet: tuple[int, ...]) -> np.ndarray:
    """What binds at the origin and two feet along x; the others upward, or a flat molecule in the plane."""
    x = x - (x[list(feet)].mean(0) if feet else x.mean(0))
    if len(x) == 1:
        return x
    if not feet:
        axes = np.linalg.svd(x)[2]
        return x @ (axes * np.sign(np.linalg.det(axes))).T
    if len(feet) == 2:
        along = x[feet[1]] / np.linalg.norm(x[feet[1]])
        rest = x.sum(0) - along * (x.sum(0) @ along)
        up = rest if np.linalg.norm(rest) > 0.1 else np.cross(along, np.eye(3)[abs(along).argmin()])
        return x @ _frame(up, along).T
    up = x.sum(0) if np.linalg.norm(x.sum(0)) > 0.1 else x[np.linalg.norm(x, axis=1).argmax()]
    aside = x - np.outer(x @ up, up) / (up @ up)
    farthest = aside[np.linalg.norm(aside, axis=1).round(3).argmax()]
    return x @ _frame(up, farthest).T


def _frame(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Three orthogonal unit vectors as rows: the last along ``z``, the first as near to ``x`` as can be."""
    z = z / np.linalg.norm(z)
    x = x - (x @ z) * z
    if np.linalg.norm(x) < 1e-3:
        x = np.cross(np.eye(3)[abs(z).argmin()], z)
    x = x / np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


@dataclass(frozen=True)
class Placed:
    """A molecule in its place.

    Args:
        what: its name.
        where: label of the site.
        atoms: the molecule.
        anchor: the site's position, Å.
        multiplicity: how many places are like this one.
    """

    what: str
    where: str
    atoms: Atoms
    anchor: np.ndarray
    multiplicity: int = 1


def place(
    surface: Atoms,
    adsorbate: Adsorbate,
    site: Site,
    other: Site | None = None,
    tilt: float = 0.0,
    turn: float = 0.0,
    roll: float = 0.0,
    height: float | None = None,
) -> Placed:
    """A molecule on a site, or with one foot on each of two.

    Args:
        surface: without adsorbates.
        adsorbate: what is placed.
        site: where.
        other: of the second foot, its image nearest to ``site`` is meant.
        tilt: of the molecule's axis away from the normal, degrees.
        turn: about the normal, degrees, from the site's own direction: towards an atom, along a bridge.
        roll: about the molecule's own axis, before it is tilted, degrees.
        height: of what binds above the middle of the site's atoms, Å; default: binding atoms touch the surface as
            covalent radii say, all others stay off it.
    """
    position, z, x = site.position, site.normal, _direction(surface, site)
    if other is not None:
        across = _nearest_image(surface, other.position - position)
        position, x = position + across / 2, across
        z = site.normal + other.normal - (site.normal + other.normal) @ across * across / (across @ across)
    local = Rotation.from_euler("zyz", [roll, tilt, turn], degrees=True).apply(adsorbate.atoms.positions) @ _frame(z, x)
    z = z / np.linalg.norm(z)
    up = _contact_height(surface, adsorbate, position, local, z) if height is None else height
    where = site.label if other is None else f"{site.label} + {other.label}"
    atoms = Atoms(adsorbate.atoms.numbers, position + up * z + local)
    return Placed(adsorbate.name, where, atoms, position, site.multiplicity)


def _nearest_image(surface: Atoms, across: np.ndarray) -> np.ndarray:
    from ase.geometry import find_mic

    return find_mic(across[None], surface.cell, surface.pbc)[0][0]


def _direction(surface: Atoms, site: Site) -> np.ndarray:
    """To one of a site's atoms, from a single atom to its nearest neighbor; of several the one most along x."""
    D = site.contact.places - site.position
    if len(D) == 1:
        i, _, D = pairs(surface, 6.0)
        D = D[i == site.contact.atoms[0]]
        r = np.linalg.norm(D, axis=1)
        D = D[r < 1.05 * r.min(initial=np.inf)]
    D = D - np.outer(D @ site.normal, site.normal)
    D = D[np.linalg.norm(D, axis=1) > 0.3]
    return D[np.argmax((D @ [1.0, 0.01, 0.0001]).round(4))] if len(D) else np.eye(3)[0]


def _contact_height(
    surface: Atoms, adsorbate: Adsorbate, position: np.ndarray, local: np.ndarray, z: np.ndarray
) -> float:
    """How far along ``z`` the molecule must be for no atom to overlap: the largest root of ``|p + h z - x|² = R²``."""
    reach = np.linalg.norm(local, axis=1).max() + 6.0
    marked = Atoms("X", [position], cell=surface.cell, pbc=surface.pbc)
    marked.extend(surface)
    i, j, D = pairs(marked, reach)
    near = (i == 0) & (j > 0)
    numbers, x = marked.numbers[j[near]], D[near]
    factor = np.full(len(local), ASIDE)
    factor[list(adsorbate.binding)] = 1.0
    R = factor[:, None] * (covalent_radii[adsorbate.atoms.numbers][:, None] + covalent_radii[numbers])
    p = local[:, None] - x[None]
    along = p @ z
    under = R**2 - (p**2).sum(-1) + along**2
    h = np.where(under > 0, -along + np.sqrt(np.maximum(under, 0.0)), -np.inf)
    return max(float(h.max(initial=-np.inf)), 0.3)


def adsorbed(surface: Atoms, placed: Sequence[Placed]) -> Atoms:
    """The surface with molecules on it.

    The array ``adsorbate`` numbers the molecules, 1, 2, ..., of each atom, 0 for the surface; ``info["adsorbates"]``
    names them, and ``info["sites"]`` where they are. Their tags are 0.
    """
    whole = surface.copy()
    number = surface.arrays.get("adsorbate", np.zeros(len(surface), dtype=int))
    for p in placed:
        number = np.append(number, np.full(len(p.atoms), number.max() + 1))
        whole.extend(p.atoms)
    whole.set_array("adsorbate", number)
    before = [[x] if x else [] for x in (surface.info.get("adsorbates", ""), surface.info.get("sites", ""))]
    whole.info["adsorbates"] = " ".join([*before[0], *(p.what for p in placed)])
    whole.info["sites"] = ", ".join([*before[1], *(p.where for p in placed)])
    return whole


def least_distance(atoms: Atoms) -> float:
    """The least distance (Å) between atoms of different adsorbates, or of one and its images; inf: none within 6 Å."""
    number = atoms.arrays["adsorbate"]
    chosen = atoms[number > 0]
    if not len(chosen):
        return np.inf
    i, j, D = pairs(chosen, 6.0)
    of = number[number > 0]
    inside = (of[i] == of[j]) & (np.linalg.norm(D - chosen.positions[j] + chosen.positions[i], axis=1) < 1e-6)
    return float(np.linalg.norm(D[~inside], axis=1).min(initial=np.inf))
