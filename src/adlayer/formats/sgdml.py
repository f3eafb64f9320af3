"""sGDML's models: the ``.npz`` of the ``sgdml`` package.

Units are those the file names, kcal/mol and Å where it names none, as in the data sets of sgdml.org. Lattice vectors
are its columns. Models trained on energies too (``use_E_cstr``) are not read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

from .. import units
from ..nn.gradient_domain import pair_permutations
from ..potential import Potential
from ..potentials.sgdml import SGDML

ENERGY = {"ev": 1.0, "kcal/mol": units.KCAL_PER_MOL, "kj/mol": units.KJ_PER_MOL, "hartree": units.HARTREE}
ENERGY |= {"ha": units.HARTREE, "mev": 1e-3}
LENGTH = {"ang": 1.0, "angstrom": 1.0, "a": 1.0, "bohr": units.BOHR}


def recognizes(path: Path) -> bool:
    """Whether it is an ``.npz`` with what predictions of sGDML need."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"R_desc.npy", "R_d_desc_alpha.npy"} <= set(archive.namelist())


def read(path: Path) -> SGDML:
    """Read a model."""
    with np.load(path, allow_pickle=False) as file:
        model = {k: file[k] for k in file.files if k not in ("f_err", "e_err", "md5_test")}  # pickled, and not needed
    if str(model.get("type")) not in ("m", "b'm'"):
        raise ValueError(f"{path} is no model of sGDML: its type is {model.get('type')}, not m")
    if "alphas_E" in model:
        raise ValueError(f"{path} was trained on energies too (use_E_cstr); only models of forces are read")
    energy = _unit(path, model, "e_unit", "kcal/mol", ENERGY)
    length = _unit(path, model, "r_unit", "Ang", LENGTH)
    numbers, permutations = (torch.from_numpy(np.atleast_1d(model[k]).astype(np.int64)) for k in ("z", "perms"))
    made = SGDML(float(model["sig"]) / length)
    # E = std sum (x - x_i) · w_i h: x and sigma are inverse lengths, h the square of a length, w energy by length.
    points, weights = torch.from_numpy(model["R_desc"].T.copy()), torch.from_numpy(model["R_d_desc_alpha"])
    weights = weights * (float(model.get("std", 1.0)) * energy / length)
    made.place(numbers, permutations, points / length, weights, float(model["c"]) * energy)
    if "lattice" in model:
        made.cell.copy_(torch.from_numpy(model["lattice"].T * length))
    return made


def _unit(path: Path, model: dict, key: str, usual: str, known: dict[str, float]) -> float:
    name = str(model.get(key, usual))
    if name.lower() not in known:
        raise ValueError(f"{path}: {key} is {name!r}; known are {', '.join(known)}")
    return known[name.lower()]


def write(path: Path, potential: Potential) -> None:
    """Write a model in eV and Å."""
    if not isinstance(potential, SGDML):
        raise TypeError(f"sgdml holds an SGDML, not a {type(potential).__name__}")
    if Path(path).suffix != ".npz":
        raise ValueError(f"{path}: the name of a model must end in .npz")
    moved = pair_permutations(potential.permutations)
    P, D = moved.shape
    model = {
        "type": "m",
        "code_version": "1.0.3",
        "dataset_name": "adlayer",
        "dataset_theory": "unknown",
        "solver_name": "analytic",
        "z": potential.numbers.numpy().astype(np.uint8),
        "R_desc": potential.points.numpy().T,
        "R_d_desc_alpha": potential.weights.numpy(),
        "c": float(potential.constant),
        "std": 1.0,
        "sig": float(potential.sigma),
        "lam": 1e-10,
        "perms": potential.permutations.numpy(),
        "tril_perms_lin": (moved + D * torch.arange(P)[:, None]).numpy().flatten("F"),
        "use_E": True,
        "e_unit": "eV",
        "r_unit": "Ang",
    }
    if bool(potential.cell.any()):
        model["lattice"] = potential.cell.numpy().T
    np.savez_compressed(path, **model)
