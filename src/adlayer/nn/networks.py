"""Multilayer perceptrons, one for each chemical element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "centered_logistic": lambda x: torch.sigmoid(x) - 0.5,
    "softplus": nn.functional.softplus,
    "shifted_softplus": lambda x: nn.functional.softplus(x) - log(2.0),
    "relu": torch.relu,
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
    "tanh_gelu": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "celu": lambda x: nn.functional.celu(x, 0.1),
    "gaussian": lambda x: torch.exp(-0.5 * x * x),
    "cos": torch.cos,
    "reverse_logistic": lambda x: torch.sigmoid(-x),
    "exp": lambda x: torch.exp(-x),
    "harmonic": lambda x: x * x,
}
"""Activation functions by name; ``exp`` is ``e^(-x)``, ``gaussian`` ``e^(-x²/2)``, ``harmonic`` ``x²``, as in n2p2.

``celu`` has ANI's ``alpha`` of 0.1.
"""


class MLP(nn.Module):
    """``y_l = f_l(W_l y_{l-1} + b_l)``, in float64.

    Weights start uniform with variance ``2 / (n_in + n_out)`` (Glorot and Bengio, AISTATS 2010, Eq. 16), biases at 0.

    Args:
        sizes: number of inputs, of nodes of each hidden layer, and of outputs.
        activations: name of the function after each layer, the last included.
        generator: of the starting weights.
    """

    def __init__(self, sizes: Sequence[int], activations: Sequence[str], generator: torch.Generator | None = None):
        super().__init__()
        self.sizes, self.activations = tuple(sizes), tuple(activations)
        if len(self.activations) != len(self.sizes) - 1:
            raise ValueError(f"{len(self.sizes) - 1} layers need as many activations, got {len(self.activations)}")
        if unknown := set(self.activations) - set(ACTIVATIONS):
            raise ValueError(f"no activation {sorted(unknown)[0]!r}; there are {', '.join(ACTIVATIONS)}")
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in zip(self.sizes[:-1], self.sizes[1:]):
            W = 2 * torch.rand(n_out, n_in, generator=generator, dtype=torch.float64) - 1
            self.weights.append(nn.Parameter(W * sqrt(6 / (n_in + n_out))))
            self.biases.append(nn.Parameter(torch.zeros(n_out, dtype=torch.float64)))

    def forward(self, x: Float[Tensor, "atoms n_in"]) -> Float[Tensor, "atoms n_out"]:
        for W, b, name in zip(self.weights, self.biases, self.activations):
            x = ACTIVATIONS[name](torch.addmm(b, x, W.T))
        return x


class PerElement(nn.Module):
    """One network with one output for each element, applied to its atoms.

    An element may use fewer inputs than there are columns: it takes the first ones.

    Args:
        networks: one per element, in the order of ``species``.
    """

    def __init__(self, networks: Sequence[MLP]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Float[Tensor, "atoms n_in"], species: Int[Tensor, "atoms"]) -> Float[Tensor, "atoms"]:
        if len(self.networks) == 1:
            return self.networks[0](x[:, : self.networks[0].sizes[0]])[:, 0]
        y = x.new_zeros(x.shape[0])
        for k, network in enumerate(self.networks):
            atoms = torch.nonzero(species == k)[:, 0]
            y = y.index_copy(0, atoms, network(x.index_select(0, atoms)[:, : network.sizes[0]])[:, 0])
        return y
