"""Adsorption sites: on top of atoms, on bridges between them, in hollows among them, told apart by symmetry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from ..config import nearest
from .actions import with_frozen
from .contacts import pairs
from .exposed import Contact, exposed, without_vacuum
from .hard_spheres import coordination, hard_spheres
from .symmetry import orbits

KINDS = ("top", "bridge", "hollow")
MARK = 1000  # above all kinds of atoms


@dataclass(frozen=True)
class Site:
    """Where an adsorbate can sit.

    Args:
        contact: the atoms it would touch, and the direction away from them.
        name: ``top``, ``bridge``, ``long bridge``, ``fcc``, ``hcp``, ``hollow``, ``4-fold``, ``5-fold``, ...
        label: the name with the elements and the coordination numbers of the atoms, as in ``bridge Pt7-Pt9`` or
            ``hcp Pt7-2Pt9``; numbered where two orbits have the same.
        orbit: sites have the same number if a symmetry of the structure turns one into the other.
        multiplicity: how many sites the orbit has.
    """

    contact: Contact
    name: str
    label: str = ""
    orbit: int = -1
    multiplicity: int = 1

    @property
    def kind(self) -> str:
        """Top, bridge or hollow."""
        return KINDS[min(len(self.contact.atoms), 3) - 1]

    @property
    def position(self) -> np.ndarray:
        """The middle of the atoms it touches, Å."""
        return self.contact.position

    @property
    def normal(self) -> np.ndarray:
        """Unit vector outward."""
        return self.contact.normal


def adsorption_sites(
    atoms: Atoms, probe: float | None = None, sides: str = "top", tolerance: float = 0.1
) -> list[Site]:
    """All sites of a slab or a particle, one orbit after another: tops first, then bridges, then hollows.

    Args:
        atoms: a slab, stepped or not, a wire or a particle. Adsorbates that ``adsorbed`` has put there make no sites,
            but sites that differ in how far they are from them are different.
        probe: radius of the ball that finds the sites, Å; see ``exposed``.
        sides: of a slab: ``"top"``, ``"bottom"`` or ``"both"``.
        tolerance: of symmetry, Å.
    """
    if sides not in ("top", "bottom", "both"):
        raise ValueError(f"sides is 'top', 'bottom' or 'both', got {sides!r}{nearest(str(sides), KINDS[:1])}")
    atoms = without_vacuum(atoms)
    bare = clean(atoms)
    found = [c for c in exposed(bare, probe) if sides == "both" or c.side in (sides, "outside")]
    bonds = coordination(bare)
    named = [Site(c, name, f"{name} {_touched(bare, c, bonds)}") for c, name in zip(found, _names(bare, found))]
    return _in_orbits(atoms, named, tolerance)


def clean(atoms: Atoms) -> Atoms:
    """The structure without the adsorbates that were put there."""
    if "adsorbate" not in atoms.arrays:
        return atoms.copy()
    bare = atoms[atoms.arrays["adsorbate"] == 0]
    del bare.arrays["adsorbate"]
    return bare


def distinct(sites: Sequence[Site]) -> list[Site]:
    """One site of each orbit."""
    return list({site.orbit: site for site in reversed(sites)}.values())[::-1]


def choose(sites: Sequence[Site], wanted: str | Sequence[str] | None) -> list[Site]:
    """The sites of some kinds, names or labels; an error names those there are."""
    if wanted is None:
        return list(sites)
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    known = dict.fromkeys(x for s in sites for x in (s.kind, s.name, s.label))
    for w in wanted:
        if w not in known:
            there = ", ".join(dict.fromkeys(s.label for s in sites))
            raise ValueError(f"this structure has no site {w!r}{nearest(w, known)}; it has {there}")
    return [s for s in sites if {s.kind, s.name, s.label} & set(wanted)]


def _names(atoms: Atoms, contacts: Sequence[Contact]) -> list[str]:
    radii = hard_spheres(atoms)
    span = [_edges(c) / radii[list(c.atoms)].mean() / 2 for c in contacts]
    short = np.quantile([e[0] for e in span if len(e) == 2] or [1.0], 0.25)
    return [_name(e, short, b) for e, b in zip(span, _has_atom_below(atoms, contacts, radii))]


def _edges(contact: Contact) -> np.ndarray:
    return np.linalg.norm(contact.places - np.roll(contact.places, 1, axis=0), axis=1)


def _name(edges: np.ndarray, short: float, atom_below: bool) -> str:
    """From the distances between the atoms, and those of short bridges, in units of their bonds."""
    if len(edges) == 1:
        return "top"
    if len(edges) == 2:
        return "bridge" if edges[0] < 1.12 * short else "long bridge"
    if len(edges) > 3:
        return f"{len(edges)}-fold"
    if edges.max() > 1.13 * edges.min() or edges.max() > 1.25:
        return "hollow"
    return "hcp" if atom_below else "fcc"


def _has_atom_below(atoms: Atoms, contacts: Sequence[Contact], radii: np.ndarray) -> np.ndarray:
    """Whether an atom of the next layer lies under each hollow."""
    n, d = len(atoms), 2 * radii.mean()
    points = Atoms(f"X{len(contacts)}", [c.position for c in contacts])
    i, _, D = pairs(_together(atoms, points), 1.3 * d)
    here = i >= n
    i, D = i[here] - n, D[here]
    depth = -(D * np.array([c.normal for c in contacts])[i]).sum(1)
    aside = np.sqrt(np.maximum((D**2).sum(1) - depth**2, 0))
    found = (depth > 0.5 * d) & (aside < 0.35 * d)
    return np.bincount(i[found], minlength=len(contacts)) > 0


def _in_orbits(atoms: Atoms, sites: list[Site], tolerance: float) -> list[Site]:
    """The sites in their order, with their orbits, and with labels of their own for each."""
    marks = Atoms([MARK + KINDS.index(s.kind) for s in sites], [s.position + s.normal for s in sites])
    orbit = orbits(_together(with_frozen(atoms), marks), tolerance)[len(atoms) :]
    order = sorted(range(len(sites)), key=lambda k: (KINDS.index(sites[k].kind), orbit[k]))
    number = {o: n for n, o in enumerate(dict.fromkeys(orbit[order].tolist()))}
    counted = _counted({number[orbit[k]]: sites[k].label for k in order})
    size = np.bincount(orbit)
    return [
        replace(sites[k], label=counted[o], orbit=o, multiplicity=int(size[orbit[k]]))
        for k in order
        for o in [number[orbit[k]]]
    ]


def _touched(atoms: Atoms, contact: Contact, bonds: np.ndarray) -> str:
    counts = Counter(sorted((atoms.symbols[a], int(bonds[a])) for a in contact.atoms))
    return "-".join(f"{n if n > 1 else ''}{symbol}{b}" for (symbol, b), n in counts.items())


def _counted(labels: dict[int, str]) -> dict[int, str]:
    """Labels that several orbits have, numbered."""
    every = list(labels.values())
    seen: dict[str, int] = {}
    for o, label in labels.items():
        if every.count(label) > 1:
            seen[label] = seen.get(label, 0) + 1
            labels[o] = f"{label} #{seen[label]}"
    return labels


def _together(atoms: Atoms, points: Atoms) -> Atoms:
    both = Atoms(np.append(atoms.numbers, points.numbers), np.concatenate([atoms.positions, points.positions]))
    both.set_cell(atoms.cell)
    both.pbc = atoms.pbc
    return both
