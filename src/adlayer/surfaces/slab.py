"""Slabs: a crystal cut along a plane, so many layers thick, with what saturates and what holds its bottom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from .cutting import layers_of, oriented, rectangular, stack
from .generator import Generator, Made, crystal
from .passivation import caps
from .polarity import tasker
from .terminations import symmetric_layers, terminations


@dataclass(frozen=True)
class Slab(Generator):
    """A slab of a crystal: periodic in its plane, and exactly not across it.

    ``info`` says its ``miller`` indices, its ``termination`` and, for ionic crystals, its ``tasker`` type; a polar one
    that is not passivated warns.

    Args:
        of: formula, file, or name of an earlier crystal.
        miller: indices of its plane, in the cell of the crystal (the cubic one, for a cubic formula); four of them
            where the crystal is hexagonal, if you like.
        layers: how many layers of atoms.
        repeat: how often the smallest surface cell is repeated along its two vectors.
        vacuum: on either side, Å; or ``[below, above]``.
        termination: which layer of the crystal is the top one, or ``"all"`` for a slab of each that differs.
        passivate: element that saturates the bonds that were cut, such as "H"; none by default.
        sides: which sides are passivated.
        bond: length of the bonds to the passivating atoms, Å; default: the sum of the covalent radii.
        frozen: so many layers hold still, counted from the bottom, and the passivating atoms below with them; default:
            one where the bottom is passivated, else none.
        a: lattice constant, Å; default: the experimental one.
        structure: crystal structure of a formula, as ASE names it; default: what it knows of an element.
        thickness: from the lowest to the highest atom at least, Å, instead of ``layers``.
        orthogonal: whether the surface cell has a right angle, and is as much larger as that takes.
        symmetric: whether so many layers more are taken that a symmetry turns the two sides into each other.
        gap: a difference in height of more than this starts a new layer, Å.
    """

    of: str
    miller: list[int]
    layers: int = 6
    repeat: list[int] = (1, 1)
    vacuum: float | list[float] = 10.0
    termination: int | Literal["all"] = 0
    passivate: str | None = None
    sides: Literal["bottom", "both"] = "bottom"
    bond: float | None = None
    frozen: int | None = None
    a: float | None = None
    structure: str | None = None
    thickness: float | None = None
    orthogonal: bool = False
    symmetric: bool = False
    gap: float = 0.1

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {k: v for k, v in self.arguments.items() if k not in ("of", "termination", "a", "structure")}
        bulk = crystal(self.of, made, self.structure, self.a)
        if self.termination != "all":
            return [slab(bulk, **settings, termination=self.termination)]
        return all_slabs(bulk, **settings)


def all_slabs(bulk: Atoms, miller: Sequence[int], **settings) -> list[Atoms]:
    """A slab of each termination that differs; ``info["pattern"]`` names them. Settings as for ``slab``."""
    distinct = terminations(bulk, miller, settings.get("gap", 0.1))
    slabs = [slab(bulk, miller, **settings, termination=t) for t in distinct]
    for atoms, t in zip(slabs, distinct):
        top = atoms[atoms.get_tags() == 1].get_chemical_formula("reduce")
        atoms.info["pattern"] = f"({' '.join(map(str, miller))}) {top} {t}"
    return slabs


def slab(
    bulk: Atoms,
    miller: Sequence[int],
    layers: int = 6,
    repeat: Sequence[int] = (1, 1),
    vacuum: float | Sequence[float] = 10.0,
    termination: int = 0,
    passivate: str | None = None,
    sides: str = "bottom",
    bond: float | None = None,
    frozen: int | None = None,
    thickness: float | None = None,
    orthogonal: bool = False,
    symmetric: bool = False,
    gap: float = 0.1,
) -> Atoms:
    """A slab of ``bulk``; see ``Slab`` for the arguments. Tags number its layers from the top, 1, 2, ..."""
    _check(repeat, thickness, gap)
    cell = oriented(bulk, miller)
    if orthogonal:
        cell = rectangular(cell)
    if thickness is not None:
        layers = _layers_within(cell, thickness, termination, gap)
    if layers < 1:
        raise ValueError(f"a slab needs one layer or more, got {layers}")
    if symmetric:
        layers = symmetric_layers(cell, layers, termination, gap)
    frozen = int(passivate is not None) if frozen is None else frozen
    if not 0 <= frozen <= layers:
        raise ValueError(f"of {layers} layers 0 to {layers} frozen ones are possible, got {frozen}")
    atoms = stack(cell, layers, termination, gap)
    atoms.info = {"miller": [int(m) for m in miller], "termination": termination}
    _say_polarity(atoms, bulk, passivate is not None)
    if passivate is not None:
        atoms += _caps(cell, layers, termination, gap, passivate, bond, sides)
    atoms = atoms.repeat((*repeat, 1))
    if frozen:
        atoms.set_constraint(FixAtoms(mask=atoms.get_tags() > layers - frozen))
    return in_vacuum(atoms, vacuum)


def in_vacuum(atoms: Atoms, vacuum: float | Sequence[float]) -> Atoms:
    """The atoms upright between layers of vacuum, Å, below and above, and periodic in the plane only."""
    below, above = vacuum if np.ndim(vacuum) else (vacuum, vacuum)
    if min(below, above) < 0:
        raise ValueError(f"vacuum is a thickness in Å, zero or more on each side, got {vacuum}")
    atoms = atoms.copy()
    z = atoms.positions[:, 2]
    atoms.cell[2] = [0.0, 0.0, np.ptp(z) + below + above]
    atoms.positions[:, 2] += below - z.min()
    atoms.pbc = (True, True, False)
    atoms.wrap()
    return atoms


def _check(repeat: Sequence[int], thickness: float | None, gap: float) -> None:
    if len(repeat) != 2 or min(repeat) < 1:
        raise ValueError(f"repeat takes two numbers of cells, one or more each, got {list(repeat)}")
    if thickness is not None and thickness <= 0:
        raise ValueError(f"thickness is a length in Å above zero, got {thickness}")
    if gap <= 0:
        raise ValueError(f"gap is a length in Å above zero, got {gap}")


def _layers_within(cell: Atoms, thickness: float, termination: int, gap: float) -> int:
    """The least number of layers that is as thick as ``thickness``, Å."""
    n = int(layers_of(cell, gap)[1].max()) + 1
    layers = n * (int(thickness / cell.cell[2, 2]) + 2)
    thick = stack(cell, layers, termination, gap)
    depth = np.array([np.ptp(thick.positions[thick.get_tags() <= k, 2]) for k in range(1, layers + 1)])
    return int(np.argmax(depth >= thickness - 1e-6)) + 1


def _say_polarity(atoms: Atoms, bulk: Atoms, passivated: bool) -> None:
    if len(set(bulk.numbers)) == 1:
        return
    try:
        found = tasker(atoms, bulk)
    except ValueError:  # an alloy, or ions of unusual charge
        return
    atoms.info["tasker"] = found.type
    if found.type == "III" and not passivated:
        warnings.warn(f"({' '.join(map(str, atoms.info['miller']))}) of {bulk.symbols.get_chemical_formula()}: {found}")


def _caps(
    cell: Atoms, layers: int, termination: int, gap: float, element: str, bond: float | None, sides: str
) -> Atoms:
    """Atoms on the bonds that the cut broke, where the lost partners were; tagged 0 on top and ``layers + 1`` below."""
    if sides not in ("bottom", "both"):
        raise ValueError(f"sides is 'bottom' or 'both', got {sides!r}")
    n = int(layers_of(cell, gap)[1].max()) + 1
    repeats = int(np.ceil(5.0 / cell.cell[2, 2]))  # of the stacking: more than a bond spans
    thick = stack(cell, layers + 2 * repeats * n, termination, gap)
    thick.positions += repeats * np.asarray(cell.cell[2])
    depth = thick.get_tags() - repeats * n  # 1 ... layers is the slab
    lost = (depth > layers) | ((depth < 1) & (sides == "both"))
    capping, partner = caps(thick, (depth >= 1) & (depth <= layers), lost, element, bond)
    capping.set_tags(np.where(depth[partner] < 1, 0, layers + 1))
    return capping
