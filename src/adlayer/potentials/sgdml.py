"""Symmetric gradient-domain machine learning: S. Chmiela et al., Nat. Commun. 9, 3887 (2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase.data import atomic_numbers, chemical_symbols
from jaxtyping import Float, Int
from torch import Tensor

from ..graph import Graph
from ..kernels import use_fused
from ..nn.gradient_domain import (
    energies,
    energies_and_slopes,
    inverse_distances,
    on_atoms,
    pair_permutations,
    pair_vectors,
)
from ..potential import PerAtom, Potential, Prediction, gather
from ..structures import Structures


class SGDML(Potential):
    """One molecule, or one cell, as a whole: regression of its forces by a Matérn covariance on inverse distances.

    ``E = c + sum_iP h(|P x - x_i|) (P x - x_i) · w_i`` over frames ``i`` of the training set and permutations ``P`` of
    equal atoms, with ``x`` the inverse distances of all pairs of atoms (of nearest images, where periodic) and
    ``h(d) = q² / 3 (1 + q d) exp(-q d)``, ``q = sqrt(5) / sigma``. It is for the atoms it was fitted to, in their
    order, and what is given as the energy of an atom is an equal share. Fit it with ``GradientDomain``.

    Args:
        sigma: length of the covariance, 1/Å; a fit may try others.
        permutations: of atoms, beside the identity a whole group; if not given, the fit finds those that occur.
        atoms: chemical symbols, in order; taken from the training set if not given.
    """

    local = False
    any_atoms = False
    continuity = 0  # forces jump where another image becomes the nearest
    fitted_by = "GradientDomain"
    small = {
        "sigma": 2.0,
        "permutations": [[0, 1, 2, 3], [2, 1, 0, 3], [0, 3, 2, 1], [2, 3, 0, 1]],
        "atoms": ["Si", "H", "Si", "H"],
    }

    def __init__(
        self,
        sigma: float = 10.0,
        permutations: list[list[int]] | None = None,
        atoms: list[str] | None = None,
    ):
        super().__init__()
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        self.cutoff, double = 0.0, {"dtype": torch.float64}
        self.register_buffer("sigma", torch.tensor(float(sigma), **double))
        self.register_buffer("constant", torch.zeros((), **double))  # eV
        self.register_buffer("cell", torch.zeros(3, 3, **double))  # of the training set, for the files of others
        n = len(atoms) if atoms else len(permutations[0]) if permutations else 0
        self.given = None if permutations is None else _group(permutations, n)
        numbers = torch.tensor([atomic_numbers[a] for a in atoms or ()], dtype=torch.long)
        group = torch.arange(n)[None] if self.given is None else self.given
        # A start that is no fit, but obeys what a fit obeys.
        generator = torch.Generator().manual_seed(0)
        D = len(numbers) * (len(numbers) - 1) // 2
        points, weights = (torch.rand(min(D, 3), D, generator=generator, **double) for _ in range(2))
        for name, value in (("numbers", numbers), ("permutations", group), ("points", points), ("weights", weights)):
            self.register_buffer(name, value)
        self.weights *= 0.3

    @property
    def elements(self) -> tuple[str, ...] | None:
        return tuple(chemical_symbols[z] for z in dict.fromkeys(self.numbers.tolist())) or None

    def place(
        self,
        numbers: Int[Tensor, "n"],
        permutations: Int[Tensor, "P n"],
        points: Float[Tensor, "M D"],
        weights: Float[Tensor, "M D"],
        constant: float = 0.0,
    ) -> None:
        """Set what a fit finds: atomic numbers, the group, inverse distances (1/Å), weights (eV/Å), energy (eV)."""
        self.numbers, self.permutations = numbers.to(self.numbers), permutations.to(self.permutations)
        self.points, self.weights = points.to(self.points), weights.to(self.weights)
        self.constant.fill_(constant)

    def check_structures(self, structures: Structures) -> None:
        n = len(self.numbers)
        if n > 0 and (
            bool((structures.counts != n).any())
            or bool((structures.numbers.view(-1, n) != self.numbers.to(structures.device)).any())
        ):
            raise ValueError(f"this SGDML is for the atoms {self._formula(self.numbers)} in this order")

    @staticmethod
    def _formula(numbers: Tensor) -> str:
        return " ".join(chemical_symbols[z] for z in numbers.tolist())

    def forward(self, graph: Graph) -> PerAtom:
        n = self.numbers.shape[0]
        if n == 0:
            raise ValueError("this SGDML has not been fitted yet, nor told its atoms")
        x, _ = inverse_distances(pair_vectors(graph.structures, n))
        E = energies(x, self.points, self.weights, pair_permutations(self.permutations), self.sigma)
        return PerAtom(((E + self.constant) / n)[graph.structures.system])

    @torch.no_grad()
    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction | None:
        """What ``forward`` and its derivatives give, in a few matrix products."""
        s, n = graph.structures.to(self.dtype), len(self.numbers)
        if n == 0 or not use_fused(s.positions):
            return None
        v = pair_vectors(s, n, bool(s.pbc.any()))
        x, slope = inverse_distances(v)
        moved = pair_permutations(self.permutations)
        E, g = energies_and_slopes(x, self.points, self.weights, moved, self.sigma)
        said = PerAtom(((E + self.constant) / n)[s.system])
        F = -on_atoms(slope, g, n).view(-1, 3) if forces else None
        return gather(s, said, F, v.mT @ (slope * g[..., None]) if stress else None)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        """There are as many points as were saved."""
        for name in ("numbers", "permutations", "points", "weights"):
            if (saved := state_dict.get(prefix + name)) is not None:
                self._buffers[name] = self._buffers[name].new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _group(permutations: Sequence[Sequence[int]], n: int) -> Int[Tensor, "P n"]:
    """Permutations, checked: each of all atoms, the identity among them, and closed."""
    group = {tuple(p) for p in permutations}
    for p in group:
        if sorted(p) != list(range(n)):
            raise ValueError(f"a permutation of {n} atoms holds each of 0 to {n - 1} once, got {list(p)}")
    if tuple(range(n)) not in group or any(tuple(p[k] for k in g) not in group for p in group for g in group):
        raise ValueError("permutations must be a group: with the identity and all products")
    return torch.tensor(sorted(group))
