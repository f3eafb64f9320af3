"""Layers of neural networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, silu, softplus, tanh

from ..config import nearest


def shifted_softplus(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """``ln((e^x + 1) / 2)``: smooth everywhere, zero at zero.

    Schütt et al., NeurIPS (2017), Sec. 4.
    """
    return softplus(x) - log(2.0)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": silu,
    "shifted_softplus": shifted_softplus,
    "softplus": softplus,
    "tanh": tanh,
    "gelu": gelu,
}


def find_activation(name: str) -> Callable[[Tensor], Tensor]:
    """An activation function by its name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation {name!r}{nearest(name, ACTIVATIONS)}; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def dense(n_in: int, n_out: int, bias: bool = True) -> nn.Linear:
    """A linear layer with Glorot-uniform weights and zero biases."""
    layer = nn.Linear(n_in, n_out, bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class MLP(nn.Module):
    """A network of dense layers with the activation between them, not after the last.

    Args:
        sizes: numbers of nodes, from input to output.
        activation: name of the activation function.
    """

    def __init__(self, sizes: Sequence[int], activation: str = "silu"):
        super().__init__()
        self.layers = nn.ModuleList(dense(n, m) for n, m in pairwise(sizes))
        self.activation = find_activation(activation)

    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
