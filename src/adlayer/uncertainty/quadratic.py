"""Doubt as a quadratic form of the features of an environment: the map of FLARE's processes of environments."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import build
from ..descriptor import Descriptor
from ..graph import Graph
from ..potential import Potential, Species
from .doubtful import DoubtsAtoms


class QuadraticDoubt(DoubtsAtoms):
    """``std_i = c sqrt(p_i · B p_i)``, ``B = epsilon (PᵀP + epsilon)⁻¹``: doubt of a process that is linear in ``p``.

    That is ``1 - p · Pᵀ (P Pᵀ + epsilon)⁻¹ P p`` with the known environments of the element as rows of ``P``, and
    ``p`` features of norm 1. FLARE maps the variance of a process of power 2 to that of power 1, since its cost does
    not grow with the points and both are in doubt about the same environments. ``c`` is set by calibration. Y.
    Xie et al., npj Comput. Mater. 9, 36 (2023).

    Args:
        potential: what it predicts.
        descriptor: what tells environments apart.
    """

    small = {
        "potential": {"LennardJones": {"epsilon": 0.01, "sigma": 2.2, "cutoff": 5.0}},
        "descriptor": {"ACSF": {"elements": ["Si", "H", "Cu", "O"], "cutoff": 4.0}},
    }

    def __init__(self, potential: Potential | Mapping | str, descriptor: Descriptor | Mapping | str):
        super().__init__()
        self.potential = self._take(potential)
        self.descriptor = build(descriptor, Descriptor)
        self.cutoff = max(self.cutoff, self.descriptor.cutoff)
        self.species = Species(self.descriptor.elements)
        one = torch.eye(self.descriptor.n_features, dtype=torch.float64)
        self.register_buffer("forms", one.repeat(len(self.descriptor.elements), 1, 1))  # all are unknown

    def know(self, element: int, points: Float[Tensor, "points D"], epsilon: float = 1e-8) -> None:
        """Take the known environments of an element, by its place among those of the descriptor.

        Args:
            element: which.
            points: their features, of norm 1.
            epsilon: variance of noise over that of the process.
        """
        P = points.to(self.forms)
        one = torch.eye(P.shape[1], dtype=P.dtype, device=P.device)
        self.forms[element] = epsilon * torch.linalg.inv(P.T @ P + epsilon * one)

    @torch.no_grad()
    def doubt(self, graph: Graph) -> Float[Tensor, "atoms"]:
        """``sqrt(p · B p)``, from 0 to 1."""
        z, p = self.species(graph.numbers), self.descriptor(graph.within(self.descriptor.cutoff)).to(self.forms)
        p = torch.nn.functional.normalize(p, dim=1)
        variance = p.new_ones(len(p))
        for e in z.unique().tolist():
            x = p[z == e]
            variance[z == e] = ((x @ self.forms[e]) * x).sum(1)
        return variance.clamp(0, 1).sqrt()
