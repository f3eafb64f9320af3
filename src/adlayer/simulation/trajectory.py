"""Frames appended to an extxyz file, with every digit, such that a kill at any moment harms nothing."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from ase.data import chemical_symbols

from ..units import FS
from .state import State


class Trajectory:
    """An extxyz file that grows: frames carry energy, forces, which system of the batch they are of, and at which step.

    A resumed run first cuts the file back to where its checkpoint was, so the file equals that of an uninterrupted run.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Drop what was written after the file had this size."""
        if self.size < size:
            raise ValueError(f"{self.path} is shorter than at the checkpoint: it was changed, so the run cannot resume")
        with open(self.path, "ab") as file:
            file.truncate(size)

    def append(self, state: State, names: list[int], notes: dict[str, torch.Tensor]) -> None:
        """Add one frame for each system; ``names`` are their places in the batch the run began with."""
        text = "".join(_frame(state, s, name, notes) for s, name in enumerate(names))
        with open(self.path, "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def _frame(state: State, s: int, name: int, notes: dict[str, torch.Tensor]) -> str:
    structures = state.structures
    atoms = slice(int(structures.offsets[s]), int(structures.offsets[s + 1]))
    columns = {"pos:R:3": structures.positions, "forces:R:3": state.prediction.forces}
    if hasattr(state, "velocities"):  # ASE's unit of momentum
        columns["momenta:R:3"] = state.velocities * state.masses[:, None] / FS
    if state.prediction.std is not None and state.prediction.std.forces is not None:
        columns["forces_std:R:3"] = state.prediction.std.forces
    symbols = [chemical_symbols[z] for z in structures.numbers[atoms].tolist()]
    rows = [column[atoms].tolist() for column in columns.values()]
    free = ["T" if x else "F" for x in state.free[atoms].tolist()]  # ASE reads move_mask as its FixAtoms
    properties = ":".join(["species:S:1", *columns, "move_mask:L:1"])
    head = [
        f'Lattice="{" ".join(map(repr, structures.cell[s].reshape(-1).tolist()))}"',
        f"Properties={properties}",
        f'pbc="{" ".join("T" if p else "F" for p in structures.pbc[s].tolist())}"',
        f"energy={float(state.prediction.energy[s])!r}",
        f"system={name}",
        f"step={state.step}",
        *(f"{key.split(' (')[0].replace(' ', '_')}={float(x[s])!r}" for key, x in notes.items()),
    ]
    lines = [" ".join([symbols[a], *(repr(x) for row in rows for x in row[a]), free[a]]) for a in range(len(symbols))]
    return "\n".join([str(len(symbols)), " ".join(head), *lines, ""])
