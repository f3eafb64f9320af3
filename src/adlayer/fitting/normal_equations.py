r"""Linear regression by normal equations in one square matrix, for thousands of columns.

``H = g AᵀA g + t`` is factored as ``UᵀU``, where ``g`` are the scales that make the prior of all coefficients alike.
The sums ``AᵀA`` stay in the blocks below the diagonal while ``U`` is written above them, so that another ``t`` needs no
more memory, nor does the inverse of ``U``, which is the posterior. The condition number is squared; ``t`` bounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, log

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..threads import use_all_threads
from .regression import Solution, raised

_BLOCK = 2048  # columns


class NormalEquations:
    """``G = AᵀA``, ``b = Aᵀy`` and ``|y|²`` of rows ``[A | y]``.

    Args:
        blocks: of rows, streamed.
        n_columns: of ``A``.
        block: how many columns are taken together.
    """

    def __init__(self, blocks: Iterable[Float[Tensor, "_ K1"]], n_columns: int, block: int = _BLOCK):
        self.G = torch.zeros(n_columns, n_columns, dtype=torch.float64)
        self.free: Int[Tensor, "F"] | None = None  # columns without penalty, once they are projected out
        self.b, self.yy, self.n_rows = torch.zeros(n_columns, dtype=torch.float64), 0.0, 0
        self.parts = [slice(k, min(k + block, n_columns)) for k in range(0, n_columns, block)]
        for rows in blocks:
            use_all_threads()
            A, y = rows[:, :-1].cpu(), rows[:, -1].cpu()
            for p in self.parts:
                self.G[p.start :, p].addmm_(A[:, p.start :].T, A[:, p])
            self.b += A.T @ y
            self.yy, self.n_rows = self.yy + float(y @ y), self.n_rows + len(y)

    def mean(self, penalty: Float[Tensor, "K"], strength: float, floor: float = 0.0) -> Float[Tensor, "K"]:
        """The most probable coefficients alone; the sums stay, for other strengths of the same penalty."""
        self._begin(penalty, floor)
        self._factor_at(strength)
        return self._mean(self._solution(self._whitened()))

    def regress(self, penalty: Float[Tensor, "K"], strength: float | str, floor: float = 0.0) -> Solution:
        """As ``regression.regress``, by the same definitions; the matrix becomes the factor of the posterior."""
        self._begin(penalty, floor)
        n, K = self.n_rows - self.basis.shape[1], len(penalty)

        def misfit(w: Tensor) -> float:
            return max(self.yy - float(w @ w), torch.finfo(w.dtype).tiny)

        def minus_log_evidence(t: float) -> float:
            log_det = self._factor(t)
            return inf if log_det is None else 0.5 * n * log(misfit(self._whitened())) + 0.5 * (log_det - K * log(t))

        if strength == "evidence":
            strength = _lowest(minus_log_evidence, float((self.G.diagonal() * self.g.square()).mean()))
        self._factor_at(strength)
        w = self._whitened()
        x = self._solution(w)
        self._invert()
        effective = K - strength * float(torch.linalg.vector_norm(self.G)) ** 2
        noise = (max(misfit(w) - strength * float(x @ x), 0.0) / max(n - effective, 1.0)) ** 0.5
        mean, factor = self._mean(x), self.G.mul_(noise * self.g[:, None])
        free, B = self.free, self.basis
        factor[free] = -B @ (B.T @ (self.coupling.T @ factor))
        factor[free[:, None], free[: B.shape[1]]] = noise * B  # these columns were zero
        return Solution(mean, factor, noise, strength, effective + B.shape[1])

    def _begin(self, penalty: Float[Tensor, "K"], floor: float) -> None:
        """Project out what is free, once, and scale the rest."""
        if self.free is not None:
            return
        self.free, scale = (penalty == 0).nonzero().flatten(), self.G.diagonal().sqrt()
        self.b_free = self.b[self.free]
        self.coupling, self.basis = self._project_out(self.free)
        scale = raised(scale, penalty > 0, floor)
        self.g = torch.where((penalty > 0) & (scale > 0), penalty.rsqrt() / scale, 0.0)

    def _mean(self, x: Float[Tensor, "K"]) -> Float[Tensor, "K"]:
        """The coefficients, those that are free as well."""
        mean, B = self.g * x, self.basis
        mean[self.free] = B @ (B.T @ (self.b_free - self.coupling.T @ mean))
        return mean

    def _factor_at(self, t: float) -> None:
        if self._factor(t) is None:
            raise ValueError(f"ridge = {t:.1e} is too weak for {len(self.b)} coefficients: take a stronger one")

    def _project_out(self, free: Int[Tensor, "F"]) -> tuple[Float[Tensor, "K F"], Float[Tensor, "F R"]]:
        """Take what some columns explain out of all; their products with all, and an orthonormal basis of them."""
        C = self.G.new_zeros(len(self.b), len(free))
        for p in self.parts:
            mine = ((p.start <= free) & (free < p.stop)).nonzero().flatten()
            C[: p.start, mine] = self.G[free[mine], : p.start].T
            C[p.start :, mine] = self.G[p.start :, free[mine]]
        values, V = torch.linalg.eigh(C[free])
        kept = values > values.max() * len(free) * torch.finfo(C.dtype).eps if len(free) else values > 0
        B = V[:, kept] / values[kept].sqrt()
        P, q = C @ B, B.T @ self.b[free]
        for p in self.parts:
            self.G[p.start :, p].addmm_(P[p.start :], P[p].T, alpha=-1)
        self.b, self.yy = self.b - P @ q, self.yy - float(q @ q)
        return C, B

    def _factor(self, t: float) -> float | None:
        """``U`` above the diagonal blocks, which are kept apart; ``log|H|``, or None where ``H`` is not positive."""
        use_all_threads()
        G, g = self.G, self.g
        self.D = [g[p, None] * G[p, p] * g[p] for p in self.parts]
        for p, D in zip(self.parts, self.D):
            G[p, p.stop :] = g[p, None] * G[p.stop :, p].T * g[p.stop :]
            D.diagonal().add_(t)
        log_det = 0.0
        for k, p in enumerate(self.parts):
            R, failed = torch.linalg.cholesky_ex(self.D[k], upper=True)
            if bool(failed):
                return None
            self.D[k], log_det = R, log_det + 2 * float(R.diagonal().log().sum())
            G[p, p.stop :] = torch.linalg.solve_triangular(R.T, G[p, p.stop :], upper=False)
            for q, D in zip(self.parts[k + 1 :], self.D[k + 1 :]):
                D.addmm_(G[p, q].T, G[p, q], alpha=-1)
                G[q, q.stop :].addmm_(G[p, q].T, G[p, q.stop :], alpha=-1)
        return log_det

    def _whitened(self) -> Float[Tensor, "K"]:
        """``w`` of ``Uᵀ w = g b``: ``|w|²`` is what the fit explains of ``|y|²``."""
        w = self.g * self.b
        for p, R in zip(self.parts, self.D):
            w[p] = torch.linalg.solve_triangular(R.T, w[p, None], upper=False)[:, 0]
            w[p.stop :] -= self.G[p, p.stop :].T @ w[p]
        return w

    def _solution(self, w: Float[Tensor, "K"]) -> Float[Tensor, "K"]:
        """``x`` of ``U x = w``."""
        x = w.clone()
        for p, R in zip(reversed(self.parts), reversed(self.D)):
            left = x[p] - self.G[p, p.stop :] @ x[p.stop :]
            x[p] = torch.linalg.solve_triangular(R, left[:, None], upper=True)[:, 0]
        return x

    def _invert(self) -> None:
        """Put the inverse of ``U`` in the place of ``G``."""
        G = self.G
        for k, p in enumerate(self.parts):
            self.D[k] = torch.linalg.solve_triangular(self.D[k], torch.eye(len(self.D[k])).to(G), upper=True)
            for q, D in zip(self.parts[:k], self.D):
                between = slice(q.stop, p.start)
                G[q, p] = -(D @ G[q, p] + G[q, between] @ G[between, p]) @ self.D[k]
        for p, D in zip(self.parts, self.D):
            G[p, p] = D
            G[p.stop :, p] = 0


def _lowest(f: Callable[[float], float], scale: float) -> float:
    """Where ``f`` is lowest among ``t = scale 10^x``: downhill from ``x = -8`` by decades, then by a parabola."""
    known: dict[int, float] = {}

    def at(x: int) -> float:
        if x not in known:
            known[x] = f(scale * 10.0**x) if -16 <= x <= 2 else inf
        return known[x]

    x = -8
    while at(x) == inf or at(x + 1) < at(x):
        if x == 2:
            raise ValueError(
                "the normal equations cannot be solved with any ridge; look for numbers that are not finite"
            )
        x += 1
    while at(x - 1) < at(x):
        x -= 1
    low, here, high = at(x - 1), at(x), at(x + 1)
    bend = low - 2 * here + high
    return scale * 10.0 ** (x + (0.5 * (low - high) / bend if 0 < bend < inf else 0.0))
