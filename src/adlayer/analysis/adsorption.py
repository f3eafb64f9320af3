"""How strongly adsorbates are bound, on which sites, and where they go when they relax."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation import relax
from ..surfaces.generator import take
from ..surfaces.sites import clean
from .anomalies import anomalies
from .candidates import Candidate, add_differential, compare, populate
from .gas_reference import gas_references, isolated
from .quantity import Analysis, Findings, Progress, Quantity
from .site_map import adsorption_figure

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class AdsorptionEnergy(Analysis):
    """Adsorption energy of every candidate, relaxed, per adsorbate: negative where the gas gains by adsorbing.

    ``E_ads = (E(surface + adsorbates) - E(surface) - Σ_s n_s E_s) / Σ_s n_s``: of total energies, with the bare surface
    relaxed by the same method and ``E_s`` the adsorbate's reference, its molecules relaxed in no cell. No zero-point or
    thermal terms are in it. The differential energy is that of what was added last, to the best candidate with less.

    One that ``dissociated``, ``reacted``, ``desorbed``, is ``not converged`` or whose ``surface reconstructed`` is
    marked and does not compete; one that ``moved`` does, as what it became. Those alike by symmetry count once.
    Populations at a temperature are ``p_i ~ m_i exp(-E_i / kT)`` with ``m_i`` equal places in the cell.

    Args:
        of: names of structures that ``Adsorbates`` or ``Overlayers`` made.
        references: of each adsorbate the gas it comes from, such as ``{H = "0.5 H2", O = "H2O - H2", CO = "CO"}``, or
            its energy, eV.
        spins: unpaired electrons of gas molecules, such as ``{O2 = 2}``, for methods that need to be told; default: 0.
        temperature: of the populations, K.
        fmax: force at which structures count as relaxed, eV/Å.
        max_steps: at most; 0 takes them as they are.
        nudge: by how much adsorbates are displaced at random before they relax, Å, so that none stays on a saddle point
            where only symmetry holds it.
        reconstructed: displacement of a surface atom above which the surface counts as reconstructed, Å.
        judge: in a job, the reference takes the structures as the potential has relaxed them, and only judges.
    """

    of: str | list[str]
    references: dict[str, str | float]
    spins: dict[str, float] | None = None
    temperature: float = 300.0
    fmax: float = 0.02
    max_steps: int = 300
    nudge: float = 0.2
    reconstructed: float = 1.0
    judge: bool = False
    title = "Adsorption energies"

    def __post_init__(self):
        if not self.temperature > 0:
            raise ValueError(f"populations need a temperature above zero, in K, got {self.temperature:g}")

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        frames, surfaces, gases = _sorted_out(take(self.of, made))
        known = dict(made) | {name: [gas] for name, gas in gases.items()}
        references = gas_references(self.references, _species(frames), known)
        for name in (name for reference in references.values() for name in reference.terms):
            gases.setdefault(name, isolated(name, (self.spins or {}).get(name, 0.0), made))
        starts = [*self._nudged(frames, np.random.default_rng(seed)), *surfaces.values(), *gases.values()]
        checkpoint = folder / "relaxation.pt" if folder and self.max_steps else None
        settings = {"checkpoint": checkpoint, "checkpoint_every": 10, "progress": progress}
        done = relax(evaluate, starts, self.fmax, self.max_steps, **settings)
        names = [*(f.info["pattern"] for f in frames), *surfaces, *gases]
        energy = dict(zip(names, done.prediction.energy.tolist()))
        relaxed = dict(zip(names, done.frames))
        open_ends = [n for n, finished in zip(names, done.finished) if self.max_steps and not finished]

        mu = {species: reference.energy(energy) for species, reference in references.items()}
        candidates = []
        for frame in frames:
            name, surface, species = (frame.info[k] for k in ("pattern", "surface", "adsorbates"))
            total = energy[name] - energy[surface] - sum(mu[s] for s in species.split())
            c = Candidate(name, species.split(), surface, frame, relaxed[name], total)
            c.flags = ["not converged"] * (name in open_ends)
            c.flags += anomalies(frame, c.after, relaxed[surface], self.reconstructed)
            candidates.append(c)
        for surface in surfaces:
            compare([c for c in candidates if c.surface == surface], relaxed[surface])
        means = populate(candidates, self.temperature)
        add_differential(candidates)
        candidates.sort(key=lambda c: (not c.competes, c.kind, c.energy))

        added = [c for c in candidates if c.differential is not None]
        quantities = [Quantity(f"{c.spelled}, per adsorbate", c.energy, "eV") for c in candidates]
        quantities += [Quantity(f"{c.name}, differential", c.differential, "eV") for c in added]
        quantities += [Quantity(f"reference of {s}: {r.scheme}", mu[s], "eV") for s, r in references.items()]
        data = {
            "candidates": [c.row() for c in candidates],
            "references": {s: {"scheme": r.scheme, "energy": mu[s]} for s, r in references.items()},
            "temperature": self.temperature,
            "not converged": open_ends,
        }
        order = [*(c.name for c in candidates), *surfaces, *gases]
        return Findings([*quantities, *means], data, {name: relaxed[name] for name in order})

    def _nudged(self, frames: list[Atoms], rng: np.random.Generator) -> list[Atoms]:
        moved = [frame.copy() for frame in frames]
        for frame in moved if self.max_steps else []:
            of = frame.arrays["adsorbate"]
            d = rng.normal(size=(of.max() + 1, 3))
            d *= self.nudge / np.linalg.norm(d, axis=1)[:, None]
            frame.set_positions(frame.positions + np.where(of[:, None] > 0, d[of], 0.0), apply_constraint=False)
        return moved

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Energies of the sites as levels, and the best of them on the surface, seen from above."""
        return adsorption_figure(findings)


def _sorted_out(given: Sequence[Atoms]) -> tuple[list[Atoms], dict[str, Atoms], dict[str, Atoms]]:
    """Adsorbates on surfaces; the surfaces without them, by name; and gas molecules that are among them."""
    roles = [str(frame.info.get("role", "")) for frame in given]
    gases = {f.info["pattern"]: f for f, role in zip(given, roles) if role == "gas"}
    surfaces = {f.info["pattern"]: f for f, role in zip(given, roles) if role == "surface"}
    frames = [f for f, role in zip(given, roles) if not role]
    names: Counter[str] = Counter()
    for k, frame in enumerate(frames):
        if not frame.arrays.get("adsorbate", np.zeros(1)).any() or "adsorbates" not in frame.info:
            raise ValueError(
                f"structure {k + 1} says of no atoms that they adsorb; make it by Adsorbates or Overlayers"
            )
        if frame.info.get("surface") not in surfaces:
            frame.info["surface"] = _name_of_surface(clean(frame), surfaces)
        name = str(frame.info.get("pattern", f"structure {k + 1}"))
        names[name] += 1
        frame.info["pattern"] = name if names[name] == 1 else f"{name} ({names[name]})"
    return frames, surfaces, gases


def _name_of_surface(bare: Atoms, surfaces: dict[str, Atoms]) -> str:
    for name, other in surfaces.items():
        if _same(other, bare):
            return name
    name = "clean surface" + (f" {len(surfaces) + 1}" if surfaces else "")
    bare.info = {"role": "surface", "pattern": name}
    surfaces[name] = bare
    return name


def _same(a: Atoms, b: Atoms) -> bool:
    """Whether two surfaces are one, up to the rounding of what put adsorbates there."""
    if len(a) != len(b) or (a.numbers != b.numbers).any() or (a.pbc != b.pbc).any():
        return False
    return bool(np.allclose(a.cell, b.cell, atol=1e-6) and np.allclose(a.positions, b.positions, atol=1e-6))


def _species(frames: Sequence[Atoms]) -> dict[str, Counter[str]]:
    """Every adsorbate with its atoms."""
    found: dict[str, Counter[str]] = {}
    for frame in frames:
        of = frame.arrays["adsorbate"]
        for k, name in enumerate(frame.info["adsorbates"].split(), start=1):
            found.setdefault(name, Counter(frame.symbols[of == k]))
    return found
