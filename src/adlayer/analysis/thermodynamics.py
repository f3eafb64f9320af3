"""Ab initio thermodynamics of surfaces: which one there is at a given chemical potential, temperature and pressure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.formula import Formula

from ..simulation import relax
from ..simulation.monte_carlo.ideal_gas import ideal_gas
from ..surfaces.generator import take, take_named
from ..surfaces.wulff import wulff_shape
from ..units import N_PER_M
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..potential import Evaluate

TEMPERATURES = (200, 400, 600, 800, 1000, 1200, 1500, 2000, 2500)  # K, marked on the axes


@dataclass(frozen=True)
class SurfaceThermodynamics(Analysis):
    """Surface energies against a chemical potential: Reuter and Scheffler, Phys. Rev. B 65, 035406 (2001).

    ``gamma = (E - sum_e n_e mu_e) / 2A``, where the elements of the slab come from bulk phases, ``sum_e nu_e mu_e =
    E_bulk`` for each, and from a gas, ``mu = E_gas / n + Delta mu``. Its temperature and pressure follow from the ideal
    gas, ``Delta mu = mu_ideal(T, p) / n``, with the zero-point energy left out, as in the energies of the slabs.

    Slabs whose bottoms are alike and are not what is asked for are compared with a clean one instead:
    ``(E - E_clean - sum_e (n_e - n_e,clean) mu_e) / A``.

    Args:
        slabs: names of the slabs; each structure is one line, named by its ``info["pattern"]`` or by the slab's name.
        bulk: names of the bulk phases, one structure each, that the surface is in equilibrium with.
        gas: molecule of the gas, such as ``"O2"``.
        clean: name of the slab whose surface energy is the zero; default: none, and both sides of each slab count.
        span: lowest and highest ``Delta mu`` per atom of the gas, eV.
        pressures: for the axes of temperature, bar.
        energy: of the molecule, eV, where the method does not know it; default: it is relaxed.
        planes: Miller indices of each slab by its name: then Wulff shapes of the first bulk phase are built.
        fmax: force at which structures count as relaxed, eV/Å.
        max_steps: at most.
    """

    slabs: str | list[str]
    bulk: str | list[str]
    gas: str
    clean: str | None = None
    span: list[float] = (-3.0, 0.0)
    pressures: list[float] = (1e-10, 1.0)
    energy: float | None = None
    planes: dict[str, list[int]] | None = None
    fmax: float = 0.02
    max_steps: int = 300
    title = "Surfaces in equilibrium with a gas"

    def __post_init__(self):
        if len(self.span) != 2 or not self.span[0] < self.span[1]:
            raise ValueError(f"span takes the lowest and the highest chemical potential, eV, got {list(self.span)}")
        if min(self.pressures) <= 0:
            raise ValueError(f"pressures must be above 0 bar, got {list(self.pressures)}")
        if len(Formula(self.gas).count()) != 1:
            raise ValueError(f"the gas must be of one element, such as 'O2', got {self.gas!r}")

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        slabs = take_named(self.slabs, made)
        bulk = take(self.bulk, made)
        others = [*take(self.clean, made)] if self.clean else []
        ((element, n),) = Formula(self.gas).count().items()
        everything = [*slabs.values(), *others, *bulk]
        if self.energy is None:
            everything.append(_molecule(self.gas))
        done = relax(evaluate, everything, self.fmax, self.max_steps, progress=progress)
        energy = done.prediction.energy.tolist()
        e_gas = (energy[-1] if self.energy is None else self.energy) / n
        first = len(slabs) + len(others)
        mu = chemical_potentials(bulk, energy[first : first + len(bulk)], element, e_gas, [*slabs.values(), *others])
        clean = (others[0], energy[len(slabs)]) if others else None
        lines = {name: _line(a, E, mu, clean) for (name, a), E in zip(slabs.items(), energy)}
        span = np.linspace(*self.span, 601)
        windows = stability(lines, span)
        quantities = []
        for name, (low, high) in windows.items():
            quantities.append(Quantity(f"{name} is stable from", low, f"eV ({element})"))
            quantities.append(Quantity(f"{name} is stable to", high, f"eV ({element})"))
        data: dict[str, Any] = {"lines": lines, "windows": windows, "element": element, "n": n}
        if self.planes:
            data["shares"] = _shapes(bulk[0], lines, self.planes, span[::20])
        return Findings(quantities, data, dict(zip(slabs, done.frames)))

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Lines of all slabs, the lowest drawn out, with axes of temperature; where asked for, shares of the facets."""
        from matplotlib.figure import Figure

        columns = 1 + any("shares" in found.data for found in findings.values())
        figure = Figure(figsize=(5.2 * columns, 4.2 * len(findings)), layout="constrained")
        for axes, (method, found) in zip(figure.subplots(len(findings), columns, squeeze=False), findings.items()):
            self._draw_lines(axes[0], found, method)
            if "shares" in found.data:
                shares = found.data["shares"]
                x = shares.pop("mu")
                axes[1].stackplot(x, list(shares.values()), labels=list(shares), alpha=0.85)
                axes[1].set(xlabel=axes[0].get_xlabel(), ylabel="share of the equilibrium shape's surface", ylim=(0, 1))
                axes[1].legend(loc="lower left")
                shares["mu"] = x
        return figure

    def _draw_lines(self, axes: Axes, found: Findings, method: str) -> None:
        x = np.linspace(*self.span, 200)
        lines = found.data["lines"]
        values = {name: (a + b * x) / N_PER_M for name, (a, b) in lines.items()}
        for k, (name, y) in enumerate(values.items()):
            axes.plot(x, y, color=f"C{k}", lw=1, alpha=0.6, label=name)
            lowest = y <= np.min(list(values.values()), axis=0) + 1e-12
            axes.plot(np.where(lowest, x, np.nan), y, color=f"C{k}", lw=2.8)
        element, n = found.data["element"], found.data["n"]
        axes.set_xlabel(f"$\\Delta\\mu$ of {element} (eV)")
        axes.set_ylabel(("surface energy" if not self.clean else "above the clean surface") + " (J/m²)")
        axes.set_title(method, pad=8)
        axes.legend()
        for k, pressure in enumerate(self.pressures):
            T = np.arange(100.0, 3001.0, 20.0)
            mu = np.array([ideal_gas(self.gas, t, pressure, zero_point=False) / n for t in T])
            marks = [
                t for t in (200, 400, 600, 800, 1000, 1200, 1500, 2000, 2500) if self.span[0] <= np.interp(t, T, mu)
            ]
            top = axes.secondary_xaxis(1.0 + 0.14 * k)
            top.set_xticks([float(np.interp(t, T, mu)) for t in marks], [str(t) for t in marks], fontsize=7)
            top.set_xlabel(f"temperature (K) at {pressure:g} bar", fontsize=8)


def _molecule(name: str) -> Atoms:
    from ase.build import molecule

    try:
        return molecule(name)
    except KeyError:
        raise ValueError(f"{name!r} is no molecule that ASE knows; give its energy") from None


def chemical_potentials(
    bulk: Sequence[Atoms], energies: Sequence[float], element: str, e_gas: float, slabs: Sequence[Atoms]
) -> dict[str, tuple[float, float]]:
    """``mu_e = a + b Delta mu`` of every element, from the bulk phases and the gas.

    Raises ``ValueError`` where phases leave an element of the slabs open, or contradict one another.
    """
    elements = sorted({symbol for atoms in (*bulk, *slabs) for symbol in atoms.symbols} | {element})
    rows = [[Counter(atoms.symbols).get(e, 0) for e in elements] for atoms in bulk]
    rows.append([float(e == element) for e in elements])
    A = np.array(rows, float)
    at_zero, slope = np.array([*energies, e_gas]), np.array([0.0] * len(bulk) + [1.0])
    if np.linalg.matrix_rank(A) < len(elements):
        free = [
            e for k, e in enumerate(elements) if np.linalg.matrix_rank(np.delete(A, k, 1)) == np.linalg.matrix_rank(A)
        ]
        raise ValueError(
            f"the chemical potential of {' or '.join(free)} is open: name a bulk phase that holds it, beside "
            f"{', '.join(str(atoms.symbols) for atoms in bulk)}"
        )
    if np.linalg.matrix_rank(A) < len(A):
        phases = ", ".join(str(atoms.symbols) for atoms in bulk)
        raise ValueError(f"{phases} and the gas cannot all be in equilibrium: leave one bulk phase out")
    a, b = np.linalg.solve(A, at_zero), np.linalg.solve(A, slope)
    return {e: (float(x), float(y)) for e, x, y in zip(elements, a, b)}


def _line(
    slab: Atoms, energy: float, mu: Mapping[str, tuple[float, float]], clean: tuple[Atoms, float] | None
) -> tuple[float, float]:
    """``gamma = a + b Delta mu``, eV/Å² and 1/Å²."""
    area = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    n, E, sides = Counter(slab.symbols), energy, 2
    if clean is not None:
        times = area / float(np.linalg.norm(np.cross(clean[0].cell[0], clean[0].cell[1])))
        if abs(times - round(times)) > 1e-3 or round(times) < 1:
            raise ValueError(f"a slab of {slab.symbols} is not a whole number of cells of the clean slab wide")
        n.subtract({e: round(times) * k for e, k in Counter(clean[0].symbols).items()})
        E, sides = energy - round(times) * clean[1], 1
    a = E - sum(k * mu[e][0] for e, k in n.items())
    b = -sum(k * mu[e][1] for e, k in n.items())
    return a / (sides * area), b / (sides * area)


def stability(lines: Mapping[str, tuple[float, float]], span: np.ndarray) -> dict[str, tuple[float, float]]:
    """Where each line is the lowest; exact crossings within the span. Lines that never are, are left out."""
    names = list(lines)
    a, b = np.array([lines[name] for name in names]).T
    cuts = {float(span[0]), float(span[-1])}
    for i in range(len(names)):
        for j in range(i):
            if b[i] != b[j] and span[0] < (x := (a[j] - a[i]) / (b[i] - b[j])) < span[-1]:
                cuts.add(float(x))
    windows: dict[str, tuple[float, float]] = {}
    ends = sorted(cuts)
    for low, high in pairwise(ends):
        name = names[int(np.argmin(a + b * (low + high) / 2))]
        windows[name] = (windows[name][0] if name in windows else low, high)
    return windows


def _shapes(
    bulk: Atoms, lines: Mapping[str, tuple[float, float]], planes: Mapping[str, Sequence[int]], span: np.ndarray
) -> dict[str, list[float]]:
    """Shares of the planes in the surface of the equilibrium shape, at each chemical potential."""
    if unknown := sorted(set(planes) - set(lines)):
        raise ValueError(f"planes names {unknown[0]!r}, which is none of the slabs {', '.join(lines)}")
    families: dict[tuple[int, ...], list[str]] = {}
    for name, plane in planes.items():
        families.setdefault(tuple(plane), []).append(name)
    words = {plane: "".join(map(str, plane)) for plane in families}
    shares: dict[str, list[float]] = {"mu": span.tolist()} | {word: [] for word in words.values()}
    for mu in span:
        energies = {p: min(lines[n][0] + lines[n][1] * mu for n in names) for p, names in families.items()}
        stable = min(energies.values()) > 0  # else the crystal falls apart
        found = wulff_shape(bulk, energies).fractions if stable else {}
        for word in words.values():
            shares[word].append(found.get(word, 0.0))
    return shares
