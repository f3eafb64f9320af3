"""Sheets and tubes of layered materials, pores through crystals, and what fills them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms

from .contacts import bonds, contact_radii
from .generator import Generator, Made, crystal, take
from .liquids import filled
from .regions import Cylinder

BONDS = {"C": 1.42, "BN": 1.45}  # Å, of graphene and of hexagonal boron nitride


@dataclass(frozen=True)
class Sheet(Generator):
    """Sheets of a layered material: graphene, hexagonal boron nitride, a transition-metal dichalcogenide.

    Args:
        of: "C", "BN" or a formula ``MX2`` such as "MoS2".
        repeat: how often the hexagonal cell is repeated.
        layers: how many sheets.
        stacking: "AB" puts every second one a bond aside (of "BN" with the elements exchanged, which is AA').
        spacing: of the sheets, Å; default 3.35, and 6.15 of MX2.
        a: lattice constant, Å; default: that of graphene, of BN, and 3.18 of MX2.
        vacuum: on either side, Å.
    """

    of: str = "C"
    repeat: list[int] = (1, 1)
    layers: int = 1
    stacking: Literal["AA", "AB"] = "AB"
    spacing: float | None = None
    a: float | None = None
    vacuum: float = 10.0

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [sheet(self.of, self.repeat, self.layers, self.stacking, self.spacing, self.a, self.vacuum)]


def sheet(
    of: str,
    repeat: list[int] = (1, 1),
    layers: int = 1,
    stacking: str = "AB",
    spacing: float | None = None,
    a: float | None = None,
    vacuum: float = 10.0,
) -> Atoms:
    """Sheets; see ``Sheet``. Tags number them from the top, 1, 2, ..."""
    from ase.build import graphene, mx2

    if layers < 1:
        raise ValueError(f"there must be one sheet or more, got {layers}")
    if of in BONDS:
        one = graphene("C2" if of == "C" else "BN", a=a or BONDS[of] * 3**0.5)
    else:
        try:
            one = mx2(of, a=a or 3.18)
        except (ValueError, KeyError, IndexError):
            raise ValueError(f"sheets are of 'C', 'BN' or a formula such as 'MoS2', not of {of!r}") from None
    thickness = np.ptp(one.positions[:, 2])
    step = (3.35 if of in BONDS else 6.15) if spacing is None else spacing
    stack = Atoms(cell=one.cell, pbc=(True, True, False))
    for k in range(layers):
        layer = one.copy()
        if stacking == "AB" and k % 2:
            if of == "BN":
                layer.numbers = layer.numbers[::-1]
            else:
                layer.positions[:, :2] += np.array([1 / 3, 2 / 3]) @ np.asarray(one.cell)[:2, :2]
        layer.positions[:, 2] += k * step
        layer.set_tags(layers - k)
        stack += layer
    stack = stack.repeat((*repeat, 1))
    stack.positions[:, 2] += vacuum - stack.positions[:, 2].min()
    stack.cell[2] = [0.0, 0.0, (layers - 1) * step + thickness + 2 * vacuum]
    stack.info["group"] = "sheet"
    return stack


@dataclass(frozen=True)
class Nanotube(Generator):
    """A single-walled nanotube of carbon or boron nitride: periodic along its axis z, and in no other direction.

    Args:
        n: first chiral index.
        m: second.
        of: "C" or "BN".
        length: how often the tube's unit is repeated.
        bond: length of a bond, Å.
    """

    n: int
    m: int
    of: Literal["C", "BN"] = "C"
    length: int = 1
    bond: float | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [nanotube(self.n, self.m, self.of, self.length, self.bond)]


def nanotube(n: int, m: int, of: str = "C", length: int = 1, bond: float | None = None) -> Atoms:
    """A nanotube about the z axis; see ``Nanotube``."""
    from ase.build import nanotube

    if min(n, m) < 0 or n + m < 3 or length < 1:
        raise ValueError(
            f"a nanotube has indices n, m >= 0 that add up to 3 or more and a length, got {n}, {m}, {length}"
        )
    if of not in BONDS:
        raise ValueError(f"nanotubes are of {' or '.join(BONDS)}, not of {of!r}")
    bond = BONDS[of] if bond is None else bond
    made = nanotube(n, m, length, bond)
    tube = Atoms(made.numbers, made.positions, cell=[0.0, 0.0, made.cell[2, 2]], pbc=(False, False, True))
    tube.positions[:, :2] -= tube.positions[:, :2].mean(0)
    if of == "BN":
        i, j, _ = bonds(tube)
        side = np.zeros(len(tube), int)
        side[0], todo = 1, [0]
        while todo:  # bonds join unlike atoms only
            a = todo.pop()
            fresh = [b for b in j[i == a] if not side[b]]
            side[fresh] = -side[a]
            todo += fresh
        tube.numbers = np.where(side > 0, 5, 7)
    tube.info["group"] = "nanotube"
    return tube


@dataclass(frozen=True)
class Pore(Generator):
    """A cylindrical pore along one vector of a periodic solid.

    Args:
        of: formula, file, or name of an earlier structure.
        radius: atoms nearer to the axis than this are taken out, Å.
        axis: along which cell vector, 0, 1 or 2.
        center: where the axis runs, in fractions of the other two vectors.
        repeat: how often the cell is repeated first.
    """

    of: str
    radius: float
    axis: int = 2
    center: list[float] = (0.5, 0.5)
    repeat: list[int] = (1, 1, 1)

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [pore(crystal(self.of, made).repeat(tuple(self.repeat)), self.radius, self.axis, self.center)]


def pore(solid: Atoms, radius: float, axis: int = 2, center: list[float] = (0.5, 0.5)) -> Atoms:
    """A solid with a pore; ``info["pore"]`` says where, for what fills it."""
    if axis not in (0, 1, 2) or not solid.pbc[axis]:
        raise ValueError(f"a pore runs along a periodic cell vector, 0, 1 or 2, which {axis!r} is not")
    cell = np.asarray(solid.cell)
    f = np.insert(np.asarray(center, float), axis, 0.0)
    along = cell[axis] / np.linalg.norm(cell[axis])
    others = [k for k in range(3) if k != axis and solid.pbc[k]]
    flat = cell - np.outer(cell @ along, along)
    grid = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)])
    shifts = sum(grid[:, k, None] * flat[o] for k, o in enumerate(others)) if others else np.zeros((1, 3))
    room = np.linalg.norm(shifts[np.linalg.norm(shifts, axis=1) > 1e-6], axis=1).min(initial=np.inf)
    if not 0 < 2 * radius < room:
        raise ValueError(
            f"a pore of radius {radius:g} Å does not fit into a cell {room:.1f} Å across; repeat the cell or take a "
            "smaller one"
        )
    x = solid.get_scaled_positions(wrap=True) @ cell - f @ cell
    x = x - np.outer(x @ along, along)
    distance = np.linalg.norm(x[:, None] + shifts, axis=2).min(1)
    if (distance >= radius).all():
        raise ValueError(f"a pore of radius {radius:g} Å takes out no atom here; move its center or widen it")
    left = solid[distance >= radius]
    if not len(left):
        raise ValueError(f"a pore of radius {radius:g} Å leaves no atom")
    left.info |= {"group": "pore", "pore": {"axis": axis, "center": (f @ cell).tolist(), "radius": float(radius)}}
    return left


@dataclass(frozen=True)
class Filled(Generator):
    """Nanotubes and pores filled with a liquid.

    The density is that of the space within the van der Waals radii of the wall.

    Args:
        pore: names of earlier nanotubes or pores.
        of: name of a molecule, or several with their shares.
        density: g/cm³.
        gap: from the innermost atoms of the wall to where the liquid begins, Å; default: their van der Waals radius.
        closest: distance of atoms of different molecules, as a fraction of the sum of their van der Waals radii.
    """

    pore: str | list[str]
    of: str | dict[str, float] = "H2O"
    density: float = 1.0
    gap: float | None = None
    closest: float = 0.75

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        return [
            filled(frame, inside(frame, self.gap), self.of, self.density, rng, self.closest, made)
            for frame in take(self.pore, made)
        ]


def inside(frame: Atoms, gap: float | None = None) -> Cylinder:
    """The space in a tube, or in a pore that ``pore`` made."""
    cell = np.asarray(frame.cell)
    if known := frame.info.get("pore"):
        gap = contact_radii(frame.numbers).max() if gap is None else gap
        return _cylinder(known["radius"] - gap, known["center"], cell[known["axis"]])
    if frame.pbc.sum() != 1:
        raise ValueError("only a tube, periodic along its axis alone, or what Pore made can be filled")
    period = cell[frame.pbc][0]
    axis = period / np.linalg.norm(period)
    x = frame.positions - frame.positions.mean(0)
    r = np.linalg.norm(x - np.outer(x @ axis, axis), axis=1)
    gap = contact_radii(frame.numbers[r < r.min() + 0.5]).max() if gap is None else gap
    return _cylinder(r.min() - gap, frame.positions.mean(0), period)


def _cylinder(radius: float, center: list[float] | np.ndarray, period: np.ndarray) -> Cylinder:
    if radius <= 0:
        raise ValueError(f"no room is left inside: the gap to the wall is {-radius:.2f} Å wider than the pore")
    return Cylinder(float(radius), np.asarray(center, float), np.asarray(period, float))
