"""The door between ASE frames and a data set: what is refused, what is kept, how labels are stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..potential import Prediction
from ..structures import Structures
from .labels import PER_ATOM

if TYPE_CHECKING:
    from ase import Atoms


def check_frame(atoms: Atoms, place: str) -> None:
    """Refuse what no potential can make sense of."""
    if not len(atoms):
        raise ValueError(f"{place} has no atoms")
    if not np.isfinite(atoms.positions).all() or not np.isfinite(np.asarray(atoms.cell)).all():
        raise ValueError(f"{place}: a position or the cell is not a finite number; remove or mend the frame")
    if (atoms.numbers <= 0).any():
        raise ValueError(f"{place}: atom {int(np.argmax(atoms.numbers <= 0))} is of no element (X); name its element")
    rows = np.asarray(atoms.cell)[atoms.pbc]
    if len(rows) and np.linalg.det(rows @ rows.T) < 1e-12:
        raise ValueError(
            f"{place} is periodic (pbc {''.join('FT'[int(p)] for p in atoms.pbc)}) along a cell vector that is zero or "
            "not independent; give the cell, or set pbc to F there"
        )
    calc = atoms.calc
    if calc is not None and calc.results and getattr(calc, "atoms", None) is not None:
        old = calc.atoms
        if len(old) != len(atoms) or not (
            np.array_equal(old.positions, atoms.positions)
            and np.array_equal(old.numbers, atoms.numbers)
            and np.array_equal(old.cell, atoms.cell)
        ):
            raise ValueError(f"{place}: the atoms were changed after their labels were computed; compute them again")


def bare_atoms(atoms: Atoms, length: float) -> Atoms:
    """The bare atoms in Å, with charge and spin under the names ``Structures`` reads."""
    from ase import Atoms

    charge = atoms.info.get("charge", atoms.info.get("total_charge", 0.0))
    spin = atoms.info.get("spin", atoms.info.get("multiplicity", 1) - 1)
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions * length, cell=atoms.cell * length, pbc=atoms.pbc)
    bare.info = {"charge": charge, "spin": spin}
    return bare


def info_of(left: dict[str, Any], atoms: Atoms, k: int, place: str) -> dict[str, Any]:
    """What is known of a frame beside its labels."""
    from ase.constraints import FixAtoms

    arrays = {n: np.array(v) for n, v in left.items() if n in atoms.arrays}
    fixed = [c.index for c in atoms.constraints if isinstance(c, FixAtoms)]
    if fixed:
        arrays["fixed"] = np.isin(np.arange(len(atoms)), np.concatenate(fixed))
    elif "fixed" in arrays:
        arrays["fixed"] = arrays["fixed"].astype(bool)
    info = {n: v for n, v in left.items() if n not in arrays and n not in ("charge", "spin")}
    if arrays:
        info["arrays"] = arrays
    if (calculator := getattr(atoms.calc, "name", None)) not in (None, "unknown"):
        info.setdefault("calculator", calculator)
    info["file"] = place or str(info.get("file", ""))
    info["frame"] = int(info.get("frame", k))
    info["group"] = str(info.get("group", info.get("config_type", place)))
    info["weight"] = float(info.get("weight", info.get("config_weight", 1.0)))
    return info


def stack_labels(structures: Structures, labels: list[dict[str, np.ndarray]], counts: list[int]) -> Prediction:
    """Labels of all frames as one ``Prediction``, NaN where a frame has none."""
    shapes = {"energy": (), "forces": (3,), "stress": (3, 3), "energies": (), "charges": (), "dipole": (3,)}
    values: dict[str, Tensor] = {}
    for quantity, shape in shapes.items():
        if not any(quantity in label for label in labels):
            continue
        rows = []
        for label, n in zip(labels, counts):
            whole = (n, *shape) if quantity in PER_ATOM else (1, *shape)
            rows.append(label[quantity].reshape(whole) if quantity in label else np.full(whole, np.nan))
        values[quantity] = torch.from_numpy(np.concatenate(rows))
    if "stress" in values:
        P = structures.periodic_projector
        stress = P @ values["stress"] @ P / structures.measure[:, None, None]
        values["stress"] = torch.where(structures.pbc.any(1)[:, None, None], stress, torch.full_like(stress, torch.nan))
    return Prediction(**values)
