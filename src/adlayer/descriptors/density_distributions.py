"""Radial and angular distributions of the neighbors' density, as in VASP's force fields.

Jinnouchi, Karsai, Verdi, Asahi and Kresse, J. Chem. Phys. 152, 234102 (2020).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels import radial_sums as radial
from ..kernels import soap as angular
from ..kernels import use_fused
from ..nn.density_distributions import RadialSums
from ..nn.power_spectrum import PowerSpectrum
from ..potential import Species


class DensityDistributions(Descriptor):
    """``(sqrt(b) c_n, sqrt(1 - b) p_nml)``: distances, and angles between two different neighbors.

    ``c_n = sum_j c^j_n00`` and ``p_nml = sqrt(8 pi² / (2l + 1)) sum_m' (c_nlm' c_mlm' - sum_j c^j_nlm' c^j_mlm')`` for
    each element, or pair of elements, of neighbors ``j``; ``c^j`` are those of normalized Gaussians on spherical Bessel
    functions that vanish at the cutoffs, and neighbors fade as ``(cos(pi r / cutoff) + 1) / 2``. What is left out is a
    neighbor with itself, which is no angle, so that pairs and triplets are apart. Defaults are those of VASP.

    Args:
        elements: chemical symbols.
        cutoff: of distances, Å (``ML_RCUT1``).
        cutoff_3: of angles, Å (``ML_RCUT2``).
        sigma: width of the Gaussians, Å (``ML_SION1``, ``ML_SION2``).
        n_2: number of radial functions of distances (``ML_MRB1``).
        n_3: number of those of angles (``ML_MRB2``).
        l_max: largest l (``ML_LMAX2``).
        weight_2: ``b``, the weight of distances (``ML_W1``).
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "cutoff_3": 3.5, "n_2": 3, "n_3": 2, "l_max": 2}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 8.0,
        cutoff_3: float = 5.0,
        sigma: float = 0.5,
        n_2: int = 12,
        n_3: int = 8,
        l_max: int = 3,
        weight_2: float = 0.1,
    ):
        super().__init__()
        if min(n_2, n_3) < 1 or l_max < 0:
            raise ValueError(f"n_2 and n_3 must be at least 1 and l_max at least 0, got {n_2}, {n_3} and {l_max}")
        if not (sigma > 0 and cutoff > 0 and cutoff_3 > 0):
            raise ValueError(f"sigma and both cutoffs must be positive, got {sigma}, {cutoff} and {cutoff_3} Å")
        if not 0 <= weight_2 <= 1:
            raise ValueError(f"weight_2 must be from 0 to 1, got {weight_2}")
        self.elements, self.cutoff, self.species = tuple(elements), float(max(cutoff, cutoff_3)), Species(elements)
        E, sigma = len(elements), float(sigma)
        distances = RadialSums(E, float(cutoff), sigma, n_2)
        itself = RadialSums(E, float(cutoff_3), sigma, n_3, l_max, squares=True)
        spectrum = PowerSpectrum(
            n_elements=E,
            cutoff=float(cutoff_3),
            transition=float(cutoff_3),
            n_max=n_3,
            l_max=l_max,
            sigma=sigma,
            reach=float(cutoff_3),
            basis="bessel",
            central_weight=0.0,
            compression="none",
            channels=None,
            decay=None,
        )
        self._specs = distances.spec, itself.spec, spectrum.spec
        self._root_2, self._root_3 = weight_2**0.5, (1 - weight_2) ** 0.5
        self._scale = (8 * torch.pi**2) ** 0.5 * itself.height**2
        self.n_features = E * n_2 + spectrum.n_features
        place = {pair: k for k, pair in enumerate(map(tuple, spectrum.products[0].tolist()))}
        own = [place[e * n_3 + m, e * n_3 + n] for e in range(E) for n in range(n_3) for m in range(n, n_3)]
        columns = torch.tensor(own)[:, None] * (l_max + 1) + torch.arange(l_max + 1)
        self.register_buffer("columns", columns.flatten(), persistent=False)  # where a neighbor meets itself

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        index, (distances, itself, spectrum) = self._index(graph), self._specs
        c = radial.radial_sums(graph.vectors, index, distances)
        p = self._scale * angular.power_spectrum(graph.vectors, index, spectrum)
        p = p.index_add(1, self.columns, radial.radial_sums(graph.vectors, index, itself), alpha=-1)
        return torch.cat([self._root_2 * c, self._root_3 * p], 1)

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if not use_fused(graph.vectors):
            return super().jacobian(graph)
        index, (distances, itself, spectrum) = self._index(graph), self._specs
        p = self._scale * angular.jacobian(graph.vectors, index, spectrum)
        p = p.index_add_(2, self.columns, self._along(graph, index, itself), alpha=-1)
        return torch.cat([self._root_2 * self._along(graph, index, distances), self._root_3 * p], 2)

    def _along(self, graph: Graph, index: list[Tensor], spec: str) -> Float[Tensor, "edges 3 ek"]:
        """Derivatives of radial sums by the vectors: only those of the neighbor's own element."""
        one = radial.slopes(graph.vectors, spec)
        own = torch.nn.functional.one_hot(index[3][graph.j], len(self.elements)).to(one)
        each = (own[:, :, None] * one[:, None]).flatten(1)
        return (graph.vectors / graph.lengths[:, None])[:, :, None] * each[:, None]

    def _index(self, graph: Graph) -> list[Int[Tensor, "_"]]:
        return [graph.i, graph.j, graph.first, self.species(graph.numbers)]
