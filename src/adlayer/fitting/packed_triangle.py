"""Symmetric matrices of which the lower triangle alone is kept: half the memory of a square, also to solve them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..threads import use_all_threads
from .fit import Progress

_PANEL = 512  # rows: large enough for products of matrices, small beside the whole


class PackedTriangle:
    """Panels of rows, each as far as its part of the diagonal; what stands above the diagonal there has no meaning.

    Args:
        n_rows: of the matrix; they are undefined until they are set.
        panel: how many rows are kept together.
    """

    def __init__(self, n_rows: int, panel: int = _PANEL):
        self.parts = [slice(k, min(k + panel, n_rows)) for k in range(0, n_rows, panel)]
        self.panels = [torch.empty(p.stop - p.start, p.stop, dtype=torch.float64) for p in self.parts]

    @staticmethod
    def bytes(n_rows: int, panel: int = _PANEL) -> float:
        """What they take."""
        return 4.0 * n_rows * (n_rows + min(panel, n_rows))

    def __len__(self) -> int:
        return self.parts[-1].stop

    def __iter__(self) -> Iterator[tuple[slice, Float[Tensor, "_ _"]]]:
        """Rows and their panel."""
        return zip(self.parts, self.panels)

    def set_rows(self, first: int, rows: Float[Tensor, "R C"]) -> None:
        """Rows from ``first`` on, at least up to the diagonal."""
        for p, panel in self:
            mine = slice(max(first, p.start), min(first + len(rows), p.stop))
            if mine.start < mine.stop:
                to = panel[mine.start - p.start : mine.stop - p.start, : rows.shape[1]]
                to.copy_(rows[mine.start - first : mine.stop - first, : p.stop])

    def leave_out(self, which: Bool[Tensor, "R"]) -> None:
        """Zeros in these rows and columns."""
        for p, panel in self:
            panel[which[p]] = 0.0
            panel[:, which[: p.stop]] = 0.0

    def add_diagonal(self, x: float | Float[Tensor, "R"]) -> None:
        for p, panel in self:
            panel[:, p].diagonal().add_(x if isinstance(x, float) else x[p])

    def factor(self, progress: Progress = lambda *_: None) -> float:
        """Put ``L`` of the Cholesky decomposition ``L Lᵀ`` in the place of the matrix; ``log`` of the determinant.

        Raises ``ValueError`` where the matrix is not positive definite.
        """
        use_all_threads()
        log_det = 0.0
        for k, (p, A) in enumerate(self):
            for q, L in zip(self.parts[:k], self.panels):
                block = A[:, q].addmm_(A[:, : q.start], L[:, : q.start].T, alpha=-1)
                block.copy_(torch.linalg.solve_triangular(L[:, q].T, block, upper=True, left=False))
            block, before = A[:, p], A[:, : p.start]
            factor, failed = torch.linalg.cholesky_ex(block.addmm_(before, before.T, alpha=-1))
            if bool(failed):
                raise ValueError("the covariance is singular to rounding; take a larger ridge or a smaller sigma")
            block.copy_(factor)
            log_det += 2 * float(block.diagonal().log().sum())
            progress(p.stop**3, len(self) ** 3, "Cholesky decomposition")
        return log_det

    def solve(self, y: Float[Tensor, "R"]) -> Float[Tensor, "R"]:
        """``x`` of ``L Lᵀ x = y``, once factored."""
        x = y.clone()
        for p, L in self:
            left = x[p] - L[:, : p.start] @ x[: p.start]
            x[p] = torch.linalg.solve_triangular(L[:, p], left[:, None], upper=False)[:, 0]
        for p, L in zip(reversed(self.parts), reversed(self.panels)):
            x[p] = torch.linalg.solve_triangular(L[:, p].T, x[p, None], upper=True)[:, 0]
            x[: p.start] -= L[:, : p.start].T @ x[p]
        return x
