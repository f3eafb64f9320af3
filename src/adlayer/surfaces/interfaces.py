"""Interfaces of two slabs in a common cell, and how one may be shifted on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.constraints import FixAtoms
from ase.data import covalent_radii

from .generator import Generator, Made, take
from .liquids import check_slab, frozen_mask
from .matching import Match, match_lattices


@dataclass(frozen=True)
class Interface(Generator):
    """Two slabs on each other, in the smallest cell in which they match.

    ``info`` has the ``misfit``, the principal ``strains`` of what gives way (of the film, where both do), the film's
    ``turn`` (degrees) and the ``area``; ``arrays["part"]`` is 0 in the substrate and 1 in the film.

    Args:
        substrate: name of an earlier slab in its smallest cell.
        film: name of the slab or sheet that lies on it, in its smallest cell.
        misfit: largest relative change of length.
        area: largest of the common cell, Å².
        strained: which of the two gives way.
        choose: "smallest" cell within the misfit, or the "least strained" within the area.
        gap: between the planes of atoms that face each other, Å; default: the sum of their covalent radii.
        shifts: how many shifts of the film along the two vectors of the substrate's surface cell: a scan of stacking.
        vacuum: on either side, Å.
        periodic: whether the film's other side touches the next image of the substrate, at the same gap.
    """

    substrate: str
    film: str
    misfit: float = 0.05
    area: float = 300.0
    strained: Literal["film", "substrate", "both"] = "film"
    choose: Literal["smallest", "least strained"] = "smallest"
    gap: float | None = None
    shifts: list[int] = (1, 1)
    vacuum: float = 10.0
    periodic: bool = False

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        frames = []
        for substrate, film in product(take(self.substrate, made), take(self.film, made)):
            check_slab(substrate), check_slab(film)
            match = match_lattices(substrate, film, self.misfit, self.area, self.choose == "smallest")[-1]
            settings = (self.strained, self.gap, self.vacuum, self.periodic)
            frames += [interface(substrate, film, match, shift, *settings) for shift in grid(self.shifts)]
        return frames


def grid(n: Sequence[int]) -> list[tuple[float, float]]:
    """Shifts in fractions of a surface cell, evenly spaced."""
    if len(n) != 2 or min(n) < 1:
        raise ValueError(f"shifts are two whole numbers above 0, how many along each vector, got {list(n)}")
    return [(i / n[0], j / n[1]) for i in range(n[0]) for j in range(n[1])]


def interface(
    substrate: Atoms,
    film: Atoms,
    match: Match,
    shift: tuple[float, float] = (0.0, 0.0),
    strained: str = "film",
    gap: float | None = None,
    vacuum: float = 10.0,
    periodic: bool = False,
) -> Atoms:
    """A film on a substrate; see ``Interface``. Tags number layers from the top through both."""
    below, above = supercell(substrate, match.substrate), supercell(film, match.film)
    S, T = (np.asarray(x.cell)[:2, :2] for x in (below, above))
    U, _, W = np.linalg.svd(match.deformation)
    turned = T @ U @ W  # the film's own vectors, as it lies on the substrate
    common = {"film": S, "substrate": turned, "both": (S + turned) / 2}[strained]
    x = common[0] / np.linalg.norm(common[0])
    common = common @ np.array([x, [-x[1], x[0]]]).T  # its first vector along x
    for part in (below, above):
        part.set_constraint()
        cell = np.array(part.cell)
        cell[:2] = np.column_stack([common, [0, 0]])
        part.set_cell(cell, scale_atoms=True)
    gap, over = (facing(substrate, film), facing(film, substrate)) if gap is None else (gap, gap)
    start, over = (0.0, over) if periodic else (vacuum, vacuum)
    below.positions[:, 2] += start - below.positions[:, 2].min()
    above.positions[:, 2] += below.positions[:, 2].max() + gap - above.positions[:, 2].min()
    unit = np.linalg.solve(match.substrate, common)  # the substrate's surface cell as it is now
    above.positions[:, :2] += np.asarray(shift) @ unit
    whole = Atoms([*below.numbers, *above.numbers], np.concatenate([below.positions, above.positions]))
    whole.set_cell([[*common[0], 0], [*common[1], 0], [0, 0, whole.positions[:, 2].max() + over]])
    whole.pbc = (True, True, periodic)
    tags = above.get_tags()
    whole.set_tags(np.concatenate([below.get_tags() + tags.max(), tags]))
    whole.set_array("part", np.repeat([0, 1], [len(below), len(above)]))
    held = np.concatenate([below.arrays["held"], above.arrays["held"]])
    if held.any():
        whole.set_constraint(FixAtoms(mask=held))
    whole.wrap()
    give_way = {"film": lambda s: s, "substrate": lambda s: 1 / (1 + s) - 1, "both": lambda s: s / 2}[strained]
    whole.info |= {
        "group": "interface",
        "pattern": f"{substrate.get_chemical_formula('metal')}-{film.get_chemical_formula('metal')} "
        f"shift {shift[0]:.3g} {shift[1]:.3g}",
        "misfit": match.misfit,
        "strains": [float(give_way(s)) for s in match.stretches],
        "turn": match.turn,
        "area": float(np.linalg.det(common)),
        "shift": [float(s) for s in shift],
    }
    return whole


def supercell(slab: Atoms, by: np.ndarray) -> Atoms:
    """A slab in a cell of the surface vectors ``by @ cell``; ``arrays["held"]`` tells its frozen atoms."""
    slab = slab.copy()
    slab.set_array("held", frozen_mask(slab))
    slab.set_constraint()
    P = np.eye(3, dtype=int)
    P[:2, :2] = by
    slab.cell[2] = [0.0, 0.0, np.ptp(slab.positions[:, 2]) + 10.0]
    found = make_supercell(slab, P)
    if len(found) != len(slab) * abs(round(np.linalg.det(by))):
        raise ValueError(f"the supercell {np.asarray(by).tolist()} of a slab lost atoms; is its cell a surface cell?")
    return found


def facing(lower: Atoms, upper: Atoms) -> float:
    """Sum of the largest covalent radii of the atoms that face each other, Å."""
    z, w = lower.positions[:, 2], upper.positions[:, 2]
    top, bottom = lower.numbers[z > z.max() - 0.5], upper.numbers[w < w.min() + 0.5]
    return float(covalent_radii[top].max() + covalent_radii[bottom].max())
