"""Any potential as an ASE calculator: for relaxation, dynamics, phonons and whatever else speaks ASE."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as ASECalculator
from ase.calculators.calculator import all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ..potential import Evaluate, Evaluator, Potential, Prediction
from ..structures import Structures


class Calculator(ASECalculator):
    """A potential, an ensemble or any ``Evaluate`` as an ASE calculator.

    ``results`` holds ``energy`` (``free_energy`` is the same), ``forces``, ``energies`` per atom and ``stress``;
    ``charges`` and ``dipole`` where the potential knows them; and, for an ensemble, the standard deviations
    ``energy_std``, ``energies_std`` and ``forces_std`` (per component).

    ASE divides every virial by the volume of the cell, vacuum included. So does ``stress`` here: for a slab in a box it
    is the in-plane virial over ``atoms.get_volume()``, and times the height of the cell it is the surface stress per
    area. Along axes that are not periodic it is zero; a cluster, or a cell of fewer than three vectors, has no stress.

    ``atoms.info["charge"]`` and ``["spin"]`` give the total charge (e) and the number of unpaired electrons.

    Args:
        potential: a potential, the path of a saved one, or any callable from ``Structures`` to ``Prediction``.
        skin: how much farther than the cutoff neighbors are searched, so that the list is kept while atoms move, Å.
        device: where to compute; None leaves the potential where it is.
        dtype: floating-point type of the potential, ``"float32"`` or ``"float64"``; None leaves it as it is.
    """

    implemented_properties = [
        "energy",
        "free_energy",
        "forces",
        "stress",
        "energies",
        "charges",
        "dipole",
        "energy_std",
        "energies_std",
        "forces_std",
    ]

    def __init__(
        self,
        potential: Potential | Evaluate | str | Path,
        skin: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(potential, str | Path):
            from ..saving import load

            potential = load(potential)
        if isinstance(potential, Potential):
            if device is not None or dtype is not None:
                dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
                potential = copy.deepcopy(potential).to(device=device, dtype=dtype)
            self.device = potential.device
            potential = Evaluator(potential, skin)
        else:
            self.device = torch.device(device or "cpu")
        self.evaluate: Evaluate = potential
        self._structures: Structures | None = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last call; exactly, and in a tenth of the time ASE's own comparison takes."""
        if self.atoms is None:
            return list(all_changes)
        was, changes = self.atoms, []
        if not np.array_equal(was.numbers, atoms.numbers):
            changes.append("numbers")
        if not np.array_equal(was.positions, atoms.positions):
            changes.append("positions")
        if not np.array_equal(was.cell.array, atoms.cell.array):
            changes.append("cell")
        if not np.array_equal(was.pbc, atoms.pbc):
            changes.append("pbc")
        if any(was.info.get(key) != atoms.info.get(key) for key in ("charge", "spin")):
            changes.append("info")
        return changes

    def calculate(self, atoms: Atoms | None = None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        structures = self._update(self.atoms, system_changes)
        self.results = _results(self.evaluate(structures), structures, self.atoms)

    def _update(self, atoms: Atoms, changes: list[str]) -> Structures:
        if not np.isfinite(atoms.positions).all():
            bad = np.flatnonzero(~np.isfinite(atoms.positions).all(1))
            raise ValueError(f"positions of atoms {', '.join(map(str, bad[:5]))} are not finite numbers")
        if self._structures is None or set(changes) != {"positions"}:
            self._structures = Structures.from_ase(atoms).to(self.device)
        else:
            positions = torch.from_numpy(atoms.positions.copy()).to(self.device)
            self._structures = self._structures.with_positions(positions)
        return self._structures


def _results(prediction: Prediction, structures: Structures, atoms: Atoms) -> dict[str, Any]:
    """A prediction for one structure in ASE's names, shapes and signs."""
    results: dict[str, Any] = {}

    def put(name: str, value: torch.Tensor | None) -> None:
        if value is not None:
            value = value.detach().cpu().double().numpy()
            results[name] = value if name.split("_")[0] in ("forces", "energies", "charges") else value[0]

    for name in ("energy", "forces", "energies", "charges", "dipole"):
        put(name, getattr(prediction, name))
    for name in ("energy", "forces", "energies"):
        put(f"{name}_std", getattr(prediction.std, name, None))
    for name in ("energy", "energy_std"):
        if name in results:
            results[name] = float(results[name])
    if "energy" in results:
        results["free_energy"] = results["energy"]
    volume = abs(np.linalg.det(atoms.cell))
    if prediction.stress is not None and atoms.pbc.any() and volume > 0:
        stress = prediction.stress[0].detach().cpu().double().numpy()
        per_volume = 1.0 if atoms.pbc.all() else float(structures.measure[0]) / volume
        results["stress"] = full_3x3_to_voigt_6_stress(stress * per_volume)
    return results
