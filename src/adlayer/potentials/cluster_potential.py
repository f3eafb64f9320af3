"""What all potentials share whose energy is a function of atomic cluster expansions: products, couplings, kernels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..graph import Graph
from ..kernels.ace import densities
from ..kernels.ace_design import design
from ..nn.cluster_expansion import Channel, ClusterExpansion
from ..nn.radial_polynomials import RadialSets
from ..nn.radial_tables import RadialTables
from ..potential import Design, Potential, Species, each_atom_a_system
from ..structures import sum_systems


class ClusterPotential(Potential):
    """``E_i = F(rho_i1, rho_i2, ...)``, ``rho_ip = sum_k c_kp B_ik``; a family says which ``B`` and which ``F``."""

    present: Bool[Tensor, "elements K"] | None  # which ``B`` atoms of each element have; None: all

    def _begin(
        self,
        elements: Sequence[str],
        functions: Sequence[tuple[Channel, ...]],
        radial: RadialSets | RadialTables,
        n_densities: int,
        n_most: int | None = None,
        shared: bool = False,
        shift: Float[np.ndarray, "center n"] | None = None,
    ) -> None:
        self.elements, self.species, self.cutoff = tuple(elements), Species(elements), float(radial.cutoff)
        self.expansion = ClusterExpansion(functions, radial, n_most, shared, shift)
        basis = self.expansion.basis
        self.register_buffer("rows", torch.from_numpy(basis.rows), persistent=False)
        self.values = torch.from_numpy(basis.values)  # not a buffer: they must not be rounded by a visit to float32
        place = torch.from_numpy(self.expansion.nodes.place[basis.columns])
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("present", None, persistent=False)
        self.alone = None if shift is None else self._alone()
        self.c = nn.Parameter(torch.zeros(len(elements), n_densities, len(basis), dtype=torch.float64))

    def _alone(self) -> Float[Tensor, "elements K"]:
        """The ``B`` of atoms without neighbors, not zero where sums are shifted: they are taken off."""
        AA = self.expansion.products(torch.from_numpy(-self.expansion.shift))
        return AA.new_zeros(len(AA), len(self.expansion.basis)).index_add(1, self.rows, AA[:, self.place] * self.values)

    def _start(self, roughness: Float[Tensor, "K"] | None = None) -> None:
        """Small numbers that fall with roughness, always the same: an unfitted potential, not a flat one."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(self.c.shape, generator=generator, dtype=self.c.dtype)
        roughness = self.penalty() if roughness is None else roughness
        self.c.data = 0.1 * noise / roughness.reshape(len(self.elements), 1, -1)

    @property
    def n_functions(self) -> int:
        """Number of invariants ``B`` of an atom."""
        return self.c.shape[2]

    @property
    def functions(self) -> list[tuple[Channel, ...]]:
        """The channels ``(l, element, n)`` of each invariant."""
        return self.expansion.basis.functions

    def truncated(self, n: int) -> Self:
        """The same with the first ``n`` functions of each element alone, those of lowest degree."""
        smaller = type(self)(**{**self.arguments, "n_functions": n}).to(device=self.device, dtype=self.dtype)
        smaller.c.data.copy_(self.c.detach()[:, :, :n])
        return smaller

    @abstractmethod
    def penalty(self) -> Float[Tensor, "K"]:
        """The prior weight of each invariant, of one element after another."""

    def densities(self, graph: Graph) -> Float[Tensor, "atoms densities"]:
        """``rho`` of every atom."""
        species = self.species(graph.numbers)
        rho = densities(graph.vectors, self.weights(), graph, species, self.expansion)
        if self.alone is not None:
            rho = rho - (self.c @ self.alone.to(self.c)[:, :, None])[species, :, 0]
        return rho

    def weights(self) -> Float[Tensor, "elements densities nodes"]:
        """Coefficients contracted with the couplings: what each product counts."""
        zero, c = self.c.new_zeros(*self.c.shape[:2], self.expansion.n_nodes), self.c
        if self.present is not None:
            c = c * self.present[:, None]
        return zero.index_add(2, self.place, c[:, :, self.rows] * self.values.to(c))

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        return self.c.detach().reshape(-1) if self.linear else super().coefficients

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        self.c.data.copy_(values.reshape(self.c.shape))

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        if not self.linear:
            return super().design(graph)
        return self._design(graph, self.dtype, forces, virial)

    def projections(self, graph: Graph) -> Float[Tensor, "atoms K"]:
        return self._design(each_atom_a_system(graph), torch.float64, False, False).energy

    def _design(self, graph: Graph, dtype: torch.dtype, forces: bool, virial: bool) -> Design:
        species = self.species(graph.numbers)
        energy, *rest = design(graph, species, self.expansion, dtype, forces, virial)
        if self.alone is not None:
            atoms = sum_systems(nn.functional.one_hot(species, len(self.elements)).to(energy), graph.structures)
            energy = energy - (atoms[:, :, None] * self.alone.to(energy)).flatten(1)
        if self.present is None:
            return Design(energy, *rest)
        present = self.present.flatten()
        return Design(energy * present, *(None if x is None else x * present for x in rest))
