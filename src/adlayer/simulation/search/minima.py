"""The archive of a search: the distinct minima it has found."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...structures import Structures
from .fingerprint import Fingerprint

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Minima:
    """Distinct minima, in the order in which they were found.

    Args:
        structures: one for each minimum: the lowest of those that are the same.
        energy: eV.
        features: their fingerprints.
        found: how often each was found.
        first: how many relaxations had been made when it was found first.
    """

    structures: Structures
    energy: Float[Tensor, "minima"]
    features: Float[Tensor, "minima features"]
    found: Int[Tensor, "minima"]
    first: Int[Tensor, "minima"]

    @staticmethod
    def none(like: Structures, n_features: int) -> Minima:
        """An empty archive."""
        nothing, count = like.positions.new_zeros(0), torch.zeros(0, dtype=torch.long)
        return Minima(like[[]], nothing, like.positions.new_zeros(0, n_features), count, count)

    def __len__(self) -> int:
        return len(self.energy)

    @property
    def order(self) -> list[int]:
        """Places of the minima from the lowest to the highest."""
        return torch.argsort(self.energy, stable=True).tolist()

    @property
    def lowest(self) -> float:
        """The lowest energy, eV; infinite if nothing was found."""
        return float(self.energy.min()) if len(self) else torch.inf

    def add(
        self,
        fingerprint: Fingerprint,
        structures: Structures,
        energy: Float[Tensor, "systems"],
        features: Float[Tensor, "systems features"],
        good: Bool[Tensor, "systems"],
        at: int,
        keep: int,
    ) -> tuple[Minima, list[bool]]:
        """The archive with what a batch of relaxations found, and which of the batch it did not know yet.

        Args:
            fingerprint: says which are the same.
            structures: as they were relaxed.
            energy: eV.
            features: their fingerprints.
            good: which are minima indeed; the others are left out.
            at: relaxations made before these.
            keep: so many of the lowest stay.
        """
        known, energies, found, first = (x.clone() for x in (self.features, self.energy, self.found, self.first))
        source = list(range(len(self)))  # where each minimum stands among the old ones and after them the batch
        new = [False] * len(good)
        for s in good.nonzero()[:, 0].tolist():
            match = fingerprint.same(features[s], energy[s], known, energies)
            new[s] = not len(match)
            if new[s]:
                known, energies = torch.cat([known, features[s : s + 1]]), torch.cat([energies, energy[s : s + 1]])
                found, first = torch.cat([found, found.new_ones(1)]), torch.cat([first, first.new_tensor([at + s + 1])])
                source.append(len(self) + s)
                continue
            place = int(match[0])
            found[place] += 1
            if energy[s] < energies[place]:
                known[place], energies[place], source[place] = features[s], energy[s], len(self) + s
        stay = torch.sort(torch.argsort(energies, stable=True)[:keep]).values
        if source != list(range(len(self))) or len(stay) < len(source):
            structures = Structures.cat([self.structures, structures])[[source[m] for m in stay.tolist()]]
        else:
            structures = self.structures
        return Minima(structures, energies[stay], known[stay], found[stay], first[stay]), new

    def best(self, n: int) -> Minima:
        """The lowest ``n``, in order."""
        chosen = self.order[:n]
        rest = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "structures"}
        return replace(self, structures=self.structures[chosen], **rest)

    def frames(self, template: Atoms | None = None) -> list[Atoms]:
        """ASE atoms from the lowest to the highest, with energies, ``found`` and ``first_found``.

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
