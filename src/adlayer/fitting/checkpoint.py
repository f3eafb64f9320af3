"""What a fit leaves in its folder: ``last.pt`` to go on from, ``best.adl`` to use, ``metrics.jsonl`` to watch."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..config import describe
from ..potential import Potential
from ..saving import atomic, save
from .fit import Fit

if TYPE_CHECKING:
    from ..data import Dataset

_MAY_CHANGE = ("epochs", "seconds", "patience", "memory", "save_every")  # between an interruption and going on


def fingerprint(method: Fit, potential: Potential, train: Dataset, valid: Dataset | None, seed: int) -> dict[str, Any]:
    """What must be the same for a fit to be the same fit."""
    arguments = {k: v for k, v in describe(method)[type(method).__name__].items() if k not in _MAY_CHANGE}
    sets = {"training set": digest(train), "validation set": None if valid is None else digest(valid)}
    facts = {**sets, "potential": describe(potential), "method": arguments, "seed": seed}
    return json.loads(json.dumps(facts, default=str))


def digest(data: Dataset) -> str:
    """A hash of structures, labels and weights."""
    s, labels, found = data.structures, data.labels, hashlib.sha256()
    for x in (s.numbers, s.positions, s.cell, s.pbc, s.system, labels.energy, labels.forces, labels.stress):
        found.update(b"-" if x is None else x.detach().cpu().contiguous().numpy().tobytes())
    found.update(repr([(i["group"], i["weight"]) for i in data.info]).encode())
    return found.hexdigest()


class Checkpoint:
    """Writes whole files or none. Without a folder it does nothing.

    Args:
        folder: where.
        facts: the fingerprint of the fit; a folder that holds another is refused.
    """

    def __init__(self, folder: Path | None, facts: dict[str, Any]):
        self.folder, self.facts = folder, facts
        self._written = time.perf_counter()

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """The state to go on from, if there is one."""
        path = None if self.folder is None else self.folder / "last.pt"
        if path is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        state = None
        if path.exists():
            try:
                state = torch.load(path, map_location=device, weights_only=True)
            except Exception as error:
                raise ValueError(f"{path} is damaged ({type(error).__name__}); remove it to start again") from None
            for name, value in self.facts.items():
                if state["facts"][name] != value:
                    raise ValueError(f"{self.folder} holds a fit of another {name}; give another folder, or remove it")
        lines = "".join(json.dumps(row) + "\n" for row in (state["history"] if state else []))
        with atomic(self.folder / "metrics.jsonl") as temporary:
            temporary.write_text(lines)
        return state

    def due(self, seconds: float) -> bool:
        """Whether the last one is so long ago."""
        return self.folder is not None and time.perf_counter() - self._written >= seconds

    def log(self, row: dict[str, Any]) -> None:
        """Add a line of metrics."""
        if self.folder is not None:
            with open(self.folder / "metrics.jsonl", "a") as file:
                file.write(json.dumps(row) + "\n")

    def write_best(self, potential: Potential) -> None:
        """Write the potential to be used."""
        if self.folder is not None:
            save(self.folder / "best.adl", potential)

    def write(self, state: dict[str, Any]) -> None:
        """Write what to go on from."""
        if self.folder is not None:
            with atomic(self.folder / "last.pt") as temporary:
                torch.save({**state, "facts": self.facts}, temporary)
            self._written = time.perf_counter()
