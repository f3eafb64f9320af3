r"""Kernel regression on environments, as with FCHL19: A. S. Christensen et al., J. Chem. Phys. 152, 044107 (2020).

The energy of an atom is a Gaussian process of its features, the same for all atoms of an element,

    E_i = sum_s k(x_i, x_s) (w_s + t_s · (x_i - x_s) / sigma²),    k(x, x') = exp(-|x - x'|² / 2 sigma²),

over environments ``s`` of the element of ``i``. What is fitted, and how, gives the forms of the paper:

- energies, kernel ridge regression: all environments of a structure have one weight ``w``, there are no ``t``
  (``KernelRidge(forces=None)``);
- energies and forces, Gaussian process regression: ``t_s`` is a sum over the forces of the structure of ``s``, each
  along the change of ``x_s`` by it (``KernelRidge``);
- energies and forces, operator form: every environment has a weight of its own, there are no ``t``; these may be some
  of the environments only (``SparseGP``).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import build
from ..descriptor import Descriptor
from ..descriptors.fchl19 import FCHL19
from ..graph import Graph
from ..kernels.gaussian_energies import gaussian_energies
from ..nn.environment_covariance import gaussian
from ..potential import PerAtom, Species
from .sparse_kernel import SparseKernel, leaving


class FCHL(SparseKernel):
    """A Gaussian process of environments, as compared by ``FCHL19`` and a Gaussian of their distance.

    Fit it with ``KernelRidge``, which takes all environments of the training set, or with ``SparseGP``, which takes
    ``n_sparse`` of each element.

    Args:
        elements: chemical symbols.
        cutoff: of the default descriptor, Å.
        descriptor: what environments are compared by; ``FCHL19`` within ``cutoff`` if not given.
        sigma: distance of features over which energies vary; a fit may try others.
        n_sparse: points for each element, where ``SparseGP`` fits.
        delta: standard deviation of the energy of an atom before any data, eV, where ``SparseGP`` fits.
        points: how they are chosen; see ``nn.sparse_points``.
        jitter: added to the covariance of the points, over ``delta²``.
    """

    fitted_by = "KernelRidge"
    small = {"elements": ["Si", "H"], "descriptor": {"FCHL19": FCHL19.small}, "sigma": 1.5, "n_sparse": 4}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 8.0,
        descriptor: Descriptor | None = None,
        sigma: float = 3.0,
        n_sparse: int = 1000,
        delta: float = 1.0,
        points: str = "variance",
        jitter: float = 1e-8,
    ):
        super().__init__()
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        self.descriptor: Descriptor = build(descriptor, Descriptor) or FCHL19(elements, cutoff, cutoff)
        if tuple(elements) != tuple(self.descriptor.elements):
            raise ValueError(
                f"elements are {', '.join(elements)} but those of the descriptor {', '.join(self.descriptor.elements)}"
            )
        self.cutoff, self.elements = self.descriptor.cutoff, tuple(elements)
        self.continuity = getattr(self.descriptor, "continuity", 1)
        self.species, D = Species(elements), self.descriptor.n_features
        self.register_buffer("theta", torch.full((1,), float(sigma), dtype=torch.float64))
        self._begin(len(elements), n_sparse, points, delta, jitter, D)
        self.register_buffer("tilts", self.points)
        # A start that is no fit, but obeys what a fit obeys.
        generator = torch.Generator().manual_seed(1)
        x, tilts = (torch.rand(n_sparse, D, generator=generator, dtype=torch.float64) for _ in range(2))
        self.place([x] * len(elements))
        self.tilts = (tilts - 0.5).repeat(len(elements), 1)

    @classmethod
    def original(cls, elements: list[str], **arguments: Any) -> FCHL:
        """With the length that the authors' program recommends."""
        return cls(elements, **{"sigma": 21.0, **arguments})

    def place(
        self,
        points: list[Float[Tensor, "_ D"]],
        alpha: Float[Tensor, "M"] | None = None,
        tilts: Float[Tensor, "M D"] | None = None,
    ) -> None:
        """Set the environments of each element, their weights ``w / delta²``, and ``t`` (eV) where there are any."""
        super().place(points, alpha)
        self.tilts = self.points[:0] if tilts is None else tilts.to(self.points)

    def forward(self, graph: Graph) -> PerAtom:
        x, z, weights = self.descriptor(graph), self.species(graph.numbers), self.delta**2 * self.alpha
        E = x.new_zeros(len(x))
        for g in range(self.n_groups):
            atoms, of = torch.nonzero(z == g)[:, 0], torch.nonzero(self.group == g)[:, 0]
            tilts = self.tilts[of] if len(self.tilts) else None
            e = gaussian_energies(x.index_select(0, atoms), self.points[of], weights[of], tilts, self.theta[0])
            E = E.index_copy(0, atoms, e)
        return PerAtom(E)

    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        return self.descriptor(graph), self.species(graph.numbers)

    def kernel(self, x: Tensor, points: Tensor, group: int) -> Tensor:
        return gaussian(x, points, self.theta)

    def fading(self, x: Float[Tensor, "I D"]) -> Float[Tensor, "I"]:
        return torch.ones_like(x[:, 0])

    def slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        graph, z = leaving(graph, atoms), self.species(graph.numbers[atoms])
        x = self.descriptor(graph)[atoms]
        k = gaussian(x, self.points, self.theta) * ((z[:, None] == self.group) * self.delta**2)
        if not forces:
            return k, None
        J, i = self.descriptor.jacobian(graph), graph.i - atoms.start
        apart = J @ self.points.T - J @ x[i][:, :, None]  # [edges, 3, M]
        return k, apart.mul_((k / self.theta**2)[i][:, None])
