"""Stepped surfaces by their terraces and steps: B. Lang, R. W. Joyner and G. A. Somorjai, Surf. Sci. 30, 454 (1972)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from .cutting import oriented, stack
from .generator import Generator, Made, crystal
from .lattices import combinations, first, lattice_along, reduced, translations, whole_indices
from .slab import in_vacuum


class Staircase(NamedTuple):
    """Geometry of a stepped surface."""

    miller: tuple[int, int, int]
    width: float  # of a terrace, along it, from step to step, Å
    height: float  # of a step, Å
    angle: float  # between the surface and its terraces, degrees


@dataclass(frozen=True)
class Vicinal(Generator):
    """A stepped surface ``n (terrace) x (step)``: terraces ``n`` rows of atoms wide between steps of one layer.

    ``Vicinal("Pt", [1, 1, 1], [1, 0, 0], rows=16, repeat=[12, 2])`` is Pt(17 15 15) p(2x12). The edges lie along x, the
    surface's normal along z. Tags number the layers of the terraces from the top; ``info`` holds ``miller``, ``width``
    (of a terrace, Å), ``height`` (of a step, Å) and ``angle`` (of the terraces with the surface, degrees).

    Args:
        of: formula, file, or name of an earlier crystal, of one atom per lattice point.
        terrace: Miller indices of the terraces, in the cell of the crystal (the cubic one, for a cubic formula).
        step: Miller indices of the facet that the steps are made of.
        rows: of atoms on each terrace.
        layers: of terraces.
        repeat: along the edges, and across them.
        vacuum: on either side, Å; or ``[below, above]``.
        frozen: so many terrace layers hold still, counted from the bottom.
        a: lattice constant, Å; default: the experimental one.
        structure: crystal structure of a formula, as ASE names it; default: what it knows of an element.
    """

    of: str
    terrace: list[int] = (1, 1, 1)
    step: list[int] = (1, 0, 0)
    rows: int = 6
    layers: int = 4
    repeat: list[int] = (1, 1)
    vacuum: float | list[float] = 10.0
    frozen: int = 0
    a: float | None = None
    structure: str | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {k: v for k, v in self.arguments.items() if k not in ("of", "a", "structure")}
        return [vicinal(crystal(self.of, made, self.structure, self.a), **settings)]


def vicinal(
    bulk: Atoms,
    terrace: Sequence[int] = (1, 1, 1),
    step: Sequence[int] = (1, 0, 0),
    rows: int = 6,
    layers: int = 4,
    repeat: Sequence[int] = (1, 1),
    vacuum: float | Sequence[float] = 10.0,
    frozen: int = 0,
) -> Atoms:
    """A slab of ``bulk`` with steps; see ``Vicinal``."""
    if layers < 1 or not 0 <= frozen <= layers:
        raise ValueError(f"a slab needs one layer or more and 0 to {layers} frozen ones, got {layers} and {frozen}")
    stairs = staircase(bulk, terrace, step, rows)
    cell = oriented(bulk, stairs.miller)
    if len(cell) > 1:
        raise ValueError(
            f"terraces and steps are told apart where each lattice point has one atom; this crystal has {len(cell)}: "
            f"cut it by Slab with miller = {list(stairs.miller)}"
        )
    rise = stairs.height * np.cos(np.radians(stairs.angle))  # of a terrace layer, along the slab's normal
    atoms = stack(cell, int(np.ceil(layers * rise / cell.cell[2, 2] - 1e-6)))
    atoms.set_tags(np.minimum((atoms.positions[:, 2].max() - atoms.positions[:, 2] + 1e-6) // rise, layers - 1) + 1)
    atoms = atoms.repeat((*repeat, 1))
    atoms.info = stairs._asdict() | {"miller": list(stairs.miller)}
    if frozen:
        atoms.set_constraint(FixAtoms(mask=atoms.get_tags() > layers - frozen))
    return in_vacuum(atoms, vacuum)


def staircase(bulk: Atoms, terrace: Sequence[int], step: Sequence[int], rows: int) -> Staircase:
    """Miller indices and shape of the surface with these terraces and steps; see ``Vicinal``.

    The edge ``e`` lies in both facets. From one edge to the next, ``w = (n - 1) r + d``: over the terrace row by row,
    then down the step by one layer. The surface is spanned by ``e`` and ``w``.
    """
    t, s = whole_indices(terrace), whole_indices(step)
    if not np.cross(t, s).any():
        raise ValueError(f"terrace and step must be different planes, got {list(terrace)} and {list(step)}")
    if rows < 2:
        raise ValueError(f"a terrace has two rows of atoms or more, got {rows}")
    cell = np.asarray(bulk.cell)
    up, *plane = lattice_along(bulk, t)
    plane = combinations(np.array(reduced(*(plane @ cell))) @ np.linalg.inv(cell), 3)
    along = plane[(abs(plane @ s) < 1e-6) & plane.any(1)]
    if not len(along):
        raise ValueError(f"no close-packed row lies in both {list(terrace)} and {list(step)}")
    e = first(along, np.linalg.norm(along @ cell, axis=1))
    over = plane[plane @ s > 1e-6]
    r = first(over, over @ s + 1e-3 * np.linalg.norm(over @ cell, axis=1))
    down = combinations(np.array([up, e, r]), 3)
    down = down[(abs((down + up) @ t) < 1e-6) & (abs(down @ s) < 1e-6)]
    if not len(down):
        raise ValueError(f"{list(step)} does not step down one layer of {list(terrace)}")
    d = first(down, np.linalg.norm(down @ cell, axis=1))
    w = (rows - 1) * r + d
    hkl = whole_indices(np.round(np.cross(e, w) * len(translations(bulk)) ** 2).astype(int))
    inverse = np.linalg.inv(cell)
    n, m = inverse @ t, inverse @ hkl
    n, m = n / np.linalg.norm(n), m / np.linalg.norm(m)
    if n @ m < 0:
        hkl, m = -hkl, -m
    across = (w @ cell) - (w @ cell) @ n * n
    edge = (e @ cell) / np.linalg.norm(e @ cell)
    width = np.linalg.norm(across - across @ edge * edge)
    return Staircase(tuple(hkl.tolist()), float(width), float(up @ cell @ n), float(np.degrees(np.arccos(n @ m))))
