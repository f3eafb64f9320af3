"""Surface energy and surface stress of a plane, and whether the slab is thick enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation import relax
from ..surfaces import slab
from ..surfaces.generator import take
from ..units import N_PER_M
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class SurfaceConvergence(Analysis):
    """Surface energy and surface stress of every termination of a plane against the thickness of the slab.

    The bulk is relaxed, cell included, and slabs are cut of it whose two sides are the same; their atoms relax. For
    each thickness, ``gamma = (E - n e_bulk) / 2A``; and over all of them the line ``E(n) = 2 A gamma + n e``
    (Fiorentini and Methfessel, J. Phys. Condens. Matter 8, 6525 (1996)), which does not diverge where the energy of the
    bulk is not the slope of the slabs'. The surface stress is half of the stress per area of the thickest slab, tension
    positive: ``tau_ab = gamma delta_ab + d gamma / d epsilon_ab`` (Shuttleworth, 1950).

    Args:
        of: name of the crystal.
        miller: indices of the plane.
        layers: thicknesses, in layers.
        vacuum: on either side, Å.
        terminations: numbers of the layers that may be the top; default: the highest.
        fmax: force at which structures count as relaxed, eV/Å.
        max_steps: at most.
    """

    of: str
    miller: list[int]
    layers: list[int] = (4, 6, 8, 10, 12)
    vacuum: float = 10.0
    terminations: list[int] = (0,)
    fmax: float = 0.01
    max_steps: int = 300
    title = "Surface energy and thickness"

    def __post_init__(self):
        if len(set(self.layers)) < 3 or min(self.layers) < 1:
            raise ValueError(f"layers takes three different thicknesses or more, got {list(self.layers)}")

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        (crystal,) = take(self.of, made)
        settings = {"fmax": self.fmax, "max_steps": self.max_steps, "progress": progress}
        whole = relax(evaluate, [crystal], cell=True, **(settings | {"fmax": min(self.fmax, 0.003)}))
        bulk, e_bulk = whole.frames[0], float(whole.prediction.energy) / len(crystal)
        layers = sorted(set(self.layers))
        slabs = [
            slab(bulk, self.miller, layers=n, vacuum=self.vacuum, termination=t)
            for t in self.terminations
            for n in layers
        ]
        for atoms in slabs:
            _check_composition(atoms, bulk)
        done = relax(evaluate, slabs, **settings)
        E = done.prediction.energy.numpy().reshape(len(self.terminations), -1)
        stress = done.prediction.stress.numpy().reshape(*E.shape, 3, 3)
        findings = Findings([], {"layers": layers, "terminations": {}})
        word = "".join(map(str, self.miller))
        for t, e, sigma, k in zip(self.terminations, E, stress, range(0, len(slabs), len(layers))):
            atoms = np.array([len(a) for a in slabs[k : k + len(layers)]])
            area = float(np.linalg.norm(np.cross(*np.asarray(slabs[k].cell)[:2])))
            gamma = (e - atoms * e_bulk) / (2 * area) / N_PER_M
            slope, intercept = np.polyfit(atoms, e, 1)
            fitted = intercept / (2 * area) / N_PER_M
            tau = sigma[-1] / 2 / N_PER_M
            name = f"({word})" if len(self.terminations) == 1 else f"({word}), termination {t}"
            last = abs(gamma[-1] - gamma[-2])
            findings.quantities += [
                Quantity(f"surface energy of {name}", float(gamma[-1]), "J/m²", float(last)),
                Quantity(f"surface energy of {name}, from all slabs", float(fitted), "J/m²"),
                Quantity(f"energy of the bulk, slope of {name} less the bulk's", float(slope - e_bulk), "eV/atom"),
                Quantity(f"surface stress of {name}, along x", float(tau[0, 0]), "N/m"),
                Quantity(f"surface stress of {name}, along y", float(tau[1, 1]), "N/m"),
            ]
            findings.data["terminations"][name] = {"gamma": gamma.tolist(), "fitted": float(fitted)}
            findings.frames[name] = done.frames[k + len(layers) - 1]
        return findings

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Surface energies against thickness, with what all slabs together say."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        for method, found in findings.items():
            for name, one in found.data["terminations"].items():
                (line,) = axes.plot(found.data["layers"], one["gamma"], "o-", label=f"{name}, {method}")
                axes.axhline(one["fitted"], color=line.get_color(), lw=0.8, ls="--")
        axes.set(xlabel="layers", ylabel="surface energy (J/m²)")
        axes.legend()
        return figure


def _check_composition(slab: Atoms, bulk: Atoms) -> None:
    from .surface_energy import units_of

    try:
        units_of(slab.symbols, bulk.symbols)
    except ValueError:
        raise ValueError(
            f"a slab of {slab.symbols} is not a whole number of units of {bulk.symbols}: its surface energy depends on "
            "chemical potentials, which SurfaceThermodynamics knows; or choose other layers"
        ) from None
