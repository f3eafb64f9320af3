r"""Sparse Gaussian processes as potentials: what pairs, triplets and environments have in common.

The energy is a sum over instances ``x`` (pairs, triplets, environments), each a Gaussian process with few points
``x_s``, ``e(x) = sum_s alpha_s k(x, x_s)``. With ``K = L Lᵀ`` the covariance of the points and ``alpha = L⁻ᵀ w`` the
coefficients ``w`` have the prior ``N(0, 1)``, so that a fit is linear regression of known prior.

Quiñonero-Candela and Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005); Bartók and Csányi, Int. J. Quantum Chem. 115, 1051
(2015).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..config import nearest
from ..graph import Graph
from ..nn.sparse_points import METHODS, choose_points
from ..potential import Design, PerAtom, Potential, Sum, Unexplained
from ..structures import sum_systems

_MEMORY = 64_000_000  # bytes of a block of derivatives
_MOST = 20_000  # instances of a group among which points are chosen


class SparseKernel(Potential, ABC):
    """The interface: ``instances`` and their ``kernel``, energies by ``forward``, and derivatives by ``slopes``.

    Instances of different groups (pairs of elements, centers of one element) have nothing to do with each other.
    """

    n_groups: int
    n_sparse: int
    how: str
    jitter: float

    def _begin(self, n_groups: int, n_sparse: int, how: str, delta: float, jitter: float, n_features: int) -> None:
        if how not in METHODS:
            known = ", ".join(METHODS)
            raise ValueError(f"points must be chosen by one of {known}; got {how!r}{nearest(how, METHODS)}")
        if n_sparse < 1 or not delta > 0:
            raise ValueError(f"n_sparse must be at least 1 and delta positive, got {n_sparse} and {delta}")
        self.n_groups, self.n_sparse, self.how, self.jitter = n_groups, n_sparse, how, jitter
        double = {"dtype": torch.float64}
        self.register_buffer("delta", torch.tensor(float(delta), **double))  # eV
        self.register_buffer("points", torch.zeros(0, n_features, **double))
        self.register_buffer("fade", torch.zeros(0, **double))
        self.register_buffer("group", torch.zeros(0, dtype=torch.long))
        self.alpha = nn.Parameter(torch.zeros(0, **double))

    def place(self, points: list[Float[Tensor, "_ D"]], alpha: Float[Tensor, "M"] | None = None) -> None:
        """Set the points of each group, and their weights; small ones, always the same, if not given."""
        self.points = torch.cat(points).to(self.points)
        self.group = torch.cat([torch.full((len(x),), g) for g, x in enumerate(points)]).to(self.group)
        self.fade = self.fading(self.points)
        if alpha is None:
            generator = torch.Generator().manual_seed(0)
            alpha = 0.1 * torch.randn(len(self.points), generator=generator, dtype=torch.float64)
        self.alpha.data = alpha.to(self.alpha)

    @abstractmethod
    def instances(self, graph: Graph) -> tuple[Float[Tensor, "I D"], Int[Tensor, "I"]]:
        """Inputs and their groups."""

    @abstractmethod
    def kernel(self, x: Float[Tensor, "I D"], points: Float[Tensor, "M D"], group: int) -> Float[Tensor, "I M"]:
        """Correlation of inputs with points of one group, without what fades at the cutoff."""

    @abstractmethod
    def fading(self, x: Float[Tensor, "I D"]) -> Float[Tensor, "I"]:
        """How much an input counts: 0 at the cutoff."""

    @abstractmethod
    def slopes(self, graph: Graph, atoms: slice, forces: bool) -> tuple[Tensor, Tensor | None]:
        """Covariance of energies of some atoms with the points, ``[atoms, M]``, and its derivatives by the vectors of
        the edges that leave them, ``[edges, 3, M]``.
        """

    @torch.no_grad()
    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Choose the points among what occurs."""
        generator = torch.Generator().manual_seed(0)
        found = [self.points.new_zeros(0, self.points.shape[1]) for _ in range(self.n_groups)]
        keys = [torch.zeros(0) for _ in found]  # of all that came, those of the lowest keys are kept: any as likely
        for graph in graphs:
            x, group = self.instances(graph)
            for g in group.unique().tolist():
                of = torch.cat([found[g], x[group == g]])
                key = torch.cat([keys[g], torch.rand(len(of) - len(keys[g]), generator=generator)])
                kept = key.argsort()[:_MOST]
                found[g], keys[g] = of[kept], key[kept]
        points = []
        for g, x in enumerate(found):
            self.adapt(g, x)
            if len(x):
                x = choose_points(self.candidates(g, x), self.n_sparse, self.how, partial(self.likeness, g), generator)
            points.append(x)
        self.place(points, torch.zeros(sum(map(len, points)), dtype=torch.float64))

    def adapt(self, group: int, x: Float[Tensor, "I D"]) -> None:
        """Take scales of the kernel from the inputs of a group; by default none."""

    def candidates(self, group: int, x: Float[Tensor, "I D"]) -> Float[Tensor, "J D"]:
        """What the points of a group are chosen among: the inputs that occur, in random order, or more."""
        return x

    def likeness(self, group: int, x: Tensor, points: Tensor) -> Float[Tensor, "I M"]:
        """The kernel over its values for each input with itself, by which points are chosen."""
        return self.kernel(x, points, group)

    def stretched(self) -> list[SparseKernel]:
        """The kernels whose lengths can be fitted: itself, where it has ``theta``."""
        return [self] if "theta" in self._buffers else []

    def stretch(self, factor: float) -> None:
        """Multiply the lengths of the kernel; points and weights are then to be found anew."""
        self.theta *= factor

    def covariance(self) -> Float[Tensor, "M M"]:
        """``K``: of the points with each other."""
        points, fade = self.points.double(), self.fade.double()
        K = points.new_zeros(len(points), len(points))
        for g in range(self.n_groups):
            of = (self.group == g).nonzero().flatten()
            K[of[:, None], of] = self.kernel(points[of], points[of], g).double()
        K = K * fade[:, None] * fade
        return self.delta.double() ** 2 * (K + self.jitter * torch.eye(len(K), dtype=K.dtype, device=K.device))

    def factor(self) -> Float[Tensor, "M M"]:
        """``L``, lower."""
        L, failed = torch.linalg.cholesky_ex(self.covariance())
        if int(failed):
            raise ValueError(
                f"{type(self).__name__}: {len(L)} points are too much alike for a jitter of {self.jitter:g}; take "
                f"fewer (n_sparse), or a jitter of {100 * self.jitter or 1e-10:g}"
            )
        return L

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "M"]:
        return (self.factor().T @ self.alpha.detach().double()).to(self.alpha)

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "M"]) -> None:
        solved = torch.linalg.solve_triangular(self.factor().T, values.double()[:, None], upper=True)[:, 0]
        self.alpha.data = solved.to(self.alpha)

    def covariances(self) -> Int[Tensor, "M"]:
        return torch.zeros_like(self.group)

    def rescale(self, factors: Float[Tensor, "one"]) -> None:
        self.delta *= float(factors)
        self.alpha.data /= float(factors)

    @torch.no_grad()
    def whitened(self, x: Float[Tensor, "*rows M"]) -> Float[Tensor, "*rows M"]:
        """From covariances with the points to derivatives by the coefficients, ``x L⁻ᵀ``."""
        L = self.factor()
        flat = torch.linalg.solve_triangular(L.T, x.reshape(-1, len(L)).double(), upper=True, left=False)
        return flat.reshape(x.shape).to(x)

    @torch.no_grad()
    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        graph = graph.within(self.cutoff).to(self.dtype)
        if self.local:
            E, F, W = assembled(graph, len(self.alpha), self.slopes, forces, virial)
        else:
            E, F, W = assembled_by_positions(graph, self.slopes, forces, virial)
        energy = self.whitened(sum_systems(E, graph.structures))
        return Design(energy, None if F is None else self.whitened(F), None if W is None else self.whitened(W))

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        """There are as many points as were saved."""
        for name, buffer in self._buffers.items():
            if (saved := state_dict.get(prefix + name)) is not None:
                self._buffers[name] = buffer.new_empty(saved.shape)
        if (saved := state_dict.get(f"{prefix}alpha")) is not None:
            self.alpha.data = self.alpha.data.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class SumOfKernels(Potential, ABC):
    """A family that is a sum of such potentials under one name: it sets ``sum``, and is one Gaussian process."""

    sum: Sum

    @abstractmethod
    def __init__(self):
        super().__init__()

    def forward(self, graph: Graph) -> PerAtom:
        return self.sum(graph)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        self.sum.prepare(graphs)

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "M"]:
        return self.sum.coefficients

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "M"]) -> None:
        self.sum.coefficients = values

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        return self.sum.design(graph, forces, virial)

    def covariances(self) -> Int[Tensor, "M"]:
        return torch.cat([p.covariances() + k for k, p in enumerate(self.sum.parts)])

    def rescale(self, factors: Float[Tensor, "covariances"]) -> None:
        for p, factor in zip(self.sum.parts, factors.split(1)):
            p.rescale(factor)

    def stretched(self) -> list[SparseKernel]:
        return [kernel for p in self.sum.parts for kernel in p.stretched()]

    def unexplained(self, graph: Graph, forces: bool = False) -> Unexplained | None:
        return self.sum.unexplained(graph, forces)


def assembled(
    graph: Graph, K: int, slopes: Callable, forces: bool = True, virial: bool = True
) -> tuple[Float[Tensor, "atoms K"], Float[Tensor, "atoms 3 K"] | None, Float[Tensor, "systems 3 3 K"] | None]:
    """Energies of atoms, forces and strain derivatives of ``K`` functions from their slopes by vectors of edges.

    Args:
        graph: who sees whom.
        K: number of functions.
        slopes: ``slopes(graph, atoms, forces)``, as of ``SparseKernel``: of few atoms at a time.
        forces: whether those are wanted.
        virial: whether those are.
    """
    step = max(1, _MEMORY // max(24 * K * (1 + graph.n_edges // max(graph.n_atoms, 1)), 1))
    E = graph.vectors.new_zeros(graph.n_atoms, K)
    F = E.new_zeros(graph.n_atoms, 3, K) if forces else None
    W = E.new_zeros(graph.n_systems, 3, 3, K) if virial else None
    for begin in range(0, graph.n_atoms, step):
        atoms = slice(begin, min(begin + step, graph.n_atoms))
        edges = slice(int(graph.first[atoms.start]), int(graph.first[atoms.stop]))
        E[atoms], G = slopes(graph, atoms, forces or virial)
        i, j, v = graph.i[edges], graph.j[edges], graph.vectors[edges]
        if forces:
            F.index_add_(0, i, G).index_add_(0, j, G, alpha=-1)
        if virial:
            for s in graph.structures.system[i].unique().tolist():
                of = (graph.structures.system[i] == s).nonzero().flatten()
                W[s] += torch.einsum("ea,ebm->abm", v[of], G[of])
    return E, F, W


@torch.enable_grad()
def assembled_by_positions(
    graph: Graph, slopes: Callable, forces: bool = True, virial: bool = True
) -> tuple[Float[Tensor, "atoms K"], Float[Tensor, "atoms 3 K"] | None, Float[Tensor, "systems 3 3 K"] | None]:
    """The same where energies depend on more than edges: one derivative of each function by all positions and strain.

    Args:
        graph: who sees whom.
        slopes: as there; only energies are asked of it.
        forces: whether those are wanted.
        virial: whether strain derivatives are.
    """
    s = graph.structures
    positions = s.positions.detach().requires_grad_()
    strain = s.cell.new_zeros(s.n_systems, 3, 3).requires_grad_()
    F = torch.eye(3).to(strain) + strain
    strained = replace(s, positions=(positions[:, None] @ F[s.system])[:, 0], cell=s.cell.detach() @ F)
    E, _ = slopes(graph.of_structures(strained), slice(0, graph.n_atoms), False)
    asked = [positions] * forces + [strain] * virial
    if not asked:
        return E.detach(), None, None
    found = zip(*(torch.autograd.grad(total, asked, retain_graph=True) for total in E.sum(0)))
    found = [torch.stack(x, -1) for x in found]
    return E.detach(), -found[0] if forces else None, found[-1] if virial else None


def leaving(graph: Graph, atoms: slice) -> Graph:
    """Only the edges that leave some consecutive atoms; they have no reverse."""
    begin, end = int(graph.first[atoms.start]), int(graph.first[atoms.stop])
    of = slice(begin, end)
    first = graph.first.clamp(begin, end) - begin
    i, j, shifts, vectors = (x[of] for x in (graph.i, graph.j, graph.shifts, graph.vectors))
    return Graph(graph.structures, i, j, shifts, vectors, first, torch.zeros_like(i), graph.cutoff)
