"""The archive of a search: the distinct minima it has found."""

from __future__ import annotations

import os
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...structures import Structures
from .fingerprint import Fingerprint

if TYPE_CHECKING:
    from ase import Atoms

    from .landscape import Quenched


@dataclass(frozen=True, eq=False)
class Minima:
    """Distinct minima, in the order in which they were found.

    Args:
        structures: one for each minimum: the lowest of those that are the same.
        energy: eV.
        rank: what they are ordered by, eV: the energy, or the grand potential where the composition is free.
        features: their fingerprints.
        found: how often each was found.
        first: how many relaxations had been made when it was found first.
    """

    structures: Structures
    energy: Float[Tensor, "minima"]
    rank: Float[Tensor, "minima"]
    features: Float[Tensor, "minima features"]
    found: Int[Tensor, "minima"]
    first: Int[Tensor, "minima"]

    @staticmethod
    def none(like: Structures, n_features: int) -> Minima:
        """An empty archive."""
        nothing, count = like.positions.new_zeros(0), torch.zeros(0, dtype=torch.long)
        return Minima(like[[]], nothing, nothing, like.positions.new_zeros(0, n_features), count, count)

    @staticmethod
    def of(found: Quenched, rank: Float[Tensor, "systems"], relaxed: int) -> Minima:
        """What was relaxed now, each found once, after so many relaxations."""
        count = torch.ones(len(rank), dtype=torch.long)
        return Minima(found.structures, found.energy, rank, found.features, count, relaxed + count.cumsum(0))

    def __len__(self) -> int:
        return len(self.energy)

    @property
    def order(self) -> list[int]:
        """Places of the minima from the lowest to the highest."""
        return torch.argsort(self.rank, stable=True).tolist()

    @property
    def lowest(self) -> float:
        """The lowest rank, eV; infinite if nothing was found."""
        return float(self.rank.min()) if len(self) else torch.inf

    def add(
        self, batch: Minima, good: Bool[Tensor, "systems"], fingerprint: Fingerprint, keep: int
    ) -> tuple[Minima, list[bool]]:
        """The archive with what a batch of relaxations found, and which of the batch it did not know yet.

        Args:
            batch: what was relaxed.
            good: which are minima indeed; the others are left out.
            fingerprint: says which are the same.
            keep: so many of the lowest stay.
        """
        all_of = {f.name: torch.cat([getattr(self, f.name), getattr(batch, f.name)]) for f in _columns()}
        source, new = list(range(len(self))), [False] * len(batch)  # which of all represents each distinct one
        found, first = self.found.tolist(), self.first.tolist()
        for s in good.nonzero()[:, 0].tolist():
            here = len(self) + s
            features, energy = all_of["features"], all_of["energy"]
            match = fingerprint.same(features[here], energy[here], features[source], energy[source])
            new[s] = not len(match)
            if new[s]:
                source.append(here)
                found.append(1)
                first.append(int(batch.first[s]))
                continue
            place = int(match[0])
            found[place] += 1
            if energy[here] < energy[source[place]]:
                source[place] = here
        stay = torch.sort(torch.argsort(all_of["rank"][source], stable=True)[:keep]).values.tolist()
        source = [source[m] for m in stay]
        chosen = {name: x[source] for name, x in all_of.items()}
        chosen |= {"found": self.found.new_tensor([found[m] for m in stay])}
        chosen |= {"first": self.first.new_tensor([first[m] for m in stay])}
        unchanged = source == list(range(len(self)))
        structures = self.structures if unchanged else Structures.cat([self.structures, batch.structures])[source]
        return Minima(structures, **chosen), new

    def best(self, n: int) -> Minima:
        """The lowest ``n``, in order."""
        chosen = self.order[:n]
        rest = {f.name: getattr(self, f.name)[chosen] for f in _columns()}
        return replace(self, structures=self.structures[chosen], **rest)

    def frames(self, template: Atoms | None = None) -> list[Atoms]:
        """ASE atoms from the lowest to the highest, with energies, ``found``, ``first_found`` and ``grand_potential``.

        Args:
            template: what gives them constraints, tags and a cell where the box means nothing.
        """
        from ase.calculators.singlepoint import SinglePointCalculator

        frames, order = self.structures[self.order].to_ase(), self.order
        for k, place in enumerate(order):
            if template is not None:
                bare, frames[k] = frames[k], template.copy()
                frames[k].numbers = bare.numbers
                frames[k].set_positions(bare.positions, apply_constraint=False)
            frames[k].info |= {"found": int(self.found[place]), "first_found": int(self.first[place])}
            if self.rank[place] != self.energy[place]:
                frames[k].info["grand_potential"] = float(self.rank[place])
            frames[k].calc = SinglePointCalculator(frames[k], energy=float(self.energy[place]))
        return frames

    def write(self, path: Path, template: Atoms | None = None) -> None:
        """Write them as extxyz, from the lowest to the highest: whole, or not at all."""
        from ase.io import write

        temporary = path.with_name(path.name + ".part")
        write(temporary, self.frames(template), format="extxyz")
        os.replace(temporary, path)

    @staticmethod
    def unpack(packed: dict[str, Any]) -> Minima:
        """The minima that were packed."""
        return Minima(**(packed | {"structures": Structures(**packed["structures"])}))


def _columns() -> list[Field]:
    """The fields of an archive that have a row for each minimum."""
    return [f for f in fields(Minima) if f.name != "structures"]
