"""Which surfaces are polar: P. W. Tasker, J. Phys. C 12, 4977 (1979)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms

# From the most electronegative: usual charges of ions, the likeliest first.
USUAL = {
    **{"F": (-1,), "O": (-2,), "Cl": (-1,), "N": (-3,), "Br": (-1,), "I": (-1,), "S": (-2,), "Se": (-2,), "C": (-4,)},
    **{"Te": (-2,), "As": (-3,), "P": (-3, 5), "H": (-1, 1), "Sb": (-3, 3), "B": (3,), "Si": (4,), "Ge": (4,)},
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Ag"), (1,)),
    **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Hg"), (2,)),
    **dict.fromkeys(("Al", "Ga", "In", "Sc", "Y", "La", "Gd", "Nd", "Bi"), (3,)),
    **dict.fromkeys(("Ti", "Zr", "Hf", "Ir", "Ru", "Os", "Th", "Pt"), (4, 3, 2)),
    **dict.fromkeys(("Sn", "Pb", "Mn", "Pd", "Ce"), (2, 4, 3)),
    **dict.fromkeys(("Fe", "Co", "Ni", "Cr", "Eu", "Tl", "Rh"), (3, 2, 1)),
    **dict.fromkeys(("V", "Nb", "Ta"), (5, 4, 3)),
    **dict.fromkeys(("Mo", "W", "Re", "U"), (6, 4)),
    **{"Cu": (1, 2), "Au": (1, 3)},
}


class Tasker(NamedTuple):
    """What Tasker's classes say about the top of a slab."""

    type: str  # "I": neutral layers; "II": charged, without dipole; "III": polar
    dipole: float  # of one repeat of the stacking as it is cut there, per area, e/Å
    layers: list[float]  # charge of each layer from the top, per area, e/Å²
    charges: dict[str, float]  # of the ions, e

    def __str__(self) -> str:
        ions = ", ".join(f"{s} {q:+g}" for s, q in self.charges.items())
        said = {
            "I": "its layers are neutral",
            "II": "its layers are charged, but their repeat has no dipole",
            "III": f"it is polar, its repeat has a dipole per area of {self.dipole:+.3g} e/Å: without compensating "
            "charges, vacancies or a reconstruction its energy grows with the thickness of the slab",
        }[self.type]
        return f"Tasker type {self.type} ({ions}): {said}"


def tasker(slab: Atoms, bulk: Atoms | None = None, charges: Mapping[str, float] | None = None) -> Tasker:
    """Tasker's type of the top of a slab, from its layers and formal charges.

    The repeat is the shortest after which charges and spacings of the layers recur, as far as the slab reaches, so
    the slab should be as it was cut: not relaxed, not passivated.

    Args:
        slab: from ``slab``, whose tags number the layers, or untagged, when layers differ by 0.1 Å in height.
        bulk: the crystal it was cut from, whose composition tells the charges; default: that of the slab.
        charges: of the ions by element, e, where they are not what ``ionic_charges`` guesses.
    """
    charges = ionic_charges((bulk or slab).symbols) if charges is None else dict(charges)
    if missing := sorted(set(slab.symbols) - set(charges)):
        raise ValueError(f"charges were given for {', '.join(charges)}, but not for {', '.join(missing)}")
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    q, z, layer = np.array([charges[s] for s in slab.symbols]) / area, slab.positions[:, 2], _layers(slab)
    n = layer.max() + 1
    sums = np.bincount(layer, q, n)
    first = np.bincount(layer, q * z, n)  # moments, so that a layer may itself have a dipole
    height = np.bincount(layer, z, n) / np.bincount(layer, minlength=n)
    own = first - sums * height
    p = _period(np.column_stack([sums, own]), height)
    dipole = float((first[:p] - sums[:p] * height[0]).sum())
    scale = 1e-3 * max(abs(q).max(), 1e-12)
    kind = "III" if abs(dipole) > scale else "II" if np.abs(sums).max() > scale else "I"
    return Tasker(kind, dipole if kind == "III" else 0.0, sums.round(9).tolist(), charges)


def _layers(slab: Atoms) -> np.ndarray:
    """The layer of each atom, 0 on top."""
    if slab.get_tags().any():
        return np.unique(slab.get_tags(), return_inverse=True)[1]
    order = np.argsort(-slab.positions[:, 2])
    layer = np.empty(len(slab), dtype=int)
    layer[order] = np.concatenate([[0], np.cumsum(-np.diff(slab.positions[order, 2]) > 0.1)])
    return layer


def _period(values: np.ndarray, height: np.ndarray) -> int:
    """How many layers from the top are one neutral repeat of the stacking; else the most that are neutral."""
    n = len(values)
    neutral = np.flatnonzero(abs(np.cumsum(values[:, 0])) < 1e-6) + 1
    step = -np.diff(height)
    for p in neutral:
        again = np.allclose(values[p:], values[: n - p], atol=1e-4)
        if p < n and again and np.allclose(step[p:], step[: max(n - 1 - p, 0)], atol=0.05):
            return int(p)
    if not len(neutral):
        raise ValueError(
            "no number of layers from the top is neutral: the slab is too thin to tell what its surface is"
        )
    return int(neutral[-1])


def ionic_charges(symbols: Iterable[str]) -> dict[str, float]:
    """Formal charges that make a composition neutral: the likeliest usual ones; zero in a crystal of one element.

    Args:
        symbols: of all atoms of a neutral cell.
    """
    counts = Counter(symbols)
    if len(counts) == 1:
        return dict.fromkeys(counts, 0.0)
    usual = {s: USUAL.get(s) for s in counts}
    if unknown := [s for s, q in usual.items() if q is None]:
        raise ValueError(f"no usual charge of {', '.join(unknown)} is known: give charges = {{{unknown[0]!r}: ...}}")
    choices = sorted(product(*(range(len(q)) for q in usual.values())), key=lambda c: (sum(c), c))
    for choice in choices:
        charges = {s: float(q[c]) for (s, q), c in zip(usual.items(), choice)}
        if sum(charges[s] * counts[s] for s in counts) == 0:
            return charges
    formula = "".join(f"{s}{n}" for s, n in sorted(counts.items()))
    raise ValueError(f"the usual charges of ions do not make {formula} neutral: give charges = {{'Fe': 2.667, ...}}")
