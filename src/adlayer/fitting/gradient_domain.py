"""Regression of forces by their covariance: what fits ``SGDML``."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular
from torch import Tensor

from ..graph import Graph
from ..kernels.gradient_domain import force_covariance
from ..nn.gradient_domain import (
    along_pairs,
    as_matrices,
    energies_and_slopes,
    inverse_distances,
    on_atoms,
    pair_permutations,
    pair_vectors,
    recover_permutations,
)
from ..potential import Potential
from ..threads import use_all_threads
from .fit import Fit, Fitted, Progress
from .packed_triangle import PackedTriangle
from .parts import leaves, less, together
from .weights import Weights

if TYPE_CHECKING:
    from ..data import Dataset

_ROWS = 512  # of the covariance that are made together


class GradientDomain(Fit):
    """Solves ``(K + ridge) a = F`` for the forces ``F`` of all frames, ``K`` their covariance: gives ``SGDML``.

    ``"analytic"``: by Cholesky decomposition of ``K``, of ``(3 atoms frames)² / 2`` numbers. ``"iterative"``: by
    conjugate gradients with ``K`` never held, preconditioned by its Nyström approximation from some of the frames
    (S. Chmiela et al., Sci. Adv. 9, eadf0873 (2023)). Energies enter in a constant alone. Parts that are added to the
    ``SGDML`` are held fixed.

    Args:
        sigma: length of the covariance, 1/Å, or several of which the one with the least error of held-out forces is
            taken; that of the potential if not given.
        ridge: added to the diagonal of ``K``.
        symmetric: whether to look for permutations of equal atoms that occur, where the potential is not given any.
        solver: ``"auto"`` takes the analytic one where it fits into memory.
        memory: what may be used, GB.
        tolerance: of the iterative solver: residual over the norm of the forces.
        steps: of the iterative solver, at most.
    """

    def __init__(
        self,
        sigma: float | list[float] | None = None,
        ridge: float = 1e-10,
        symmetric: bool = True,
        solver: Literal["auto", "analytic", "iterative"] = "auto",
        memory: float = 4.0,
        tolerance: float = 1e-4,
        steps: int = 3000,
    ):
        if solver not in ("auto", "analytic", "iterative"):
            raise ValueError(f"solver must be auto, analytic or iterative, got {solver!r}")
        self.sigma, self.ridge, self.symmetric, self.solver = sigma, ridge, symmetric, solver
        self.memory, self.tolerance, self.steps = memory, tolerance, steps
        self.weights, self.energies = Weights(energy=0.0, forces=1.0, stress=0.0), "none"

    def check(self, potential: Potential) -> None:
        if [p.fitted_by for p in leaves(potential)].count(type(self).__name__) != 1:
            raise TypeError(
                f"GradientDomain fits one SGDML, alone or with others added; not {type(potential).__name__}"
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
        model = next(p for p in leaves(potential) if p.fitted_by == type(self).__name__)
        fixed = together([p for p in leaves(potential) if p is not model])
        frames = Frames(train.require("forces"), fixed)
        sigmas = [float(model.sigma)] if self.sigma is None else np.atleast_1d(self.sigma).tolist()
        if len(sigmas) > 1 and valid is None:
            raise ValueError("to choose among several sigma, GradientDomain needs held-out frames")
        permutations = model.given
        if permutations is None:
            permutations = torch.arange(frames.n)[None]
            if self.symmetric:
                progress(0, 1, "looking for permutations")
                permutations = recover_permutations(as_matrices(1 / frames.x, frames.n), frames.numbers)
        held = None if valid is None or len(sigmas) == 1 else Frames(valid, fixed)
        history, best = [], float("inf")
        for k, sigma in enumerate(sigmas):
            progress(k, len(sigmas), f"sigma {sigma:g}")
            start = time.perf_counter()
            solver, a, steps = self._coefficients(frames, sigma, permutations, seed, progress)
            weights = -along_pairs(frames.slope, a)
            row = {"sigma": sigma, "permutations": len(permutations), "solver": solver, "steps": steps}
            row["seconds"] = time.perf_counter() - start
            if held is not None:
                F = held.forces_of(frames.x, weights, permutations, sigma)
                row["valid_forces_rmse"] = float((F - held.forces).square().mean().sqrt())
            history.append(row)
            if held is None or row["valid_forces_rmse"] < best:
                best = row.get("valid_forces_rmse", best)
                model.sigma.fill_(sigma)
                model.place(frames.numbers, permutations, frames.x, weights)
        model.cell.copy_(train.structures.cell[0] * train.structures.pbc[0][:, None])
        known = train.has("energy")
        if bool(known.any()):
            said = model(Graph.of(train.structures, 0.0)).energy.view(len(train), -1).sum(1)
            model.constant.fill_(float((frames.energy - said)[known].mean()))
        chosen = next(row for row in history if row["sigma"] == float(model.sigma))
        return Fitted(potential, history=history, stopped=f"solved {frames.forces.numel()} rows, {chosen['solver']}")

    def _coefficients(
        self, frames: Frames, sigma: float, permutations: Int[Tensor, "P n"], seed: int, progress: Progress
    ) -> tuple[str, Float[Tensor, "M n 3"], int]:
        M, q = len(frames.x), sqrt(5) / sigma
        y, per_frame = frames.forces.reshape(-1).numpy(), 3 * frames.n
        matrix = PackedTriangle.bytes(len(y)) / 1e9  # GB
        solver = self.solver
        if solver == "auto":
            solver = "analytic" if matrix < self.memory else "iterative"
        if solver == "analytic" and matrix > self.memory:
            raise MemoryError(
                f"the covariance of {M} frames takes {matrix:.1f} GB of the {self.memory:g} that may be used; "
                f"choose the iterative solver, or {int(M * sqrt(self.memory / matrix))} frames"
            )

        use_all_threads()
        matrices = [as_matrices(frames.x, frames.n).numpy(), as_matrices(frames.slope, frames.n, -1.0).numpy()]

        def covariance(columns: np.ndarray, stop: int = M) -> np.ndarray:
            """Of the forces of the frames before ``stop`` with those of some."""
            K = force_covariance(*(m[:stop] for m in matrices), permutations.numpy(), q, columns)
            return K.reshape(stop * per_frame, -1)

        if solver == "analytic":
            K, some = PackedTriangle(len(y)), max(1, _ROWS // per_frame)
            for k in range(0, M, some):
                stop = min(k + some, M)
                K.set_rows(k * per_frame, torch.from_numpy(covariance(np.arange(k, stop), stop)).T)
                progress(stop, M, "covariances")
            K.add_diagonal(self.ridge)
            K.factor(progress)
            a, steps = K.solve(torch.from_numpy(y)).numpy(), 1
        else:
            most = int(1e9 * self.memory / (8 * 3 * len(y) * per_frame))
            chosen = np.random.default_rng(seed).permutation(M)[: max(1, min(M, most, M // 4))]
            precondition = nystroem(covariance(np.sort(chosen)), np.sort(chosen), per_frame, self.ridge)

            def times(a: np.ndarray) -> np.ndarray:
                weights = -along_pairs(frames.slope, torch.from_numpy(a).view(M, -1, 3))
                return frames.forces_of(frames.x, weights, permutations, sigma).reshape(-1).numpy() + self.ridge * a

            a, steps = conjugate_gradients(times, precondition, y, self.tolerance, self.steps, progress)
        return solver, torch.from_numpy(a).view(M, -1, 3), steps


class Frames:
    """Inverse distances of the frames of a data set, their slopes, and labels without what is held fixed."""

    def __init__(self, data: Dataset, fixed: Potential | None):
        s = data.structures
        self.n = s.n_atoms // len(s)
        self.numbers = s.numbers[: self.n]
        if bool((s.counts != self.n).any()) or bool((s.numbers.view(-1, self.n) != self.numbers).any()):
            raise ValueError("an SGDML is fitted to frames of the same atoms in the same order; these differ")
        labels = data.labels
        if fixed is not None:
            labels = less(labels, fixed, Graph.of(s, fixed.cutoff))
        self.x, self.slope = inverse_distances(pair_vectors(s, self.n))
        self.forces, self.energy = labels.forces.double().view(-1, self.n, 3), labels.energy

    def forces_of(
        self,
        points: Float[Tensor, "M D"],
        weights: Float[Tensor, "M D"],
        permutations: Int[Tensor, "P n"],
        sigma: float,
    ) -> Float[Tensor, "N n 3"]:
        """What points with weights say about the forces on these frames."""
        _, g = energies_and_slopes(self.x, points, weights, pair_permutations(permutations), sigma)
        return -on_atoms(self.slope, g, self.n)


def nystroem(
    K: Float[np.ndarray, "n m"], columns: np.ndarray, per_frame: int, ridge: float
) -> Callable[[np.ndarray], np.ndarray]:
    """``v -> (B Bᵀ + ridge)⁻¹ v`` up to a factor, with ``B Bᵀ`` the Nyström approximation from columns of ``K``."""
    rows = (columns[:, None] * per_frame + np.arange(per_frame)).reshape(-1)
    inner = K[rows]
    # Rounding errors of the largest eigenvalue may make the least negative.
    inner[np.diag_indices_from(inner)] += max(ridge, 1e-14 * np.trace(inner))
    L = np.linalg.cholesky(inner)
    B = solve_triangular(L, K.T, lower=True, overwrite_b=True, check_finite=False)  # [m, n]
    inner = B @ B.T
    inner[np.diag_indices_from(inner)] += ridge + 1e-15 * np.trace(inner)
    B = solve_triangular(np.linalg.cholesky(inner), B, lower=True, overwrite_b=True, check_finite=False)
    return lambda v: v - B.T @ (B @ v)


def conjugate_gradients(
    times: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    y: np.ndarray,
    tolerance: float,
    steps: int,
    progress: Progress,
) -> tuple[np.ndarray, int]:
    """``A x = y`` for a symmetric positive ``A``, by products with it alone; how many it took."""
    x, r = np.zeros_like(y), y.copy()
    z = precondition(r)
    p, rz, goal = z.copy(), r @ z, tolerance * np.linalg.norm(y)
    for k in range(1, steps + 1):
        Ap = times(p)
        step = rz / (p @ Ap)
        x += step * p
        r -= step * Ap
        size = np.linalg.norm(r)
        progress(k, steps, f"residual {size / np.linalg.norm(y):.1e}")
        if size < goal:
            return x, k
        z = precondition(r)
        rz, before = r @ z, rz
        p = z + rz / before * p
    raise RuntimeError(
        f"no solution within {steps} steps: the residual is {size / np.linalg.norm(y):.1e}, not {tolerance:.1e}; "
        "give more memory (a better preconditioner), a larger ridge or a smaller sigma"
    )
