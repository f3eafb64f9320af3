"""Units that look wrong, told by bond lengths, all-electron energies, energies against forces, and stiffness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase.data import covalent_radii

from ...neighbors import find_pairs
from ...units import BOHR, HARTREE, KCAL_PER_MOL, KJ_PER_MOL
from ..sources import all_electron_unit
from .findings import Finding
from .view import Near, View, nearest_distances

_SAY = "read it with units={{{}}}, which converts"
# dE / (-F . dr) that a mix of units gives, and what it then is.
_SLOPES = {
    1 / KCAL_PER_MOL: ("energies in kcal/mol with forces in eV/Å", {"energy": "kcal/mol", "forces": "eV/angstrom"}),
    KCAL_PER_MOL: ("forces in kcal/mol/Å with energies in eV", {"forces": "kcal/mol/angstrom"}),
    1 / KJ_PER_MOL: ("energies in kJ/mol with forces in eV/Å", {"energy": "kJ/mol", "forces": "eV/angstrom"}),
    1 / HARTREE: ("energies in Hartree with forces in eV/Å", {"energy": "hartree", "forces": "eV/angstrom"}),
    2 / HARTREE: ("energies in Rydberg with forces in eV/Å", {"energy": "rydberg", "forces": "eV/angstrom"}),
    HARTREE / BOHR: ("forces in Hartree/Bohr with energies in eV", {"forces": "hartree/bohr"}),
    HARTREE / BOHR / 2: ("forces in Rydberg/Bohr with energies in eV", {"forces": "rydberg/bohr"}),
    HARTREE: ("forces in Hartree/Å with energies in eV", {"forces": "hartree/angstrom"}),
    BOHR: ("forces in eV/Å with positions in Bohr, or the like", {"length": "bohr", "forces": "eV/angstrom"}),
    1 / BOHR: ("forces in eV/Bohr with positions in Å", {"forces": "eV/bohr"}),
}


def positions_in_another_unit(view: View) -> Iterator[Finding]:
    """Nearest neighbors lie at 0.8 to 1.3 covalent diameters, so at 1.5 to 2.4 if the numbers are Bohr."""
    several = np.flatnonzero(view.counts > 2)
    if not len(several):
        return
    some = several[:: max(1, len(several) // 60)]
    ratio = float(nearest_distances(view.dataset[some.tolist()].structures).median())
    if 0.6 < ratio < 1.6:
        return
    guess = "nm" if ratio < 0.2 else "bohr" if ratio > 1.6 else None
    yield view.finding(
        "error",
        "units",
        [],
        f"positions look wrong: neighbors are {ratio:.2f} covalent diameters apart (usual: 0.8 to 1.3)",
        _SAY.format(f"'length': '{guess}'") if guess else "give positions and cells in angstrom",
    )


def all_electron_energies(view: View) -> Iterator[Finding]:
    """All-electron energies tell their unit."""
    known = np.flatnonzero(~np.isnan(view.energy) & (view.counts > 1))
    some = known[:: max(1, len(known) // 50)]
    found = [all_electron_unit(view.numbers[view.atoms(k)], view.energy[k]) for k in some]
    for unit in ("hartree", "kcal/mol"):
        if found and found.count(unit) > 0.5 * len(found):
            yield view.finding(
                "error",
                "units",
                [],
                f"energies are all-electron total energies in {unit}: {view.energy[some[0]]:.6g} for "
                f"{view.counts[some[0]]} atoms",
                _SAY.format(f"'energy': '{unit}'") + "; say the unit of the forces too if it is another",
            )


def slope(view: View) -> tuple[float, float, int]:
    """Of dE against ``-F.dr`` over near frames at one cell: the slope, the share of pairs that have it, their number.

    Only pairs whose two forces say much the same count: there the work is known whatever the energies are.
    """
    rows = []
    for p in same_cell(view):
        x, dx = work(view, p)
        if abs(dx) < 2 * abs(x) and abs(x) > 1e-9:
            rows.append((x, view.energy[p.b] - view.energy[p.a]))
    if len(rows) < 8:
        return np.nan, 0.0, len(rows)
    x, y = np.array(rows).T
    ratio, weight = y / x, np.abs(x)
    order = np.argsort(ratio)
    middle = ratio[order][
        np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())
    ]  # does not mind pairs that jump
    return float(middle), float(np.mean(np.abs(ratio - middle) < 0.2 * abs(middle))), len(rows)


def same_cell(view: View) -> list[Near]:
    """Near frames with energies and forces at the same cell."""
    known = view.has_forces & ~np.isnan(view.energy)
    return [p for p in view.near if known[p.a] and known[p.b] and np.abs(p.strain).max() < 1e-6]


def work(view: View, pair: Near) -> tuple[float, float]:
    """``-F.dr`` between near frames by the mean of their forces (exact if harmonic) and by half their difference."""
    a, b = view.forces[view.atoms(pair.a)], view.forces[view.atoms(pair.b)] @ pair.turn
    return -0.5 * float(((a + b) * pair.moved).sum()), 0.5 * float(((a - b) * pair.moved).sum())


def energies_against_forces(view: View) -> Iterator[Finding]:
    """Energies change by the work of the forces, or one of them is in another unit, or has another sign."""
    s, share, n = slope(view)
    if n < 8 or share < 0.5 or abs(s - 1) < 0.2:
        return
    message = f"energies and forces disagree: dE = {s:.4g} x (-F.dr) over {n} pairs of near frames"
    per_atom = np.median([view.counts[p.a] for p in view.near])
    if abs(s + 1) < 0.15:
        yield view.finding(
            "error", "units", [], message + ": the forces have the wrong sign (gradients?)", "negate them"
        )
    elif abs(s * per_atom - 1) < 0.15:
        yield view.finding(
            "error", "units", [], message + ": the energies are per atom", "multiply them by the number of atoms"
        )
    else:
        guess, (what, spec) = min(_SLOPES.items(), key=lambda item: abs(np.log(abs(s) / item[0])))
        if abs(np.log(abs(s) / guess)) < 0.12 and s > 0:
            said = ", ".join(f"{k!r}: {v!r}" for k, v in spec.items())
            yield view.finding("error", "units", [], f"{message}: {what}?", _SAY.format(said))
        else:
            yield view.finding(
                "error", "units", [], message, "find out which of energies and forces is scaled or of another method"
            )


def stiffness(view: View) -> Iterator[Finding]:
    """Bonds resist stretching by force constants that are known within a factor of some.

    The force along a bond, ``(F_j - F_i) . r / 2``, against its length has the slope -k; the scale of k is
    ``30 eV/Å² (1.07 Å / d)^3`` for two atoms whose covalent radii add up to d: 30 for C-H, 3.4 for Si-Si, 2 for Cu-Cu.
    """
    ratio = _bond_stiffness(view)
    if np.isnan(ratio) or 1 / 12 < ratio < 10:
        return
    if ratio < 0:
        if ratio < -1 / 12:
            yield view.finding(
                "warning", "units", [], "forces push stretched bonds apart: gradients instead of forces?", "negate them"
            )
        return
    guess = "kcal/mol/angstrom" if ratio > 1 else "hartree/bohr"
    yield view.finding(
        "warning",
        "units",
        [],
        f"forces look too {'large' if ratio > 1 else 'small'}: the force constants of bonds are {ratio:.2g} times "
        f"the usual ones; in {guess}?",
        _SAY.format(f"'forces': '{guess}'") + "; say the unit of the energy too",
    )


def _bond_stiffness(view: View) -> float:
    """Force constants over those usual for such bonds: median over kinds of bonds, NaN where one cannot tell."""
    frames = np.flatnonzero(view.has_forces & (view.counts > 1))
    frames = frames[:: max(1, len(frames) // 80)]
    if not len(frames):
        return np.nan
    sample = view.dataset[frames.tolist()]
    numbers, F = sample.structures.numbers.numpy(), sample.labels.forces.double().numpy()
    d_max = 2 * covalent_radii[np.unique(numbers)].max()
    pairs = find_pairs(sample.structures, min(1.25 * d_max, 5.0))
    i, j, vectors = (x.numpy() for x in (pairs.i, pairs.j, pairs.vectors))
    r, d = np.linalg.norm(vectors, axis=1), covalent_radii[numbers[i]] + covalent_radii[numbers[j]]
    f = ((F[j] - F[i]) * vectors).sum(1) / (2 * r)
    kinds = np.minimum(numbers[i], numbers[j]) * 200 + np.maximum(numbers[i], numbers[j])
    ratios = []
    for kind in np.unique(kinds):
        bonds = (kinds == kind) & (r < 1.2 * d) & (r > 0.6 * d)
        if bonds.sum() >= 200 and np.std(r[bonds]) > 0.005 and np.std(f[bonds]) > 0:
            slope, correlation = np.polyfit(r[bonds], f[bonds], 1)[0], np.corrcoef(r[bonds], f[bonds])[0, 1]
            if abs(correlation) > 0.3:
                ratios.append(-slope / (30 * (1.07 / d[bonds][0]) ** 3))
    return float(np.median(ratios)) if ratios else np.nan


def energies_per_atom(view: View) -> Iterator[Finding]:
    """Energies grow with the number of atoms, or are per atom."""
    known = ~np.isnan(view.energy) & (view.counts > 1)
    n, E = view.counts[known], view.energy[known]
    if known.sum() < 4 or n.max() < 1.5 * n.min():
        return
    fractions = view.composition[known] / n[:, None]
    total, per_atom = (
        np.abs(y - X @ np.linalg.lstsq(X, y, rcond=None)[0]).mean() for X, y in ((fractions, E / n), (fractions, E))
    )
    spread = np.abs(E).mean()
    if per_atom < 0.2 * total and per_atom < 0.05 * spread:
        yield view.finding(
            "error",
            "units",
            [],
            f"energies do not grow with the number of atoms ({n.min()} to {n.max()}): they are per atom",
            "multiply them by the number of atoms of each frame",
        )
