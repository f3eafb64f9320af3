"""Moment tensor potential: A. V. Shapeev, Multiscale Model. Simul. 14, 1153 (2016).

With several elements: K. Gubaev et al., Comput. Mater. Sci. 156, 148 (2019); levels and radial functions as in MLIP:
I. S. Novikov et al., Mach. Learn.: Sci. Technol. 2, 025002 (2021).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..graph import Graph, sum_edges
from ..kernels.bonds import bond_energies
from ..kernels.moment_design import design
from ..kernels.moment_tensors import energies
from ..nn.moment_contractions import contractions
from ..nn.polynomials import chebyshev
from ..potential import Design, PerAtom, Potential, Species


class MTP(Potential):
    r"""``E_i = sum_k c_k B_ik``, the ``B`` all contractions to scalars of products of up to four moment tensors.

    ``M_mu,nu = sum_j f_mu(r_ij) u_ij ⊗ ... ⊗ u_ij`` (``nu`` times the unit vector ``u_ij``) has the level
    ``2 + 4 mu + nu``, and a product the sum of the levels of its factors. The radial functions depend on both elements,
    ``f_mu(r) = sum_n w_ZiZj,mu,n T_n(x) (r_c - r)²`` with Chebyshev polynomials of ``x``, from -1 at ``min_dist`` to 1
    at the cutoff. ``VariableProjection`` finds these with ``c``, which all elements share; ``LeastSquares`` finds ``c``
    alone, with errors a few times as large. At short distance it is not repulsive by itself: add ``ZBL()``.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        level: largest level of a product, even: 8 gives 9 functions, 16 gives 92, 20 gives 288.
        n_radial: Chebyshev polynomials of each radial function.
        min_dist: shortest distance for which the polynomials are made, Å; three quarters of the shortest sum of two
            covalent radii if not given.
        scaling: factor of the radial functions.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "level": 8, "n_radial": 4}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        level: int = 16,
        n_radial: int = 8,
        min_dist: float | None = None,
        scaling: float = 0.1,
    ):
        super().__init__()
        if level < 2 or level % 2 or level > 28:
            raise ValueError(f"MTP: level must be an even number from 2 to 28, got {level}")
        if min_dist is None:
            min_dist = 1.5 * float(min(covalent_radii[atomic_numbers[e]] for e in Species(elements).elements))
        if not 0 <= min_dist < cutoff or n_radial < 2:
            raise ValueError(
                f"MTP: min_dist must be below the cutoff and n_radial 2 or more; got {min_dist} and {cutoff} Å, and "
                f"{n_radial}"
            )
        self.elements, self.cutoff, self.level = tuple(elements), float(cutoff), level
        self.min_dist, self.scaling = float(min_dist), float(scaling)
        self.species = Species(elements)
        known = contractions(level)
        for name in ("basic", "products", "scalars"):
            self.register_buffer(name, torch.from_numpy(getattr(known, name)), persistent=False)
        ends = [int((known.depth <= d).sum()) for d in range(int(known.depth.max()) + 1)]
        self.layers = [(int((known.products[:, 3] < end).sum()), end) for end in ends]  # products and moments so far
        self.nu_max = int(known.basic[:, 1:].sum(1).max())
        n, n_mu = len(elements), 1 + int(known.basic[:, 0].max())
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(n, n, n_mu, n_radial, generator=generator, dtype=torch.float64)
        self.w = nn.Parameter(
            torch.eye(n_mu, n_radial, dtype=torch.float64) + 0.2 * noise / (1 + torch.arange(n_radial))
        )
        noise = torch.randn(len(self.scalars), generator=generator, dtype=torch.float64)
        self.c = nn.Parameter(0.1 * noise / torch.from_numpy(known.levels))  # eV

    def forward(self, graph: Graph) -> PerAtom:
        arguments = [self.w, self.c, self.cutoff, self.min_dist, self.scaling, self.level]
        float32, z = (torch.float32, torch.float64), self.species(graph.numbers)
        return PerAtom(bond_energies(self._plain, energies, graph, z, arguments, float32))

    def _plain(self, graph: Graph, z: Int[Tensor, "atoms"], w, c, *_) -> Float[Tensor, "atoms"]:
        return self.invariants(graph.within(self.cutoff), z, w) @ c

    def invariants(self, graph: Graph, z: Int[Tensor, "atoms"], w: Tensor) -> Float[Tensor, "atoms K"]:
        """The scalars ``B`` of every atom."""
        M = sum_edges(self._edge_moments(graph, z, w), graph)
        for (begin, last), (stop, end) in pairwise(self.layers):
            x, y, times, out = self.products[begin:stop].unbind(1)
            values = M.index_select(1, x) * M.index_select(1, y) * times
            M = torch.cat([M, M.new_zeros(len(M), end - last).index_add(1, out - last, values)], 1)
        return M.index_select(1, self.scalars)

    def _edge_moments(self, graph: Graph, z: Int[Tensor, "atoms"], w: Tensor) -> Float[Tensor, "edges basic"]:
        """``f_mu(r) u_x^a u_y^b u_z^c`` of each basic moment."""
        r = graph.lengths
        x = (2 * r - (self.min_dist + self.cutoff)) / (self.cutoff - self.min_dist)
        Q = chebyshev(x, w.shape[-1]) * (self.scaling * (self.cutoff - r).square())[:, None]
        f = torch.einsum("emn,en->em", w[z[graph.i], z[graph.j]], Q)
        u, powers = graph.vectors / r[:, None], [torch.ones_like(graph.vectors)]
        for _ in range(self.nu_max):
            powers.append(powers[-1] * u)
        p, (mu, a, b, c) = torch.stack(powers, 1), self.basic.unbind(1)
        return f.index_select(1, mu) * p[:, a, 0] * p[:, b, 1] * p[:, c, 2]

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        return self.c.detach()

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        self.c.data.copy_(values)

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        return self._derivatives(graph, forces, virial)

    def nonlinear(self) -> list[nn.Parameter]:
        return [self.w] if self.w.requires_grad else []

    def nonlinear_design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        return self._derivatives(graph, forces, virial, self.c)

    def _derivatives(self, graph: Graph, forces: bool, virial: bool, c: Tensor | None = None) -> Design:
        z, radial = self.species(graph.numbers), (self.cutoff, self.min_dist, self.scaling, self.level)
        return Design(*design(graph, z, self.w, *radial, self.dtype, forces, virial, c))

    def penalty(self) -> Float[Tensor, "K"]:
        """The square of the level."""
        return torch.from_numpy(contractions(self.level).levels).to(self.c).square()
