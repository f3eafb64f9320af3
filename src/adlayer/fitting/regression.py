"""Linear regression on what is left of a design matrix once it has been streamed: ridge, evidence, relevance.

Rows ``[A | y]``, already multiplied by the roots of their weights, come in blocks. They are reduced to a triangle ``T``
with ``Tᵀ T = [A | y]ᵀ [A | y]``, of which everything else follows; memory is that of a few thousand rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar
from torch import Tensor

from ..threads import use_all_threads


class Reduced(NamedTuple):
    """What least squares needs to know of a design matrix: ``|A x - y|² = |R x - z|² + rest``."""

    R: Float[Tensor, "R K"]
    z: Float[Tensor, "R"]
    rest: float
    n_rows: int


class Solution(NamedTuple):
    """``x ~ N(mean, factor factorᵀ)`` given the data."""

    mean: Float[Tensor, "K"]
    factor: Float[Tensor, "K M"]
    noise: float  # standard deviation of the labels as rows
    ridge: float
    effective: float  # how many coefficients the data determine


class Triangle:
    """Sequential tall-skinny QR: accurate whatever the conditioning.

    J. Demmel et al., SIAM J. Sci. Comput. 34, A206 (2012).

    Args:
        rows: how many wait to be reduced together, at least.
    """

    def __init__(self, rows: int = 4096):
        self.rows, self.T, self.waiting, self.n = rows, None, [], 0

    def add(self, block: Float[Tensor, "_ K1"]) -> None:
        """Take in more rows."""
        self.waiting.append(block)
        self.n += len(block)
        if self.n >= max(self.rows, 4 * block.shape[1]):
            self.result()

    def result(self) -> Float[Tensor, "R K1"]:
        """The triangle of all rows so far."""
        if self.waiting:
            use_all_threads()
            parts = [*([] if self.T is None else [self.T]), *self.waiting]
            self.T, self.waiting, self.n = torch.linalg.qr(torch.cat(parts), mode="r").R, [], 0
        return self.T


def triangle_by_qr(blocks: Iterable[Float[Tensor, "_ K1"]], rows: int = 4096) -> Float[Tensor, "R K1"]:
    """The ``Triangle`` of all blocks."""
    triangle = Triangle(rows)
    for block in blocks:
        triangle.add(block)
    return triangle.result()


def triangle_by_normal_equations(blocks: Iterable[Float[Tensor, "_ K1"]]) -> Float[Tensor, "K1 K1"]:
    """From ``[A | y]ᵀ [A | y]``, scaled to ones on the diagonal: half the work, but the condition number is squared."""
    G = None
    for block in blocks:
        use_all_threads()
        G = block.T @ block if G is None else G.addmm_(block.T, block)
    s = _one_where_zero(G.diagonal().sqrt())
    values, vectors = torch.linalg.eigh(G / s / s[:, None])
    return torch.linalg.qr((values.clamp_min(0).sqrt() * vectors).T * s, mode="r").R


def reduced(T: Float[Tensor, "R K1"], n_rows: int) -> Reduced:
    """Take the triangle of ``[A | y]`` apart."""
    T = T.cpu()
    if len(T) < T.shape[1]:  # fewer rows than columns
        return Reduced(T[:, :-1], T[:, -1], 0.0, n_rows)
    return Reduced(T[:-1, :-1], T[:-1, -1], float(T[-1, -1] ** 2), n_rows)


def regress(
    data: Reduced, penalty: Float[Tensor, "K"] | Float[Tensor, "K K"], strength: float | str, floor: float = 0.0
) -> Solution:
    """Minimize ``|A x - y|² + strength Σ penalty (s x)²``, where ``s`` are the norms of the columns of ``A``.

    With a matrix it is ``strength s² xᵀ penalty x``, ``s²`` the mean of those squared.

    Columns without penalty are free: they are projected out of the others, exactly, and where they leave something open
    the shortest solution is taken.

    Args:
        data: the reduced rows.
        penalty: relative precision of the prior of each coefficient, from 0 upwards, or the matrix of a quadratic form.
        strength: of the prior, or ``"evidence"`` or ``"ard"``.
        floor: least ``s``, in units of the root mean square of all with a penalty; not for a matrix.
    """
    use_all_threads()
    s = torch.linalg.vector_norm(data.R, dim=0)
    if penalty.ndim == 2:
        return _regress_whitened(data, penalty, _one_where_zero(s), strength)
    free = penalty == 0
    s = _one_where_zero(raised(s, ~free, floor))
    F, A = data.R[:, free], (data.R / s)[:, ~free]
    U, S, Vt = _svd(F)
    inverse = (Vt.T / S) @ U.T  # of F
    rest = Reduced(A - U @ (U.T @ A), data.z - U @ (U.T @ data.z), data.rest, data.n_rows - len(S))
    if strength == "ard":
        found = relevance(rest, penalty[~free])
    else:
        found = ridge(rest, penalty[~free], None if strength == "evidence" else float(strength))
    mean = torch.zeros_like(s)
    mean[~free] = found.mean / s[~free]
    mean[free] = inverse @ (data.z - A @ found.mean)
    factor = s.new_zeros(len(s), found.factor.shape[1] + len(S))
    factor[~free, len(S) :] = found.factor / s[~free, None]
    factor[free] = torch.cat([found.noise * Vt.T / S, -inverse @ (A @ found.factor)], 1)
    return found._replace(mean=mean, factor=factor, effective=found.effective + len(S))


def _regress_whitened(
    data: Reduced, penalty: Float[Tensor, "K K"], s: Float[Tensor, "K"], strength: float | str
) -> Solution:
    """In ``a = s Lᵀ x`` with ``penalty = L Lᵀ`` the matrix becomes ones."""
    free = penalty.diagonal() == 0
    scale = s[~free].square().mean().sqrt()
    L = torch.linalg.cholesky(penalty[~free][:, ~free])
    T = torch.zeros_like(penalty)
    T[free, free] = 1.0
    T[(~free).nonzero(), (~free).nonzero().T] = torch.linalg.inv(L).T / scale
    R = data.R @ T
    norms = _one_where_zero(torch.linalg.vector_norm(R, dim=0))
    found = regress(data._replace(R=R), torch.where(free, 0.0, norms.pow(-2)), strength)  # undoes its scaling
    return found._replace(mean=T @ found.mean, factor=T @ found.factor)


def ridge(data: Reduced, penalty: Float[Tensor, "K"], strength: float | None) -> Solution:
    """Minimize ``|A x - y|² + strength Σ penalty x²``; with no strength given, that of the greatest evidence.

    D. J. C. MacKay, Neural Comput. 4, 415 (1992); the noise is integrated out by its maximum, the strength found by a
    scan of its logarithm, so that the maximum is the global one.
    """
    g = penalty.rsqrt()
    U, S, Vt = _svd(data.R * g)
    projected = U.T @ data.z
    outside = data.rest + max(float(data.z @ data.z - projected @ projected), 0.0)

    def misfit(t: float) -> float:  # |A x - y|² + t |x|² at its minimum
        return outside + float((projected.square() * t / (S.square() + t)).sum())

    if strength is None and not len(S):
        strength = 0.0
    elif strength is None:
        strength = _most_evident(S, misfit, data.n_rows)
    shrink = S.square() / (S.square() + strength) if strength else torch.ones_like(S)
    effective = float(shrink.sum())
    free = max(data.n_rows - effective, 1.0)
    rss = outside + float((projected * (1 - shrink)).square().sum())
    noise = (rss / free) ** 0.5
    to_x = g[:, None] * Vt.T
    mean = to_x @ (projected * shrink / S)
    return Solution(mean, to_x * (noise / (S.square() + strength).sqrt()), noise, strength, effective)


def _most_evident(S: Tensor, misfit, n: int) -> float:
    def minus_log_evidence(log_t: float) -> float:
        t = 10.0**log_t * float(S[0]) ** 2
        tiny = torch.finfo(S.dtype).tiny
        return 0.5 * n * torch.tensor(misfit(t) + tiny).log().item() + 0.5 * float((1 + S.square() / t).log().sum())

    grid = torch.linspace(-20.0, 2.0, 89).tolist()
    values = [minus_log_evidence(x) for x in grid]
    best = min(range(len(grid)), key=values.__getitem__)
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(minus_log_evidence, bounds=ends, method="bounded", options={"xatol": 1e-3})
    return 10.0 ** float(found.x) * float(S[0]) ** 2


def relevance(data: Reduced, penalty: Float[Tensor, "K"], iterations: int = 300) -> Solution:
    """Automatic relevance determination: each coefficient its own prior; those the data do not ask for become zero.

    M. E. Tipping, J. Mach. Learn. Res. 1, 211 (2001): the updates of its Eqs. 16-18. Here ``a`` is the prior precision
    of a coefficient times the variance of the noise.
    """
    start = ridge(data, penalty, None)
    a = (start.noise / start.mean.abs().clamp_min(1e-150)).square().clamp(1e-12, 1e2)
    kept = torch.arange(len(a))
    for _ in range(iterations):
        x, inverse, gamma, noise2 = _posterior(data, kept, a)
        new = (gamma * noise2 / x.square().clamp_min(1e-300)).clamp_min(1e-18)
        settled = float((new / a).log().abs().max()) < 1e-2
        relevant = new < 1e3
        if settled or not bool(relevant.any()):
            break
        a, kept = new[relevant], kept[relevant]
    x, inverse, gamma, noise2 = _posterior(data, kept, a)
    mean = torch.zeros_like(start.mean).index_copy(0, kept, x)
    factor = x.new_zeros(len(mean), len(kept)).index_copy(0, kept, inverse * noise2**0.5)
    return Solution(mean, factor, noise2**0.5, float(a.median()), float(gamma.sum()))


def _posterior(data: Reduced, kept: Tensor, a: Tensor):
    R = data.R[:, kept]
    Q, T = torch.linalg.qr(torch.cat([R, a.sqrt().diag()]))
    inverse = torch.linalg.solve_triangular(T, torch.eye(len(kept), dtype=T.dtype), upper=True)
    x = inverse @ (Q[: len(R)].T @ data.z)
    gamma = (1 - a * inverse.square().sum(1)).clamp(1e-12, 1)
    rss = data.rest + float((R @ x - data.z).square().sum())
    noise2 = rss / max(data.n_rows - float(gamma.sum()), 1.0)
    return x, inverse, gamma, max(noise2, torch.finfo(T.dtype).tiny)


def _svd(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The singular value decomposition without what is zero to rounding."""
    U, S, Vt = torch.linalg.svd(A, full_matrices=False)
    keep = S.max() * max(A.shape) * torch.finfo(S.dtype).eps < S if len(S) else S > 0
    return U[:, keep], S[keep], Vt[keep]


def raised(s: Float[Tensor, "K"], some: Bool[Tensor, "K"], floor: float) -> Float[Tensor, "K"]:
    """Norms of columns, none of some less than so many times their root mean square; those that are zero stay so."""
    some = some & (s > 0)
    return torch.where(some, s.clamp_min(floor * s[some].square().mean().sqrt()), s) if floor and some.any() else s


def _one_where_zero(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.ones_like(x))
