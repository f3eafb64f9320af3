"""Power-type structural descriptors: S.-D. Huang, C. Shang, X.-J. Zhang and Z.-P. Liu, Chem. Sci. 8, 6327 (2017).

No reference: the code they come from, LASP, is closed, so no number of it stands behind these. Two readings are ours:
sums run over all orders of the neighbors, and the dihedral angle of ``ijkl`` is that of the planes ``ijk`` and ``ijl``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, permutations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph, triplets
from ..nn.spherical_harmonics import spherical_harmonics
from ..potential import Species

LETTERS = {
    "S1": ("n",),
    "S2": ("L", "n"),
    "S3": ("n", "m", "zeta", "lambda"),
    "S4": ("n", "m", "p", "zeta", "lambda"),
    "S5": ("L", "n", "m", "p"),
    "S6": ("n", "m", "p", "zeta", "lambda"),
}


class PTSD(Descriptor):
    r"""Sums over neighbors of powers of distance, spherical harmonics, angles and dihedral angles; no reference code.

    With ``R^n(r) = r^n f_c(r)`` and ``f_c = 1/2 tanh³(1 - r / r_c)``::

        S1 = sum_j R^n(r_ij)
        S2 = (sum_M |sum_j R^n(r_ij) Y_LM(r_ij)|²)^(1/2)
        S3 = 2^(1-zeta) sum_jk (1 + lambda cos theta_ijk)^zeta R^n(r_ij) R^m(r_ik)
        S4 = 2^(1-zeta) sum_jk (1 + lambda cos theta_ijk)^zeta R^n(r_ij) R^m(r_ik) R^p(r_jk)
        S5 = (sum_M |sum_jk R^n(r_ij) R^m(r_ik) R^p(r_jk) (Y_LM(r_ij) + Y_LM(r_ik))|²)^(1/2)
        S6 = 2^(1-zeta) sum_jkl (1 + lambda cos delta_ijkl)^zeta R^n(r_ij) R^m(r_ik) R^p(r_il)

    Each for every element, or set of two or three elements, of the neighbors. Features have very different magnitudes:
    let the network scale them, as ``HDNNP`` does. Where atoms lie on a line (S6), or a sum of S2 or S5 vanishes by
    symmetry, the published functions have no derivative; here it is 0 there. The cost of S6 grows with the cube of the
    number of neighbors.

    Args:
        elements: chemical symbols.
        cutoff: ``r_c`` of S1 to S5, Å.
        dihedral_cutoff: ``r_c`` of S6, Å.
        S1: rows ``[n]``.
        S2: rows ``[L, n]``.
        S3: rows ``[n, m, zeta, lambda]``.
        S4: rows ``[n, m, p, zeta, lambda]``.
        S5: rows ``[L, n, m, p]``.
        S6: rows ``[n, m, p, zeta, lambda]``.
    """

    small = {
        "elements": ["Si", "H"],
        "cutoff": 3.6,
        "dihedral_cutoff": 3.2,
        "S1": [[2], [-1]],
        "S2": [[1, 1], [2, 2]],
        "S3": [[1, 2, 2, -1]],
        "S4": [[1, 0, 1, 1, 1]],
        "S5": [[2, 1, 0, 1]],
        "S6": [[1, 0, 1, 2, 1]],
    }

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 6.0,
        dihedral_cutoff: float = 4.0,
        S1: list = ((1,), (2,), (4,), (8,)),
        S2: list = ((1, 2), (2, 2), (4, 2), (2, 6), (4, 6)),
        S3: list = ((1, 1, 1, 1), (1, 1, 1, -1), (2, 2, 4, 1), (2, 2, 4, -1), (1, 4, 2, 1), (1, 4, 2, -1)),
        S4: list = ((1, 1, 1, 1, 1), (1, 1, 1, 1, -1), (2, 2, 1, 4, 1), (2, 2, 1, 4, -1)),
        S5: list = ((2, 1, 1, 1), (4, 1, 1, 1)),
        S6: list = ((1, 1, 1, 1, 1), (1, 1, 1, 1, -1), (1, 1, 1, 4, 1)),
    ):
        super().__init__()
        if not 0 < dihedral_cutoff <= cutoff:
            raise ValueError(f"PTSD: 0 < dihedral_cutoff <= cutoff, got {dihedral_cutoff} and {cutoff} Å")
        self.elements, self.cutoff, self.dihedral_cutoff = tuple(elements), cutoff, dihedral_cutoff
        self.species = Species(elements)
        rows = {"S1": S1, "S2": S2, "S3": S3, "S4": S4, "S5": S5, "S6": S6}
        self.rows = {name: tuple(_check(name, row) for row in given) for name, given in rows.items()}
        if not any(self.rows.values()):
            raise ValueError("PTSD has no rows at all; give some of S1 to S6")
        self.l_max = max((int(L) for name in ("S2", "S5") for L, *_ in self.rows[name]), default=0)
        n = len(self.elements)
        for size in (1, 2, 3):  # the place of each set of elements, whatever their order
            table = torch.zeros((n,) * size, dtype=torch.long)
            for place, chosen in enumerate(combinations_with_replacement(range(n), size)):
                for order in permutations(chosen):
                    table[order] = place
            self.register_buffer(f"sets{size}", table, persistent=False)
        sizes = {"S1": 1, "S2": 1, "S3": 2, "S4": 2, "S5": 2, "S6": 3}
        self.n_sets = {s: sum(1 for _ in combinations_with_replacement(range(n), s)) for s in (1, 2, 3)}
        self.n_features = sum(len(self.rows[name]) * self.n_sets[size] for name, size in sizes.items())

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        features = self._bonds_and_angles(graph.within(self.cutoff))
        if self.rows["S6"]:
            features += self._dihedrals(graph.within(self.dihedral_cutoff))
        return torch.cat(features, 1)

    def _bonds_and_angles(self, graph: Graph) -> list[Float[Tensor, "atoms sets"]]:
        z, r, rows = self.species(graph.numbers)[graph.j], graph.lengths, self.rows
        u = graph.vectors / r[:, None]
        f, Y = _fade(r, self.cutoff), spherical_harmonics(self.l_max, u)
        total = _Sums(graph.n_atoms, graph.i, self.sets1[z], self.n_sets[1])
        S1 = [total(r**n * f) for (n,) in rows["S1"]]
        S2 = [_norm(total((r**n * f)[:, None] * _degree(Y, L))) for L, n in rows["S2"]]

        j, k = triplets(graph)
        total = _Sums(graph.n_atoms, graph.i[j], self.sets2[z[j], z[k]], self.n_sets[2])
        r_jk = torch.linalg.vector_norm(graph.vectors[k] - graph.vectors[j], dim=-1)
        cos, ff, f_jk = (u[j] * u[k]).sum(-1), f[j] * f[k], _fade(r_jk, self.cutoff)

        S3 = [total(_both(r[j], r[k], n, m) * ff * _angular(cos, zeta, sign)) for n, m, zeta, sign in rows["S3"]]
        S4 = [
            total(_both(r[j], r[k], n, m) * ff * r_jk**p * f_jk * _angular(cos, *angle))
            for n, m, p, *angle in rows["S4"]
        ]
        S5 = [
            _norm(
                total((_both(r[j], r[k], n, m) * ff * r_jk**p * f_jk)[:, None] * (_degree(Y, L)[j] + _degree(Y, L)[k]))
            )
            for L, n, m, p in rows["S5"]
        ]
        return S1 + S2 + S3 + S4 + S5

    def _dihedrals(self, graph: Graph) -> list[Float[Tensor, "atoms sets"]]:
        z, r = self.species(graph.numbers)[graph.j], graph.lengths
        u, f = graph.vectors / r[:, None], _fade(r, self.dihedral_cutoff)
        edges = _threes(graph)
        total = _Sums(graph.n_atoms, graph.i[edges[0]], self.sets3[tuple(z[e] for e in edges)], self.n_sets[3])
        fff = f[edges[0]] * f[edges[1]] * f[edges[2]]
        cos = [_dihedral(u[edges[a]], u[edges[b]], u[edges[c]]) for a, b, c in ((0, 1, 2), (1, 0, 2), (2, 0, 1))]
        S6 = []
        for n, m, p, zeta, sign in self.rows["S6"]:
            angular = [_angular(x, zeta, sign) for x in cos]
            orders = [(j, edges[j], edges[k], edges[l]) for j, k, l in permutations(range(3))]
            powers = sum(angular[axis] * r[j] ** n * r[k] ** m * r[l] ** p for axis, j, k, l in orders)
            S6.append(total(fff * powers))
        return S6


class _Sums:
    """Sums over the neighborhoods of each atom, kept apart by the elements in them."""

    def __init__(self, n_atoms: int, i: Int[Tensor, "N"], kind: Int[Tensor, "N"], n_kinds: int):
        self.n_atoms, self.n_kinds, self.to = n_atoms, n_kinds, i * n_kinds + kind

    def __call__(self, x: Float[Tensor, "N *f"]) -> Float[Tensor, "atoms kinds *f"]:
        flat = x.new_zeros(self.n_atoms * self.n_kinds, *x.shape[1:]).index_add(0, self.to, x)
        return flat.reshape(self.n_atoms, self.n_kinds, *x.shape[1:])


def _threes(graph: Graph) -> tuple[Int[Tensor, "N"], Int[Tensor, "N"], Int[Tensor, "N"]]:
    """Three different edges that leave the same atom, each set once."""
    e, f = triplets(graph)
    after = graph.first[graph.i[e] + 1] - f - 1
    pair = torch.repeat_interleave(torch.arange(e.shape[0], device=e.device), after)
    start = torch.cumsum(after, 0) - after
    g = torch.arange(pair.shape[0], device=e.device) - start[pair] + f[pair] + 1
    return e[pair], f[pair], g


def _fade(r: Tensor, cutoff: float) -> Tensor:
    return 0.5 * torch.tanh((1 - r / cutoff).clamp_min(0)) ** 3


def _both(r_j: Tensor, r_k: Tensor, n: float, m: float) -> Tensor:
    """The powers of a pair of neighbors in either order."""
    return r_j**n * r_k**m + r_j**m * r_k**n


def _angular(cos: Tensor, zeta: float, sign: float) -> Tensor:
    # Not quite 0 where atoms lie on a line, since the power has no second derivative there.
    return 2 ** (1 - zeta) * (1 + sign * cos).clamp_min(torch.finfo(cos.dtype).eps) ** zeta


def _dihedral(u: Float[Tensor, "N 3"], v: Float[Tensor, "N 3"], w: Float[Tensor, "N 3"]) -> Float[Tensor, "N"]:
    """Cosine of the angle between the planes that ``v`` and ``w`` make with the axis ``u``."""
    a, b = torch.linalg.cross(u, v), torch.linalg.cross(u, w)
    squares = a.square().sum(-1) * b.square().sum(-1)
    flat = squares <= torch.finfo(u.dtype).eps
    return torch.where(flat, 0.0, (a * b).sum(-1) / torch.where(flat, 1.0, squares).sqrt())


def _degree(Y: Float[Tensor, "*shape lm"], L: float) -> Float[Tensor, "*shape m"]:
    return Y[..., int(L) ** 2 : (int(L) + 1) ** 2]


def _norm(x: Float[Tensor, "*shape m"]) -> Float[Tensor, "*shape"]:
    squares = x.square().sum(-1)
    zero = squares <= 1e-20
    return torch.where(zero, 0.0, torch.where(zero, 1.0, squares).sqrt())


def _check(name: str, row: Sequence[float]) -> tuple[float, ...]:
    letters = LETTERS[name]
    if not hasattr(row, "__len__") or len(row) != len(letters):
        raise ValueError(f"PTSD: rows of {name} are [{', '.join(letters)}], got {row!r}")
    named = dict(zip(letters, row))
    if named.get("L", 0) != int(named.get("L", 0)) or named.get("L", 0) < 0:
        raise ValueError(f"PTSD: L of {name} is a whole number from 0 on, got {named['L']}")
    if named.get("zeta", 1) < 1 or abs(named.get("lambda", 1)) > 1:
        raise ValueError(f"PTSD: zeta of {name} is 1 or more and lambda between -1 and 1, got {list(row)}")
    return tuple(row)
