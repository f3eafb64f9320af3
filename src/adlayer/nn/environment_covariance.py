"""How energies, forces and virials of structures go together when those of environments are alike by a Gaussian.

With ``x_I`` the features of environment ``I`` and ``k = exp(-|x_I - x_J|² / 2 theta²)`` for atoms of the same element,
and zero for others, the covariance of two energies is the sum of ``k`` over all ``I`` of one and ``J`` of the other
structure. A force, or a virial, is a sum of derivatives of energies along ``v_I``, the change of features, so that its
covariances follow from

    v · ∂k/∂x_J = k u / theta²,                                u = v · (x_I - x_J)
    v · ∂²k/∂x_I∂x_J · v' = k (v · v' / theta² + u u' / theta⁴),     u' = v' · (x_J - x_I)

A. S. Christensen et al., J. Chem. Phys. 152, 044107 (2020), Eqs. 12 to 19, where the energies alone are kernel ridge
regression and all labels Gaussian process regression.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..graph import Graph
from ..structures import Structures

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def gaussian(x: Float[Tensor, "*b N D"], y: Float[Tensor, "*c M D"], theta: float | Tensor) -> Float[Tensor, "*bc N M"]:
    """``exp(-|x - y|² / 2 theta²)`` of all pairs."""
    d2 = x.square().sum(-1)[..., None] + y.square().sum(-1)[..., None, :] - 2 * x @ y.mT
    return torch.exp(-0.5 * d2.clamp_min(0) / theta**2)


class Features(Protocol):
    """A descriptor, as far as covariances ask."""

    elements: tuple[str, ...]
    n_features: int

    def __call__(self, graph: Graph) -> Float[Tensor, "atoms D"]: ...

    def jacobian(self, graph: Graph) -> Any: ...


@dataclass
class Alike:
    """Structures of one composition: for each element their environments, and how these change along ``P`` labels.

    Args:
        x: features, for each element ``[structures, n, D]``.
        v: their changes, for each element ``[structures, P, n, D]``.
    """

    x: list[Float[Tensor, "S _ D"]]
    v: list[Float[Tensor, "S P _ D"]]

    @cached_property
    def own(self) -> list[Float[Tensor, "S P _"]]:
        """``v_I · x_I``."""
        return [torch.einsum("spnd,snd->spn", v, x) for x, v in zip(self.x, self.v)]

    def __len__(self) -> int:
        return len(self.x[0])

    @property
    def n_labels(self) -> int:
        """Energy and derivatives."""
        return 1 + self.v[0].shape[1]

    def __getitem__(self, which: slice) -> Alike:
        part = Alike([x[which] for x in self.x], [v[which] for v in self.v])
        part.own = [o[which] for o in self.own]
        return part

    def onto(self, axes: list[Float[Tensor, "D d"]]) -> Alike:
        """With the features of each element projected."""
        return Alike([x @ u for x, u in zip(self.x, axes)], [v @ u for v, u in zip(self.v, axes)])

    def along(self, directions: Float[Tensor, "S C Q"]) -> Alike:
        """With changes along some directions in place of those by the first ``C`` labels."""
        C = directions.shape[1]
        along = [(directions.mT @ v[:, :C].flatten(2)).unflatten(2, v.shape[2:]) for v in self.v]
        return Alike(self.x, [torch.cat([f, v[:, C:]], 1) for f, v in zip(along, self.v)])

    @staticmethod
    def cat(parts: list[Alike]) -> Alike:
        """One after another."""
        x, v = (zip(*(getattr(p, name) for p in parts)) for name in ("x", "v"))
        return Alike([torch.cat(e) for e in x], [torch.cat(e) for e in v])

    @staticmethod
    @torch.no_grad()
    def of(
        descriptor: Features, graph: Graph, z: Int[Tensor, "atoms"], forces: bool = True, virial: bool = False
    ) -> Alike:
        """Of structures of one composition, with forces and virials (in Voigt's order) after the energy.

        Args:
            descriptor: of environments.
            graph: of at least one structure.
            z: places of the elements of the atoms in ``descriptor.elements``.
            forces: whether their rows are there.
            virial: whether theirs are.
        """
        s, D = graph.structures, descriptor.n_features
        S, n = len(s), s.n_atoms // len(s)
        order = torch.argsort(z + len(descriptor.elements) * s.system, stable=True)
        counts = torch.bincount(z[:n], minlength=len(descriptor.elements)).tolist()
        v = graph.vectors.new_zeros(s.n_atoms, (3 * n if forces else 0) + (6 if virial else 0), D)
        if forces or virial:
            J = descriptor.jacobian(graph)
        if forces:
            j = graph.j - s.offsets[s.system[graph.j]]  # place within the structure
            i = graph.i - s.offsets[s.system[graph.i]]
            each = v[:, : 3 * n].view(s.n_atoms, n, 3, D)
            each.index_put_((graph.i, j), -J, accumulate=True).index_put_((graph.i, i), J, accumulate=True)
        if virial:
            W = torch.einsum("ea,ebd->eabd", graph.vectors, J)
            W = W.new_zeros(s.n_atoms, 3, 3, D).index_add_(0, graph.i, W)
            P = s.periodic_projector.to(W)[s.system]
            W = torch.einsum("iab,ibcd,ice->iaed", P, 0.5 * (W + W.transpose(1, 2)), P)
            for k, (a, b) in enumerate(VOIGT):
                v[:, v.shape[1] - 6 + k] = W[:, a, b]
        x, v = descriptor(graph)[order].view(S, n, D), v[order].view(S, n, v.shape[1], D).transpose(1, 2)
        return Alike(list(x.split(counts, dim=1)), [e.contiguous() for e in v.split(counts, dim=2)])


def internal_directions(structures: Structures) -> Float[Tensor, "S C Q"]:
    """Orthonormal displacements of the atoms at right angles to rigid motions, along which no energy changes.

    Rotations are among those unless a structure is periodic, or its atoms are in line.

    Args:
        structures: of equally many atoms.
    """
    S, n = len(structures), structures.n_atoms // len(structures)
    R = structures.positions.view(S, n, 3)
    R = R - R.mean(1, keepdim=True)
    rigid = torch.eye(3).to(R).repeat(S, n, 1)
    if not bool(structures.pbc.any()) and n > 2 and bool((torch.linalg.svdvals(R)[:, 1] > 0.1).all()):  # Å
        turned = torch.linalg.cross(torch.eye(3).to(R).view(1, 1, 3, 3), R[:, :, None], dim=-1)  # [S, n, axis, 3]
        rigid = torch.cat([rigid, turned.mT.reshape(S, 3 * n, 3)], 2)
    return torch.linalg.qr(rigid, mode="complete").Q[:, :, rigid.shape[2] :]


def axes_of(blocks: Iterable[Alike], tolerance: float = 1e-13) -> list[Float[Tensor, "D d"]]:
    """For each element the directions in which features differ or change: all others can be left out.

    Args:
        blocks: structures.
        tolerance: how much less than the most may be lost, of the square of any difference or change.
    """
    grams, origins = {}, {}
    for block in blocks:
        for e, (x, v) in enumerate(zip(block.x, block.v)):
            x, v = x.flatten(0, 1), v.flatten(0, 2)
            if len(x):
                x = x - origins.setdefault(e, x[0])
            grams[e] = grams.get(e, 0.0) + x.T @ x + v.T @ v
    axes = []
    for gram in grams.values():
        size, vectors = torch.linalg.eigh(gram)
        axes.append(vectors[:, size > tolerance * size[-1]])
    return axes


@torch.no_grad()
def covariance(one: Alike, many: Alike, theta: float) -> Float[Tensor, "S Q P"]:
    """Covariances of the ``Q`` labels of each of many structures with the ``P`` labels of one."""
    S, n_one, n_many, q = len(many), one.n_labels, many.n_labels, theta**-2
    K = many.x[0].new_zeros(S, n_many, n_one)
    second = K.new_zeros(S * (n_many - 1), n_one - 1)
    for (xa,), (va,), (oa,), xb, vb, ob in zip(one.x, one.v, one.own, many.x, many.v, many.own):
        n, m = len(xa), xb.shape[1]  # va: [P, n, D], vb: [S, Q, m, D]
        if n == 0 or m == 0:
            continue
        k = gaussian(xb, xa, theta)  # [S, m, n]
        K[:, 0, 0] += k.sum((1, 2))
        k = q * k
        if n_many > 1:
            ub = (vb @ xa.T).sub_(ob[..., None])  # [S, Q, m, n]
            K[:, 1:, 0] += torch.einsum("sjn,sqjn->sq", k, ub)
        if n_one > 1:
            ua = (xb.reshape(-1, xb.shape[-1]) @ va.flatten(0, 1).T).view(S, m, -1, n)
            ua.sub_(oa)  # [S, m, P, n]
            K[:, 0, 1:] += torch.einsum("sjn,sjpn->sp", k, ua)
        if n_many > 1 and n_one > 1:
            mixed = k.mT[:, None] @ vb  # sum_j k v_j, [S, Q, n, D]
            second.addmm_(mixed.view(len(second), -1), va.flatten(1).T)
            left = (ub * (q * k)[:, None]).flatten(2)
            second.view(S, n_many - 1, n_one - 1).baddbmm_(left, ua.mT.reshape(S, m * n, -1))
    K[:, 1:, 1:] = second.view(S, n_many - 1, n_one - 1)
    return K
