"""Tables of symmetry functions, as the fused kernel reads them."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import chain
from math import radians
from typing import NamedTuple

import numpy as np

ALL = -1  # in place of an element: all neighbors, weighted by atomic number
GAUSSIAN, COMPACT = 0, 1
SHAPES = ("hard", "cos", "tanhu", "tanh", "exp", "poly1", "poly2", "poly3", "poly4")


class Plan(NamedTuple):
    """Symmetry functions as tables; rows are radial parts.

    A row holds ``(eta or inner, shift, cutoff)``, its form ``(family, shape, asymmetric)``.
    """

    weight: np.ndarray  # [elements], atomic numbers
    cutoff: np.ndarray  # [elements], the longest of each center
    inner: np.ndarray  # [1], fraction of the cutoff up to which Gaussian functions are not damped
    radial_first: np.ndarray  # [elements + 1]
    radial_block: np.ndarray  # [radial]
    radial_row: np.ndarray  # [radial, 3]
    radial_form: np.ndarray  # [radial, 3]
    radial_column: np.ndarray  # [radial]
    channel_first: np.ndarray  # [elements + 1]
    channel: np.ndarray  # [channels, 3]: two elements, narrow
    row_first: np.ndarray  # [channels + 1]
    row: np.ndarray  # [rows, 3]
    row_form: np.ndarray  # [rows, 3]
    angle_first: np.ndarray  # [channels + 1]
    angle: np.ndarray  # [angles, 3]: zeta, lambda, norm, or left, right
    angle_form: np.ndarray  # [angles, 2]
    table_first: np.ndarray  # [channels + 1]
    table: np.ndarray  # [sum of rows * angles], columns or -1


@lru_cache(maxsize=64)
def width_of(spec: str) -> int:
    """How many features the functions make."""
    return json.loads(spec)["n_features"]


@lru_cache(maxsize=64)
def plan_of(spec: str, single: bool) -> tuple[Plan, int, int]:
    """Tables of a list of functions, and the largest numbers of rows and angles of a channel."""
    s = json.loads(spec)
    place = {e: k for k, e in enumerate(s["elements"])}
    default = SHAPES.index(s["cutoff_function"])
    radial: list[list] = [[] for _ in place]
    channels: list[dict] = [{} for _ in place]
    column = [0] * len(place)
    cutoff = [0.0] * len(place)
    for described in s["functions"]:
        ((name, f),) = described.items()
        c = place[f["center"]]
        if name.endswith("Gaussian"):
            row, form = (f["eta"], f["shift"], f["cutoff"]), (GAUSSIAN, default, 0)
        else:
            row, form = (f["inner"], 0.0, f["cutoff"]), (COMPACT, SHAPES.index(f["shape"]), int(f["asymmetric"]))
        cutoff[c] = max(cutoff[c], f["cutoff"])
        if name.startswith("Radial"):
            block = ALL if f["neighbor"] is None else place[f["neighbor"]]
            radial[c].append((block, row, form, column[c]))
        else:
            pair = (ALL, ALL) if f["neighbors"] is None else tuple(sorted(place[e] for e in f["neighbors"]))
            if form[0] == GAUSSIAN:
                angle = (f["zeta"], f["sign"], 2.0 ** (1 - f["zeta"]), GAUSSIAN, float(f["zeta"]).is_integer())
            else:
                angle = (radians(f["left"]), radians(f["right"]), 1.0, COMPACT, form[1])
            channel = channels[c].setdefault((*pair, int(f["narrow"])), {})
            channel.setdefault((row, form), {}).setdefault(angle, []).append(column[c])
        column[c] += 1
    rows, angles, tables, flat = [], [], [], []
    for of_center in channels:
        for key, grid in of_center.items():
            its_rows = list(grid)
            # Duplicates of one function take one more angle each.
            its_angles = list(
                dict.fromkeys((a, n) for of_row in grid.values() for a in of_row for n in range(len(of_row[a])))
            )
            flat.append(key)
            rows.append(its_rows)
            angles.append([a for a, _ in its_angles])
            tables.append([(grid[r].get(a, [])[n : n + 1] or [-1])[0] for r in its_rows for a, n in its_angles])

    def starts(lists: list) -> np.ndarray:
        return np.cumsum([0] + [len(x) for x in lists])

    def integers(x: list, width: int | None = None) -> np.ndarray:
        return np.array(x, dtype=np.int64).reshape((-1,) if width is None else (-1, width))

    def reals(x: list, width: int | None = None) -> np.ndarray:
        return np.array(x, dtype=np.float32 if single else np.float64).reshape((-1,) if width is None else (-1, width))

    all_radial, all_rows, all_angles = (list(chain(*x)) for x in (radial, rows, angles))
    plan = Plan(
        weight=reals(s["numbers"]),
        cutoff=reals(cutoff),
        inner=reals([s["inner"]]),
        radial_first=starts(radial),
        radial_block=integers([x[0] for x in all_radial]),
        radial_row=reals([x[1] for x in all_radial], 3),
        radial_form=integers([x[2] for x in all_radial], 3),
        radial_column=integers([x[3] for x in all_radial]),
        channel_first=starts(channels),
        channel=integers(flat, 3),
        row_first=starts(rows),
        row=reals([x[0] for x in all_rows], 3),
        row_form=integers([x[1] for x in all_rows], 3),
        angle_first=starts(angles),
        angle=reals([x[:3] for x in all_angles], 3),
        angle_form=integers([x[3:] for x in all_angles], 2),
        table_first=starts(tables),
        table=integers(list(chain(*tables))),
    )
    return plan, max(map(len, rows), default=0), max(map(len, angles), default=0)
