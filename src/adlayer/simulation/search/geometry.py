"""Sizes of atoms, random directions and rotations, and atoms pushed apart: what moves and offspring are made with."""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from jaxtyping import Bool, Float
from torch import Tensor

from ...neighbors import find_pairs
from ...structures import Structures, sum_systems


def radii(structures: Structures) -> Float[Tensor, "atoms"]:
    """Radii of the atoms such that nearest neighbors touch, Å: covalent ones, scaled for each structure.

    The scale is the mean over the atoms of the distance to the nearest neighbor in units of the covalent one, so that
    searches are at home in reduced units as well.
    """
    R = torch.as_tensor(covalent_radii).to(structures.positions)[structures.numbers]
    pairs = find_pairs(structures, 4 * float(R.max()))
    ratio = torch.linalg.vector_norm(pairs.vectors, dim=-1) / (R[pairs.i] + R[pairs.j])
    nearest = torch.full_like(R, torch.inf).scatter_reduce(0, pairs.i, ratio, "amin")
    has = nearest.isfinite()
    total = sum_systems(torch.where(has, nearest, torch.zeros_like(R)), structures)
    count = sum_systems(has.to(R), structures)
    scale = torch.where(count > 0, total / count.clamp_min(1), torch.ones_like(total))
    return scale[structures.system] * R


def push_apart(
    structures: Structures,
    size: Float[Tensor, "atoms"],
    free: Bool[Tensor, "atoms"],
    closest: float = 0.7,
    sweeps: int = 20,
) -> Structures:
    """Atoms nearer than ``closest`` times the sum of their radii are moved apart: few potentials know what they do.

    Each sweep moves every atom by half of what each of its overlaps lacks; atoms that are not free stay.
    """
    for _ in range(sweeps):
        pairs = find_pairs(structures, 2 * closest * float(size.max()))
        r = torch.linalg.vector_norm(pairs.vectors, dim=-1)
        lack = closest * (size[pairs.i] + size[pairs.j]) - r
        near = (lack > 1e-6) & (free[pairs.i] | free[pairs.j])
        if not bool(near.any()):
            break
        away = -(lack * 0.55 / r.clamp_min(1e-9))[near, None] * pairs.vectors[near]
        step = torch.zeros_like(structures.positions).index_add(0, pairs.i[near], away)
        structures = structures.with_positions(structures.positions + step * free[:, None])
    return structures


def are_whole(structures: Structures, size: Float[Tensor, "atoms"], reach: float = 2.0) -> Bool[Tensor, "systems"]:
    """Which structures hang together: no part is farther from the rest than ``reach`` times the sum of two radii."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    R = torch.maximum(size, torch.as_tensor(covalent_radii).to(size)[structures.numbers])
    pairs = find_pairs(structures, 2 * reach * float(R.max()))
    bound = torch.linalg.vector_norm(pairs.vectors, dim=-1) < reach * (R[pairs.i] + R[pairs.j])
    i, j, n = pairs.i[bound].numpy(), pairs.j[bound].numpy(), structures.n_atoms
    part = connected_components(coo_matrix((torch.ones(len(i)).numpy(), (i, j)), shape=(n, n)), directed=False)[1]
    part = torch.as_tensor(part, dtype=torch.long)
    root = part[structures.offsets[:-1]]
    return sum_systems((part != root[structures.system]).to(size), structures) == 0


def direction(like: Tensor, generator: torch.Generator) -> Float[Tensor, "3"]:
    """A random direction."""
    v = torch.randn(3, generator=generator, dtype=like.dtype)
    return v / torch.linalg.vector_norm(v)


def rotation(axis: Float[Tensor, "3"], angle: float) -> Float[Tensor, "3 3"]:
    """Rotation about an axis by an angle (radians): Rodrigues' formula; ``x @ R.T`` turns rows."""
    x, y, z = axis.tolist()
    K = axis.new_tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = axis.new_tensor(angle)
    return torch.eye(3, dtype=axis.dtype) + torch.sin(a) * K + (1 - torch.cos(a)) * (K @ K)


def random_rotation(like: Tensor, generator: torch.Generator) -> Float[Tensor, "3 3"]:
    """A rotation, uniform among all: from a random unit quaternion."""
    q = torch.randn(4, generator=generator, dtype=like.dtype)
    w, x, y, z = (q / torch.linalg.vector_norm(q)).tolist()
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return like.new_tensor(rows)


def drop(
    structure: Structures,
    a: int,
    size: Float[Tensor, "atoms"],
    free: Bool[Tensor, "atoms"],
    generator: torch.Generator,
) -> Float[Tensor, "3"]:
    """Where atom ``a`` first touches another as it comes from outside along a random line.

    The line points at the middle of a cluster and the axis of a wire; on a slab it goes down the normal, at a random
    place, onto the side where the free atoms are.
    """
    x, pbc = structure.positions, structure.pbc[0]
    others = torch.arange(len(x)) != a
    rest, touch = x[others], size[a] + size[others]
    rows = structure.cell[0][pbc]
    at = rest.mean(0) + (torch.rand(len(rows), generator=generator, dtype=x.dtype) @ rows if len(rows) else 0.0)
    down, away = -_outward(rows, x, free, generator), rest - at
    if len(rows):
        away = away - (away @ torch.linalg.pinv(rows)).round() @ rows
        shifts = torch.cartesian_prod(*[torch.arange(-1, 2)] * len(rows)).to(x).reshape(-1, len(rows)) @ rows
        away, touch = (away + shifts[:, None]).reshape(-1, 3), touch.repeat(len(shifts))
    across = away - (away @ down)[:, None] * down
    if bool((across.square().sum(-1) >= touch.square()).all()):  # the line misses everything: through the nearest atom
        nearest = across[int(across.square().sum(-1).argmin())]
        at, away, across = at + nearest, away - nearest, across - nearest
    depth = (touch.square() - across.square().sum(-1)).clamp_min(0).sqrt()
    first = torch.where(depth > 0, away @ down - depth, torch.full_like(depth, torch.inf)).min()
    return at + first * down


def _outward(
    rows: Float[Tensor, "periodic 3"], x: Float[Tensor, "atoms 3"], free: Bool[Tensor, "atoms"], generator
) -> Float[Tensor, "3"]:
    """A direction out of a structure, at random where several are."""
    if len(rows) == 2:
        normal = torch.linalg.cross(rows[0], rows[1])
        normal = normal / torch.linalg.vector_norm(normal)
        side = float((x[free].mean(0) - x.mean(0)) @ normal)
        return normal if side > 1e-6 or (abs(side) <= 1e-6 and normal[2] > 0) else -normal
    v = direction(x, generator)
    if len(rows) == 1:
        axis = rows[0] / torch.linalg.vector_norm(rows[0])
        v = v - (v @ axis) * axis
    return v / torch.linalg.vector_norm(v)
