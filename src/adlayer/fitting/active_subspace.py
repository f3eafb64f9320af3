"""Fits a contracted atomic cluster expansion: first a plain one, then the few channels along which its energy changes.

Constantine, Dow and Wang, SIAM J. Sci. Comput. 36, A1500 (2014).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..config import build, check_arguments
from ..nn.active_subspace import Channels, Moments
from ..potential import Potential
from ..structures import Structures
from .fit import Fit, Fitted, Progress
from .least_squares import LeastSquares, graphs_of
from .parts import leaves, together

if TYPE_CHECKING:
    from ..data import Dataset

_LABELS_EACH = 6  # for each coefficient of the first fit; half as many, and its channels follow their noise
_FEWEST, _MOST = 50, 3000  # functions of each element in the first fit
_ENOUGH = 4000  # atoms for averages
_MEMORY = 256_000_000  # bytes for products of some atoms and what differentiates them


class ActiveSubspace(Fit):
    """Fits a ``ContractedACE`` in two steps, each by ``LeastSquares``: a plain ``ACE``, then the contracted one.

    Of the plain one, ``potential.first``, only the directions along which its energy changes are used, and how much. It
    should be as good as the data allow without following them: unless its ``n_functions`` are given, there is one of
    its coefficients for six labels. Averages are over some 4000 atoms of evenly spaced frames of the training set.
    Other parts of a ``Sum`` are treated as ``LeastSquares`` treats them.

    Args:
        least_squares: arguments of ``LeastSquares`` in both steps, such as ``ridge`` and ``weights``.
        first: arguments that differ in the first step: with a ridge too weak for it, its channels are noise.
    """

    refits_energies = True

    def __init__(self, least_squares: dict | None = None, first: dict | None = None):
        settings = least_squares or {}
        for table in (settings, first or {}):
            check_arguments(LeastSquares, table)
        self.method, self.first = LeastSquares(**settings), LeastSquares(**(settings | (first or {})))
        self.weights, self.energies = self.method.weights, self.method.energies

    def check(self, potential: Potential) -> None:
        if [p.fitted_by for p in leaves(potential)].count(type(self).__name__) != 1:
            raise TypeError(
                f"ActiveSubspace fits one ContractedACE, alone or with others added; not {type(potential).__name__}"
            )

    def solve(
        self,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None,
        *,
        folder: Path | None,
        progress: Progress,
        seed: int,
    ) -> Fitted:
        def least_squares(method: LeastSquares, of: Potential) -> Fitted:
            return method.solve(of, train, valid, folder=folder, progress=progress, seed=seed)

        model = next(p for p in leaves(potential) if p.fitted_by == type(self).__name__)
        if model.limits is None:  # the number of coefficients will stay
            self.method.check_memory(len(potential.coefficients))
        source = self._first(model, train)
        plain = together([source if p is model else copy.deepcopy(p) for p in leaves(potential)])
        first = least_squares(self.first, plain).history[0]
        model.contract(active_channels(source, model, train.structures))
        fitted = least_squares(self.method, potential)
        return replace(fitted, history=[{"fit": "first", **first}, {"fit": "contracted", **fitted.history[0]}])

    def _first(self, model: Potential, train: Dataset) -> Potential:
        """The plain expansion, with as many functions as the data determine well."""
        labels = sum(int((p > 0).sum()) for p in self.weights.precisions(train) if p is not None)
        n = min(max(labels // (_LABELS_EACH * len(model.elements)), _FEWEST), _MOST)
        return build({"ACE": {"n_functions": n, **model.first["ACE"]}}, Potential).to(model.device)


def active_channels(source: Potential, model: Potential, structures: Structures) -> Channels:
    """Channels along which the energy of a fitted cluster expansion changes.

    Args:
        source: the ``ACE`` that the model names its first.
        model: which has as many channels.
        structures: over whose atoms is averaged.
    """
    U, s, mean = (torch.zeros_like(x) for x in model.channels)
    sums = [_sums(source, model.n_radial, l) for l in range(s.shape[1])]
    moments = {(z, l): Moments(len(x.first)) for z in range(len(s)) for l, x in enumerate(sums)}
    for A, G, species in _values(source, structures):
        for (z, l), m in moments.items():
            of = (sums[l].first[:, None] + torch.arange(2 * l + 1)).flatten()
            m.add(*(x[species == z][:, of].unflatten(1, (-1, 2 * l + 1)).mT.flatten(0, 1) for x in (A, G)))
    for (z, l), m in moments.items():
        if m.count and len(m.A):
            T, importance, average = m.directions(s.shape[2], l)
            U[z, l, : len(T)], s[z, l, : len(T)] = T @ sums[l].made_of, importance
            if l == 0:
                mean[z, : len(T)] = average
    return Channels(U, s, mean)


class _Sums(NamedTuple):
    """The sums over neighbors of one ``l`` in a potential, those of the pair potential left out."""

    first: Int[Tensor, "n"]  # where m = -l of each is among the A
    made_of: Float[Tensor, "n en"]  # of each element of the neighbors and radial function


def _sums(source: Potential, n_radial: int, l: int) -> _Sums:
    expansion, basis, pair = source.expansion, source.expansion.basis, source.pair
    E, last = expansion.n_elements, expansion.radial.n
    places = [(e, n) for e in range(E) for n in range(pair, last) if basis.low[n] <= l * l < basis.high[n]]
    e, n = torch.tensor(places, dtype=torch.long).reshape(-1, 2).T
    first = e * int(basis.start[-1]) + torch.from_numpy(basis.start)[n] + l * l
    return _Sums(first, torch.eye(E * n_radial, dtype=torch.float64)[e * n_radial + n - pair])


def _values(source: Potential, structures: Structures) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """``A`` and ``dE/dA`` of the atoms of evenly spaced structures, and their elements."""
    step = max(1, structures.n_atoms // _ENOUGH)
    expansion, W = source.expansion, source.weights().detach().double().cpu()[:, 0]
    atoms = max(1, _MEMORY // (48 * expansion.n_nodes))
    for _, graph in graphs_of(structures[list(range(0, structures.n_systems, step))], source.cutoff, atoms):
        species = source.species(graph.numbers)
        A = expansion.one_particle(graph.vectors, graph.i, graph.j, species).requires_grad_()
        (G,) = torch.autograd.grad((expansion.products(A) * W[species]).sum(), A)
        yield A.detach() + torch.from_numpy(expansion.shift)[species], G, species
