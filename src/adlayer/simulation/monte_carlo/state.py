"""What a Monte Carlo simulation knows between two steps, and how accepted and rejected systems come together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...potential import Prediction
from ...structures import Structures, sum_systems
from ...units import BOLTZMANN
from ..state import ATOMS, SYSTEMS, State

CONDITION = SYSTEMS | {"condition": True}  # belongs to the place in the batch: stays when replicas change places


@dataclass(frozen=True, eq=False)
class Sampling(State):
    """Configurations under way, each with the conditions it is sampled at.

    Atoms of a molecule follow one another; ``head`` is true where one begins, and at every atom that is alone. The
    numbers of atoms of the systems may differ, and change.
    """

    head: Bool[Tensor, "atoms"] = field(metadata=ATOMS)
    kind: Int[Tensor, "atoms"] = field(metadata=ATOMS)  # which of the gases an atom is exchanged with; -1: none
    replica: Int[Tensor, "systems"] = field(metadata=SYSTEMS)  # where the configuration began
    screened: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # unrelaxed energy, where relaxed ones are sampled, eV
    temperature: Float[Tensor, "systems"] = field(metadata=CONDITION)  # K
    activity: Float[Tensor, "systems gases"] = field(metadata=CONDITION)  # ln z of each gas, z in 1/Å³
    fields: Float[Tensor, "systems fields"] = field(metadata=CONDITION)  # of the reservoirs
    bath: Int[Tensor, "systems"] = field(metadata=CONDITION)  # which temperature of the library of conformations
    scale: Float[Tensor, "systems moves"] = field(metadata=CONDITION)  # step sizes in units of the moves' own
    tried: Float[Tensor, "systems moves"] = field(metadata=CONDITION)
    accepted: Float[Tensor, "systems moves"] = field(metadata=CONDITION)
    exchanged: Float[Tensor, "systems"] = field(metadata=CONDITION)  # how often it took another's configuration
    adapting: bool  # step sizes still follow the acceptance: nothing may be averaged yet
    local: bool  # energies are updated where atoms have changed
    library: list  # of each gas: conformations [baths, conformations, atoms, 3], Å, and their energies, eV
    zero: list  # of each gas: energy of the isolated atom or molecule, eV

    @property
    def beta(self) -> Float[Tensor, "systems"]:
        """``1 / k_B T``, 1/eV."""
        return 1 / (BOLTZMANN * self.temperature)

    @cached_property
    def molecule(self) -> Int[Tensor, "atoms"]:
        """The molecule an atom belongs to, counted through the batch."""
        return self.head.long().cumsum(0) - 1

    @cached_property
    def size(self) -> Int[Tensor, "molecules"]:
        """Number of atoms of each molecule."""
        return torch.bincount(self.molecule) if len(self.head) else self.molecule

    @cached_property
    def centers(self) -> Float[Tensor, "molecules 3"]:
        """Mean position of the atoms of each molecule, Å."""
        x = self.structures.positions
        return x.new_zeros(len(self.size), 3).index_add(0, self.molecule, x) / self.size[:, None]

    @cached_property
    def free_molecule(self) -> Bool[Tensor, "molecules"]:
        """Molecules none of whose atoms is held."""
        held = torch.zeros_like(self.size).index_add(0, self.molecule, (~self.free).long())
        return held == 0

    def members(self, atom: Int[Tensor, "systems"], wanted: Bool[Tensor, "systems"]) -> Bool[Tensor, "atoms"]:
        """The atoms of the molecule that one atom of each system belongs to, in the systems where that is wanted."""
        if not len(self.head):
            return self.head
        system = self.structures.system
        return (self.molecule == self.molecule[atom][system]) & wanted[system]

    def count(self, mask: Bool[Tensor, "atoms"]) -> Float[Tensor, "systems"]:
        """How many atoms of each system are so."""
        return sum_systems(mask.to(self.temperature), self.structures)

    def count_molecules(self, kind: int) -> Float[Tensor, "systems"]:
        """How many atoms or molecules of one gas are in each system."""
        return self.count(self.head & (self.kind == kind))


def with_positions(state: Sampling, positions: Float[Tensor, "atoms 3"]) -> Sampling:
    """The same systems with atoms elsewhere; the prediction is that of before."""
    return replace(state, structures=state.structures.with_positions(positions))


def rows_of(structures: Structures, chosen: Int[Tensor, "chosen"]) -> Int[Tensor, "rows"]:
    """The atoms of some systems, one system after another."""
    counts = structures.counts[chosen]
    starts = structures.offsets[chosen] - (counts.cumsum(0) - counts)
    return torch.repeat_interleave(starts, counts) + torch.arange(int(counts.sum()))


def rearranged(state: Sampling, chosen: Int[Tensor, "systems"]) -> Sampling:
    """Each place of the batch with the configuration of another, under its own conditions."""
    atoms = rows_of(state.structures, chosen)
    changed = {
        "structures": _structures(state.structures, atoms, chosen),
        "prediction": state.prediction.map(lambda x: x[chosen], lambda x: x[atoms]),
    }
    for f in fields(state):
        if f.metadata.get("per") and not f.metadata.get("condition"):
            rows = atoms if f.metadata["per"] == "atoms" else chosen
            changed[f.name] = getattr(state, f.name)[rows]
    return replace(state, **changed)


def merged(old: Sampling, new: Sampling, accept: Bool[Tensor, "systems"]) -> Sampling:
    """The new configuration where it was accepted, and the old one elsewhere; conditions are those of ``old``."""
    if not bool(accept.any()):
        return old
    if bool(accept.all()):
        return new
    n = len(accept)
    structures = Structures.cat([old.structures, new.structures])
    chosen = torch.arange(n) + n * accept
    atoms = rows_of(structures, chosen)
    cells = Prediction(
        torch.cat([old.prediction.energy, new.prediction.energy])[chosen],
        energies=None
        if new.prediction.energies is None or old.prediction.energies is None
        else torch.cat([old.prediction.energies, new.prediction.energies])[atoms],
    )
    together = _structures(structures, atoms, chosen)
    if new.structures.cell is old.structures.cell:
        together = replace(together, cell=old.structures.cell, pbc=old.structures.pbc)
    changed = {"structures": together, "prediction": cells}
    for name in ("free", "head", "kind"):
        changed[name] = torch.cat([getattr(old, name), getattr(new, name)])[atoms]
    changed["screened"] = torch.where(accept, new.screened, old.screened)
    return replace(old, **changed)


def _structures(structures: Structures, atoms: Int[Tensor, "rows"], chosen: Int[Tensor, "chosen"]) -> Structures:
    return Structures(
        numbers=structures.numbers[atoms],
        positions=structures.positions[atoms],
        cell=structures.cell[chosen],
        pbc=structures.pbc[chosen],
        system=torch.repeat_interleave(torch.arange(len(chosen)), structures.counts[chosen]),
        charge=structures.charge[chosen],
        spin=structures.spin[chosen],
    )


def only_atoms(structures: Structures, mask: Bool[Tensor, "atoms"]) -> Structures:
    """The same systems with some of their atoms."""
    return replace(
        structures,
        numbers=structures.numbers[mask],
        positions=structures.positions[mask],
        system=structures.system[mask],
    )


def only_systems(structures: Structures, mask: Bool[Tensor, "systems"]) -> Structures:
    """Some of the systems."""
    chosen = mask.nonzero()[:, 0]
    return _structures(structures, rows_of(structures, chosen), chosen)


def names(words: Iterable[str]) -> str:
    """Words as a list in a sentence."""
    return ", ".join(words) or "none"
