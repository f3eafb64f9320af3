"""The doctor: every check on one data set, in seconds, each finding with file, frames and remedy."""

from __future__ import annotations

import os
import warnings

from ..dataset import Dataset
from ..reading import Paths, read
from . import energies, forces, geometry, repeats, stresses, units
from .findings import Finding, ranked
from .view import View

CHECKS = (
    units.positions_in_another_unit,
    units.all_electron_energies,
    units.energies_against_forces,
    units.stiffness,
    units.energies_per_atom,
    energies.missing_labels,
    energies.cohesive_energies,
    energies.mixed_levels,
    energies.outliers,
    energies.free_energies,
    forces.zeroed_by_constraints,
    forces.net_forces,
    forces.inconsistent_neighbors,
    stresses.stress_against_energies,
    stresses.stress_against_forces,
    geometry.short_distances,
    geometry.vacuum,
    geometry.rare_elements,
    repeats.duplicates,
)


def check(data: Dataset | Paths, against: Dataset | Paths | None = None, **options) -> list[Finding]:
    """Examine a data set and say what looks wrong, the worst first.

    What cannot be read at all is a finding too.

    Args:
        data: a data set, or what ``read`` takes.
        against: another data set that must share nothing with it, such as the test set.
        options: how to read: ``keys``, ``units`` ... as in ``read``.
    """
    file = os.fspath(data) if isinstance(data, str | os.PathLike) else ""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            dataset = data if isinstance(data, Dataset) else read(data, **options)
            other = against if against is None or isinstance(against, Dataset) else read(against, **options)
    except (ValueError, OSError, ImportError) as error:
        return [Finding("error", "reading", file, (), str(error), "mend the file, or say how to read it")]
    view = View(dataset)
    findings = [finding for look in CHECKS for finding in look(view)]
    for warning in said:
        if issubclass(warning.category, UserWarning):
            findings.append(Finding("warning", "reading", file, (), str(warning.message), "say how to read it"))
    if other is not None:
        findings += repeats.leaks(view, View(other))
    return ranked(findings)
