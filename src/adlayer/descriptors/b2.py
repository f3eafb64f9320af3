"""B2 of the atomic cluster expansion as FLARE has it: J. Vandermause et al., Nat. Commun. 13, 5183 (2022)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels import soap as kernel
from ..kernels import use_fused
from ..nn.power_spectrum import PowerSpectrum
from ..potential import Species


class B2(Descriptor):
    """``B_ab l = sum_m c_a lm c_b lm``, ``c_(e, n) lm = sum_j (cutoff - r_ij)² T_n(r_ij / cutoff) Y_lm``.

    Over neighbors ``j`` of element ``e``, with Chebyshev polynomials ``T_n``, ``n = 0 .. n_max - 1``, and each pair of
    ``a`` and ``b`` once. FLARE's sparse Gaussian process is ``EnvironmentGP`` with this descriptor and ``zeta = 2``:
    its ``NormalizedDotProduct`` of power 2, whose ``sigma`` is ``delta``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        n_max: number of radial functions.
        l_max: largest l.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "n_max": 3, "l_max": 2}

    def __init__(self, elements: list[str], cutoff: float = 5.0, n_max: int = 8, l_max: int = 3):
        super().__init__()
        if n_max < 1 or l_max < 0 or not cutoff > 0:
            raise ValueError(
                f"n_max must be at least 1, l_max at least 0 and the cutoff positive; got {n_max}, {l_max}, {cutoff}"
            )
        self.elements, self.cutoff, self.species = tuple(elements), float(cutoff), Species(elements)
        resolution = 0.1 * self.cutoff  # neighbors are points; it only says how fine the tables of the kernel are
        spectrum = PowerSpectrum(
            n_elements=len(elements),
            cutoff=self.cutoff,
            transition=0.0,
            n_max=n_max,
            l_max=l_max,
            sigma=resolution,
            reach=self.cutoff,
            basis="chebyshev",
            central_weight=0.0,
            compression="none",
            channels=None,
            decay=None,
            bare=True,
            quadratic=True,
        )
        self._spec, self.n_features = spectrum.spec, spectrum.n_features

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        return kernel.power_spectrum(graph.vectors, self._index(graph), self._spec)

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if not use_fused(graph.vectors):
            return super().jacobian(graph)
        return kernel.jacobian(graph.vectors, self._index(graph), self._spec)

    def _index(self, graph: Graph) -> list[Int[Tensor, "_"]]:
        return [graph.i, graph.j, graph.first, self.species(graph.numbers)]
