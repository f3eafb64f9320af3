"""DPA-1 as tables of DeePMD-kit's serialized models, ``dpa1`` and ``se_atten_v2``, and back."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..descriptors.dpa1 import DPA1
from ..nn.attention import NeighborAttention
from .deepmd_layers import activation_of, collection, network_table, set_networks

KINDS = ("dpa1", "se_atten", "se_atten_v2")


def read_dpa1(path: Path, data: dict, elements: list[str]) -> DPA1:
    """A descriptor of one of ``KINDS``, but for its statistics."""
    if data.get("lmax", 1) != 1 or data.get("attn_mask") or data["attention_layers"].get("do_mask"):
        raise ValueError(f"{path}: dpa1 with lmax above 1 or with masked attention is not read")
    scaled = data["attn"] * data["scaling_factor"]
    descriptor = DPA1(
        elements,
        cutoff=data["rcut"],
        inner=data["rcut_smth"],
        embedding=data["neuron"],
        axis=data["axis_neuron"],
        sel=data["sel"],
        channels=data["tebd_dim"],
        strip=data.get("tebd_input_mode", "strip") == "strip",
        one_side=data["type_one_side"],
        layers=data["attn_layer"],
        attention=data["attn"],
        gate=data["attn_dotr"],
        smooth=data.get("smooth_type_embedding", True),
        normalize=data["normalize"],
        temperature=1 / sqrt(scaled) if data["temperature"] is None else data["temperature"],
        exclude=[[elements[a], elements[b]] for a, b in data["exclude_types"]],
        with_element=data["concat_output_tebd"],
        activation=activation_of(path, data["activation_function"]),
        timestep=data["resnet_dt"],
    )
    embedding = descriptor.embedding
    embedding.elements.data.copy_(vectors_of_elements(path, data["type_embedding"], len(elements)))
    set_networks(path, [embedding.network], data["embeddings"]["networks"])
    if embedding.factors is not None:
        set_networks(path, [embedding.factors], data["embeddings_strip"]["networks"])
    for layer, given in zip(descriptor.layers, data["attention_layers"]["attention_layers"], strict=True):
        attention, norm = given["attention_layer"], given["attn_layer_norm"]
        if attention["num_heads"] != 1 or norm["eps"] != 1e-5:
            raise ValueError(f"{path}: attention of {attention['num_heads']} heads, epsilon {norm['eps']} is not read")
        for name, values in {"inward": attention["in_proj"], "outward": attention["out_proj"]}.items():
            _set(getattr(layer, name), np.transpose(values["@variables"]["w"]))
            _set(getattr(layer, f"{name}_bias"), values["@variables"]["b"])
        _set(layer.scale, norm["@variables"]["w"])
        _set(layer.shift, norm["@variables"]["b"])
    return descriptor


def _set(parameter: nn.Parameter, values: np.ndarray | None) -> None:
    parameter.data.copy_(torch.zeros(1) if values is None else torch.as_tensor(values).reshape(parameter.shape))


def vectors_of_elements(path: Path, data: dict, n: int) -> Tensor:
    """Theirs are a linear layer of 1 for the element and 0 for the others, which may be added to its output."""
    layers = data["embedding"]["layers"]
    if data["use_econf_tebd"] or len(layers) != 1 or layers[0]["activation_function"].lower() not in ("linear", "none"):
        raise ValueError(f"{path}: vectors of the elements that are more than one linear layer are not read")
    W, b = (layers[0]["@variables"][k] for k in ("w", "b"))
    vectors = torch.as_tensor(np.asarray(W, float))
    if layers[0]["resnet"]:
        vectors = vectors + _ones_that_are_added(n, vectors.shape[1])
    return vectors if b is None else vectors + torch.as_tensor(b).reshape(-1)


def _ones_that_are_added(n: int, width: int) -> Tensor:
    return torch.eye(n, dtype=torch.float64).repeat(1, width // n) if width in (n, 2 * n) else torch.zeros(n, width)


def dpa1_table(descriptor: DPA1) -> dict:
    """All of it but for what it shares with other descriptors."""
    embedding, elements, E = descriptor.embedding, list(descriptor.elements), len(descriptor.elements)
    width, channels = embedding.network.sizes[-1], embedding.elements.shape[1]
    attention = descriptor.layers[0] if descriptor.layers else NeighborAttention(width, 1, smooth=descriptor.smooth)
    options = {
        **{"hidden_dim": attention.hidden, "dotr": attention.gate, "normalize": attention.normalize},
        **{"temperature": attention.temperature, "scaling_factor": 1.0, "do_mask": False, "precision": "float64"},
        **{"nnei": int(descriptor.environment.sel), "embed_dim": width},
    }
    layers = {
        **{"@class": "NeighborGatedAttention", "@version": 1, "layer_num": len(descriptor.layers)},
        **options,
        **{"trainable_ln": True, "ln_eps": 1e-5},
        "attention_layers": [_attention_table(layer, options) for layer in descriptor.layers],
    }
    shared = {"ntypes": E, "precision": "float64", "trainable": True}
    data = {
        **shared,
        **{"tebd_dim": channels, "tebd_input_mode": "concat" if embedding.factors is None else "strip"},
        **{"attn_layer": len(descriptor.layers), "attn_mask": False, "trainable_ln": True, "ln_eps": 1e-5},
        **{"smooth_type_embedding": descriptor.smooth, "concat_output_tebd": descriptor.with_element},
        **{"use_econf_tebd": False, "use_tebd_bias": False, "axis_neuron": descriptor.axis},
        **{"type_one_side": embedding.one_side, "resnet_dt": embedding.network.timestep, "set_davg_zero": True},
        **{"attn": attention.hidden, "attn_dotr": attention.gate, "normalize": attention.normalize},
        **{"temperature": attention.temperature, "scaling_factor": 1.0, "attention_layers": layers},
        "exclude_types": [[elements.index(a), elements.index(b)] for a, b in descriptor.exclude],
        "embeddings": collection("embedding_network", 0, E, [network_table(embedding.network, "EmbeddingNetwork")]),
        "type_embedding": {
            **{"@class": "TypeEmbedNet", "@version": 2, "neuron": [channels], "activation_function": "Linear"},
            **shared,
            **{"resnet_dt": False, "padding": True, "use_econf_tebd": False, "use_tebd_bias": False},
            **{"type_map": elements, "embedding": _elements_table(embedding.elements.detach())},
        },
    }
    if embedding.factors is not None:
        strip = [network_table(embedding.factors, "EmbeddingNetwork")]
        data["embeddings_strip"] = collection("embedding_network", 0, E, strip)
    return data


def _elements_table(vectors: Tensor) -> dict:
    E, channels = vectors.shape
    weights = {"w": (vectors - _ones_that_are_added(E, channels)).numpy(), "b": None, "idt": None}
    layer = {**_LAYER, "bias": False, "resnet": True, "activation_function": "Linear", "@variables": weights}
    return {
        **{"@class": "EmbeddingNetwork", "@version": 2, "in_dim": E, "neuron": [channels], "layers": [layer]},
        **{"activation_function": "Linear", "resnet_dt": False, "precision": "float64", "bias": False},
    }


_LAYER = {"@class": "Layer", "@version": 1, "precision": "float64", "resnet": False, "use_timestep": False}


def _attention_table(layer: NeighborAttention, options: dict) -> dict:
    def linear(W: Tensor, b: Tensor) -> dict:
        values = {"w": W.detach().numpy().T, "b": b.detach().numpy(), "idt": None}
        return {**_LAYER, "bias": True, "activation_function": "none", "@variables": values}

    weights = {
        "in_proj": linear(layer.inward, layer.inward_bias),
        "out_proj": linear(layer.outward, layer.outward_bias),
    }
    scale, shift = layer.scale.detach().numpy(), layer.shift.detach().numpy()
    return {
        **options,
        **{"trainable_ln": True, "ln_eps": 1e-5},
        "attention_layer": {**options, "num_heads": 1, "bias": True, "smooth": layer.smooth, **weights},
        "attn_layer_norm": {
            **{"@class": "LayerNorm", "@version": 1, "eps": 1e-5, "trainable": True, "precision": "float64"},
            "@variables": {"w": scale, "b": shift},
        },
    }
