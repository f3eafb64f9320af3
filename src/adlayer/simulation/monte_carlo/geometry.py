"""Distances in cells of any shape and any combination of periodic axes, for many systems at once."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...structures import Structures


class Lattice(NamedTuple):
    """The cells, with unit vectors normal to the periodic axes in the rows of the others."""

    cell: Float[Tensor, "systems 3 3"]  # Å
    inverse: Float[Tensor, "systems 3 3"]
    heights: Float[Tensor, "systems 3"]  # distances between opposite faces, Å


def lattice(structures: Structures) -> Lattice:
    """Of a batch; kept for the next time while the cells stay as they are."""
    return _lattice(structures.cell, structures.pbc)


def complete_cell(structures: Structures) -> Float[Tensor, "systems 3 3"]:
    """The cells, with unit vectors normal to the periodic axes in the rows of the others."""
    return lattice(structures).cell


@functools.lru_cache(maxsize=8)  # tensors are keys by identity
def _lattice(cell: Tensor, pbc: Tensor) -> Lattice:
    if not bool(pbc.all()):
        normals = torch.linalg.svd(torch.where(pbc[:, :, None], cell, torch.zeros_like(cell)))[2]
        place = (pbc.sum(1, keepdim=True) + (~pbc).long().cumsum(1) - 1).clamp_min(0)
        cell = torch.where(pbc[:, :, None], cell, normals.gather(1, place[:, :, None].expand(-1, -1, 3)))
    inverse = torch.linalg.inv(cell)
    return Lattice(cell, inverse, 1 / torch.linalg.vector_norm(inverse, dim=1))


def nearest_image(
    vectors: Float[Tensor, "many *k 3"], structures: Structures, system: Int[Tensor, "many"]
) -> tuple[Float[Tensor, "many *k 3"], Float[Tensor, "many *k 3"]]:
    """Vectors less the lattice vectors that bring their fractional coordinates nearest to 0, and these coordinates."""
    cell, inverse, _ = lattice(structures)
    shape = (len(vectors), *(1,) * (vectors.dim() - 2), 3)
    flat = vectors.flatten(1, -2) if vectors.dim() > 2 else vectors[:, None]
    own = system if len(cell) > 1 else 0  # one matrix for all is quicker than one for each
    f = (flat @ inverse[own]).reshape(vectors.shape)
    f = f - f.round() * structures.pbc[system].reshape(shape)
    return (f.reshape(flat.shape) @ cell[own]).reshape(vectors.shape), f


def reached(
    structures: Structures, sites: Float[Tensor, "systems sites 3"], radii: list[float]
) -> list[Bool[Tensor, "atoms"]]:
    """Which atoms are within each radius of any of the sites of their system; sites that are NaN count for nothing.

    Exact where the cell is at least twice the largest radius across; in smaller cells a few atoms more, those of the
    parallelepiped around the sphere.
    """
    system, h = structures.system, lattice(structures).heights
    r, f = nearest_image(structures.positions[:, None, :] - sites[system], structures, system)
    across, distance = f.abs() * h[system][:, None, :], torch.linalg.vector_norm(r, dim=-1)
    narrow = ((h < 2 * max(radii)) & structures.pbc).any(1)[system][:, None]
    return [torch.where(narrow, (across <= R + 1e-9).all(-1), distance <= R + 1e-9).any(1) for R in radii]


def in_rows(
    x: Float[Tensor, "many *f"], system: Int[Tensor, "many"], n_systems: int
) -> Float[Tensor, "systems rows *f"]:
    """What the systems have, one row for each, filled up with NaN."""
    order = torch.argsort(system, stable=True)
    count = torch.bincount(system, minlength=n_systems)
    column = torch.arange(len(system)) - (count.cumsum(0) - count)[system[order]]
    rows = x.new_full((n_systems, max(int(count.max()), 1), *x.shape[1:]), torch.nan)
    rows[system[order], column] = x[order]
    return rows


def rotations(quaternions: Float[Tensor, "many 4"]) -> Float[Tensor, "many 3 3"]:
    """Rotation matrices ``R`` (``r' = r @ R``) of quaternions of any length."""
    w, x, y, z = (quaternions / torch.linalg.vector_norm(quaternions, dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
        [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
        [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
