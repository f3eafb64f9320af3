"""Labels on disk: one small JSON file for each, named by the hash of what was calculated and how."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import describe
from .method import Reference

if TYPE_CHECKING:
    from ase import Atoms

_ARRAYS = ("forces", "stress", "charges")


class LabelStore:
    """A folder of labels. Each is written at once and whole, so a kill at any moment loses none of those that exist.

    Several processes may use one folder at the same time.

    Args:
        folder: made where it does not exist.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def key(reference: Reference, atoms: Atoms) -> str:
        """SHA-256 of numbers, positions, cell, periodicity, charge, spin and the method with all its settings."""
        digest = hashlib.sha256()
        for array, kind in (
            (atoms.numbers, "<i8"),
            (atoms.positions, "<f8"),
            (np.asarray(atoms.cell), "<f8"),
            (atoms.pbc, "<i8"),
            ([atoms.info.get("charge", 0.0), atoms.info.get("spin", 0.0)], "<f8"),
            (atoms.get_initial_magnetic_moments() if atoms.has("initial_magmoms") else [], "<f8"),
        ):
            digest.update((np.asarray(array).astype(kind) + 0).tobytes())  # + 0 turns -0.0 into 0.0
        digest.update(json.dumps(describe(reference), sort_keys=True).encode())
        return digest.hexdigest()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def __len__(self) -> int:
        return sum(1 for _ in self.folder.glob("??/*.json"))

    def read(self, key: str) -> dict[str, Any] | None:
        """The label with this key, or None."""
        try:
            label = json.loads(self._path(key).read_text())
        except FileNotFoundError:
            return None
        except json.JSONDecodeError as error:
            raise ValueError(f"the stored label {self._path(key)} is damaged ({error}); delete it") from None
        return label | {name: np.array(label[name]) for name in _ARRAYS if label.get(name) is not None}

    def write(self, key: str, reference: Reference, atoms: Atoms, result: dict[str, Any]) -> None:
        """Keep a result, with the structure and method it belongs to."""
        structure = {
            "symbols": str(atoms.symbols),
            "positions": atoms.positions,
            "cell": np.asarray(atoms.cell),
            "pbc": atoms.pbc,
        }
        text = json.dumps(describe(result | {"method": reference, "structure": structure}))
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
