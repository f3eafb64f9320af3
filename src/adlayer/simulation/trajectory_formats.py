"""Trajectories as ASE's own files and as HDF5."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..units import FS
from .state import State
from .trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms


class ASETrajectory(Trajectory):
    """ASE's ``.traj``; its frames are counted, and a file that is cut is written anew."""

    @property
    def size(self) -> int:
        from ase.io import Trajectory as Reader

        if not self.path.exists():
            return 0
        with Reader(self.path) as frames:
            return len(frames)

    def truncate(self, size: int) -> None:
        from ase.io import Trajectory as Reader

        if not self.path.exists() or self.size == size:
            return
        temporary = self.path.with_name(self.path.name + ".part")
        with Reader(self.path) as frames, Reader(temporary, "w") as kept:
            for k in range(size):
                kept.write(frames[k])
        os.replace(temporary, self.path)

    def append(self, state: State, names: list[int], notes: dict[str, torch.Tensor]) -> None:
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.constraints import FixAtoms
        from ase.io import Trajectory as Writer

        with Writer(self.path, "a") as file:
            for s, (frame, name) in enumerate(zip(state.structures.to_ase(), names)):
                atoms = state.structures.system == s
                known = {"energy": float(state.prediction.energy[s])}
                if state.prediction.forces is not None:
                    known["forces"] = state.prediction.forces[atoms].cpu().numpy()
                frame.calc = SinglePointCalculator(frame, **known)
                if hasattr(state, "velocities"):
                    frame.set_masses(state.masses[atoms].cpu().numpy())
                    frame.set_momenta((state.velocities * state.masses[:, None] / FS)[atoms].cpu().numpy())
                if not bool(state.free[atoms].all()):
                    frame.set_constraint(FixAtoms(mask=(~state.free[atoms]).cpu().numpy()))
                frame.info |= {"system": name, "step": state.step}
                frame.info |= {key.split(" (")[0].replace(" ", "_"): float(x[s]) for key, x in notes.items()}
                file.write(frame)


class HDF5Trajectory(Trajectory):
    """HDF5: the atoms of all frames one after another, and a table of frames that says which rows are whose.

    Groups: ``atoms`` with ``numbers``, ``positions`` (Å), ``velocities`` (Å/fs), ``masses`` (amu), ``forces`` (eV/Å)
    and ``free``; ``frames`` with ``first`` and ``n_atoms`` (their rows), ``system``, ``step``, ``cell``, ``pbc`` and
    ``energy`` (eV); ``notes``, named as in the log. It may be read while it is written
    (``h5py.File(path, swmr=True)``), a kill does it no harm, and ``read_hdf5`` gives ASE atoms.
    """

    def __init__(self, path: Path | str):
        super().__init__(path)
        self._file: Any = None

    @property
    def size(self) -> int:
        if self._file is not None:
            return _n_frames(self._file)
        if not self.path.exists():
            return 0
        with _open(self.path) as file:
            return _n_frames(file)

    def truncate(self, size: int) -> None:
        self.close()
        if not self.path.exists():
            return
        temporary = self.path.with_name(self.path.name + ".part")
        with _open(self.path) as old, _h5py().File(temporary, "w", libver="latest") as new:
            n_atoms = int(old["frames/n_atoms"][:size].sum())
            for group, n in (("frames", size), ("notes", size), ("atoms", n_atoms)):
                for name, data in old[group].items():
                    _column(new, f"{group}/{name}", data[:n])
        os.replace(temporary, self.path)

    def append(self, state: State, names: list[int], notes: dict[str, torch.Tensor]) -> None:
        structures, said = state.structures, state.prediction
        atoms = {"numbers": structures.numbers, "positions": structures.positions, "free": state.free}
        if said.forces is not None:
            atoms["forces"] = said.forces
        if hasattr(state, "velocities"):
            atoms |= {"velocities": state.velocities, "masses": state.masses}
        frames = {"n_atoms": structures.counts, "cell": structures.cell, "pbc": structures.pbc, "energy": said.energy}
        frames |= {"system": torch.tensor(names), "step": torch.full((len(names),), state.step)}
        if self._file is None:
            self._begin({"atoms": atoms, "frames": frames | {"first": structures.counts}, "notes": notes})
        frames["first"] = len(self._file["atoms/numbers"]) + structures.offsets[:-1]
        for group, columns in (("atoms", atoms), ("notes", notes), ("frames", frames)):
            for name, data in self._file[group].items():
                if name in columns:
                    new = columns[name].detach().cpu().numpy()
                else:  # what is not known of this frame
                    n = structures.n_atoms if group == "atoms" else len(names)
                    new = np.full((n, *data.shape[1:]), np.nan)
                data.resize(len(data) + len(new), axis=0)
                data[len(data) - len(new) :] = new
            self._file.flush()

    def _begin(self, groups: dict[str, dict[str, torch.Tensor]]) -> None:
        """Open the file, with empty columns where it is new."""
        known = self.path.exists()
        self._file = _h5py().File(self.path, "r+" if known else "w", libver="latest", locking=False)
        if not known:
            for group, columns in groups.items():
                self._file.create_group(group)
                for name, data in columns.items():
                    _column(self._file, f"{group}/{name}", data[:0].cpu().numpy())
        self._file.swmr_mode = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_hdf5(path: Path | str) -> list[Atoms]:
    """The frames of an HDF5 trajectory, with energies, forces, momenta, constraints and what was noted of them."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.constraints import FixAtoms

    frames = []
    with _open(Path(path)) as file:
        n = _n_frames(file)
        table = {name: data[:n] for name, data in file["frames"].items()}
        notes = {name.split(" (")[0].replace(" ", "_"): data[:n] for name, data in file["notes"].items()}
        columns = {name: data[:] for name, data in file["atoms"].items()}
    for k in range(n):
        rows = slice(table["first"][k], table["first"][k] + table["n_atoms"][k])
        its = {name: data[rows] for name, data in columns.items()}
        info = {"system": int(table["system"][k]), "step": int(table["step"][k])}
        info |= {name: float(data[k]) for name, data in notes.items()}
        frame = Atoms(its["numbers"], its["positions"], cell=table["cell"][k], pbc=table["pbc"][k], info=info)
        if "velocities" in its:
            frame.set_masses(its["masses"])
            frame.set_velocities(its["velocities"] / FS)
        known = {name: its[name] for name in ("forces",) if name in its}
        frame.calc = SinglePointCalculator(frame, energy=float(table["energy"][k]), **known)
        if not its["free"].all():
            frame.set_constraint(FixAtoms(mask=~its["free"]))
        frames.append(frame)
    return frames


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 trajectories need h5py: pip install h5py") from None
    return h5py


def _open(path: Path) -> Any:
    return _h5py().File(path, "r", libver="latest", swmr=True, locking=False)


def _n_frames(file: Any) -> int:
    """Frames that are there as a whole; a kill may have left columns of unequal length."""
    return min(len(data) for data in file["frames"].values())


def _column(file: Any, name: str, data: np.ndarray) -> None:
    rows = max(1, 65536 // max(1, int(np.prod(data.shape[1:])) * data.itemsize))
    chunks = (rows if "atoms/" in name else min(rows, 1024), *data.shape[1:])
    file.create_dataset(name, data=data, maxshape=(None, *data.shape[1:]), chunks=chunks)
