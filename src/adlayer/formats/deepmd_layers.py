"""Networks of Deep Potentials as tables of DeePMD-kit's serialized models, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..descriptors.environment import Environment
from ..nn.residual import ResidualNetwork

ACTIVATIONS = {
    "tanh": "tanh",
    "relu": "relu",
    "softplus": "softplus",
    "sigmoid": "logistic",
    "silu": "silu",
    "gelu": "tanh_gelu",
    "gelu_tf": "tanh_gelu",
    "linear": "identity",
    "none": "identity",
}


def set_networks(path: Path, networks: Sequence[ResidualNetwork], given: list[dict | None]) -> None:
    """Give networks the weights of others, as many and of the same sizes."""
    if len(networks) != len(given):
        raise ValueError(f"{path} has {len(given)} networks where {len(networks)} belong")
    for network, data in zip(networks, given):
        for l, layer in enumerate([] if data is None else data["layers"]):  # None: never used
            values = layer["@variables"]
            W, b, t = (
                None if values[k] is None else torch.as_tensor(values[k], dtype=torch.float64)
                for k in ("w", "b", "idt")
            )
            expected = network.weights[l].T.shape
            if W.shape != expected or (t is None) == (str(l) in network.timesteps):
                raise ValueError(
                    f"{path}: a layer of {tuple(W.shape)}, timestep {t is not None}, where {tuple(expected)} belongs"
                )
            if network.copies(l) and not layer["resnet"]:
                raise ValueError(f"{path}: a layer without its residual connection is not read")
            network.weights[l].data.copy_(W.T)
            network.biases[l].data.copy_(torch.zeros(W.shape[1]) if b is None else b.reshape(-1))
            if t is not None:
                network.timesteps[str(l)].data.copy_(t.reshape(-1))


def set_statistics(path: Path, environment: Environment, data: dict) -> None:
    """Give an environment the ``davg`` and ``dstd`` of a descriptor."""
    mean, std = (np.asarray(data["@variables"][k], float) for k in ("davg", "dstd"))  # [element, place, column]
    uniform = (mean == mean[:, :1]) & (std == std[:, :1])
    if not uniform.all() or mean[:, :, 1:].any() or (std[:, :, 1:] != std[:, :, 1:2]).any():
        raise ValueError(f"{path}: davg and dstd that differ between places or directions are not read")
    if environment.mixed and mean.any():
        raise ValueError(
            f"{path}: davg other than 0 is not read where one network serves all elements; the energy would depend on "
            "which atom is the first, fit it with set_davg_zero"
        )
    environment.set(torch.from_numpy(mean[:, 0, 0]), torch.from_numpy(std[:, 0, [0, -1]]))


def activation_of(path: Path, name: str) -> str:
    """Ours for theirs."""
    if name.lower() not in ACTIVATIONS:
        raise ValueError(f"{path}: no activation {name!r}; those that are read are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name.lower()]


def collection(kind: str, ndim: int, n_elements: int, networks: list[dict]) -> dict:
    """Networks for each element (``ndim`` 1), each pair (2), or one for all (0)."""
    head = {"@class": "NetworkCollection", "@version": 1, "network_type": kind}
    return {**head, "ndim": ndim, "ntypes": n_elements, "networks": networks}


def network_table(network: ResidualNetwork, kind: str) -> dict:
    """One of the ``kind`` EmbeddingNetwork or FittingNetwork."""
    layers = [_layer_table(network, l) for l in range(len(network.weights))]
    data = {"@class": kind, "in_dim": network.sizes[0], "neuron": list(network.sizes[1:]), "layers": layers}
    data |= {"activation_function": name_of(network.activation), "resnet_dt": network.timestep, "precision": "float64"}
    if kind == "EmbeddingNetwork":
        return {**data, "@version": 2, "bias": True}
    return {**data, "@version": 1, "bias_out": True, "out_dim": network.n_outputs}


def _layer_table(network: ResidualNetwork, l: int) -> dict:
    hidden = l < network.n_hidden
    t = network.timesteps[str(l)].detach().numpy() if str(l) in network.timesteps else None
    return {
        **{"@class": "Layer", "@version": 1, "bias": True, "precision": "float64", "resnet": hidden},
        **{"activation_function": name_of(network.activation) if hidden else "none", "use_timestep": t is not None},
        "@variables": {"w": network.weights[l].detach().numpy().T, "b": network.biases[l].detach().numpy(), "idt": t},
    }


def name_of(activation: str) -> str:
    """Theirs for ours."""
    for theirs, ours in ACTIVATIONS.items():
        if ours == activation:
            return theirs
    raise ValueError(f"deepmd has no activation {activation!r}; it has {', '.join(ACTIVATIONS.values())}")
