r"""Channels of a cluster expansion: the combinations of its sums over neighbors along which the energy changes.

For each element of the center and each ``l``, with ``S = <A Aᵀ>`` over atoms and ``m`` (less the mean where ``l = 0``)
and ``C = <dE/dA dE/dAᵀ>``,

    S^1/2 C S^1/2 t_q = lambda_q t_q,    U_q = t_qᵀ S^-1/2,    s_q = sqrt((2 l + 1) lambda_q)

Constantine, Dow and Wang, SIAM J. Sci. Comput. 36, A1500 (2014).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_FLAT = 1e-9  # directions of less variance, relative to the largest, are left out


class Channels(NamedTuple):
    """Combinations of sums over neighbors, for each element of the center."""

    contraction: Float[Tensor, "center l q en"]  # U: of the sums of each element of the neighbors and radial function
    importance: Float[Tensor, "center l q"]  # s, zero where there is no channel, eV
    mean: Float[Tensor, "center q"]  # of the channels of l = 0


class Moments:
    """Sums of ``A Aᵀ``, ``dE/dA dE/dAᵀ`` and ``A`` for one element of the center and one ``l``.

    Args:
        n: number of ``A``.
    """

    def __init__(self, n: int):
        self.count = 0
        self.AA, self.GG = (torch.zeros(n, n, dtype=torch.float64) for _ in range(2))
        self.A = torch.zeros(n, dtype=torch.float64)

    def add(self, A: Float[Tensor, "rows n"], G: Float[Tensor, "rows n"]) -> None:
        """Take in values, and derivatives of the energy by them."""
        self.count += len(A)
        self.AA += A.T @ A
        self.GG += G.T @ G
        self.A += A.sum(0)

    def directions(self, most: int, l: int) -> tuple[Float[Tensor, "q n"], Float[Tensor, "q"], Float[Tensor, "q"]]:
        """``U``, ``s`` and the means of the channels, the most important first."""
        n = max(self.count, 1)
        mean = self.A / n
        S = self.AA / n - (torch.outer(mean, mean) if l == 0 else 0.0)
        variance, V = torch.linalg.eigh(S)
        kept = variance > _FLAT * variance.max()
        root, V = variance[kept].sqrt(), V[:, kept]
        values, T = torch.linalg.eigh((V * root).T @ (self.GG / n) @ (V * root))
        values, T = values.flip(0)[:most], T.flip(1)[:, :most]
        U = (V / root @ T).T
        signs = torch.where(U.gather(1, U.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)  # the same on any machine
        U = U * signs
        return U, ((2 * l + 1) * values.clamp_min(0)).sqrt(), U @ mean if l == 0 else torch.zeros(len(U)).to(U)


def plain_channels(n_elements: int, l_max: int, most: int, n_radial: int) -> Channels:
    """The sums themselves, the first radial functions of each element of the neighbors first: where a fit begins."""
    n_used = min(most, n_elements * n_radial)
    n, e = (x.flatten() for x in torch.meshgrid(torch.arange(n_radial), torch.arange(n_elements), indexing="ij"))
    U = torch.zeros(n_elements, l_max + 1, most, n_elements * n_radial, dtype=torch.float64)
    s = torch.zeros(n_elements, l_max + 1, most, dtype=torch.float64)
    for q in range(n_used):
        U[:, :, q, int(e[q]) * n_radial + int(n[q])] = 1.0
        s[:, :, q] = torch.exp(-0.5 * (n[q] + torch.arange(l_max + 1, dtype=torch.float64)))
    return Channels(U, s, torch.zeros(n_elements, most, dtype=torch.float64))
