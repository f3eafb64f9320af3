"""Which atoms a system begins with belong to a gas, and which form molecules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ...structures import Structures
from .gas import Gas
from .geometry import nearest_image


def assign(
    structures: Structures,
    free: Bool[Tensor, "atoms"],
    gases: Sequence[Gas],
    shapes: Sequence[Tensor],
    molecules: Int[Tensor, "atoms"] | None = None,
) -> tuple[Bool[Tensor, "atoms"], Int[Tensor, "atoms"]]:
    """Where molecules begin, and the gas that each atom belongs to, or -1.

    Free atoms of the element of a gas of atoms belong to it. Free atoms in a row belong to a molecule of a gas if they
    are of its elements in its order, and their distances are those of the molecule within a quarter. ``molecules`` says
    which atoms form others: those in a row with the same number.
    """
    n = structures.n_atoms
    head, kind = torch.ones(n, dtype=torch.bool), torch.full((n,), -1)
    if molecules is not None:
        if molecules.shape != (n,):
            raise ValueError(f"molecules must give one number for each of the {n} atoms, got {len(molecules)}")
        same = (molecules[1:] == molecules[:-1]) & (structures.system[1:] == structures.system[:-1])
        head[1:] = ~same
    for k, gas in enumerate(gases):
        m = len(gas.numbers)
        rows = torch.arange(max(n - m + 1, 0))[:, None] + torch.arange(m)  # [windows, m]
        fits = (structures.numbers[rows] == gas.numbers).all(1) & free[rows].all(1) & (kind[rows] < 0).all(1)
        fits &= structures.system[rows[:, 0]] == structures.system[rows[:, -1]]
        rows = rows[fits]
        if m > 1:
            here = structures.positions[rows]
            r, _ = nearest_image(here[:, :, None] - here[:, None], structures, structures.system[rows[:, 0]])
            wanted = torch.cdist(shapes[k][0, 0], shapes[k][0, 0])
            rows = rows[((torch.linalg.vector_norm(r, dim=-1) - wanted).abs() <= 0.25 * wanted).all((1, 2))]
        elif molecules is not None:
            rows = rows[_alone(head)[rows[:, 0]]]
        for row in _disjoint(rows):
            kind[row] = k
            head[row] = torch.arange(m) == 0
    return head, kind


def _alone(head: Bool[Tensor, "atoms"]) -> Bool[Tensor, "atoms"]:
    own = head.long().cumsum(0) - 1
    return (torch.bincount(own) == 1)[own]


def _disjoint(rows: Int[Tensor, "windows m"]) -> list[Tensor]:
    """Windows that do not overlap with one taken before."""
    if rows.shape[1] == 1:
        return [rows[:, 0]] if len(rows) else []
    taken, end = [], -1
    for row in rows:
        if int(row[0]) > end:
            taken.append(row)
            end = int(row[-1])
    return taken


def whole(structures: Structures, head: Bool[Tensor, "atoms"]) -> Structures:
    """Every molecule in one piece: its atoms next to its first, not across the border of the cell."""
    if bool(head.all()):
        return structures
    first = head.nonzero()[:, 0][head.long().cumsum(0) - 1]
    r, _ = nearest_image(structures.positions - structures.positions[first], structures, structures.system)
    return structures.with_positions(structures.positions[first] + r)
