"""Gradient-domain machine learning: kernel regression of forces on inverse distances.

S. Chmiela et al., Sci. Adv. 3, e1603015 (2017) and Nat. Commun. 9, 3887 (2018). With ``x`` the inverse distances of all
pairs of atoms, ``d = |x - x'|`` and ``q = sqrt(5) / sigma`` the Matérn covariance of energies is

    k(x, x') = (1 + q d + q² d² / 3) exp(-q d),

and that of forces is its second derivative by positions; both are summed over the permutations of equal atoms that the
molecule undergoes.
"""

from __future__ import annotations

import itertools
from math import sqrt

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..structures import Structures

_NEAR = torch.tensor(list(itertools.product((0.0, -1.0, 1.0), repeat=3)), dtype=torch.float64)  # lattice steps
_BLOCK = 2_000_000  # covariances that are held at once


def pairs(n_atoms: int) -> tuple[Int[Tensor, "D"], Int[Tensor, "D"]]:
    """All pairs ``i > j``, row by row."""
    i, j = torch.tril_indices(n_atoms, n_atoms, -1)
    return i, j


def pair_permutations(permutations: Int[Tensor, "P n"]) -> Int[Tensor, "P D"]:
    """Where permutations of atoms take the pairs."""
    n = permutations.shape[1]
    i, j = (k.to(permutations.device) for k in pairs(n))
    place = torch.zeros(n, n, dtype=torch.long, device=permutations.device)
    place[i, j] = place[j, i] = torch.arange(len(i), device=i.device)
    return place[permutations[:, i], permutations[:, j]]


def pair_vectors(structures: Structures, n_atoms: int, periodic: bool = True) -> Float[Tensor, "systems D 3"]:
    """``r_i - r_j`` of all pairs of every structure, where periodic of nearest images; all have as many atoms."""
    i, j = (k.to(structures.device) for k in pairs(n_atoms))
    R = structures.positions.view(-1, n_atoms, 3)
    v = R[:, i] - R[:, j]
    if not periodic:
        return v
    cell = structures.cell * structures.pbc[:, :, None]
    with torch.no_grad():
        whole = -torch.round(v @ torch.linalg.pinv(cell))  # as far as lattice vectors are at right angles; then others
        steps = whole + _NEAR.to(v)[:, None, None] * structures.pbc[None, :, None]  # [27, systems, D, 3]
        nearest = (v + steps @ cell).square().sum(-1).argmin(0)
        steps = torch.gather(steps, 0, nearest[None, :, :, None].expand(-1, -1, -1, 3))[0]
    return v + steps @ cell


def inverse_distances(v: Float[Tensor, "M D 3"]) -> tuple[Float[Tensor, "M D"], Float[Tensor, "M D 3"]]:
    """``x = 1 / r`` and its derivative by the first atom of each pair."""
    x = 1 / torch.linalg.vector_norm(v, dim=-1)
    return x, -v * x[..., None] ** 3


def along_pairs(slope: Float[Tensor, "M D 3"], t: Float[Tensor, "M n 3"]) -> Float[Tensor, "M D"]:
    """How inverse distances change as the atoms move by ``t``."""
    i, j = pairs(t.shape[1])
    return (slope * (t[:, i] - t[:, j])).sum(-1)


def on_atoms(slope: Float[Tensor, "M D 3"], g: Float[Tensor, "M D"], n_atoms: int) -> Float[Tensor, "M n 3"]:
    """Derivatives by the positions from those by inverse distances."""
    i, j = pairs(n_atoms)
    each = slope * g[..., None]
    return each.new_zeros(len(g), n_atoms, 3).index_add(1, i, each).index_add(1, j, each, alpha=-1)


def as_matrices(x: Float[Tensor, "M D *k"], n_atoms: int, sign: float = 1.0) -> Float[Tensor, "M n n *k"]:
    """Pairs as symmetric (or with ``sign = -1`` antisymmetric) matrices."""
    i, j = pairs(n_atoms)
    full = x.new_zeros(len(x), n_atoms, n_atoms, *x.shape[2:])
    full[:, i, j], full[:, j, i] = x, sign * x
    return full


def energies(
    x: Float[Tensor, "systems D"],
    points: Float[Tensor, "M D"],
    weights: Float[Tensor, "M D"],
    moved: Int[Tensor, "P D"],
    sigma: Float[Tensor, ""],
) -> Float[Tensor, "systems"]:
    """``E = sum_iP h(d) (P x - x_i) · w_i``, ``h = q² / 3 (1 + q d) exp(-q d)``: covariance with weighted forces."""
    q = sqrt(5) / sigma
    z = x[:, moved].flatten(0, 1)  # [systems P, D]
    d2 = z.square().sum(1, keepdim=True) + points.square().sum(1) - 2 * z @ points.T
    qd = q * torch.sqrt(d2.clamp_min(torch.finfo(x.dtype).tiny ** 0.5))
    h = q**2 / 3 * (1 + qd) * torch.exp(-qd)
    along = z @ weights.T - (points * weights).sum(1)
    return (h * along).sum(1).view(x.shape[0], -1).sum(1)


def energies_and_slopes(
    x: Float[Tensor, "N D"],
    points: Float[Tensor, "M D"],
    weights: Float[Tensor, "M D"],
    moved: Int[Tensor, "P D"],
    sigma: float,
) -> tuple[Float[Tensor, "N"], Float[Tensor, "N D"]]:
    """The same and ``dE/dx``, in a few matrix products and without a graph."""
    q, P = sqrt(5) / float(sigma), len(moved)
    norms, along_points = points.square().sum(1), (points * weights).sum(1)
    E, g = [], []
    for part in x.split(max(1, _BLOCK // (P * len(points)))):
        z = part[:, moved].flatten(0, 1)  # [N P, D]
        qd = (
            torch.addmm(norms, z, points.T, alpha=-2)
            .add_(z.square().sum(1, keepdim=True))
            .clamp_min_(0)
            .sqrt_()
            .mul_(q)
        )
        decay = torch.exp(-qd).mul_(q**2 / 3)
        along = torch.addmm(along_points, z, weights.T, beta=-1)
        h = qd.add_(1).mul_(decay)
        a = decay.mul_(along).mul_(q**2)
        E.append(h.mul(along).sum(1).view(-1, P).sum(1))
        each = torch.addmm(a @ points, h, weights).sub_(a.sum(1, keepdim=True) * z)
        g.append(
            torch.zeros_like(part).scatter_add_(1, moved.flatten().expand(len(part), -1), each.view(len(part), -1))
        )
    return torch.cat(E), torch.cat(g)


def recover_permutations(
    distances: Float[Tensor, "M n n"], numbers: Int[Tensor, "n"], most: int = 200, largest: int = 1000
) -> Int[Tensor, "P n"]:
    """The group of permutations that trajectories show: atoms matched between pairs of frames, made consistent.

    Frames are graphs whose edges are distances; two are matched by the assignment of atoms that makes the moduli of
    their eigenvectors most alike (Umeyama, IEEE Trans. Pattern Anal. 10, 695 (1988)); matches along the minimum
    spanning tree of their costs generate the group.

    Args:
        distances: of the atoms of each frame, Å.
        numbers: atomic numbers.
        most: frames that are matched, evenly chosen.
        largest: order of a group beyond which only the permutations that generate it one by one are kept.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse.csgraph import minimum_spanning_tree

    D = distances[torch.linspace(0, len(distances) - 1, min(most, len(distances))).round().long()].numpy()
    n = D.shape[1]
    V = np.abs(np.linalg.eigh(D)[1])
    unlike = numbers.numpy()[:, None] != numbers.numpy()
    cost, matches = np.zeros((len(D), len(D))), {}
    for a, b in itertools.combinations(range(len(D)), 2):
        alike = V[a] @ V[b].T
        match = linear_sum_assignment(unlike * (1.0 + alike.max()) - alike)[1]
        before = np.linalg.norm(D[a] - D[b])
        after = np.linalg.norm(D[a][np.ix_(match, match)] - D[b])
        cost[a, b] = min(before, after) + 1e-12
        if after < before * (1 - 1e-6):
            matches[a, b] = tuple(match.tolist())
    tree = zip(*minimum_spanning_tree(cost).nonzero())
    generators = sorted({matches[edge] for edge in tree if edge in matches})
    group = _closure(generators, n, largest)
    while group is None:  # some matches are mistakes: leave out what moves most atoms
        generators.remove(max(generators, key=lambda p: sum(k != to for k, to in enumerate(p))))
        group = _closure(generators, n, largest)
    return torch.tensor(sorted(group))


def _closure(generators: list[tuple[int, ...]], n: int, largest: int) -> set[tuple[int, ...]] | None:
    """The group that permutations generate, or None where it is too large."""
    group, new = {tuple(range(n))}, {tuple(range(n))}
    while new:
        new = {tuple(p[k] for k in g) for p in new for g in generators} - group
        group |= new
        if len(group) > largest:
            return None
    return group
