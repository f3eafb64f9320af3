"""Harmonic vibrations from finite differences of forces, all displaced structures in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..simulation import fixed_atoms, relax
from ..structures import Structures
from ..surfaces.generator import take
from ..units import FS
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


def hessian(
    evaluate: Evaluate,
    atoms: Atoms,
    moving: np.ndarray,
    delta: float = 0.01,
    chunk: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """Second derivatives of the energy by the positions of the ``moving`` atoms, [3 n, 3 n], eV/Å²; symmetric.

    Args:
        evaluate: any.
        atoms: where the derivatives are taken.
        moving: indices.
        delta: displacement to either side, Å.
        chunk: how many displaced structures are evaluated at once.
        progress: called as ``progress(done, total, message)``.
    """
    moving = np.asarray(moving)
    at = Structures.from_ase(atoms)
    shifts = [(a, c, sign) for a in moving.tolist() for c in range(3) for sign in (1, -1)]
    rows = []
    for start in range(0, len(shifts), chunk):
        part = shifts[start : start + chunk]
        batch = Structures.cat([at] * len(part))
        positions = batch.positions.clone().reshape(len(part), len(atoms), 3)
        for k, (a, c, sign) in enumerate(part):
            positions[k, a, c] += sign * delta
        forces = evaluate(batch.with_positions(positions.reshape(-1, 3))).forces.detach().cpu()
        rows.append(forces.reshape(len(part), len(atoms), 3)[:, moving].reshape(len(part), -1))
        if progress:
            progress(start + len(part), len(shifts), "displaced structures")
    forces = torch.cat(rows).double().numpy()
    H = -(forces[0::2] - forces[1::2]) / (2 * delta)
    return (H + H.T) / 2


def frequencies(H: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in THz, ascending, imaginary ones negative, and the normal modes in columns.

    ``D = M^(-1/2) H M^(-1/2)``, ``omega² = eig(D)``, ``nu = omega / 2 pi``.

    Args:
        H: Hessian, eV/Å².
        masses: amu, one for each atom.
    """
    weight = np.repeat(np.asarray(masses) ** -0.5, 3)
    squares, modes = np.linalg.eigh(H * np.outer(weight, weight))
    omega = np.sign(squares) * np.sqrt(np.abs(squares)) * FS  # 1/fs
    return 1000 * omega / (2 * np.pi), modes


@dataclass(frozen=True)
class Vibrations(Analysis):
    """Frequencies at the Gamma point of relaxed structures.

    Args:
        of: names of the structures.
        layers: only atoms of so many layers from the top vibrate (by their tags); default: all that are not frozen.
        delta: displacement, Å.
        fmax: force at which structures count as relaxed, eV/Å.
        max_steps: of the relaxation; 0 takes structures as they are.
        chunk: how many displaced structures are evaluated at once.
    """

    of: str | list[str]
    layers: int | None = None
    delta: float = 0.01
    fmax: float = 0.01
    max_steps: int = 200
    chunk: int = 32
    title = "Vibrations"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        frames = take(self.of, made)
        done = relax(evaluate, frames, self.fmax, self.max_steps, progress=progress)
        quantities, data = [], {}
        for k, frame in enumerate(done.frames):
            name = str(frame.info.get("pattern", f"structure {k + 1}"))
            moving = self._moving(frame)
            H = hessian(evaluate, frame, moving, self.delta, self.chunk, progress)
            nu, _ = frequencies(H, frame.get_masses()[moving])
            data[name] = {"frequencies": nu.tolist(), "moving": moving.tolist()}
            quantities.append(Quantity(f"highest frequency of {name}", float(nu[-1]), "THz"))
            quantities.append(Quantity(f"lowest frequency of {name}", float(nu[0]), "THz"))
        return Findings(quantities, data)

    def _moving(self, frame: Atoms) -> np.ndarray:
        free = ~fixed_atoms([frame]).numpy()
        if self.layers is not None:
            tags = frame.get_tags()
            if not tags.any():
                raise ValueError("layers can only be told apart where atoms are tagged, as Slab does")
            free &= (tags >= 1) & (tags <= self.layers)
        if not free.any():
            raise ValueError("no atom is free to vibrate")
        return np.flatnonzero(free)

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """The frequencies of every structure as lines, one row for each method."""
        from matplotlib.figure import Figure

        names = list(next(iter(findings.values())).data)
        figure = Figure(figsize=(5, 0.8 + 0.5 * len(findings) * len(names)), layout="constrained")
        panels = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
        for axes, name in zip(panels, names):
            for row, found in enumerate(findings.values()):
                axes.vlines(found.data[name]["frequencies"], row - 0.4, row + 0.4, color=f"C{row}", linewidth=0.8)
            axes.set_yticks(range(len(findings)), list(findings))
            axes.set_title(name)
        panels[-1].set_xlabel("frequency (THz)")
        return figure
