"""What is wrong with a data set, found before it is fitted."""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from jaxtyping import Float
from torch import Tensor

from ..neighbors import find_pairs
from ..structures import Structures


def nearest_distances(structures: Structures) -> Float[Tensor, "atoms"]:
    """Distance of each atom to its nearest neighbor over the sum of their covalent radii; infinite beyond 6 Å."""
    radii = torch.as_tensor(covalent_radii)
    pairs = find_pairs(structures, 6.0)
    ratio = pairs.vectors.norm(dim=1) / (radii[structures.numbers[pairs.i]] + radii[structures.numbers[pairs.j]])
    out = ratio.new_full((structures.n_atoms,), torch.inf)
    return out.scatter_reduce(0, pairs.i, ratio, "amin")
