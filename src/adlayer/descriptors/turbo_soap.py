"""Turbo SOAP, neighbors as separable densities: M. A. Caro, Phys. Rev. B 100, 024112 (2019)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from ..config import nearest
from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels import soap as kernel
from ..kernels import use_fused
from ..nn.covariances import normalized, normalized_slope
from ..nn.power_spectrum import COMPRESSIONS, PowerSpectrum
from ..nn.separable_projection import SeparableProjection
from ..potential import Species


class TurboSOAP(Descriptor):
    """Power spectrum of neighbors whose densities are apart in radius and angle; see ``nn.separable_projection``.

    ``p_nn'l = sum_m c_nlm c_n'lm`` (times ``sqrt(2)`` for ``n != n'``), one density for each element. The features are
    those of QUIP's and TurboGAP's ``soap_turbo``, in their order; its names of the arguments are in parentheses.
    Widths, growths, amplitude and central weight are numbers, or tables of one for each element.

    Args:
        elements: chemical symbols (species_Z).
        cutoff: Å (rcut_hard).
        n_max: number of radial functions of each element (alpha_max); at most 11.
        l_max: largest l.
        sigma: radial width of the densities, Å (atom_sigma_r).
        sigma_t: tangential width, Å (atom_sigma_t); as the radial one if not given.
        growth: of the radial width with distance (atom_sigma_r_scaling).
        growth_t: of the tangential width (atom_sigma_t_scaling).
        transition: length over which radial functions fade before the cutoff, Å (rcut_hard - rcut_soft).
        amplitude: exponent with which neighbors fade over the whole range (amplitude_scaling); below 1 forces have a
            step at the cutoff.
        central_weight: of the atom in its own density.
        enhancement: 0, 1 or 2: the power of distance by which far neighbors count more (radial_enhancement).
        basis: poly3, polynomials, or poly3gauss, with a Gaussian at the center as the last.
        compression: which products are taken (compress_mode): none, trivial (with the first radial function of an
            element), or those of ``SOAP``.
        normalize: whether features are divided by their norm.
    """

    small = {
        "elements": ["Si", "H"],
        "cutoff": 4.0,
        "n_max": 3,
        "l_max": 2,
        "sigma": {"Si": 0.6, "H": 0.5},
        "growth": 0.1,
        "transition": 1.0,
    }

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        n_max: int = 8,
        l_max: int = 8,
        sigma: float | dict = 0.5,
        sigma_t: float | dict | None = None,
        growth: float | dict = 0.0,
        growth_t: float | dict = 0.0,
        transition: float = 0.5,
        amplitude: float | dict = 1.0,
        central_weight: float | dict = 1.0,
        enhancement: int = 1,
        basis: str = "poly3gauss",
        compression: str = "trivial",
        normalize: bool = True,
    ):
        super().__init__()
        if not (1 <= n_max <= 11 and l_max >= 0):
            raise ValueError(f"n_max must be 1 to 11 and l_max at least 0, got {n_max} and {l_max}")
        if not (cutoff > 0 and 0 <= transition < cutoff):
            raise ValueError(
                f"the cutoff must be positive and transition from 0 to below it, got {cutoff} and {transition} Å"
            )
        if compression not in COMPRESSIONS:
            raise ValueError(
                f"compression must be one of {', '.join(COMPRESSIONS)}; got {compression!r}"
                f"{nearest(compression, COMPRESSIONS)}"
            )
        self.elements, self.cutoff, self.species = tuple(elements), float(cutoff), Species(elements)
        given = {"sigma": sigma, "sigma_t": sigma if sigma_t is None else sigma_t}
        given |= {"growth": growth, "growth_t": growth_t, "amplitude": amplitude, "central_weight": central_weight}
        own = {name: _of_each(name, x, self.elements) for name, x in given.items()}
        weights = tuple(own.pop("central_weight"))
        common = {"n_max": n_max, "l_max": l_max, "cutoff": self.cutoff, "soft": self.cutoff - transition}
        common |= {"enhancement": enhancement, "basis": basis}
        densities = tuple(SeparableProjection(**common, **dict(zip(own, values))) for values in zip(*own.values()))
        self.spectrum = PowerSpectrum(
            n_elements=len(self.elements),
            cutoff=self.cutoff,
            transition=0.0,
            n_max=n_max,
            l_max=l_max,
            sigma=min(d.width for d in densities),
            reach=self.cutoff,
            basis=basis,
            central_weight=weights,
            compression=compression,
            channels=None,
            decay=None,
            separable=densities if len(set(densities)) > 1 else densities[:1],
        )
        self.normalize, self.continuity = normalize, int(min(own["amplitude"]) >= 1)
        self._spec, self.n_features = self.spectrum.spec, self.spectrum.n_features

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        p = kernel.power_spectrum(graph.vectors, self._index(graph), self._spec)
        return normalized(p) if self.normalize else p

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if not use_fused(graph.vectors):
            return super().jacobian(graph)
        index = self._index(graph)
        J = kernel.jacobian(graph.vectors, index, self._spec)
        if not self.normalize:
            return J
        return normalized_slope(kernel.power_spectrum(graph.vectors, index, self._spec)[graph.i], J)

    def _index(self, graph: Graph) -> list[Int[Tensor, "_"]]:
        return [graph.i, graph.j, graph.first, self.species(graph.numbers)]


def _of_each(name: str, given: float | dict, elements: tuple[str, ...]) -> list[float]:
    if not isinstance(given, dict):
        return [float(given)] * len(elements)
    if set(given) != set(elements):
        raise ValueError(f"{name} needs a number for each of {', '.join(elements)}, or one for all; got {given!r}")
    return [float(given[e]) for e in elements]
