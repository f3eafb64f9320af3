"""Which rows of a matrix represent them all: CUR decomposition and farthest points, always the same."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def cur_rows(x: Float[Tensor, "items D"], n: int, n_vectors: int = 1) -> list[int]:
    """At most ``n`` rows of largest leverage on the leading singular vectors, each next orthogonal to those before.

    Mahoney and Drineas, PNAS 106, 697 (2009), in the deterministic form of Imbalzano et al., J. Chem. Phys. 148, 241730
    (2018): the score of row i is ``sum_k<K U_ik^2``, and its direction is projected out once it is chosen.

    Args:
        x: the rows.
        n: how many.
        n_vectors: K, how many singular vectors count.
    """
    rest, chosen = x, []
    scale = torch.linalg.matrix_norm(rest)
    while len(chosen) < n and torch.linalg.matrix_norm(rest) > 1e-9 * scale:
        values, vectors = torch.linalg.eigh(rest.T @ rest)
        k = min(n_vectors, len(values))
        leverage = ((rest @ vectors[:, -k:]).square() / values[-k:].clamp_min(1e-300)).sum(1)
        best = int(leverage.argmax())
        direction = rest[best] / torch.linalg.vector_norm(rest[best])
        rest = rest - torch.outer(rest @ direction, direction)
        chosen.append(best)
    return chosen


def farthest_rows(x: Float[Tensor, "items D"], n: int) -> list[int]:
    """At most ``n`` rows, each next the one farthest from those before; the first the longest.

    Gonzalez, Theor. Comput. Sci. 38, 293 (1985); of features in Imbalzano et al. (2018).
    """
    distance, chosen = x.square().sum(1), []
    while len(chosen) < min(n, len(x)):
        best = int(distance.argmax())
        if not distance[best] > 1e-18 * x.square().sum(1).max():  # the rest repeats what is there
            break
        chosen.append(best)
        to_best = (x - x[best]).square().sum(1)
        distance = torch.minimum(distance, to_best) if len(chosen) > 1 else to_best
    return chosen
