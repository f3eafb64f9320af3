"""Two potentials, one of them for collisions: H. Wang et al., Appl. Phys. Lett. 114, 244101 (2019).

The paper's DP-ZBL, DeePMD-kit's ``use_srtab``; here of any two potentials.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import build
from ..graph import Graph, sum_edges
from ..nn.cutoffs import quintic_switch
from ..potential import PerAtom, Potential
from ..structures import Structures


class Blend(Potential):
    """``E_i = w(sigma_i) E_i^near + (1 - w(sigma_i)) E_i^far``, from one potential to another as atoms come close.

    ``sigma_i = sum_j r_ij e^(-r_ij/alpha) / sum_j e^(-r_ij/alpha)`` is a smooth least distance; ``w`` falls from 1 at
    ``inner`` to 0 at ``outer``, and its first two derivatives with it. Unlike a sum, it leaves the far potential
    nothing to undo, which was never shown such distances.

    Args:
        far: the potential of usual distances.
        near: the one of collisions; by default ``ZBL`` that is whole up to ``outer`` and ends at twice the distance.
        inner: least distance up to which ``near`` is alone, Å.
        outer: the one from which on ``far`` is, Å; the shortest distance it was fitted to, or somewhat more.
        alpha: over which distances are averaged, Å.
    """

    small = {
        **{"far": {"LennardJones": {"epsilon": 0.1, "sigma": 1.8, "cutoff": 5.0}}},
        **{"near": {"ZBL": {"inner": 1.5, "cutoff": 3.0}}, "inner": 1.0, "outer": 2.0},
    }

    def __init__(
        self,
        far: Potential,
        near: Potential | None = None,
        inner: float = 0.8,
        outer: float = 1.2,
        alpha: float = 0.1,
    ):
        super().__init__()
        if not 0 <= inner < outer:
            raise ValueError(f"Blend goes from inner to outer; got inner = {inner}, outer = {outer}")
        if near is None:
            near = {"ZBL": {"inner": outer, "cutoff": 2 * outer}}
        self.far, self.near = build(far, Potential), build(near, Potential)
        self.cutoff, self.inner, self.outer, self.alpha = max(self.far.cutoff, self.near.cutoff), inner, outer, alpha
        if not alpha > 0 or exp((outer - self.cutoff) / alpha) > 1e-9:
            longest = (self.cutoff - outer) / 21
            raise ValueError(f"alpha must be from 0 to {longest:.3g} Å, so that it ends before the cutoff, got {alpha}")
        known = [p.elements for p in (self.far, self.near) if p.elements is not None]
        self.elements = tuple(e for e in known[0] if e in known[-1]) if known else None

    @property
    def local(self) -> bool:
        return self.far.local and self.near.local

    @property
    def any_atoms(self) -> bool:
        return self.far.any_atoms and self.near.any_atoms

    @property
    def trained(self) -> bool:
        return self.far.trained or self.near.trained

    def check_structures(self, structures: Structures) -> None:
        self.far.check_structures(structures)
        self.near.check_structures(structures)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        graphs = list(graphs)
        for p in (self.far, self.near):
            p.prepare([g.within(p.cutoff) for g in graphs])

    def forward(self, graph: Graph) -> PerAtom:
        graph = graph.within(self.cutoff)
        far, near = (p(graph.within(p.cutoff)) for p in (self.far, self.near))
        w = quintic_switch(self.least_distance(graph), self.inner, self.outer)
        return far._replace(energy=w * near.energy + (1 - w) * far.energy)

    def least_distance(self, graph: Graph) -> Float[Tensor, "atoms"]:
        """``sigma`` (Å); the cutoff where an atom is alone."""
        r = graph.lengths
        shortest = r.new_full((graph.n_atoms,), self.cutoff).scatter_reduce(0, graph.i, r.detach(), "amin")
        x = torch.exp((shortest[graph.i] - r) / self.alpha)
        n = sum_edges(x, graph)
        alone = n == 0
        return torch.where(alone, self.cutoff, sum_edges(r * x, graph) / torch.where(alone, 1.0, n))
