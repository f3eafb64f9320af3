"""Whether a data set knows what it will be asked: local environments of target structures against those of the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ..config import build
from ..descriptor import Descriptor
from ..graph import Graph
from ..structures import Structures
from ..surfaces.generator import take
from .quantity import Analysis, Findings, Progress, Quantity

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class Coverage(Analysis):
    """Share of the target's atoms whose environment the data set has.

    Environments are features of a descriptor, each divided by its spread. An atom of the target is covered if its
    nearest environment of the same element in the set is no farther than ``d_0``: within it such a share (``quantile``)
    of the set's own atoms have another, symmetry's exact copies not counted. Frames, those with the farthest atoms
    first, carry each atom's ``distance`` in units of ``d_0``, 1e6 for an element that is not in the set, and the number
    of the structure of the set that has the ``nearest`` environment. A set that covers particles, slabs and bulk is
    what a potential of nanoalloys needs: Z. Ma et al., npj Comput. Mater. 8, 51 (2022).

    Args:
        target: names of the structures, or a file, that are to be covered.
        known: names of the structures of the set, or a file.
        descriptor: what tells environments apart; default: symmetry functions within the cutoff.
        cutoff: of the default descriptor, Å.
        quantile: share of the set's own atoms that are near another.
        points: how many environments of each element are kept of a larger set, at random.
    """

    target: str | list[str]
    known: str | list[str]
    descriptor: Descriptor | dict[str, Any] | None = None
    cutoff: float = 6.0
    quantile: float = 0.95
    points: int = 20000
    title = "Coverage"

    def __post_init__(self):
        if not 0 < self.quantile <= 1 or self.points < 2:
            raise ValueError(
                f"quantile is a share above 0 and up to 1, points two or more, got {self.quantile} and {self.points}"
            )

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        target, known = take(self.target, made), take(self.known, made)
        elements = sorted({s for frame in [*target, *known] for s in frame.symbols})
        descriptor = build(self.descriptor or {"ACSF": {"elements": elements, "cutoff": self.cutoff}}, Descriptor)
        rng = np.random.default_rng(seed)
        covered = coverage(target, known, descriptor, self.quantile, self.points, rng, progress)
        return _findings(covered, target)

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """Share of each element's atoms within a distance; shares covered, in the structures that have least."""
        from matplotlib.figure import Figure

        data = next(iter(findings.values())).data
        figure = Figure(figsize=(8, 3.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        for element, distances in data["distances"].items():
            d = np.sort([x for x in distances if x is not None])
            left.step([0, *d], np.arange(len(d) + 1) / max(len(distances), 1), where="post", label=element)
        left.axvline(1.0, color="0.6", lw=0.8, ls="--")
        left.set_xlabel("distance to the nearest known environment ($d_0$)")
        left.set_ylabel("share of atoms")
        left.legend()
        groups = dict(sorted(data["groups"].items(), key=lambda item: item[1])[:20])
        right.barh(list(groups), [100 * x for x in groups.values()])
        right.set_xlim(0, 100)
        right.invert_yaxis()
        right.set_xlabel("atoms covered (%)")
        return figure


SAME = 1e-4  # environments nearer than this, of features of spread 1, are copies


class Covered(NamedTuple):
    """Distances of the target's atoms in units of what is usual in the set; inf where an element is not in it."""

    distances: list[np.ndarray]  # one array for each structure
    nearest: list[np.ndarray]  # which structure of the set has the nearest environment, -1: none
    usual: dict[str, float]  # d_0 of each element


def coverage(
    target: Sequence[Atoms],
    known: Sequence[Atoms],
    descriptor: Descriptor,
    quantile: float = 0.95,
    points: int = 20000,
    rng: np.random.Generator | None = None,
    progress: Progress | None = None,
) -> Covered:
    """How far each atom of the target is from what the set knows; see ``Coverage``."""
    if not target or not known:
        raise ValueError("coverage needs target structures and known ones, but one of the two is empty")
    rng = np.random.default_rng(0) if rng is None else rng
    frames = [*known, *target]
    x = []
    for k, frame in enumerate(frames):
        if progress:
            progress(k, len(frames), "environments")
        x.append(_features(frame, descriptor))
    numbers, of = np.concatenate([f.numbers for f in frames]), np.repeat(np.arange(len(frames)), list(map(len, frames)))
    x, is_known = torch.cat(x), of < len(known)
    distance, nearest, usual = np.full(len(of), np.inf), np.full(len(of), -1), {}
    for z in np.unique(numbers):
        mine = np.flatnonzero(numbers == z)
        set_, asked = mine[is_known[mine]], mine[~is_known[mine]]
        set_ = np.sort(rng.permutation(set_)[:points])
        if not len(set_):
            continue
        spread = x[mine].std(0, correction=0)
        spread = torch.where(spread > 1e-9 * spread.max().clamp_min(1e-300), spread, torch.inf)
        have = x[set_] / spread
        own, _ = _nearest(have, have, SAME)
        own = own[own.isfinite()]
        usual[_symbol(z)] = d0 = float(torch.quantile(own, quantile)) if len(own) else SAME
        if len(asked):
            d, index = _nearest(x[asked] / spread, have)
            distance[asked], nearest[asked] = d.numpy() / d0, of[set_][index.numpy()]
    parts = np.cumsum(list(map(len, frames)))[len(known) - 1 : -1]
    return Covered(np.split(distance, parts)[1:], np.split(nearest, parts)[1:], usual)


def _symbol(z: int) -> str:
    from ase.data import chemical_symbols

    return chemical_symbols[z]


def _features(frame: Atoms, descriptor: Descriptor) -> torch.Tensor:
    with torch.no_grad():
        return descriptor(Graph.of(Structures.from_ase(frame), descriptor.cutoff)).double()


def _nearest(a: torch.Tensor, b: torch.Tensor, beyond: float = -1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance of each row of ``a`` to the nearest row of ``b`` that is farther than ``beyond``, and which it is."""
    found = []
    for rows in a.split(max(1, int(2e7) // len(b))):
        d = torch.cdist(rows, b, compute_mode="donot_use_mm_for_euclid_dist")
        found.append(d.masked_fill(d <= beyond, torch.inf).min(1))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def _findings(covered: Covered, target: Sequence[Atoms], most: int = 50) -> Findings:
    d, symbols = np.concatenate(covered.distances), np.concatenate([np.array(f.symbols, object) for f in target])
    quantities = [Quantity("atoms covered", 100 * float(np.mean(d <= 1)), "%")]
    data: dict[str, Any] = {"usual": covered.usual, "distances": {}, "structures": [], "groups": {}}
    for element in sorted(set(symbols)):
        mine = d[symbols == element]
        shown = np.sort(mine)[np.linspace(0, len(mine) - 1, min(len(mine), 500)).round().astype(int)]
        data["distances"][element] = [float(x) if np.isfinite(x) else None for x in shown]
        quantities.append(Quantity(f"{element} atoms covered", 100 * float(np.mean(mine <= 1)), "%"))
        if element in covered.usual:
            quantities.append(Quantity(f"median distance of {element}", float(np.median(mine)), "d₀"))
            quantities.append(Quantity(f"largest distance of {element}", float(mine.max()), "d₀"))
    groups: dict[str, list[np.ndarray]] = {}
    frames = {}
    for k, (frame, mine, nearest) in enumerate(zip(target, covered.distances, covered.nearest)):
        group = ", ".join(str(frame.info[key]) for key in ("group", "pattern") if key in frame.info)
        group = group or frame.get_chemical_formula()
        groups.setdefault(group, []).append(mine)
        data["structures"].append({"group": group, "covered": float(np.mean(mine <= 1))})
        shown = frame.copy()
        shown.set_array("distance", np.where(np.isfinite(mine), mine, 1e6))
        shown.set_array("nearest", nearest)
        frames[f"{group} {k + 1}"] = shown
    data["groups"] = {group: float(np.mean(np.concatenate(parts) <= 1)) for group, parts in groups.items()}
    worst = sorted(frames, key=lambda name: -frames[name].arrays["distance"].max())[:most]
    return Findings(quantities, data, {name: frames[name] for name in worst})
