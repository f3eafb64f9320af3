"""What engines hand from step to step: frozen, batched, and able to be written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ..potential import Prediction
from ..structures import Structures

if TYPE_CHECKING:
    from ase import Atoms


# What the rows of a field of a state belong to. Coordinates are what a relaxation moves: the atoms, and after them
# three rows for each system.
ATOMS = {"per": "atoms", "axis": 0}
SYSTEMS = {"per": "systems", "axis": 0}
COORDINATES = {"per": "coordinates", "axis": 0}
SECOND = {"axis": 1}  # a history: the rows are its second axis


@dataclass(frozen=True, eq=False)
class State:
    """What every engine knows: where the atoms are, what was said of them, and how many steps were made."""

    structures: Structures
    prediction: Prediction
    free: Bool[Tensor, "atoms"] = field(metadata=ATOMS)
    step: int

    @property
    def together(self) -> Int[Tensor, "systems"] | None:
        """To what each system belongs, such as a path: what belongs together ends together. None: each is alone."""
        return None

    def select(self, systems: Sequence[int]) -> State:
        """Only these systems: the others have finished or were stopped."""
        rows = _rows(self.structures, systems)
        changed = {
            "structures": self.structures[systems],
            "prediction": self.prediction.select(self.structures, systems),
        }
        for f in fields(self):
            if kind := f.metadata.get("per"):
                changed[f.name] = getattr(self, f.name).index_select(f.metadata["axis"], rows[kind])
        return replace(self, **changed)


def _rows(structures: Structures, systems: Sequence[int]) -> dict[str, Int[Tensor, "rows"]]:
    chosen = torch.as_tensor(list(systems), dtype=torch.long)
    offsets = structures.offsets
    atoms = torch.cat([torch.arange(int(offsets[s]), int(offsets[s + 1])) for s in systems] or [chosen])
    cells = (structures.n_atoms + 3 * chosen[:, None] + torch.arange(3)).reshape(-1)
    return {"atoms": atoms, "systems": chosen, "coordinates": torch.cat([atoms, cells])}


def pack(x: Any) -> Any:
    """A state as plain dictionaries and tensors."""
    if is_dataclass(x):
        return {f.name: pack(getattr(x, f.name)) for f in fields(x)}
    if isinstance(x, Prediction):
        return {name: pack(value) for name, value in x._asdict().items()}
    return x


def unpack(cls: type[State], packed: dict[str, Any]) -> State:
    """The state that was packed."""
    values = packed | {
        "structures": Structures(**packed["structures"]),
        "prediction": unpack_prediction(packed["prediction"]),
    }
    return cls(**values)


def unpack_prediction(packed: dict[str, Any] | None) -> Prediction | None:
    """The prediction that was packed."""
    return None if packed is None else Prediction(**(packed | {"std": unpack_prediction(packed["std"])}))


def fixed_atoms(frames: Iterable[Atoms]) -> Bool[Tensor, "atoms"]:
    """Which atoms ASE's ``FixAtoms`` holds; other constraints are refused."""
    from ase.constraints import FixAtoms

    fixed = []
    for frame in frames:
        mask = torch.zeros(len(frame), dtype=torch.bool)
        for constraint in frame.constraints:
            if not isinstance(constraint, FixAtoms):
                raise ValueError(f"only FixAtoms constraints are known here, got {type(constraint).__name__}")
            mask[torch.as_tensor(constraint.get_indices())] = True
        fixed.append(mask)
    return torch.cat(fixed or [torch.zeros(0, dtype=torch.bool)])


def largest(x: Tensor, structures: Structures) -> Tensor:
    """The largest value among the atoms of each structure; 0 for a structure without atoms."""
    return x.new_zeros(structures.n_systems).scatter_reduce(0, structures.system, x, "amax")
