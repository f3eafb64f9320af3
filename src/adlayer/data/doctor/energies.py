"""Energies: missing ones, zeros that do not fit together, several levels of theory, outliers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from ase.data import chemical_symbols

from .findings import Finding
from .view import View

_LEVELS = ("calculator", "functional", "xc", "method", "level", "level_of_theory", "theory", "program", "code", "basis")


def missing_labels(view: View) -> Iterator[Finding]:
    """Frames without a label that others have, and data sets without one."""
    for quantity in ("energy", "forces"):
        has = view.dataset.has(quantity).numpy()
        lacking = np.flatnonzero(~has & ((view.counts > 1) | (quantity == "energy")))
        if not has.any():
            yield view.finding(
                "warning",
                "labels",
                [],
                f"no frame has {quantity}",
                f"name it: keys={{{quantity!r}: ...}}, if it is there",
            )
        elif len(lacking):
            yield view.finding(
                "warning",
                "labels",
                lacking,
                f"{len(lacking)} of {len(view)} frames have no {quantity}",
                f"remove them, label them, or leave {quantity} out of their weight",
            )


def cohesive_energies(view: View) -> Iterator[Finding]:
    """Isolated atoms and the rest must count from the same zero; energies near zero are not total energies."""
    alone = (view.counts == 1) & ~np.isnan(view.energy) & np.isinf(view.closest)
    rest = (view.counts > 1) & ~np.isnan(view.energy)
    if not rest.any():
        return
    atoms = {int(view.numbers[view.offsets[k]]): view.energy[k] for k in np.flatnonzero(alone)}
    elements = np.unique(view.numbers)
    if atoms and set(elements.tolist()) <= set(atoms):
        binding = (view.energy[rest] - view.composition[rest] @ [atoms[z] for z in elements]) / view.counts[rest]
        middle = float(np.median(binding))
        if not -15 < middle < 5:
            said = ", ".join(f"{chemical_symbols[z]} {e:.6g}" for z, e in atoms.items())
            yield view.finding(
                "error",
                "zero of energy",
                np.flatnonzero(alone),
                f"energies of isolated atoms ({said} eV) do not fit the rest, which would be bound by "
                f"{-middle:.4g} eV/atom: total and cohesive energies are mixed",
                "give all energies from one zero: subtract the atoms' from all frames, or from none",
            )
        return
    per_atom = view.energy[rest] / view.counts[rest]
    if np.median(per_atom) > -0.3 and rest.sum() > 3:
        yield view.finding(
            "note",
            "zero of energy",
            [],
            f"energies are {np.median(per_atom):.3g} eV/atom: not total energies but relative ones "
            "(adsorption, formation, interaction?)",
            "make sure their zero is the same sum of atoms for all frames; if not, use total energies",
        )


def mixed_levels(view: View) -> Iterator[Finding]:
    """Frames labeled by different methods: what they say, and energies of one composition in two heaps."""
    for key in _LEVELS:
        said = Counter(str(d[key]) for d in view.dataset.info if key in d)
        if len(said) > 1:
            rare = min(said, key=said.get)
            yield view.finding(
                "warning",
                "levels of theory",
                [k for k, d in enumerate(view.dataset.info) if str(d.get(key)) == rare],
                f"{key} differs: " + ", ".join(f"{v} ({n} frames)" for v, n in said.most_common()),
                "fit frames of one level of theory, or shift energies per element and say so",
            )
    for kind in np.unique(view.kinds):
        members = np.flatnonzero((view.kinds == kind) & ~np.isnan(view.energy))
        if len(members) < 10 or view.counts[members[0]] == 1:
            continue
        heap = _second_heap(view.energy[members] / view.counts[members])
        if heap is not None:
            low, high = members[~heap], members[heap]
            hot = np.nanmedian(view.force_rms[high]) / np.nanmedian(view.force_rms[low])
            if hot > 1.3:  # energies are higher because the atoms are hotter, or farther from rest
                continue
            fewer = high if len(high) <= len(low) else low
            E = view.energy / view.counts
            yield view.finding(
                "warning",
                "levels of theory",
                fewer,
                f"energies of one composition lie in two heaps, {np.median(E[low]):.4f} ({len(low)} frames) and "
                f"{np.median(E[high]):.4f} eV/atom ({len(high)}), with nothing between",
                "see whether the smaller heap was labeled by another method; if so, relabel it or leave it out",
            )


def _second_heap(e: np.ndarray) -> np.ndarray | None:
    """Which values belong to the upper of two heaps with a gap far wider than either heap, or None."""
    order = np.sort(e)
    gaps = np.diff(order)
    at = int(np.argmax(gaps))
    low, high = order[: at + 1], order[at + 1 :]
    if min(len(low), len(high)) < 3 or gaps[at] < 0.2:
        return None
    return e >= high[0] if gaps[at] > 4 * max(np.ptp(low), np.ptp(high)) else None


def outliers(view: View) -> Iterator[Finding]:
    """Energies per atom, and largest forces, far outside what the rest spans (robust: median and its deviation)."""
    e = view.excess
    known = ~np.isnan(e) & (view.counts > 1)
    if known.sum() >= 10:
        middle = np.median(e[known])
        spread = 1.4826 * np.median(np.abs(e[known] - middle))
        with np.errstate(invalid="ignore"):
            far = np.flatnonzero(known & (np.abs(e - middle) > 12 * spread + 1.0))
        if len(far):
            worst = far[np.argmax(np.abs(e[far] - middle))]
            yield view.finding(
                "warning",
                "outliers",
                far,
                f"energies per atom lie up to {abs(e[worst] - middle):.3g} eV from the rest, whose spread is "
                f"{spread:.2g} eV ({len(far)} frames)",
                "look at these frames: unconverged, broken apart, or overlapping; remove them or give them less weight",
            )
    if view.has_forces.sum() >= 10:
        largest = view.of_frames(np.linalg.norm(view.forces, axis=1), np.maximum)
        usual = np.nanmedian(largest)
        far = np.flatnonzero(np.nan_to_num(largest) > 20 * usual + 30)
        if len(far):
            yield view.finding(
                "warning",
                "outliers",
                far,
                f"forces reach {np.nanmax(largest):.4g} eV/Å, while the median frame's largest is {usual:.3g} "
                f"({len(far)} frames)",
                "remove these frames, or give them less weight: they dominate a least-squares fit",
            )


def free_energies(view: View) -> Iterator[Finding]:
    """Forces of smeared electrons belong to the free energy, which may differ from the energy."""
    both = [k for k, d in enumerate(view.dataset.info) if isinstance(d.get("free_energy"), float)]
    apart = np.array([abs(float(view.dataset.info[k]["free_energy"]) - view.energy[k]) / view.counts[k] for k in both])
    if len(both) and np.nanmax(apart) > 1e-3:
        yield view.finding(
            "note",
            "free energy",
            [k for k, d in zip(both, apart) if d > 1e-3],
            f"energy and free energy differ by up to {1e3 * np.nanmax(apart):.3g} meV/atom; "
            "the forces belong to the latter",
            "keys={'energy': 'free_energy'} fits the energy whose derivatives the forces are",
        )
