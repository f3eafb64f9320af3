"""Attention among the neighbors of an atom, as DPA-1 has it: D. Zhang et al., npj Comput. Mater. 10, 94 (2024)."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

SHIFT = 20.0
"""Where the weights of the attention are smooth, a neighbor at the cutoff has the logarithm ``-SHIFT``."""


class Places(NamedTuple):
    """The edges of each atom side by side, in as many places as the atom with the most neighbors needs."""

    edge: Int[Tensor, "atoms places"]  # which one stands there; the number of edges where there is none
    taken: Bool[Tensor, "atoms places"]

    @staticmethod
    def of(first: Int[Tensor, "firsts"], n_edges: int) -> Places:
        """Edges of atom ``a`` are ``first[a]:first[a + 1]``."""
        count = first[1:] - first[:-1]
        place = torch.arange(n_edges + 1, device=count.device)
        place = place[place < count.max().clamp_min(1)]  # at least one
        taken = place < count[:, None]
        return Places(torch.where(taken, first[:-1, None] + place, n_edges), taken)

    def spread(self, x: Float[Tensor, "edges F"]) -> Float[Tensor, "atoms places F"]:
        """What edges carry, in their places; 0 in those that are empty."""
        return torch.cat([x, x.new_zeros(1, x.shape[1])])[self.edge]


class NeighborAttention(nn.Module):
    """``G' = LayerNorm(G + W_o (A V) + b_o)``, with ``A_jk`` the attention of neighbor ``j`` to neighbor ``k``.

    ``(Q, K, V) = W G + b``, each row divided by its length if ``normalize``; ``L = tau Q K^T``. Smooth weights take the
    switching function ``w`` of both neighbors along, so that one at the cutoff is as none at all:
    ``A_jk = w_j w_k e^(L'_jk) / (sum_k e^(L'_jk) + n e^-20)``, ``L' = (L + 20) w_j w_k - 20``, with ``n`` the empty
    places; otherwise ``A = softmax(L)``. With ``gate``, ``A_jk`` is multiplied by the cosine of the angle between the
    neighbors. In float64.

    Args:
        width: of ``G``.
        hidden: width of ``Q``, ``K`` and ``V``.
        gate: whether angles enter.
        smooth: whether the switching function does.
        normalize: whether rows of ``Q``, ``K`` and ``V`` have the length 1.
        temperature: ``tau``; by default ``1 / sqrt(hidden)``.
        generator: of the starting weights.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        gate: bool = True,
        smooth: bool = True,
        normalize: bool = True,
        temperature: float | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.hidden, self.gate, self.smooth, self.normalize = hidden, gate, smooth, normalize
        self.temperature = 1 / sqrt(hidden) if temperature is None else temperature

        def normal(*shape: int, std: float) -> nn.Parameter:
            return nn.Parameter(std * torch.randn(shape, generator=generator, dtype=torch.float64))

        self.inward = normal(3 * hidden, width, std=1 / sqrt(3 * hidden + width))
        self.inward_bias = normal(3 * hidden, std=1.0)
        self.outward = normal(width, hidden, std=1 / sqrt(hidden + width))
        self.outward_bias = normal(width, std=1.0)
        self.scale = nn.Parameter(torch.ones(width, dtype=torch.float64))
        self.shift = nn.Parameter(torch.zeros(width, dtype=torch.float64))

    def forward(
        self,
        G: Float[Tensor, "atoms places width"],
        cosines: Float[Tensor, "atoms places places"],
        ww: Float[Tensor, "atoms places places"],
        taken: Bool[Tensor, "atoms places"],
        n_places: Float[Tensor, ""],
    ) -> Float[Tensor, "atoms places width"]:
        """What becomes of ``G``; rows of empty places mean nothing.

        Args:
            G: features of the neighbors.
            cosines: of the angles between them.
            ww: product of the switching functions of both, 0 in empty places.
            taken: which places are not empty.
            n_places: how many places for neighbors an atom has, which smooth weights count.
        """
        Q, K, V = nn.functional.linear(G, self.inward, self.inward_bias).chunk(3, -1)
        tau, longer = self.temperature, cosines if self.gate else None
        if self.normalize:  # by dividing the products, which are fewer
            q, k, v = (1 / torch.linalg.vector_norm(X, dim=2).clamp_min(1e-12) for X in (Q, K, V))
            tau, v = tau * q[:, :, None] * k[:, None, :], v[:, None, :]
            longer = v if longer is None else longer * v
        if self.smooth:
            L = torch.addcmul(SHIFT * (ww - 1), Q @ K.mT, tau * ww)
            top = 0.0 if self.normalize else L.detach().amax(2, keepdim=True)
            e = torch.exp(L - top)
            n_empty = n_places - L.shape[2]
            A = e * ww
            total = e.sum(2, keepdim=True) + n_empty * torch.exp(-SHIFT - torch.as_tensor(top))
        else:
            A, total = torch.softmax((tau * (Q @ K.mT)).masked_fill(~taken[:, None, :], -1e9), 2), 1.0
        out = (A if longer is None else A * longer) @ V / total
        out = nn.functional.linear(out, self.outward, self.outward_bias)
        return nn.functional.layer_norm(G + out, G.shape[-1:], self.scale, self.shift)
