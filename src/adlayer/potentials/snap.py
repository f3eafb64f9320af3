"""Spectral neighbor analysis potential: A. P. Thompson et al., J. Comput. Phys. 285, 316 (2015).

Quadratic: M. A. Wood and A. P. Thompson, J. Chem. Phys. 148, 241721 (2018).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..config import check_arguments
from ..descriptors.bispectrum import Bispectrum
from ..graph import Graph
from ..kernels import bispectrum as kernel
from ..kernels.bonds import bond_energies
from ..kernels.snap import Polynomial, energies
from ..kernels.snap_design import design
from ..potential import Design, PerAtom, Potential, Species

MOST = 30_000  # coefficients of one element: normal equations of more do not fit into a few GB


class SNAP(Potential):
    r"""``E_i = b_0 + sum_k b_k B_ik``, or quadratic, with ``+ sum_k a_kk B_ik² / 2 + sum_k<l a_kl B_ik B_il`` as well.

    ``B_ik`` are the bispectrum components of atom ``i``; each element has coefficients of its own. Linear in them, so
    fitted by least squares. A network in place of the polynomial is ``HDNNP`` with a ``Bispectrum`` as descriptor. At
    short distance it is not repulsive by itself: add ``ZBL()``.

    Args:
        elements: chemical symbols.
        cutoff: of two atoms of the largest radius, Å.
        twojmax: largest degree, doubled: 6 gives 30 components, 8 gives 55.
        quadratic: whether products of two components are there.
        bispectrum: further arguments of ``Bispectrum``, such as ``{ chem = true }``.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "twojmax": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        twojmax: int = 6,
        quadratic: bool = False,
        bispectrum: dict | None = None,
    ):
        super().__init__()
        arguments = {"elements": list(elements), "cutoff": cutoff, "twojmax": twojmax, **(bispectrum or {})}
        check_arguments(Bispectrum, arguments)
        self.descriptor = Bispectrum(**arguments)
        self.elements, self.cutoff, self.quadratic = tuple(elements), self.descriptor.cutoff, quadratic
        self.species = Species(elements)
        K = self.descriptor.n_features
        self.n_coefficients = 1 + K + (K * (K + 1) // 2 if quadratic else 0)  # of one element
        if self.n_coefficients > MOST:
            raise ValueError(
                f"SNAP: {K} components would have {self.n_coefficients} coefficients for each element, more than "
                f"{MOST}; take a smaller twojmax, or leave out quadratic or chem"
            )
        self.c = nn.Parameter(torch.zeros(len(elements), self.n_coefficients, dtype=torch.float64))
        self._start()

    def _start(self) -> None:
        """Small numbers, always the same: an unfitted potential, not a flat one."""
        generator = torch.Generator().manual_seed(0)
        K = self.descriptor.n_features
        noise = torch.randn(self.c.shape, generator=generator, dtype=self.c.dtype)
        self.c.data[:, 1 : K + 1] = 0.01 * noise[:, 1 : K + 1]
        self.c.data[:, K + 1 :] = 1e-5 * noise[:, K + 1 :]

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(bond_energies(self._plain, self._fused, graph, self.species(graph.numbers), [self.c]))

    def _plain(self, graph: Graph, species: Int[Tensor, "atoms"], c: Float[Tensor, "elements K"]) -> Tensor:
        B, c = self.descriptor(graph), c[species]
        K = B.shape[1]
        E = c[:, 0] + (c[:, 1 : K + 1] * B).sum(1)
        if self.quadratic:
            k, l = torch.triu_indices(K, K, device=B.device)
            half = torch.where(k == l, 0.5, 1.0).to(B.dtype)
            E = E + (c[:, K + 1 :] * (half * B[:, k] * B[:, l])).sum(1)
        return E

    def _fused(self, first, j, vectors, species, c):
        """The same, and its derivatives by the vectors: of the components before they are scaled and shifted."""
        d = self.descriptor
        K, n_known = d.n_features, kernel.n_components(d.sphere)
        scale, zero, columns = (x.numpy() for x in (d.scale, d.zero, d.columns))
        constant, linear = c[:, 0].copy(), np.zeros((len(c), n_known))
        slope, quadratic = c[:, 1 : K + 1].copy(), np.zeros((len(c) if self.quadratic else 0, n_known, n_known))
        for e, a in enumerate(quadratic):
            pairs = np.zeros((K, K))
            pairs[np.triu_indices(K)] = c[e, K + 1 :]
            pairs = np.triu(pairs) + np.triu(pairs, 1).T
            constant[e] += 0.5 * zero[e] @ pairs @ zero[e]
            slope[e] -= pairs @ zero[e]
            a[np.ix_(columns, columns)] = scale[:, None] * pairs * scale
        constant -= (c[:, 1 : K + 1] * zero).sum(1)
        linear[:, columns] = scale * slope
        return energies(first, j, vectors, species, d.spec, Polynomial(constant, linear, quadratic))

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        return self.c.detach().reshape(-1)

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        self.c.data.copy_(values.reshape(self.c.shape))

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        d, species = self.descriptor, self.species(graph.numbers)
        components = d.columns, d.scale, d.zero
        return Design(*design(graph, species, d.spec, components, self.quadratic, self.dtype, forces, virial))
