"""Smooth overlap of atomic positions: A. P. Bartók, R. Kondor and G. Csányi, Phys. Rev. B 87, 184115 (2013)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels import soap as kernel
from ..kernels import use_fused
from ..kernels.soap import power_spectrum
from ..nn.covariances import normalized, normalized_slope
from ..nn.power_spectrum import COMPRESSIONS, PowerSpectrum
from ..potential import Species


class SOAP(Descriptor):
    """Power spectrum of the neighbors' densities, each atom a Gaussian of width ``sigma``; see ``nn.power_spectrum``.

    ``p_nn'l = sum_m c_nlm c_n'lm / sqrt(2l + 1)``, ``c_nlm`` the density on radial functions and spherical harmonics;
    one density for each element. The defaults are those of QUIP's ``soap``, whose features these are, in their order.

    ``compression`` is one of ``none``, ``diagonal`` (``n = n'`` only), ``crossover`` (pairs of one element only),
    ``mu1nu1`` (each element with the density of all), ``mu2`` (the density of all alone) and ``trivial`` (those with
    the first radial function of an element, as in turbo SOAP); ``channels`` mixes elements into fewer densities.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        n_max: number of radial functions.
        l_max: largest l.
        sigma: width of the Gaussians, Å.
        transition: length over which neighbors fade out before the cutoff, Å.
        basis: gaussians (QUIP), gto or polynomial (DScribe), or others; see ``nn.density_projection``.
        central_weight: of the atom in its own density.
        normalize: whether features are divided by their norm.
        compression: which products are taken.
        channels: weights of each element in each channel, ``{"Si": [1.0, 0.2], "H": [1.0, -0.5]}``; one channel for
            each element if not given.
        decay: ``[m, r_0, c]``: neighbors also count ``c / (c + (r / r_0)^m)``, or ``(r_0 / r)^m`` for ``c = 0``.
        reach: up to where the radial functions reach, Å; the cutoff if not given.
        offset: one more feature, always this number (QUIP's ``covariance_sigma0``); 0: none.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "n_max": 3, "l_max": 2, "transition": 1.0}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        n_max: int = 8,
        l_max: int = 6,
        sigma: float = 0.5,
        transition: float = 1.0,
        basis: str = "gaussians",
        central_weight: float = 1.0,
        normalize: bool = True,
        compression: str = "none",
        channels: dict[str, list] | None = None,
        decay: list[float] | None = None,
        reach: float | None = None,
        offset: float = 0.0,
    ):
        super().__init__()
        if n_max < 1 or l_max < 0:
            raise ValueError(f"n_max must be at least 1 and l_max at least 0, got {n_max} and {l_max}")
        if not (sigma > 0 and cutoff > 0 and 0 <= transition <= cutoff):
            raise ValueError(
                f"sigma and cutoff must be positive and transition from 0 to the cutoff, got {sigma}, {cutoff} and "
                f"{transition} Å"
            )
        if compression not in COMPRESSIONS:
            raise ValueError(
                f"compression must be one of {', '.join(COMPRESSIONS)}; got {compression!r}"
                f"{nearest(compression, COMPRESSIONS)}"
            )
        if decay is not None and len(decay) != 3:
            raise ValueError(f"decay is three numbers, exponent, length (Å) and rate, got {decay!r}")
        self.elements, self.cutoff = tuple(elements), float(cutoff)
        self.continuity = 1 if transition else 0
        self.species = Species(elements)
        self.normalize, self.offset = normalize, offset
        self.spectrum = PowerSpectrum(
            len(self.elements),
            self.cutoff,
            float(transition),
            n_max,
            l_max,
            float(sigma),
            float(reach or cutoff),
            basis,
            float(central_weight),
            compression,
            None if channels is None else _columns(channels, self.elements),
            None if decay is None else tuple(map(float, decay)),
        )
        self._spec = self.spectrum.spec
        self.n_features = self.spectrum.n_features + bool(offset)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        index = [graph.i, graph.j, graph.first, self.species(graph.numbers)]
        p = power_spectrum(graph.vectors, index, self._spec)
        p = normalized(p) if self.normalize else p  # nothing around, and no weight of its own: zeros
        return torch.cat([p, p.new_full((len(p), 1), self.offset)], 1) if self.offset else p

    def jacobian(self, graph: Graph) -> Float[Tensor, "edges 3 features"]:
        if not use_fused(graph.vectors):
            return super().jacobian(graph)
        index = [graph.i, graph.j, graph.first, self.species(graph.numbers)]
        J = kernel.jacobian(graph.vectors, index, self._spec)
        if self.normalize:
            J = normalized_slope(power_spectrum(graph.vectors, index, self._spec)[graph.i], J)
        return torch.cat([J, torch.zeros_like(J[..., :1])], -1) if self.offset else J


def _columns(channels: dict[str, list], elements: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    if set(channels) != set(elements) or len({len(w) for w in channels.values()}) != 1:
        raise ValueError(f"channels needs equally many weights for each of {', '.join(elements)}, got {channels!r}")
    return tuple(zip(*(map(float, channels[e]) for e in elements)))
