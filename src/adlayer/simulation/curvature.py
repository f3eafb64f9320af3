"""The softest directions of structures: lowest eigenvalues of their Hessians, from forces alone, many at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..potential import Evaluate
from ..structures import Structures

UNUSED = 1e9  # eV/Å², in the place of a direction that a small system does not have


class Modes(NamedTuple):
    """Lowest eigenvalues of the Hessian with their eigenvectors; beyond a system's degrees of freedom NaN."""

    curvatures: Float[Tensor, "systems n"]  # eV/Å², ascending
    directions: Float[Tensor, "n atoms 3"]  # of unit length in each system
    residuals: Float[Tensor, "systems n"]  # |H v - c v|, eV/Å²: an eigenvalue lies within so much of each


def lowest_modes(
    evaluate: Evaluate,
    structures: Structures,
    free: Bool[Tensor, "atoms"],
    n: int = 2,
    start: Float[Tensor, "atoms 3"] | None = None,
    generator: torch.Generator | None = None,
    forces: Float[Tensor, "atoms 3"] | None = None,
    delta: float = 0.01,
    tolerance: float = 0.05,
    max_products: int = 60,
) -> Modes:
    """The ``n`` lowest modes of each system by Lanczos's method with all directions kept (Davidson's, unweighted).

    ``H v = -(F(R + delta v) - F(R - delta v)) / 2 delta``: a product of the Hessian costs two evaluations of the batch,
    or one, ``-(F(R + delta v) - F(R)) / delta``, where ``forces`` are given. Translations and rotations that cost
    nothing are left out.

    Args:
        evaluate: any.
        structures: where the curvature is asked for.
        free: atoms that may move.
        n: how many modes.
        start: a first guess at the lowest; random if not given.
        generator: of the random numbers.
        forces: at the structures, eV/Å, for one-sided differences.
        delta: length of the displacement, Å.
        tolerance: of the residuals, eV/Å².
        max_products: at most so many products with the Hessian.
    """
    generator = generator or torch.Generator().manual_seed(0)
    own, rigid = structures.system, rigid_motions(structures, free).movedim(-1, 0)

    def dot(a: Float[Tensor, "*k atoms 3"], b: Float[Tensor, "*k atoms 3"]) -> Float[Tensor, "*k systems"]:
        each = (a * b).sum(-1)
        return each.new_zeros(*each.shape[:-1], structures.n_systems).index_add(-1, own, each)

    def unit(v: Tensor, basis: Tensor) -> Float[Tensor, "atoms 3"]:
        """Orthogonal to the basis and of unit length, or zero in systems where nothing is left."""
        v = v * free[:, None]
        before, basis = dot(v, v), torch.cat([rigid, basis])
        for _ in range(2):  # twice, for rounding
            v = v - (dot(basis, v.expand_as(basis))[:, own, None] * basis).sum(0)
        length = dot(v, v)
        return v * torch.where(length > 1e-12 * before, length, torch.inf).rsqrt()[own, None]

    def product(v: Tensor) -> Float[Tensor, "atoms 3"]:
        ahead = evaluate(structures.with_positions(structures.positions + delta * v)).forces
        if forces is not None:
            return -(ahead - forces) / delta * free[:, None]
        behind = evaluate(structures.with_positions(structures.positions - delta * v)).forces
        return -(ahead - behind) / (2 * delta) * free[:, None]

    def random() -> Float[Tensor, "atoms 3"]:
        return torch.randn(structures.positions.shape, generator=generator, dtype=torch.float64).to(
            structures.positions
        )

    V = HV = rigid[:0]
    G = rigid.new_zeros(structures.n_systems, 0, 0)  # V^T H V
    following = unit(random() if start is None else start, V)
    while True:
        V, HV = torch.cat([V, following[None]]), torch.cat([HV, product(following)[None]])
        column = 0.5 * (dot(V, HV[-1:].expand_as(V)) + dot(V[-1:].expand_as(HV), HV)).T
        column[:, -1] += UNUSED * (dot(following, following) < 0.5)
        G = torch.nn.functional.pad(G, (0, 1, 0, 1))
        G[:, -1], G[:, :, -1] = column, column
        values, vectors = torch.linalg.eigh(G)
        k = min(n, len(V))
        modes, images = (torch.einsum("mad,amk->kad", x, vectors[own, :, :k]) for x in (V, HV))
        rest = images - values[own, :k].T[..., None] * modes
        known = values[:, :k] < 0.5 * UNUSED
        residuals = torch.where(known, dot(rest, rest).sqrt().T, torch.nan)
        if len(V) >= max_products or (k == n and bool((residuals.nan_to_num(0.0) < tolerance).all())):
            break
        worst = residuals.nan_to_num(0.0).argmax(-1)
        following = unit(rest[worst[own], torch.arange(len(own), device=own.device)], V)
        lost = dot(following, following) < 0.5  # an invariant subspace: go on in a direction not seen before
        if bool(lost.any()):
            following = torch.where(lost[own, None], unit(random(), V), following)
            if not bool(following.any()):
                break
    values = torch.where(known, values[:, :k], torch.nan)
    values, residuals = (torch.nn.functional.pad(x, (0, n - k), value=torch.nan) for x in (values, residuals))
    return Modes(values, torch.nn.functional.pad(modes, (0, 0, 0, 0, 0, n - k)), residuals)


def rigid_motions(structures: Structures, free: Bool[Tensor, "atoms"]) -> Float[Tensor, "atoms 3 motions"]:
    """Orthonormal translations, and rotations that no lattice vector forbids, of systems in which no atom is fixed."""
    s = structures
    motions = s.positions.new_zeros(s.n_atoms, 3, 6)
    offsets = s.offsets.tolist()
    for k in range(s.n_systems):
        here = slice(offsets[k], offsets[k + 1])
        if not bool(free[here].all()) or offsets[k] == offsets[k + 1]:
            continue
        r, eye = s.positions[here], torch.eye(3).to(s.positions)
        periodic = s.cell[k][s.pbc[k]]
        axes = {0: eye, 1: periodic / periodic.norm() if len(periodic) else eye}.get(len(periodic), eye[:0])
        moves = [e.expand_as(r) for e in eye]
        moves += [torch.linalg.cross(axis.expand_as(r), r - r.mean(0)) for axis in axes]
        U, S, _ = torch.linalg.svd(torch.stack(moves).reshape(len(moves), -1).T, full_matrices=False)
        U = U[:, S > 1e-6]
        motions[here, :, : U.shape[1]] = U.reshape(len(r), 3, -1)
    return motions
