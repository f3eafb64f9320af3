"""Long-distance equivariants (LODE): A. Grisafi and M. Ceriotti, J. Chem. Phys. 151, 204105 (2019).

Any exponent: K. K. Huguenin-Dumittan, P. Loche, N. Haoran and M. Ceriotti, J. Phys. Chem. Lett. 14, 9612 (2023).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..descriptor import Descriptor
from ..electrostatics.projection import PotentialProjection, project_potential
from ..graph import Graph
from ..nn.covariances import normalized
from ..nn.power_spectrum import PowerSpectrum
from ..potential import Species


class LODE(Descriptor):
    r"""What the ``1/r^p`` potentials of all atoms of a structure, however far, look like around each.

    ``v_nlm``, for each element the potential of its atoms on radial functions and spherical harmonics, are multiplied
    with the coefficients ``c_nlm`` of the density of the neighbors (see ``SOAP``), or with themselves:

        p_nn'l = sum_m c_nlm v_n'lm / sqrt(2l + 1)      with_density: the multiscale features of Grisafi et al.,
                                                        Chem. Sci. 12, 2078 (2021)
        p_nn'l = sum_m v_nlm v_n'lm / sqrt(2l + 1)      otherwise, times sqrt(2) where they differ

    The potential is that of smeared atoms, ``gamma(p/2, r²/2 sigma²) / (Gamma(p/2) r^p)``, summed over waves, exactly
    for bulk, slabs, wires and clusters: where a direction does not repeat there is no box and no vacuum.
    Where the sum over equal atoms is infinite (``p`` up to the number of periodic directions) its waves that are
    constant along those count from 0 at the height of the atom; in bulk that is to leave out ``k = 0``. Coefficients
    are those of featomic's ``LodeSphericalExpansion``; see ``electrostatics.projection``.

    Atoms at any distance count: what is made of it has no finite range, and scales with the square of the size of a
    structure.

    Args:
        elements: chemical symbols.
        exponent: ``p``; 1: charges, 3: dipoles, 6: dispersion.
        smearing: ``sigma``, Å.
        radius: of the radial functions of the potential, Å.
        n_max: how many there are; of the density as well.
        l_max: largest l.
        basis: gto (featomic), monomials or bessel; see ``electrostatics.radial_functions``.
        with_density: whether products are with the density of neighbors.
        cutoff: of that density, Å.
        sigma: width of its Gaussians, Å.
        transition: length over which neighbors fade out before the cutoff, Å.
        central_weight: of the atom in its own density and potential.
        normalize: whether features are divided by their norm.
        k_cutoff: largest wave vector, 1/Å; where the rest is worth 1e-7 of the largest if not given. featomic's default
            is ``1.2 pi / smearing``.
    """

    local = False
    small = {"elements": ["Si", "H"], "smearing": 2.0, "radius": 1.5, "n_max": 2, "l_max": 2, "cutoff": 4.0}

    def __init__(
        self,
        elements: list[str],
        exponent: int = 1,
        smearing: float = 1.0,
        radius: float = 3.0,
        n_max: int = 4,
        l_max: int = 3,
        basis: str = "gto",
        with_density: bool = True,
        cutoff: float = 5.0,
        sigma: float = 0.5,
        transition: float = 1.0,
        central_weight: float = 1.0,
        normalize: bool = True,
        k_cutoff: float | None = None,
    ):
        super().__init__()
        if exponent != int(exponent) or exponent < 1:
            raise ValueError(f"exponent must be a whole number from 1, got {exponent}")
        if n_max < 1 or l_max < 0:
            raise ValueError(f"n_max must be at least 1 and l_max at least 0, got {n_max} and {l_max}")
        if not (smearing > 0 and radius > 0 and (k_cutoff is None or k_cutoff > 0)):
            raise ValueError(
                f"smearing, radius and k_cutoff must be positive, got {smearing} and {radius} Å and {k_cutoff} 1/Å"
            )
        if not (sigma > 0 and cutoff > 0 and 0 <= transition <= cutoff):
            raise ValueError(
                f"sigma and cutoff must be positive and transition from 0 to the cutoff, got {sigma}, {cutoff} and "
                f"{transition} Å"
            )
        self.elements, self.with_density, self.normalize = tuple(elements), with_density, normalize
        self.cutoff = float(cutoff) if with_density else 0.0
        self.central_weight, self.species, E = float(central_weight), Species(elements), len(self.elements)
        settings = int(exponent), float(smearing), n_max, l_max, float(radius), basis, k_cutoff
        self.potential = PotentialProjection(E, *settings)
        self._spec = self.potential.spec
        density = float(cutoff), float(transition), n_max, l_max, float(sigma), float(cutoff), "gaussians"
        self.density = PowerSpectrum(E, *density, float(central_weight), "none", None, None)
        self.register_buffer("of_itself", torch.from_numpy(self.potential.of_itself), persistent=False)
        a, b = torch.triu_indices(E * n_max, E * n_max) if not with_density else (torch.zeros(0, dtype=torch.long),) * 2
        self.register_buffer("pairs", torch.stack([a, b]), persistent=False)
        self.n_features = (l_max + 1) * ((E * n_max) ** 2 if with_density else len(a))

    def coefficients(self, graph: Graph) -> Float[Tensor, "atoms elements lm n"]:
        """``v_nlm`` of the potential of each element around each atom, Å^(3/2 - p)."""
        s, z = graph.structures, self.species(graph.numbers)
        x = torch.cat([s.positions, s.cell.reshape(-1, 3)])
        v = project_potential(x, [s.system, s.pbc, z], self._spec)
        if self.central_weight == 1:
            return v
        own = torch.nn.functional.one_hot(z, len(self.elements)).to(v)[:, :, None, None] * (1 - self.central_weight)
        rest = torch.zeros_like(v[:1, :1, 1:]).expand(len(v), len(self.elements), -1, -1)
        return v - torch.cat([own * self.of_itself.to(v), rest], 2)

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        v = self.coefficients(graph).transpose(1, 2).flatten(2)  # [atoms, lm, (element, n)]
        if self.with_density:
            c = self.density.coefficients(graph.vectors, graph.i, graph.j, self.species(graph.numbers))
            products = c.transpose(1, 2).flatten(2)[:, :, :, None] * v[:, :, None]
            products = products.flatten(2)
        else:
            a, b = self.pairs
            products = v[:, :, a] * v[:, :, b] * torch.where(a == b, v.new_ones(()), 2**0.5)
        orders = range(self.density.l_max + 1)
        p = torch.stack([products[:, l * l : (l + 1) ** 2].sum(1) * (2 * l + 1) ** -0.5 for l in orders], -1).flatten(1)
        return normalized(p) if self.normalize else p
