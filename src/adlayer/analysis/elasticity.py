"""How a crystal answers to strain: equation of state and elastic constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..simulation import relax
from ..structures import Structures
from ..surfaces.generator import take
from ..units import GPA
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate

PER_CUBE = {"diamond": 8, "fcc": 4, "bcc": 2, "sc": 1}  # atoms in the conventional cubic cell


class BirchMurnaghan(NamedTuple):
    """``E(V)`` as a cubic in ``x = V^(-2/3)``: Birch, Phys. Rev. 71, 809 (1947), third order."""

    coefficients: np.ndarray  # highest first, in eV
    volume: float  # at the minimum, Å³
    energy: float  # there, eV
    modulus: float  # there, eV/Å³

    def __call__(self, volumes: np.ndarray) -> np.ndarray:
        return np.polyval(self.coefficients, np.asarray(volumes) ** (-2 / 3))


def birch_murnaghan(volumes: np.ndarray, energies: np.ndarray) -> BirchMurnaghan:
    """Fit the equation of state; raises ``ValueError`` when the energies have no minimum within the volumes."""
    V = np.asarray(volumes, dtype=float)
    zero = float(np.mean(energies))
    P = np.polyfit(V ** (-2 / 3), np.asarray(energies) - zero, 3)
    P[-1] += zero
    slope, bend = np.polyder(P), np.polyder(P, 2)
    roots = np.roots(slope)
    roots = roots[np.isreal(roots)].real
    inside = [x for x in roots if V.min() <= max(x, 1e-9) ** -1.5 <= V.max() and np.polyval(bend, x) > 0]
    if not inside:
        raise ValueError("the energies have no minimum within the volumes; start nearer to equilibrium or go further")
    x = inside[0]
    V0 = x**-1.5
    # B = V E''(V), with dx/dV = -2/3 V^(-5/3) and E'(x) = 0
    return BirchMurnaghan(P, V0, float(np.polyval(P, x)), float(np.polyval(bend, x) * (4 / 9) * V0 ** (-7 / 3)))


@dataclass(frozen=True)
class EquationOfState(Analysis):
    """Lattice constant and bulk modulus from energies under even strain.

    Atoms keep their fractions of the cell, which is exact where symmetry fixes them.

    Args:
        of: name of one crystal.
        amount: largest relative change of length, from where the energy turns out to be lowest.
        points: how many, an odd number.
    """

    of: str
    amount: float = 0.04
    points: int = 7
    title = "Equation of state"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        atoms = _one_crystal(self.of, made)
        energy: dict[int, float] = {}  # by number of strain steps from the structure as given
        half = self.points // 2
        center = 0
        for _ in range(6):  # follow the energy downhill until its minimum is within the window
            steps = [k for k in range(center - half, center + half + 1) if k not in energy]
            frames = [_deformed(atoms, np.eye(3) * (1 + k * self.amount / half)) for k in steps]
            said = evaluate(Structures.from_ase(frames)).energy.detach().cpu().numpy() / len(atoms) if frames else []
            energy |= dict(zip(steps, map(float, said)))
            lowest = min(energy, key=energy.get)
            if abs(lowest - center) <= half // 2:
                break
            center = lowest
        window = range(center - half, center + half + 1)
        scales = 1 + np.array(window) * self.amount / half
        energies = np.array([energy[k] for k in window])
        volumes = atoms.get_volume() * scales**3 / len(atoms)
        fit = birch_murnaghan(volumes, energies)
        quantities = [Quantity("volume per atom", fit.volume, "Å³"), Quantity("bulk modulus", fit.modulus / GPA, "GPa")]
        if n := _per_cube(atoms):
            quantities.insert(0, Quantity("lattice constant", (n * fit.volume) ** (1 / 3), "Å"))
        return Findings(quantities, {"volumes": volumes.tolist(), "energies": energies.tolist()})

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Energies above the minimum against volume, with the fits."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        for k, (method, found) in enumerate(findings.items()):
            V, E = np.array(found.data["volumes"]), np.array(found.data["energies"])
            fit, fine = birch_murnaghan(V, E), np.linspace(V.min(), V.max(), 200)
            axes.plot(V, 1000 * (E - fit.energy), "o", color=f"C{k}", label=method)
            axes.plot(fine, 1000 * (fit(fine) - fit.energy), color=f"C{k}")
        axes.set_xlabel("volume per atom (Å³)")
        axes.set_ylabel("energy per atom above the minimum (meV)")
        axes.legend()
        return figure


@dataclass(frozen=True)
class ElasticConstants(Analysis):
    """Elastic constants from the stress under small strains, atoms relaxed; averages that hold for any orientation.

    Args:
        of: name of one crystal, near its equilibrium.
        amount: strain of either sign.
        fmax: force at which atoms count as relaxed, eV/Å.
    """

    of: str
    amount: float = 0.005
    fmax: float = 0.005
    title = "Elastic constants"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        atoms = _one_crystal(self.of, made)
        frames = []
        for a, b in VOIGT:  # engineering strains: a shear is twice the element of the strain
            for sign in (1, -1):
                F = np.eye(3)
                F[a, b] += sign * self.amount / 2
                F[b, a] += sign * self.amount / 2
                frames.append(_deformed(atoms, F))
        done = relax(evaluate, frames, self.fmax, progress=progress)
        stress = done.prediction.stress.cpu().numpy()[:, *zip(*VOIGT)].reshape(6, 2, 6)
        C = (stress[:, 0] - stress[:, 1]) / (2 * self.amount) / GPA
        C = (C + C.T) / 2
        bulk = C[:3, :3].mean()
        shear = (np.trace(C[:3, :3]) - (C[0, 1] + C[0, 2] + C[1, 2]) + 3 * np.trace(C[3:, 3:])) / 15
        names = (("bulk modulus (Voigt)", bulk), ("shear modulus (Voigt)", shear))
        return Findings([Quantity(name, float(x), "GPa") for name, x in names], {"C": C.tolist()})

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """The matrix of every method."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.2 * len(findings), 3), layout="constrained")
        largest = max(np.abs(found.data["C"]).max() for found in findings.values())
        for axes, (method, found) in zip(figure.subplots(1, len(findings), squeeze=False)[0], findings.items()):
            axes.imshow(found.data["C"], cmap="RdBu", vmin=-largest, vmax=largest)
            for (i, j), x in np.ndenumerate(np.array(found.data["C"])):
                axes.text(j, i, f"{x:.0f}", ha="center", va="center", fontsize=7)
            axes.set_title(f"{method} (GPa)")
        return figure


VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def _one_crystal(of: str, made: Mapping[str, list[Atoms]]) -> Atoms:
    frames = take(of, made)
    if len(frames) != 1 or not frames[0].pbc.all():
        raise ValueError(f"{of!r} must be one crystal, periodic in all directions; it holds {len(frames)} structures")
    return frames[0]


def _deformed(atoms: Atoms, F: np.ndarray) -> Atoms:
    deformed = atoms.copy()
    deformed.set_cell(np.asarray(atoms.cell) @ F, scale_atoms=True)
    return deformed


def _per_cube(atoms: Atoms) -> int | None:
    """Atoms in the conventional cell, for an element whose crystal is cubic."""
    from ase.data import reference_states

    elements = set(atoms.numbers)
    state = reference_states[elements.pop()] if len(elements) == 1 else None
    return PER_CUBE.get((state or {}).get("symmetry", ""))
