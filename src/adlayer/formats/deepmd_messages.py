"""DPA-2 from the tables of DeePMD-kit's serialized models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..descriptors.dpa2 import DPA2
from .deepmd_attention import vectors_of_elements
from .deepmd_layers import activation_of, set_networks, set_statistics

UPDATES = {
    **{"direct_dist": False, "update_g1_has_conv": True, "update_g1_has_drrd": True, "update_g1_has_grrg": True},
    **{"update_g1_has_attn": False, "update_g2_has_attn": False, "update_g2_has_g1g1": False, "update_h2": False},
    **{"update_style": "res_residual", "g1_out_conv": True, "g1_out_mlp": True, "use_sqrt_nnei": True},
}
LAYERS = {"alone": "g1_self_mlp", "of_pairs": "proj_g1g2", "products": "linear1", "pairs": "linear2"}


def read_dpa2(path: Path, data: dict, elements: list[str]) -> DPA2:
    """A descriptor of the type ``dpa2``, with its statistics."""
    wide, near = data["repinit_args"], data["repformer_args"]
    if other := [k for k, v in UPDATES.items() if near.get(k, v) != v]:
        raise ValueError(f"{path}: dpa2 with {other[0]} = {near[other[0]]!r} is not read, only {UPDATES[other[0]]!r}")
    angular = {f"three_body_{k}": near[v] for k, v in (("rcut", "rcut"), ("rcut_smth", "rcut_smth"), ("sel", "nsel"))}
    if not data["smooth"] or data["add_tebd_to_repinit_out"] or not data["concat_output_tebd"]:
        raise ValueError(f"{path}: dpa2 is read with smooth and concat_output_tebd, without add_tebd_to_repinit_out")
    if wide["use_three_body"] and any(wide[k] != v for k, v in angular.items()):
        raise ValueError(f"{path}: dpa2 is read where angles and messages have the same cutoff, switch and places")
    activation = activation_of(path, wide["activation_function"])
    if activation != activation_of(path, near["activation_function"]):
        raise ValueError(f"{path}: dpa2 with two activation functions is not read")
    descriptor = DPA2(
        elements,
        cutoff=wide["rcut"],
        inner=wide["rcut_smth"],
        embedding=wide["neuron"],
        axis=wide["axis_neuron"],
        sel=wide["nsel"],
        channels=wide["tebd_dim"],
        strip=wide["tebd_input_mode"] == "strip",
        one_side=wide["type_one_side"],
        angles=wide["three_body_neuron"] if wide["use_three_body"] else (),
        near_cutoff=near["rcut"],
        near_inner=near["rcut_smth"],
        near_sel=near["nsel"],
        layers=near["nlayers"],
        width=near["g1_dim"],
        pair_width=near["g2_dim"],
        near_axis=near["axis_neuron"],
        activation=activation,
        timestep=wide["resnet_dt"],
    )
    vectors = vectors_of_elements(path, data["type_embedding"], len(elements))
    descriptor.wide.embedding.elements.data.copy_(vectors)
    blocks = {"repinit_variable": (descriptor.wide.embedding, descriptor.wide.environment)}
    if descriptor.angles is not None:
        blocks["repinit_three_body_variable"] = descriptor.angles, descriptor.near
    for name, (embedding, environment) in blocks.items():
        set_statistics(path, environment, data[name])
        set_networks(path, [embedding.network], data[name]["embeddings"]["networks"])
        if embedding.factors is not None:
            set_networks(path, [embedding.factors], data[name]["embeddings_strip"]["networks"])
    _set(descriptor.start, data["g1_shape_tranform"])
    messages = data["repformers_variable"]
    of_angles = descriptor.near.width.clone()
    set_statistics(path, descriptor.near, messages)
    if descriptor.angles is not None and not torch.equal(of_angles, descriptor.near.width):
        raise ValueError(f"{path}: dpa2 is read where angles and messages have the same dstd")
    _set(descriptor.start_pairs, messages["g2_embd"])
    for layer, given in zip(descriptor.layers, messages["repformer_layers"], strict=True):
        for ours, theirs in LAYERS.items():
            if getattr(layer, ours) is not None:
                _set(getattr(layer, ours), given[theirs])
        steps = [given["@variables"][k] for k in ("g1_residual", "g2_residual")]
        for step, values in zip(layer.steps, [*steps[0], *steps[1]], strict=True):
            step.data.copy_(torch.as_tensor(values))
    return descriptor


def _set(layer: nn.Linear, data: dict) -> None:
    W, b = (data["@variables"][k] for k in ("w", "b"))
    layer.weight.data.copy_(torch.as_tensor(np.transpose(W)))
    if layer.bias is not None:
        layer.bias.data.copy_(torch.zeros(1) if b is None else torch.as_tensor(b).reshape(-1))
