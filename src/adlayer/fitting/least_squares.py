"""Least squares for linear potentials: energy, forces and stress are rows of one design matrix, which is never held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from ..graph import Graph
from ..memory import require_memory
from ..potential import Potential, ReferenceEnergies, join_penalties
from ..structures import Structures
from .fit import Fit, Fitted, Posterior, Progress
from .metrics import chunks, errors_of
from .normal_equations import NormalEquations
from .parts import is_trainable, leaves, less, together
from .regression import Reduced, reduced, regress, triangle_by_normal_equations, triangle_by_qr
from .weights import Residuals, Weights, in_rows

if TYPE_CHECKING:
    from ..data import Dataset


SOLVERS = ("auto", "qr", "normal", "cholesky")
_AFFORDABLE = 1e12  # multiplications and additions: about a minute on two cores
_MANY = 5000  # coefficients: from here on singular values take minutes
_TOGETHER = 400  # atoms whose rows are worth going through a large matrix for


class LeastSquares(Fit):
    """Minimizes ``L + ridge Σ_k penalty_k (s_k c_k)²`` over the coefficients ``c`` of a linear potential.

    ``L`` is the weighted mean of squared errors (see ``Weights``), ``s_k`` the norm of column ``k`` of its design
    matrix or what ``floor`` says, so that ``ridge`` has no unit, and ``penalty`` the potential's own prior, such as one
    that rises with roughness (or a matrix, with one scale for all). Parts of a ``Sum`` that are not linear, or are
    frozen, are held fixed, and what they predict is subtracted. Reference energies are fitted with the rest, free of
    penalty.

    Args:
        ridge: strength of the prior; ``"evidence"`` finds the most probable one (Bayesian ridge), ``"ard"`` one for
            each coefficient, and sets those to zero which the data do not ask for. Of several in a list that is taken
            with which the validation set is predicted best, by ``L``.
        smooth: whether to use the potential's penalty; if not, all coefficients are treated alike.
        solver: ``"qr"`` is accurate for any conditioning, ``"normal"`` takes half the work but squares the condition
            number; ``"auto"`` takes the former up to about a minute of work, then the latter unless it loses too much.
            ``"cholesky"`` factors the normal equations in place and looks at no singular values: what ``"auto"`` takes
            for more than 5000 coefficients. 25,000 need 12 GB.
        weights: of energies (30 by default: 1 meV/atom counts like 5 meV/Å), forces (1), stress (0.1) and groups.
        energies: reference energies per element: ``"auto"``, ``"shift"``, ``"none"`` or a table of eV per atom, which
            is kept, as are those of isolated atoms in the training set.
        floor: the least that ``s_k`` is, in units of the root mean square of all. What the data hardly show, such as
            two atoms that come within the cutoff once, would else be free to become anything. With very few structures
            0.1 is better than the default, where functions are of like size as those of an ``ACE`` are.
    """

    refits_energies = True

    def __init__(
        self,
        ridge: float | list[float] | Literal["evidence", "ard"] = "evidence",
        smooth: bool = True,
        solver: Literal["auto", "qr", "normal", "cholesky"] = "auto",
        weights: Weights | dict | None = None,
        energies: dict | str = "auto",
        floor: float = 1e-5,
    ):
        if not 0 <= floor < 10:
            raise ValueError(f"floor is a small number from 0 upwards, got {floor}")
        several = isinstance(ridge, list | tuple)
        ridges = list(ridge) if several else [ridge]
        for r in ridges or [None]:
            if (several or r not in ("evidence", "ard")) and not (isinstance(r, int | float) and r >= 0):
                raise ValueError(
                    f"ridge must be a number from 0 upwards, a list of such, 'evidence' or 'ard', got {ridge!r}"
                )
        if solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; got {solver!r}{nearest(solver, SOLVERS)}")
        if solver == "cholesky" and {"ard", 0} & set(ridges):
            raise ValueError(f"solver = 'cholesky' needs a ridge above 0 or 'evidence', got {ridge!r}")
        self.ridge, self.smooth, self.solver = ridges if several else ridge, smooth, solver
        self.weights, self.energies, self.floor = Weights.of(weights, energy=30.0), energies, floor

    def check_memory(self, n_coefficients: int, atoms: int = _TOGETHER) -> None:
        """Raise ``ValueError`` where normal equations of so many coefficients do not fit into what is free."""
        if n_coefficients > _MANY or self.solver == "cholesky":
            require_memory(
                9.0 * n_coefficients**2 + 24.0 * 6 * n_coefficients * atoms,
                f"normal equations of {n_coefficients} coefficients",
                lambda free: f"take fewer functions: {int((free / 10) ** 0.5)} coefficients would fit",
            )

    def check(self, potential: Potential) -> None:
        if not potential.linear:
            raise TypeError(
                f"LeastSquares needs a potential that is linear in its coefficients, and "
                f"{type(potential).__name__} is not; fit it by GradientDescent"
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
        if isinstance(self.ridge, list) and valid is None:
            raise ValueError("ridge is a list, of which a validation set chooses: give one, or a single ridge")
        parts = Parts(potential)
        start = time.perf_counter()
        for part in parts.free:
            part.prepare(graph for _, graph in graphs_of(train.structures, part.cutoff))
        parts = Parts(potential)  # there may be other coefficients now
        rows = Rows(parts, train, self.weights, progress)
        penalty = parts.penalty(self.smooth)
        data, solver = self._reduce(rows, penalty.ndim == 1)
        middle = time.perf_counter()
        ridge = self.ridge
        if isinstance(ridge, list):
            ridge = self._best(ridge, lambda r: _mean(data, penalty, r, self.floor), parts, potential, valid, progress)
        solve = partial(regress, data) if isinstance(data, Reduced) else data.regress
        solution = solve(penalty, ridge, self.floor)
        parts.set(parts.start + solution.mean)
        mean, factor = _double(potential.coefficients), solution.factor
        if len(factor) < len(mean):
            factor = mean.new_zeros(len(mean), factor.shape[1]).index_copy(0, parts.places, factor)
        row = {
            "solver": solver,
            "rows": rows.n,
            "coefficients": len(solution.mean),
            "effective": solution.effective,
            "nonzero": int((solution.mean != 0).sum()),
            "ridge": solution.ridge,
            "noise": solution.noise,
            "design_seconds": rows.seconds,
            "reduce_seconds": middle - start - rows.seconds,
            "solve_seconds": time.perf_counter() - middle,
        }
        stopped = f"solved {rows.n} rows by {solver}"
        return Fitted(potential, history=[row], stopped=stopped, posterior=Posterior(mean, factor, solution.noise))

    def _best(
        self,
        ridges: list[float],
        mean: Callable[[float], Tensor],
        parts: Parts,
        potential: Potential,
        valid: Dataset,
        progress: Progress,
    ) -> float:
        """The ridge whose coefficients predict the validation set best."""
        losses = []
        for k, r in enumerate(ridges):
            parts.set(parts.start + mean(r))
            losses.append(self.weights.loss(errors_of(potential, valid)))
            progress(k + 1, len(ridges), "ridge")
        return ridges[min(range(len(ridges)), key=losses.__getitem__)]

    def _reduce(self, rows: Rows, diagonal: bool) -> tuple[Reduced | NormalEquations, str]:
        solver = self.solver
        if solver == "cholesky" and not diagonal:
            raise ValueError("solver = 'cholesky' takes no prior that couples coefficients; take 'normal' or 'qr'")
        if solver == "auto":
            ridges = self.ridge if isinstance(self.ridge, list) else [self.ridge]
            many = rows.K > _MANY and diagonal and not {"ard", 0} & set(ridges)
            solver = "qr" if 2.0 * rows.n * rows.K**2 < _AFFORDABLE else "cholesky" if many else "normal"
        if solver == "cholesky":
            rows.atoms = max(rows.atoms, _TOGETHER)
            self.check_memory(rows.K, rows.atoms)
            return NormalEquations(rows, rows.K), "Cholesky"
        if solver == "normal":
            data = reduced(triangle_by_normal_equations(rows), rows.n)
            S = torch.linalg.svdvals(data.R / torch.linalg.vector_norm(data.R, dim=0).clamp_min(1e-300))
            if self.solver == "normal" or float(S[-1]) > 1e-7 * float(S[0]):
                return data, "normal equations"
        return reduced(triangle_by_qr(rows), rows.n), "QR"


def _mean(data: Reduced | NormalEquations, penalty: Tensor, ridge: float, floor: float) -> Float[Tensor, "K"]:
    """The coefficients alone; the sums stay for other ridges."""
    if isinstance(data, Reduced):
        return regress(data, penalty, ridge, floor).mean
    return data.mean(penalty, ridge, floor)


class Parts:
    """A potential as the linear parts that are fitted and the others, which are held fixed."""

    def __init__(self, potential: Potential):
        def is_free(part: Potential) -> bool:
            return part.linear and (is_trainable(part) or not list(part.parameters()))

        terms = leaves(potential)
        self.free = [p for p in terms if is_free(p)]
        self.fixed = together([p for p in terms if not is_free(p)])
        self.cutoff, self.device = potential.cutoff, potential.device
        flags = [torch.full((len(p.coefficients),), is_free(p)) for p in terms if p.linear]
        self.places = torch.cat(flags).nonzero().flatten()  # of those fitted among the potential's coefficients
        # Reference energies start from the best guess of compositions alone, everything else from nothing.
        self.start = torch.cat([_double(p.coefficients) * isinstance(p, ReferenceEnergies) for p in self.free])

    def penalty(self, smooth: bool) -> Float[Tensor, "K"] | Float[Tensor, "K K"]:
        """None for reference energies."""
        ones = [torch.ones_like(_double(p.coefficients)) for p in self.free]
        penalties = [_double(p.penalty()) for p in self.free] if smooth else ones
        return join_penalties([x * (not isinstance(p, ReferenceEnergies)) for p, x in zip(self.free, penalties)])

    def set(self, values: Float[Tensor, "K"]) -> None:
        for part, x in zip(self.free, values.split([len(p.coefficients) for p in self.free])):
            old = part.coefficients
            part.coefficients = x.to(device=old.device, dtype=old.dtype)


class Rows:
    """The weighted design matrix and labels, ``[A | y]``, in blocks: made anew each time they are gone through.

    Args:
        parts: what is fitted and what is held fixed.
        train: the labels.
        weights: of the rows.
        progress: called after each block.
        memory: of a block, bytes.
    """

    def __init__(self, parts: Parts, train: Dataset, weights: Weights, progress: Progress, memory: int = 32_000_000):
        self.parts, self.train, self.progress = parts, train, progress
        self.K, self.seconds = len(parts.start), 0.0
        self.precisions = weights.precisions(train)
        self.n = sum(int((p > 0).sum()) for p in self.precisions if p is not None)
        self.atoms = max(1, memory // (24 * self.K))

    def __iter__(self) -> Iterator[Float[Tensor, "_ K1"]]:
        for blocks in self.by_kind():
            yield torch.cat([x for x in blocks if x is not None])

    def by_kind(self) -> Iterator[Residuals]:
        """Rows of energies, of forces and of virials apart; None where there are no labels of a kind."""
        structures, last = self.train.structures, time.perf_counter()
        for chunk, graph in graphs_of(structures, self.parts.cutoff, self.atoms):
            block = self._block(chunk, graph.to(self.parts.device))
            self.seconds += time.perf_counter() - last
            self.progress(chunk[-1] + 1, len(structures), "design matrix")
            yield block
            last = time.perf_counter()

    def _block(self, chunk: range, graph: Graph) -> Residuals:
        s, (p_E, p_F, p_W) = graph.structures, self.precisions
        atoms = slice(*(int(self.train.structures.offsets[k]) for k in (chunk.start, chunk.stop)))
        frames, N = slice(chunk.start, chunk.stop), s.counts.double()
        design = [p.design(graph.within(p.cutoff), p_F is not None, p_W is not None) for p in self.parts.free]
        labels = self.train.labels.map(lambda x: x[frames].to(s.device), lambda x: x[atoms].to(s.device))
        left = in_rows(less(labels, self.parts.fixed, graph), s)

        def weighted(columns: list[Tensor], y: Tensor, p: Tensor) -> Tensor:
            p = p.to(s.device).reshape(-1)
            A = torch.cat([x.reshape(-1, x.shape[-1]).double() for x in columns], 1)
            y = y.double().reshape(-1) - A @ self.parts.start.to(s.device)
            return (torch.cat([A, y[:, None]], 1) * p.sqrt()[:, None])[p > 0]

        E = F = W = None
        if p_E is not None:
            E = weighted([d.energy / N[:, None] for d in design], left.energy, p_E[frames])
        if p_F is not None:
            F = weighted([d.forces for d in design], left.forces, p_F[atoms])
        if p_W is not None:
            strained = [_in_plane(d.virial.double(), s) / N[:, None, None, None] for d in design]
            W = weighted(strained, left.virial, p_W[frames])
        return Residuals(E, F, W)


def _in_plane(W: Float[Tensor, "systems 3 3 K"], s: Structures) -> Float[Tensor, "systems 3 3 K"]:
    """The symmetric part along the periodic directions, as ``evaluate`` gives it."""
    P = s.periodic_projector.double()
    return torch.einsum("sab,sbck,scd->sadk", P, 0.5 * (W + W.transpose(1, 2)), P)


def graphs_of(structures: Structures, cutoff: float, atoms: int = 2000) -> Iterator[tuple[range, Graph]]:
    """Graphs of consecutive structures, so many atoms at a time."""
    for chunk in chunks(structures, atoms):
        yield chunk, Graph.of(structures[list(chunk)], cutoff)


def _double(x: Tensor) -> Tensor:
    return x.detach().cpu().double()
