"""What it costs to make a surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation import relax
from ..structures import Structures
from ..surfaces.generator import take, take_named
from ..units import N_PER_M
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class SurfaceEnergy(Analysis):
    """Energy of a surface per area, before and after its atoms relax.

    Of a bare slab, the mean of its two sides: ``(E - n e) / 2A``, with ``e`` the energy of the bulk per formula unit
    and ``n`` the number of units. Of a slab whose bottom is passivated, the top alone:
    ``(E - E'/2 - (n - n'/2) e) / A``, where ``E'`` is the energy of the same crystal, cut in the same way but
    passivated on both sides, as it was built. The bottom should be frozen, so that it cancels.

    Args:
        slab: names of the slabs.
        bulk: name of the crystal, in a cell with the same vectors in the plane where the method samples one k-point.
        passivated: name of the slab with both sides passivated, for slabs of which one side is.
        fmax: force at which slabs count as relaxed, eV/Å.
        max_steps: at most.
    """

    slab: str | list[str]
    bulk: str
    passivated: str | None = None
    fmax: float = 0.02
    max_steps: int = 200
    title = "Surface energy"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        named, crystals = take_named(self.slab, made), take(self.bulk, made)
        if len(crystals) != 1 or not crystals[0].pbc.all():
            raise ValueError(f"SurfaceEnergy: bulk is one crystal, periodic along three axes; {self.bulk!r} is not")
        bulk = crystals[0]
        slabs = list(named.values())
        symmetric = take(self.passivated, made)[0] if self.passivated else None
        fixed = [bulk, *([symmetric] if symmetric else [])]
        energies = evaluate(Structures.from_ase([*fixed, *slabs])).energy.tolist()
        done = relax(evaluate, slabs, self.fmax, self.max_steps, progress=progress)
        quantities, data = [], {"built": {}, "relaxed": {}}
        for k, (name, frame) in enumerate(named.items()):
            for when, energy in (("built", energies[len(fixed) + k]), ("relaxed", float(done.prediction.energy[k]))):
                gamma = surface_energy(frame, energy, bulk, energies[0], symmetric, energies[1] if symmetric else 0.0)
                data[when][name] = gamma / N_PER_M
                quantities.append(Quantity(f"surface energy of {name}, as {when}", gamma / N_PER_M, "J/m²"))
        return Findings(quantities, data, dict(zip(named, done.frames)))

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Bars for every slab and method: as built, pale, and relaxed."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(findings)
        for m, (method, found) in enumerate(findings.items()):
            at = np.arange(len(found.data["relaxed"])) + m * width
            axes.bar(at, list(found.data["built"].values()), width, color=f"C{m}", alpha=0.3)
            axes.bar(at, list(found.data["relaxed"].values()), width, color=f"C{m}", label=method)
        axes.set_xticks(at, list(found.data["relaxed"]))
        axes.set_ylabel("surface energy (J/m²)")
        axes.legend()
        return figure


def surface_energy(
    slab: Atoms, energy: float, bulk: Atoms, bulk_energy: float, symmetric: Atoms | None, symmetric_energy: float
) -> float:
    """Energy of the surface, eV/Å²; see ``SurfaceEnergy`` for what is compared with what."""
    area = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    if symmetric is None:
        return (energy - bulk_energy * units_of(slab.symbols, bulk.symbols)) / (2 * area)
    if abs(np.linalg.norm(np.cross(symmetric.cell[0], symmetric.cell[1])) - area) > 1e-3 * area:
        raise ValueError("the slab passivated on both sides must have the same area as the one whose top is wanted")
    left = Counter(slab.symbols)
    for symbol, n in Counter(symmetric.symbols).items():
        left[symbol] -= n / 2
    n = units_of({s: x for s, x in left.items() if abs(x) > 1e-9}, bulk.symbols)
    return (energy - symmetric_energy / 2 - n * bulk_energy) / area


def units_of(atoms, bulk) -> float:
    """How many times the bulk's cell holds these atoms; raises ``ValueError`` if its composition differs."""
    have, unit = Counter(atoms) if not isinstance(atoms, dict) else atoms, Counter(bulk)
    ratios = {symbol: have.get(symbol, 0) / n for symbol, n in unit.items()}
    n = next(iter(ratios.values()))
    if set(have) - set(unit) or any(abs(r - n) > 1e-9 for r in ratios.values()):
        raise ValueError(
            "the slab is not a whole number of units of the bulk, so its energy depends on chemical potentials; a "
            "passivated slab needs `passivated`, the name of the one with both sides passivated"
        )
    return n
