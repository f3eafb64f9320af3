"""Frames appended to a file as a run goes on, with every digit, such that a kill at any moment harms nothing."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from ase.data import atomic_masses, chemical_symbols

from ..units import FS
from .state import State


class Trajectory(ABC):
    """A file of frames that grows: each with energy, forces, which system of the batch it is of, and at which step.

    A resumed run first cuts the file back to where its checkpoint was, so it holds what an uninterrupted run writes.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)

    @property
    @abstractmethod
    def size(self) -> int:
        """How much was written so far."""

    @abstractmethod
    def append(self, state: State, names: list[int], notes: dict[str, torch.Tensor]) -> None:
        """Add one frame for each system; ``names`` are their places in the batch the run began with."""

    @abstractmethod
    def truncate(self, size: int) -> None:
        """Drop what was written after the file had this size."""

    def cut(self, size: int) -> None:
        """Go back to an earlier size, where the run goes on."""
        if self.size < size:
            raise ValueError(f"{self.path} is shorter than at the checkpoint: it was changed, so the run cannot resume")
        self.truncate(size)

    def close(self) -> None:  # noqa: B027  # only a file that is held open needs it
        """The run is over."""


def open_trajectory(path: Path | str) -> Trajectory:
    """The kind of file that the name asks for: ``.extxyz`` or ``.xyz``, ASE's ``.traj``, or ``.h5``."""
    from .trajectory_formats import ASETrajectory, HDF5Trajectory

    kinds = {".xyz": ExtxyzTrajectory, ".extxyz": ExtxyzTrajectory, ".traj": ASETrajectory}
    kinds |= {".h5": HDF5Trajectory, ".hdf5": HDF5Trajectory}
    if (kind := kinds.get(Path(path).suffix)) is None:
        raise ValueError(f"a trajectory ends with one of {', '.join(kinds)}; got {str(path)!r}")
    return kind(path)


class ExtxyzTrajectory(Trajectory):
    """Extended xyz, as text."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0  # bytes

    def truncate(self, size: int) -> None:
        with open(self.path, "ab") as file:
            file.truncate(size)

    def append(self, state: State, names: list[int], notes: dict[str, torch.Tensor]) -> None:
        text = "".join(_frame(state, s, name, notes) for s, name in enumerate(names))
        with open(self.path, "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def _frame(state: State, s: int, name: int, notes: dict[str, torch.Tensor]) -> str:
    structures = state.structures
    atoms = slice(int(structures.offsets[s]), int(structures.offsets[s + 1]))
    columns = {"pos:R:3": structures.positions}
    if state.prediction.forces is not None:
        columns["forces:R:3"] = state.prediction.forces
    if hasattr(state, "velocities"):  # ASE's unit of momentum
        columns["momenta:R:3"] = state.velocities * state.masses[:, None] / FS
        if _have_own_masses(state):
            columns["masses:R:1"] = state.masses[:, None]
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


def _have_own_masses(state: State) -> bool:
    """Whether atoms have other masses than their elements."""
    table = torch.as_tensor(atomic_masses).to(state.masses)
    return not torch.equal(state.masses, table[state.structures.numbers])
