"""Doubt by distance: an environment far from all that were fitted to is not known, whatever the potential."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..config import build
from ..descriptor import Descriptor
from ..graph import Graph
from ..potential import Potential, Species
from .calibration import calibrate
from .doubtful import DoubtsAtoms
from .uncertainty import Uncertainty

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting import Fit


class DistanceAware(DoubtsAtoms):
    """A potential whose doubt about an atom is the distance of its features from the nearest known environment.

    ``std_i = sqrt(d_i² + d_0²)``, ``d_i = min_k |z_i - z_k|`` over known atoms of the same element, with ``z`` the
    features divided by their spread and ``d_0`` the usual distance between known neighbors.
    Related: J. P. Janet et al., Chem. Sci. 10, 7913 (2019).

    Args:
        potential: what it predicts.
        descriptor: what tells environments apart.
        points: how many known environments are kept of each element.
    """

    small = {
        "potential": {"LennardJones": {"epsilon": 0.01, "sigma": 2.2, "cutoff": 5.0}},
        "descriptor": {"ACSF": {"elements": ["Si", "H", "Cu", "O"], "cutoff": 4.0}},
        "points": 2,
    }

    def __init__(self, potential: Potential | Mapping | str, descriptor: Descriptor | Mapping | str, points: int = 500):
        super().__init__()
        if points < 1:
            raise ValueError(f"points must be at least 1, got {points}")
        self.potential = self._take(potential)
        self.descriptor = build(descriptor, Descriptor)
        self.cutoff = max(self.cutoff, self.descriptor.cutoff)
        self.species = Species(self.descriptor.elements)
        E, F = len(self.descriptor.elements), self.descriptor.n_features
        double = {"dtype": torch.float64, "device": self.potential.device}
        self.register_buffer("known", torch.full((E, points, F), torch.inf, **double))  # inf: no point
        self.register_buffer("spread", torch.ones(E, F, **double))
        self.register_buffer("floor", torch.ones(E, **double))

    def doubt(self, graph: Graph) -> Float[Tensor, "atoms"]:
        """``sqrt(d_i² + d_0²)``, not yet calibrated."""
        z, x = self.species(graph.numbers), self.features(graph)
        d = x.new_empty(len(z))
        for e in z.unique().tolist():
            d[z == e] = nearest_distances(x[z == e] / self.spread[e], self.known[e])
        return (d.square() + self.floor[z].square()).sqrt()

    def features(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        with torch.no_grad():
            return self.descriptor(graph.within(self.descriptor.cutoff)).double()

    def remember(self, graphs: Iterable[Graph], rng: np.random.Generator) -> None:
        """Take the environments of these structures as known; of too many, some at random."""
        z, x = (torch.cat(parts) for parts in zip(*((self.species(g.numbers), self.features(g)) for g in graphs)))
        for e in z.unique().tolist():
            of = x[z == e]
            spread = of.std(0) if len(of) > 1 else torch.ones_like(of[0])
            self.spread[e] = torch.where(
                spread > 1e-8 * spread.max(), spread, torch.inf
            )  # what never varies is no clue
            chosen = rng.permutation(len(of))[: self.known.shape[1]]
            self.known[e] = torch.inf
            self.known[e, : len(chosen)] = of[chosen] / self.spread[e]
            if len(chosen) > 1:
                apart = torch.cdist(self.known[e, : len(chosen)], self.known[e, : len(chosen)])
                self.floor[e] = apart.fill_diagonal_(torch.inf).min(1).values.median()


def nearest_distances(
    x: Float[Tensor, "atoms F"], known: Float[Tensor, "points F"], chunk: int = 4096
) -> Float[Tensor, "atoms"]:
    """Distance of each row to the nearest known point, so many rows at a time."""
    known = known[known[:, 0].isfinite()]
    if not len(known):
        return x.new_full((len(x),), torch.inf)
    return torch.cat([torch.cdist(part, known).min(1).values for part in x.split(chunk)])


class FeatureDistance(Uncertainty):
    """One fit, and doubt by the distance from what it was fitted to: the cheapest, for any potential.

    Args:
        descriptor: what tells environments apart; symmetry functions within the potential's cutoff if none is named.
        points: how many known environments are kept of each element.
    """

    def __init__(self, descriptor: Descriptor | Mapping | str | None = None, points: int = 500):
        self.descriptor, self.points = descriptor, points

    def fit(
        self,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None = None,
        method: Fit | None = None,
        *,
        folder: Path | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        seed: int = 0,
    ) -> DistanceAware:
        from ..fitting import fit

        fitted = fit(potential, train, valid, method, folder=folder, progress=progress, seed=seed).potential
        default = {"ACSF": {"elements": list(train.elements), "cutoff": potential.cutoff}}
        aware = DistanceAware(fitted, self.descriptor or default, self.points)
        graphs = (Graph.of(s, aware.descriptor.cutoff) for s in train.structures)
        aware.remember(graphs, np.random.default_rng(seed))
        if valid is not None and len(valid):
            calibrate(aware, valid)
        return aware
