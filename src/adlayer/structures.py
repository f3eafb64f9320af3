"""What the atoms are: a batch of structures, even of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Structures:
    """A batch of structures.

    Periodicity is per axis, so bulk, slab, wire and cluster are one type. Rows of ``cell`` that belong to a
    non-periodic axis carry no meaning and may be zero.

    Args:
        numbers: atomic numbers.
        positions: Å.
        cell: rows are lattice vectors, Å, as in ASE.
        pbc: which lattice vectors repeat.
        system: which structure an atom belongs to; ascending.
        charge: total charge of each structure, e.
        spin: number of unpaired electrons of each structure.
    """

    numbers: Int[Tensor, "atoms"]
    positions: Float[Tensor, "atoms 3"]
    cell: Float[Tensor, "systems 3 3"]
    pbc: Bool[Tensor, "systems 3"]
    system: Int[Tensor, "atoms"]
    charge: Float[Tensor, "systems"]
    spin: Float[Tensor, "systems"]

    @property
    def n_atoms(self) -> int:
        return self.numbers.shape[0]

    @property
    def n_systems(self) -> int:
        return self.cell.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self.positions.dtype

    @property
    def device(self) -> torch.device:
        return self.positions.device

    def __len__(self) -> int:
        return self.n_systems

    def __repr__(self) -> str:
        return f"Structures({self.n_systems} systems, {self.n_atoms} atoms)"

    @cached_property
    def counts(self) -> Int[Tensor, "systems"]:
        """How many atoms each structure has."""
        return torch.bincount(self.system, minlength=self.n_systems)

    @cached_property
    def offsets(self) -> Int[Tensor, "{self.n_systems}+1"]:
        """Atoms of structure ``s`` are ``offsets[s]:offsets[s + 1]``."""
        return torch.cat([self.counts.new_zeros(1), self.counts.cumsum(0)])

    @cached_property
    def measure(self) -> Float[Tensor, "systems"]:
        """Volume (Å³), area (Å²) or length (Å) spanned by the periodic axes; 1 for a cluster."""
        rows = torch.where(self.pbc[:, :, None], self.cell, torch.zeros_like(self.cell))
        gram = rows @ rows.mT + torch.diag_embed((~self.pbc).to(self.dtype))
        return torch.linalg.det(gram).clamp_min(0).sqrt()

    @cached_property
    def periodic_projector(self) -> Float[Tensor, "systems 3 3"]:
        """Projects onto the span of the periodic lattice vectors: the directions in which a strain means something."""
        if bool(self.pbc.all()):
            return torch.eye(3, dtype=self.dtype, device=self.device).expand(self.n_systems, 3, 3)
        rows = torch.where(self.pbc[:, :, None], self.cell, torch.zeros_like(self.cell))
        return torch.linalg.pinv(rows) @ rows

    def to(self, *args, **kwargs) -> Structures:
        """Move to a device, or give the floating-point fields another dtype (as ``Tensor.to``)."""
        device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)

        def move(x: Tensor) -> Tensor:
            return x.to(device=device, dtype=dtype if x.is_floating_point() else None)

        return Structures(**{f.name: move(getattr(self, f.name)) for f in fields(self)})

    def __getitem__(self, index: int | slice | Sequence[int]) -> Structures:
        if isinstance(index, int | np.integer):
            index = [int(index)]
        chosen = torch.arange(self.n_systems, device=self.device)[index]
        counts = self.counts[chosen]
        begin = torch.repeat_interleave(self.offsets[chosen] - counts.cumsum(0) + counts, counts)
        atoms = begin + torch.arange(len(begin), device=self.device)
        return Structures(
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            cell=self.cell[chosen],
            pbc=self.pbc[chosen],
            system=torch.repeat_interleave(torch.arange(len(chosen), device=self.device), counts),
            charge=self.charge[chosen],
            spin=self.spin[chosen],
        )

    def __iter__(self):
        return (self[s] for s in range(self.n_systems))

    def with_positions(self, positions: Float[Tensor, "atoms 3"]) -> Structures:
        """The same structures with the atoms elsewhere."""
        moved = replace(self, positions=positions)
        for name in ("counts", "offsets", "measure", "periodic_projector"):  # know nothing of positions
            if name in self.__dict__:
                moved.__dict__[name] = self.__dict__[name]
        return moved

    @staticmethod
    def cat(parts: Iterable[Structures]) -> Structures:
        """Put batches one after another."""
        parts = list(parts)
        starts = np.cumsum([0] + [p.n_systems for p in parts])
        columns = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Structures)}
        columns["system"] = torch.cat([p.system + int(s) for p, s in zip(parts, starts)])
        return Structures(**columns)

    @staticmethod
    def from_ase(atoms: Atoms | Iterable[Atoms], dtype: torch.dtype = torch.float64) -> Structures:
        """Take ASE ``Atoms``, one or many; ``info["charge"]`` and ``info["spin"]`` are read where present."""
        frames = [atoms] if hasattr(atoms, "numbers") else list(atoms)
        counts = torch.tensor([len(a) for a in frames], dtype=torch.long)

        def stack(arrays, shape, dtype):
            joined = np.concatenate([np.reshape(a, (-1, *shape)) for a in arrays] or [np.zeros((0, *shape))])
            return torch.as_tensor(joined).to(dtype)

        return Structures(
            numbers=stack([a.numbers for a in frames], (), torch.long),
            positions=stack([a.positions for a in frames], (3,), dtype),
            cell=stack([np.asarray(a.cell) for a in frames], (3, 3), dtype),
            pbc=stack([a.pbc for a in frames], (3,), torch.bool),
            system=torch.repeat_interleave(torch.arange(len(frames)), counts),
            charge=torch.tensor([float(a.info.get("charge", 0.0)) for a in frames], dtype=dtype),
            spin=torch.tensor([float(a.info.get("spin", 0.0)) for a in frames], dtype=dtype),
        )

    def to_ase(self) -> list[Atoms]:
        """Give ASE ``Atoms``, one per structure."""
        from ase import Atoms

        frames = []
        for s in range(self.n_systems):
            a = slice(int(self.offsets[s]), int(self.offsets[s + 1]))
            frames.append(
                Atoms(
                    numbers=self.numbers[a].cpu().numpy(),
                    positions=self.positions[a].detach().cpu().numpy(),
                    cell=self.cell[s].detach().cpu().numpy(),
                    pbc=self.pbc[s].cpu().numpy(),
                )
            )
            for name in ("charge", "spin"):
                if value := float(getattr(self, name)[s]):
                    frames[-1].info[name] = value
        return frames


def sum_systems(x: Float[Tensor, "atoms *f"], structures: Structures) -> Float[Tensor, "systems *f"]:
    """Add up what the atoms of each structure have."""
    return x.new_zeros(structures.n_systems, *x.shape[1:]).index_add(0, structures.system, x)


def chunks(structures: Structures, atoms: int = 2000) -> list[range]:
    """Consecutive structures in batches of at most so many atoms (at least one structure each)."""
    out, start, n = [], 0, 0
    for s, count in enumerate(structures.counts.tolist()):
        if s > start and n + count > atoms:
            out.append(range(start, s))
            start, n = s, 0
        n += count
    return [*out, range(start, len(structures))] if len(structures) else out
