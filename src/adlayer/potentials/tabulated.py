r"""Pairs and triplets on cubic splines: one function, or many at once.

    E_i = sum_j e2(r_ij) + sum_{j<k} e3(r_ij, r_ik, q)

with ``q`` the third side ``r_jk``, or the cosine of the angle between the two. The mapped Gaussian process of
A. Glielmo, C. Zeni and A. De Vita, Phys. Rev. B 97, 184307 (2018), and J. Vandermause et al., npj Comput. Mater. 6, 20
(2020): a prediction costs the same whatever the process has seen. ``tabulation.tabulate`` makes such maps of others.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..graph import Graph
from ..kernels import use_fused
from ..kernels.bonds import _is_traced, bond_energies
from ..kernels.spline_modes import mode_rows
from ..kernels.splines import spline_kernel
from ..nn.spline_grids import SplineGrid
from ..nn.splines import spline_energies
from ..potential import Design, PerAtom, Potential, Species
from ..structures import sum_systems
from .sparse_kernel import assembled, leaving

_FLOATS = (torch.float32, torch.float64)


class _OnSplines(Potential):
    """What both have: tables, and how they are filled."""

    def _begin(self, elements: list[str], lengths: tuple[float, ...], *knots: int | str, modes: tuple = ()) -> None:
        self.grid = SplineGrid(len(elements), *map(float, lengths), *knots)
        self.grid.check()
        self.elements, self.cutoff, self.species = tuple(elements), self.grid.cutoff, Species(elements)
        self.register_buffer("triple", self.grid.triple, persistent=False)
        for name, x in zip(("pairs", "triplets"), self.grid.empty(*modes)):
            self.register_buffer(name, x)

    def place(self, pairs: Float[Tensor, "pairs knots *m"], triplets: Float[Tensor, "triples n n n *m"]) -> None:
        """Take energies at the knots, of each mode where there are some, eV; at the cutoffs they are taken as zero."""
        e2, e3 = self.grid.coefficients(pairs, triplets)
        self.pairs, self.triplets = e2.to(self.pairs), e3.to(self.triplets)


class Tabulated(_OnSplines):
    """Pairs as cubic splines of ``r_ij``, triplets as those of ``r_ij``, ``r_ik`` and the third side or angle.

    Values and slopes vanish at the cutoffs; nearer than ``begin`` energies go on along straight lines. ``tabulate``
    makes one of another potential.

    Args:
        elements: chemical symbols.
        cutoff: of pairs, Å.
        cutoff_3: of ``r_ij`` and ``r_ik``, and of ``r_jk`` where that is the third, Å; 0: no triplets.
        begin: where the tables begin, Å.
        pairs: knots of the splines of pairs.
        triplets: knots along each direction of those of triplets.
        third: the third variable: side or cosine.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "cutoff_3": 3.5, "begin": 1.0, "pairs": 9, "triplets": 6}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        cutoff_3: float = 4.0,
        begin: float = 1.5,
        pairs: int = 200,
        triplets: int = 64,
        third: str = "side",
    ):
        super().__init__()
        self._begin(elements, (cutoff, cutoff_3, begin), pairs, triplets, third)
        self.place(*self.grid.example())

    def forward(self, graph: Graph) -> PerAtom:
        tables, z = [self.pairs, self.triplets, self.triple], self.species(graph.numbers)
        return PerAtom(bond_energies(spline_energies, spline_kernel, graph, z, [*tables, *self.grid.ranges], _FLOATS))


class TabulatedModes(_OnSplines):
    """``E_i = sum_m c_m E_i^m``, each ``E^m`` like ``Tabulated``: in which directions a mapped process is in doubt.

    Beside a table of the mean, with ``c = 0`` and the variance of each ``c_m`` 1, they are the doubt of a
    ``LinearEnsemble``; all modes together cost a few times one. FLARE maps variances by the principal components of
    its kernel: Y. Xie et al., npj Comput. Mater. 7, 40 (2021).

    Args:
        elements: chemical symbols.
        cutoff: of pairs, Å.
        cutoff_3: of ``r_ij`` and ``r_ik``, and of ``r_jk`` where that is the third, Å; 0: no triplets.
        begin: where the tables begin, Å.
        pairs: knots of the splines of pairs.
        triplets: knots along each direction of those of triplets.
        third: the third variable: side or cosine.
        modes: how many.
    """

    trained = False
    small = Tabulated.small | {"modes": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        cutoff_3: float = 4.0,
        begin: float = 1.5,
        pairs: int = 100,
        triplets: int = 32,
        third: str = "side",
        modes: int = 16,
    ):
        super().__init__()
        if modes < 1:
            raise ValueError(f"modes must be at least 1, got {modes}")
        self._begin(elements, (cutoff, cutoff_3, begin), pairs, triplets, third, modes=(modes,))
        weights = torch.linspace(1, 2, modes, dtype=torch.float64)
        self.register_buffer("weights", weights)
        self.place(*(x[..., None] * weights for x in self.grid.example()))

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "modes"]:
        return self.weights

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "modes"]) -> None:
        self.weights = values.detach().to(self.weights).clone()

    def forward(self, graph: Graph) -> PerAtom:
        if not _is_traced() and not bool(self.weights.any()):  # nothing but doubt
            return PerAtom(graph.vectors.new_zeros(graph.n_atoms))
        return PerAtom(self._weighted(graph, self.weights))

    def _weighted(self, graph: Graph, weights: Float[Tensor, "modes"]) -> Float[Tensor, "atoms"]:
        tables = [self.pairs @ weights, self.triplets @ weights, self.triple, *self.grid.ranges]
        return bond_energies(spline_energies, spline_kernel, graph, self.species(graph.numbers), tables, _FLOATS)

    @torch.no_grad()
    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        graph = graph.within(self.cutoff).to(self.dtype)
        E, F, W = assembled(graph, len(self.weights), self._slopes, forces, virial)
        return Design(sum_systems(E, graph.structures), F, W)

    def projections(self, graph: Graph) -> Float[Tensor, "atoms modes"]:
        return self._slopes(graph.within(self.cutoff).to(self.dtype), slice(0, graph.n_atoms), False)[0]

    def _slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        """``E^m`` of some atoms, and its derivatives by the vectors of the edges that leave them; modes last."""
        tables, z = [self.pairs, self.triplets, self.triple, *self.grid.ranges], self.species(graph.numbers)
        if use_fused(graph.vectors):
            return mode_rows(graph, z, tables, atoms, forces)
        graph = leaving(graph, atoms)
        some = graph.with_vectors(graph.vectors.detach().requires_grad_())
        with torch.enable_grad():
            each = [self._weighted(some, w) for w in torch.eye(len(self.weights), dtype=self.dtype, device=self.device)]
            G = [torch.autograd.grad(e.sum(), some.vectors)[0] for e in each] if forces else None
        return torch.stack(each, -1)[atoms].detach(), torch.stack(G, -1) if forces else None
