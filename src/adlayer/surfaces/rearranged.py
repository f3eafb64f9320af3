"""Any reconstruction, written down layer by layer: which atoms go, move and come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ..config import nearest
from .generator import Generator, Made, take

Change = Mapping[str, Any]


@dataclass(frozen=True)
class Rearranged(Generator):
    """Slabs with atoms removed, moved, exchanged and added by layer and place, such as a reconstruction of your own.

    A place ``at = [u, v]`` is given in fractions of the two vectors of the repeated cell, from the first atom of
    the top layer as it was; the atom meant is the one of that ``layer`` nearest to it. All places refer to the slab
    before any change. For example a missing row: ``repeat = [1, 2], remove = [{layer = 1, at = [0, 0.5]}]``.

    Args:
        slab: name of earlier slabs, whose tags number the layers.
        repeat: how often their cell is repeated first.
        remove: tables of ``layer`` and ``at``; without ``at``, the whole layer.
        move: tables of ``layer``, ``at`` and ``by``, Å along x, y, z.
        exchange: tables of ``layer``, ``at`` and ``element``.
        add: tables of ``element``, ``at`` and ``height``, Å above the mean of the top layer as it was.
        name: of the reconstruction, in reports.
    """

    slab: str | list[str]
    repeat: list[int] = (1, 1)
    remove: list[dict] = ()
    move: list[dict] = ()
    exchange: list[dict] = ()
    add: list[dict] = ()
    name: str = "rearranged"

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        settings = {k: v for k, v in self.arguments.items() if k != "slab"}
        return [rearranged(atoms, **settings) for atoms in take(self.slab, made)]


def rearranged(
    slab: Atoms,
    repeat: Sequence[int] = (1, 1),
    remove: Sequence[Change] = (),
    move: Sequence[Change] = (),
    exchange: Sequence[Change] = (),
    add: Sequence[Change] = (),
    name: str = "rearranged",
) -> Atoms:
    """The slab with these changes; see ``Rearranged``. Atoms added are tagged 1, with the top layer."""
    ideal = slab.repeat((*repeat, 1))
    top = ideal.positions[ideal.get_tags() == 1]
    if not len(top):
        raise ValueError("the slab's layers must be tagged, 1 the top, as Slab does")
    origin = top[0]
    changed = ideal.copy()
    for change in move:
        _check(change, "layer", "at", "by")
        changed.positions[_find(ideal, change, origin)] += np.asarray(change["by"], dtype=float)
    for change in exchange:
        _check(change, "layer", "at", "element")
        changed.numbers[_find(ideal, change, origin)] = _number(change["element"])
    gone = np.zeros(len(ideal), dtype=bool)
    for change in remove:
        _check(change, "layer", optional="at")
        gone[_find(ideal, change, origin)] = True
    del changed[gone]
    for change in add:
        _check(change, "element", "at", "height")
        place = np.asarray(change["at"], dtype=float) @ np.asarray(ideal.cell)[:2] + origin
        place[2] = top[:, 2].mean() + change["height"]
        changed += Atoms([_number(change["element"])], [place], tags=[1])
    changed.cell[2, 2] += max(changed.positions[:, 2].max() - ideal.positions[:, 2].max(), 0.0)
    changed.wrap()
    changed.info["pattern"] = name
    return changed


def _check(change: Change, *needed: str, optional: str = "") -> None:
    for key in change:
        if key not in (*needed, optional):
            raise ValueError(f"a change takes {', '.join(needed)}, not {key!r}{nearest(key, needed)}")
    if missing := [key for key in needed if key not in change]:
        raise ValueError(f"the change {dict(change)} needs {missing[0]!r}")


def _number(element: str) -> int:
    if element not in atomic_numbers:
        raise ValueError(f"{element!r} is not a chemical symbol{nearest(element, atomic_numbers)}")
    return atomic_numbers[element]


def _find(ideal: Atoms, change: Change, origin: np.ndarray) -> np.ndarray:
    """The atom of this layer nearest to this place, or the whole layer."""
    mine = np.flatnonzero(ideal.get_tags() == change["layer"])
    if not len(mine) or change["layer"] < 1:
        last = ideal.get_tags().max()
        raise ValueError(f"layer {change['layer']} does not exist: the slab has layers 1 to {last}, 1 the top")
    if "at" not in change:
        return mine
    if np.shape(change["at"]) != (2,):
        raise ValueError(f"a place is two fractions of the cell, got {change['at']}")
    f = (ideal.positions[mine] - origin)[:, :2] @ np.linalg.inv(np.asarray(ideal.cell)[:2, :2])
    df = f - np.asarray(change["at"], dtype=float)
    distance = np.linalg.norm((df - np.round(df)) @ np.asarray(ideal.cell)[:2, :2], axis=1)
    if distance.min() > 1.0:
        fractions = ", ".join(f"[{u:.3g}, {v:.3g}]" for u, v in np.sort((f % 1.0).round(3) % 1.0, axis=0)[:4])
        raise ValueError(
            f"no atom of layer {change['layer']} is within 1 Å of {change['at']}; its atoms are at {fractions}, ..."
        )
    return mine[[int(np.argmin(distance))]]
