"""The density of neighbors on the 3-sphere and its bispectrum, plainly; the same again in ``kernels.bispectrum``.

A. P. Bartók et al., Phys. Rev. Lett. 104, 136403 (2010); A. P. Thompson et al., J. Comput. Phys. 285, 316 (2015).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .wigner import clebsch_gordan, triples, wigner_matrices


class Sphere(NamedTuple):
    """How neighbors become points of the sphere."""

    n_elements: int
    twojmax: int
    r_c: list  # [center, neighbor], Å
    weights: list  # [neighbor]
    rfac0: float
    rmin0: float
    switch: bool
    inner: list | None  # [element, (middle, half width)], Å
    chem: bool
    wselfall: bool

    @property
    def n_densities(self) -> int:
        return self.n_elements if self.chem else 1


@lru_cache(maxsize=64)
def sphere_of(spec: str) -> Sphere:
    """What was written down."""
    return Sphere(**json.loads(spec))


def definition(
    vectors: Float[Tensor, "edges 3"], index: Sequence[Int[Tensor, "_"]], spec: str
) -> Float[Tensor, "atoms features"]:
    """All components with ``j2 <= j1 <= j``, by the elements of the three densities first, then as in ``triples``."""
    i, j, _, species = index
    s = sphere_of(spec)
    center, neighbor = species[i], species[j]
    r_c = vectors.new_tensor(s.r_c)[center, neighbor]
    r = torch.linalg.vector_norm(vectors, dim=-1)
    inside = r < r_c
    r = torch.where(inside, r, 0.5 * (s.rmin0 + r_c))
    f = falling((r - s.rmin0) / (r_c - s.rmin0)) if s.switch else torch.ones_like(r)
    if s.inner is not None:
        middle, half = vectors.new_tensor(s.inner).T
        middle, half = 0.5 * (middle[center] + middle[neighbor]), 0.5 * (half[center] + half[neighbor])
        f = f * (1 - falling((r - middle + half) / (2 * half)))
    f = torch.where(inside, f * vectors.new_tensor(s.weights)[neighbor], 0.0)
    theta = s.rfac0 * torch.pi * (r - s.rmin0) / (r_c - s.rmin0)
    x, y, z = vectors.unbind(1)
    z0 = r / torch.tan(theta)
    r0 = torch.sqrt(r * r + z0 * z0)
    a, b = torch.complex(z0 / r0, -z / r0), torch.complex(y / r0, -x / r0)

    n_atoms, n = len(species), s.n_densities
    density = neighbor if s.chem else torch.zeros_like(neighbor)
    own = torch.nn.functional.one_hot(species if s.chem else torch.zeros_like(species), n)
    own = torch.ones_like(own) if s.wselfall else own
    c = []
    for U in wigner_matrices(a, b, s.twojmax):
        size = U.shape[1]
        self_term = own[:, :, None, None] * torch.eye(size, dtype=U.dtype, device=U.device)
        around = U.new_zeros(n_atoms * n, size, size).index_add(0, i * n + density, f[:, None, None] * U)
        c.append(self_term + around.reshape(n_atoms, n, size, size))
    B = []
    for j1, j2, j in triples(s.twojmax):
        C = torch.from_numpy(clebsch_gordan(j1, j2, j)).to(c[0])
        Z = torch.einsum("iuac,ivbd,abm,cdn->iuvmn", c[j1], c[j2], C, C)
        B.append(torch.einsum("iuvmn,iwmn->iuvw", Z, c[j].conj()).real)
    return torch.stack(B, -1).reshape(n_atoms, -1)


def falling(x: Float[Tensor, "edges"]) -> Float[Tensor, "edges"]:
    """``(1 + cos(pi x)) / 2`` from 1 at ``x = 0`` to 0 at ``x = 1``, and flat beyond."""
    return 0.5 * (1 + torch.cos(torch.pi * x.clamp(0, 1)))
