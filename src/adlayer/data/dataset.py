"""Structures with their labels: what potentials are fitted to and judged on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols
from torch import Tensor

from ..config import nearest
from ..potential import Prediction
from ..structures import Structures
from .conversion import METAL, Units
from .frames import bare_atoms, check_frame, info_of, stack_labels
from .labels import PER_ATOM, QUANTITIES, Keys, take

if TYPE_CHECKING:
    from ase import Atoms

_RESERVED = ("file", "frame", "group", "weight", "arrays")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A batch of structures, the labels of each, and what else is known about each.

    A label that is NaN, or None for all, is not known. ``info[k]`` always holds ``file`` and ``frame`` (where structure
    k came from), ``group`` (what belongs together: trajectory, surface; else the file), ``weight``, and whatever the
    file had; per-atom extras (``fixed``, ``tags``) are in ``info[k]["arrays"]``.

    Args:
        structures: what the atoms are.
        labels: energy, forces, stress ... of the reference method, as in ``Prediction``.
        info: one dictionary per structure.
    """

    structures: Structures
    labels: Prediction = Prediction()  # noqa: RUF009 - immutable
    info: tuple[dict[str, Any], ...] = ()

    def __post_init__(self):
        given = self.info or ({},) * len(self.structures)
        if len(given) != len(self.structures):
            raise ValueError(f"{len(given)} info dictionaries for {len(self.structures)} structures")
        info = tuple({"file": "", "frame": k, "group": "", "weight": 1.0, **d} for k, d in enumerate(given))
        object.__setattr__(self, "info", info)

    def __len__(self) -> int:
        return len(self.structures)

    def __repr__(self) -> str:
        atoms = f"{self.structures.n_atoms} atoms of {', '.join(self.elements)}"
        known = ", ".join(q for q in QUANTITIES if self.has(q).any()) or "no labels"
        return f"Dataset({len(self)} structures, {atoms}; {known})"

    def __getitem__(self, index: int | slice | Sequence[int]) -> Dataset:
        if isinstance(index, int | np.integer):
            index = [int(index)]
        if isinstance(index, Tensor | np.ndarray):
            index = np.asarray(index)
            index = (np.flatnonzero(index) if index.dtype == bool else index).tolist()
        chosen = range(len(self))[index] if isinstance(index, slice) else list(index)
        chosen = list(chosen)
        return Dataset(
            self.structures[chosen], self.labels.select(self.structures, chosen), tuple(self.info[k] for k in chosen)
        )

    def __iter__(self) -> Iterator[Dataset]:
        return (self[k] for k in range(len(self)))

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements present, by atomic number."""
        return tuple(chemical_symbols[z] for z in self.structures.numbers.unique().tolist())

    def composition(self, elements: Sequence[str] | None = None) -> Tensor:
        """How many atoms of each element each structure has: systems x elements."""
        columns = [self.structures.numbers == atomic_numbers[e] for e in elements or self.elements]
        count = torch.stack(columns, dim=1) if columns else self.structures.numbers.new_zeros(0, 0)
        zeros = count.new_zeros(len(self), count.shape[1], dtype=torch.long)
        return zeros.index_add(0, self.structures.system, count.long())

    def has(self, quantity: str) -> Tensor:
        """Which structures have this label, whole: one bool per structure."""
        x = getattr(self.labels, quantity)
        if x is None:
            return torch.zeros(len(self), dtype=torch.bool)
        known = ~x.isnan().flatten(1).any(1) if x.dim() > 1 else ~x.isnan()
        if quantity not in PER_ATOM:
            return known
        unknown = torch.zeros(len(self), dtype=torch.long).index_add(0, self.structures.system, (~known).long())
        return unknown == 0

    def where(self, k: int) -> str:
        """Names a structure for people: file and frame."""
        return f"{self.info[k]['file'] or 'structure'}, frame {self.info[k]['frame']}"

    def require(self, *quantities: str) -> Dataset:
        """Return the data set itself, or raise ``ValueError`` naming the first frame that lacks one of these labels."""
        for quantity in quantities:
            if quantity not in QUANTITIES:
                near = nearest(quantity, QUANTITIES)
                raise ValueError(f"there is no label {quantity!r}{near}; labels are {', '.join(QUANTITIES)}")
            missing = (~self.has(quantity)).nonzero()[:, 0].tolist()
            if not missing:
                continue
            extra = [n for n in self.info[missing[0]] if n not in _RESERVED]
            has = f"; it has {', '.join(extra)}: name one with keys={{{quantity!r}: ...}}" if extra else ""
            raise ValueError(
                f"{self.where(missing[0])} has no {quantity}, which is needed; "
                f"{len(missing)} of {len(self)} frames lack it{has}"
            )
        return self

    @staticmethod
    def cat(parts: Iterable[Dataset]) -> Dataset:
        """Put data sets one after another; labels that only some have are NaN for the others."""
        parts = list(parts)
        return Dataset(
            Structures.cat(p.structures for p in parts),
            Prediction.cat((p.structures, p.labels) for p in parts),
            tuple(d for p in parts for d in p.info),
        )

    @staticmethod
    def from_ase(
        frames: Atoms | Iterable[Atoms],
        keys: Keys | None = None,
        *,
        units: Units = METAL,
        voigt: str = "xx yy zz yz xz xy",
        place: str = "",
    ) -> Dataset:
        """Take ASE ``Atoms`` with labels in their calculators, ``info`` and ``arrays``; see ``labels`` for conventions.

        Args:
            frames: one or many.
            keys: which entry is which label, where they cannot be found by looking.
            units: of what the frames hold.
            voigt: order of six-component stresses.
            place: the file they are from, for messages and ``info``.
        """
        frames = [frames] if hasattr(frames, "numbers") else list(frames)

        def where(k: int) -> str:
            return f"{place or frames[k].info.get('file', 'structure')}, frame {frames[k].info.get('frame', k)}"

        for k, atoms in enumerate(frames):
            check_frame(atoms, where(k))
        labels, left = take(frames, where, keys, units, voigt, place or "the frames")
        plain = [bare_atoms(a, units.length) for a in frames]
        structures = Structures.from_ase(plain)
        counts = [len(a) for a in frames]
        infos = tuple(info_of(d, a, k, place) for k, (d, a) in enumerate(zip(left, frames)))
        return Dataset(structures, stack_labels(structures, labels, counts), infos)

    def to_ase(self) -> list[Atoms]:
        """Give ASE ``Atoms``, the labels as results of a ``SinglePointCalculator``, stress per volume of the cell."""
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.constraints import FixAtoms

        frames = self.structures.to_ase()
        offsets, W = self.structures.offsets.tolist(), None
        if self.labels.stress is not None:
            W = (self.labels.stress * self.structures.measure[:, None, None]).numpy()
        for k, atoms in enumerate(frames):
            a, results = slice(offsets[k], offsets[k + 1]), {}
            for quantity in QUANTITIES:
                x = getattr(self.labels, quantity)
                if x is None or quantity == "stress":
                    continue
                value = x[a].numpy() if quantity in PER_ATOM else x[k].numpy()
                if not np.isnan(value).all():
                    results[quantity] = value if value.ndim else float(value)
            if W is not None and not np.isnan(W[k]).any():
                volume = abs(np.linalg.det(np.asarray(atoms.cell)))
                if volume > 1e-9:
                    results["stress"] = W[k][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / volume
                else:
                    atoms.info["virial"] = -W[k]
            info = dict(self.info[k])
            for name, value in info.pop("arrays", {}).items():
                if name == "fixed":
                    atoms.set_constraint(FixAtoms(mask=value))
                else:
                    atoms.set_array(name, np.asarray(value))
            atoms.info.update(info)
            if results:
                atoms.calc = SinglePointCalculator(atoms, **results)
        return frames
