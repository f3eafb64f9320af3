"""Square submatrices of large volume: MaxVol, by exchange of rows.

S. A. Goreinov, I. V. Oseledets, D. V. Savostyanov, E. E. Tyrtyshnikov and N. L. Zamarashkin, in *Matrix Methods:
Theory, Algorithms and Applications* (2010), p. 247.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import lu_factor


@dataclass
class ActiveSet:
    """As many of the known rows as they have components, of largest volume, or nearly.

    Components that no known row has are left out; they count as known up to ``limit``, and so do combinations of
    components that no known row has.

    Args:
        limit: of each component.
        columns: the components that known rows have.
        A: the rows of the set, in units of ``limit``; those of the identity are no known rows.
    """

    limit: Float[np.ndarray, "K"]
    columns: Int[np.ndarray, "n"]
    A: Float[np.ndarray, "n n"]

    @staticmethod
    def empty(limit: Float[np.ndarray, "K"]) -> ActiveSet:
        return ActiveSet(limit, np.zeros(0, np.int64), np.zeros((0, 0)))

    def grades(self, rows: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N"]:
        """The largest coefficient of each row as a combination of the set: by how much its volume could grow."""
        x = np.abs(rows / self.limit)
        x[:, self.columns] = np.abs(coordinates(rows[:, self.columns] / self.limit[self.columns], self.A))
        return x.max(1, initial=0.0)

    def learn(self, rows: Float[np.ndarray, "N K"], tolerance: float = 1.001) -> None:
        """Take rows into the set until none has a grade above ``tolerance``."""
        new = np.setdiff1d(np.flatnonzero(np.any(rows != 0, 0)), self.columns)
        n, begun = len(self.columns), len(self.columns) > 0
        self.columns = np.concatenate([self.columns, new])
        x = rows[:, self.columns] / self.limit[self.columns]
        A = np.eye(len(self.columns))
        A[:n, :n] = self.A
        self.A = exchange(A if begun else pivots(np.concatenate([x, A])), x, tolerance)


def pivots(rows: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "K K"]:
    """The ``K`` rows that Gaussian elimination chooses."""
    order = np.arange(len(rows))
    for k, p in enumerate(lu_factor(rows)[1]):
        order[[k, p]] = order[[p, k]]
    return rows[order[: rows.shape[1]]]


def exchange(
    active: Float[np.ndarray, "K K"], rows: Float[np.ndarray, "N K"], tolerance: float = 1.001
) -> Float[np.ndarray, "K K"]:
    """Exchange rows of a set for others while that multiplies its volume by more than ``tolerance``.

    The factor is ``|C_nk|``, ``C = rows active^-1``; in the end no entry of ``C`` is larger.
    """
    active, changed = active.copy(), True
    while changed and rows.size:
        C, changed = coordinates(rows, active), False
        for _ in range(len(active)):  # then from the start, lest errors of rounding add up
            n, k = np.unravel_index(np.abs(C).argmax(), C.shape)
            if abs(C[n, k]) <= tolerance:
                break
            active[k], changed = rows[n], True
            step = C[n].copy()
            step[k] -= 1
            C -= np.outer(C[:, k] / C[n, k], step)
    return active


def coordinates(rows: Float[np.ndarray, "N K"], active: Float[np.ndarray, "K K"]) -> Float[np.ndarray, "N K"]:
    """``rows active^-1``."""
    return np.linalg.solve(active.T, rows.T).T
