"""When two structures are the same: whatever the order of their atoms, and wherever and however they lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import Part
from ...neighbors import find_pairs
from ...structures import Structures, sum_systems


@dataclass(frozen=True)
class Fingerprint(Part):
    """Tells minima apart by their energies and by smooth radial distributions of each pair of elements.

    ``F_AB(R_k) = 1/N sum_{i in A, j in B} w(r_ij) B((r_ij - R_k) / width)``, where ``B`` is the cubic B-spline,
    ``w = (1 + cos(pi r / cutoff)) / 2`` and ``i`` runs over the ``N`` atoms that may move. It is blind to permutations,
    translations, rotations and reflections, follows the periodic axes, and has two continuous derivatives but where
    atoms meet the cutoff, where it has one. Two minima are one if their energies differ by less than ``energy`` and
    ``|F_a - F_b| / max(|F_a|, |F_b|)`` is below ``tolerance``.

    Args:
        cutoff: up to which distances count, Å.
        width: distance between the centers of the splines, Å; relaxed to 0.01 eV/Å, atoms are surer than that.
        tolerance: relative distance of the distributions.
        energy: eV.
    """

    cutoff: float = 6.0
    width: float = 0.2
    tolerance: float = 0.01
    energy: float = 0.01

    def __post_init__(self):
        for name in ("cutoff", "width", "tolerance", "energy"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Fingerprint: {name} must be positive, got {getattr(self, name)}")

    def __call__(
        self, structures: Structures, elements: Int[Tensor, "elements"], free: Bool[Tensor, "atoms"]
    ) -> Float[Tensor, "systems features"]:
        """One row for each structure.

        Args:
            structures: any batch.
            elements: atomic numbers, ascending, of all that will ever be compared.
            free: atoms that may move.
        """
        pairs = find_pairs(structures, self.cutoff)
        here = free.index_select(0, pairs.i)
        i, j, r = pairs.i[here], pairs.j[here], torch.linalg.vector_norm(pairs.vectors[here], dim=-1)
        n, bins = len(elements), ceil(self.cutoff / self.width) + 3
        z = torch.searchsorted(elements, structures.numbers)
        low, high = torch.minimum(z[i], z[j]), torch.maximum(z[i], z[j])
        row = (structures.system[i] * n + low) * n + high
        k = (r / self.width).floor()
        t = r / self.width - k
        spline = torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3], dim=-1)
        taper = (1 + torch.cos(torch.pi * r / self.cutoff)) / 12
        place = (row * bins + k.long())[:, None] + torch.arange(4)
        F = r.new_zeros(structures.n_systems * n * n * bins)
        F.index_add_(0, place.reshape(-1), (spline * taper[:, None]).reshape(-1))
        mobile = sum_systems(free.to(r), structures).clamp_min(1)
        return F.reshape(len(mobile), -1) / mobile[:, None]

    def same(
        self,
        features: Float[Tensor, "d"],
        energy: Float[Tensor, ""],
        known: Float[Tensor, "minima d"],
        energies: Float[Tensor, "minima"],
    ) -> Int[Tensor, "matches"]:
        """Which of the known minima this is, the nearest first; none if it is new."""
        near = ((energies - energy).abs() < self.energy).nonzero()[:, 0]
        apart = distance(features, known[near])
        order = torch.argsort(apart, stable=True)
        return near[order[apart[order] < self.tolerance]]


def distance(a: Float[Tensor, "d"], others: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """Relative distance of fingerprints: 0 for the same structure."""
    size = torch.maximum(torch.linalg.vector_norm(a), torch.linalg.vector_norm(others, dim=-1))
    return torch.linalg.vector_norm(others - a, dim=-1) / size.clamp_min(1e-12)
