"""Networks whose layers add to what they were given, as Deep Potentials have them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .networks import ACTIVATIONS


class ResidualNetwork(nn.Module):
    """``y_l = [y_{l-1}] + t_l f(W_l y_{l-1} + b_l)``, then ``W y + b`` if it has outputs; in float64.

    The term in brackets is there where a layer is as wide as the one before, and ``(y, y)`` where it is twice as wide;
    only these layers have a timestep ``t_l``, 1 if it is not learned. Weights start as DeePMD-kit's: normal, of
    variance ``1 / (n_in + n_out)``; biases of variance 1; timesteps about 0.1.

    Args:
        sizes: number of inputs and of nodes of each layer.
        activation: name of the function.
        timestep: whether timesteps are learned.
        n_outputs: of a last, linear layer; 0 for none.
        generator: of the starting weights.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "tanh",
        timestep: bool = False,
        n_outputs: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.sizes, self.activation, self.timestep, self.n_outputs = tuple(sizes), activation, timestep, n_outputs
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation {activation!r}; there are {', '.join(ACTIVATIONS)}")

        def normal(shape: tuple, mean: float, std: float) -> nn.Parameter:
            return nn.Parameter(mean + std * torch.randn(shape, generator=generator, dtype=torch.float64))

        self.weights, self.biases, self.timesteps = nn.ParameterList(), nn.ParameterList(), nn.ParameterDict()
        layers = [*self.sizes, n_outputs] if n_outputs else self.sizes
        for l, (n_in, n_out) in enumerate(pairwise(layers)):
            self.weights.append(normal((n_out, n_in), 0.0, 1 / sqrt(n_in + n_out)))
            self.biases.append(normal((n_out,), 0.0, 1.0))
            if timestep and self.copies(l):
                self.timesteps[str(l)] = normal((n_out,), 0.1, 0.001)

    @property
    def n_hidden(self) -> int:
        return len(self.sizes) - 1

    def copies(self, layer: int) -> int:
        """How often the input of a layer is added to its output: 0, 1, or 2 side by side."""
        if layer == self.n_hidden:
            return 0
        n_in, n_out = self.sizes[layer : layer + 2]
        return n_out // n_in if n_out in (n_in, 2 * n_in) else 0

    def forward(self, x: Float[Tensor, "rows n_in"]) -> Float[Tensor, "rows n_out"]:
        f = ACTIVATIONS[self.activation]
        for l in range(self.n_hidden):
            y = f(torch.addmm(self.biases[l], x, self.weights[l].T))
            if str(l) in self.timesteps:
                y = self.timesteps[str(l)] * y
            copies = self.copies(l)
            x = y if not copies else y + (x if copies == 1 else torch.cat([x, x], 1))
        return torch.addmm(self.biases[-1], x, self.weights[-1].T) if self.n_outputs else x


def of_kind(
    networks: nn.ModuleList, x: Float[Tensor, "rows n_in"], kind: Int[Tensor, "rows"]
) -> Float[Tensor, "rows n_out"]:
    """Each row through the network of its kind; all of them give as many outputs."""
    if len(networks) == 1:
        return networks[0](x)
    y = x.new_zeros(x.shape[0], networks[0].n_outputs or networks[0].sizes[-1])
    for k, network in enumerate(networks):
        rows = torch.nonzero(kind == k)[:, 0]
        y = y.index_copy(0, rows, network(x.index_select(0, rows)))
    return y
