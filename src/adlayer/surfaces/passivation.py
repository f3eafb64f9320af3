"""What saturates the bonds that a cut broke: hydrogen, or in polar semiconductors hydrogen of fractional charge."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from .contacts import bonds


def caps(
    thick: Atoms, inside: np.ndarray, lost: np.ndarray, element: str = "H", bond: float | None = None
) -> tuple[Atoms, np.ndarray]:
    """Atoms on broken bonds, toward the partners that were lost, and the index in ``thick`` of each such partner.

    The array ``pseudo_charge`` of the capping atoms is the nuclear charge that leaves two electrons in each bond of a
    tetrahedral compound, ``(8 - V) / 4`` on an atom with ``V`` valence electrons: X. Huang, E. Lindgren and
    J. R. Chelikowsky, Phys. Rev. B 71, 165328 (2005). It is there only where some differ from that of hydrogen; 0
    means the nuclear charge of the element.

    Args:
        thick: more of the crystal than is kept.
        inside: which of its atoms are kept.
        lost: which are partners whose bonds are to be capped.
        element: of the capping atoms.
        bond: their distance, Å; default: the sum of the covalent radii.
    """
    if element not in atomic_numbers:
        raise ValueError(f"{element!r} is not a chemical symbol")
    if bond is not None and bond <= 0:
        raise ValueError(f"bond is a length in Å above zero, got {bond}")
    i, j, vectors = bonds(thick)
    coordination = np.bincount(i, minlength=len(thick))
    broken = inside[i] & lost[j]
    i, j, vectors = i[broken], j[broken], vectors[broken]
    length = covalent_radii[thick.numbers[i]] + covalent_radii[atomic_numbers[element]] if bond is None else bond
    direction = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    places = thick.positions[i] + direction * np.broadcast_to(length, len(i))[:, None]
    capping = Atoms([element] * len(i), places, cell=thick.cell, pbc=thick.pbc)
    charges = [pseudo_charge(thick.numbers[k]) if coordination[k] == 4 else None for k in i]
    if element == "H" and None not in charges and any(abs(q - 1) > 1e-9 for q in charges):
        capping.set_array("pseudo_charge", np.array(charges))
    return capping, j


def pseudo_charge(Z: int) -> float | None:
    """Nuclear charge of the hydrogen that saturates a tetrahedral bond of this element; None of a transition metal."""
    outside = Z - max(core for core in (0, 2, 10, 18, 36, 54) if core < Z)
    valence = outside - (24 if outside >= 26 else 10 if outside >= 11 else 0)  # closed d and f shells
    return None if Z > 20 and 3 <= outside <= 10 else (8 - valence) / 4
