"""Models of DeePMD-kit as it serializes them: ``.yaml`` or ``.yml``, and ``.dp`` (HDF5), in and out.

All other files of DeePMD-kit are made from these, and made into these, by ``dp convert-backend model.pth model.dp``.
What is read: energy models of ``se_e2_a``, ``se_e2_r``, ``se_e3``, ``dpa1`` (``se_atten``, ``se_atten_v2``) and
``hybrid``, and such models blended with a table of pair energies. Units are eV and Å.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers

from ..descriptor import Descriptor
from ..descriptors.deep_potential import SeE2A, SeE2R, SeE3
from ..descriptors.dpa1 import DPA1
from ..descriptors.hybrid import Hybrid
from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.blend import Blend
from ..potentials.deep_potential import DeepPotential
from ..potentials.pair_table import PairTable
from .deepmd_attention import KINDS, dpa1_table, read_dpa1
from .deepmd_layers import activation_of, collection, name_of, network_table, set_networks, set_statistics
from .deepmd_messages import read_dpa2
from .deepmd_tree import HDF5, YAML, load, save

DESCRIPTORS = {"se_e2_a": SeE2A, "se_a": SeE2A, "se_e2_r": SeE2R, "se_r": SeE2R, "se_e3": SeE3, "se_t": SeE3}


def recognizes(path: Path) -> bool:
    """Whether it is a serialized model."""
    if not path.is_file():
        return False
    if path.suffix in YAML:
        with path.open(errors="replace") as file:
            return any(
                '"@variables"' in line or "'@variables'" in line or "@class" in line for line, _ in zip(file, range(99))
            )
    return path.suffix in HDF5


def read(path: Path) -> Potential:
    """Read a model of energies."""
    path = Path(path)
    model = load(path)["model"]
    elements = list(model["type_map"])
    if unknown := [e for e in elements if e not in atomic_numbers]:
        raise ValueError(f"{path}: {unknown[0]!r} in its type_map is not a chemical symbol")
    if model.get("type") == "zbl":
        return _blend(path, model, elements)
    return _standard(path, model, elements)


def _standard(path: Path, model: dict, elements: list[str]) -> DeepPotential:
    if (kind := model.get("type")) != "standard":
        raise ValueError(f"{path} is a model of type {kind!r}; those that are read are standard and zbl")
    fitting = model["fitting"]
    if fitting["type"] != "ener":
        raise ValueError(f"{path} fits {fitting['type']!r}; only energies are read")
    _refuse(path, model, {"atom_exclude_types": [], "pair_exclude_types": []})
    _refuse(path, fitting, {"numb_fparam": 0, "numb_aparam": 0, "dim_case_embd": 0, "exclude_types": []})
    potential = DeepPotential(
        elements,
        descriptor=_descriptor(path, model["descriptor"], elements),
        hidden=fitting["neuron"],
        activation=activation_of(path, fitting["activation_function"]),
        timestep=fitting["resnet_dt"],
    )
    set_networks(path, potential.networks, fitting["nets"]["networks"])
    potential.energies.copy_(_bias(model) + torch.as_tensor(fitting["@variables"]["bias_atom_e"]).reshape(-1))
    return potential


def _bias(model: dict) -> torch.Tensor:
    return torch.as_tensor(model["@variables"]["out_bias"], dtype=torch.float64).reshape(-1)


def _blend(path: Path, model: dict, elements: list[str]) -> Potential:
    """Beside a model a table of pairs, which has energies of single atoms as well."""
    far, near = model["models"]
    if near.get("type") != "pairtab":
        raise ValueError(f"{path}: a model blended with {near.get('type')!r} is not read, only with 'pairtab'")
    tab = near["tab"]
    table = np.asarray(tab["@variables"]["vdata"], float)
    pairs = ["-".join(pair) for pair in combinations_with_replacement(elements, 2)]
    energies = {pair: table[:, 1 + k].tolist() for k, pair in enumerate(pairs)}
    return Blend(
        far=_standard(path, far, elements),
        near=PairTable(energies, tab["rmin"], tab["hh"], near["rcut"]) + _atoms(near, elements),
        inner=model["sw_rmin"],
        outer=model["sw_rmax"],
        alpha=model["smin_alpha"],
    ) + _atoms(model, elements)


def _atoms(model: dict, elements: list[str]) -> ReferenceEnergies:
    return ReferenceEnergies(dict(zip(elements, _bias(model).tolist())))


def _descriptor(path: Path, data: dict, elements: list[str]) -> Descriptor:
    kind = data["type"]
    if kind == "hybrid":
        return Hybrid([_descriptor(path, d, elements) for d in data["list"]])
    if kind not in (*DESCRIPTORS, *KINDS, "dpa2"):
        known = ", ".join(("hybrid", *DESCRIPTORS, *KINDS, "dpa2"))
        raise ValueError(f"{path} has a descriptor {kind!r}; those that are read are {known}")
    _refuse(path, data, {"env_protection": 0.0, "spin": None})
    if kind in KINDS:
        descriptor = read_dpa1(path, data, elements)
        set_statistics(path, descriptor.environment, data)
        return descriptor
    _refuse(path, data, {"exclude_types": []})
    if kind == "dpa2":
        return read_dpa2(path, data, elements)
    descriptor = _without_attention(path, data, elements)
    set_statistics(path, descriptor.environment, data)
    return descriptor


def _without_attention(path: Path, data: dict, elements: list[str]) -> Descriptor:
    cls, options = DESCRIPTORS[data["type"]], {}
    if cls is not SeE3:
        options["one_side"] = data["type_one_side"]
    if cls is SeE2A:
        options["axis"] = data["axis_neuron"]
    descriptor = cls(
        elements,
        cutoff=data["rcut"],
        inner=data["rcut_smth"],
        embedding=data["neuron"],
        sel=data["sel"],
        activation=activation_of(path, data["activation_function"]),
        timestep=data["resnet_dt"],
        centered=not data.get("set_davg_zero", False),
        **options,
    )
    networks, E = data["embeddings"]["networks"], len(elements)
    if not descriptor.embedding.one_side:  # theirs count the first element fastest
        networks = [networks[first + E * second] for first in range(E) for second in range(E)]
    set_networks(path, descriptor.embedding.networks, networks)
    return descriptor


def _refuse(path: Path, data: dict, expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if (found := data.get(key, value)) and found != value:
            raise ValueError(f"{path}: {key} = {found!r} is not read, only {value!r}")


def write(path: Path, potential: Potential) -> None:
    """Write a ``DeepPotential``, alone or with ``ReferenceEnergies`` added, for ``dp convert-backend``."""
    path, parts = Path(path), list(potential.parts) if isinstance(potential, Sum) else [potential]
    kinds = [type(p) for p in parts]
    if kinds.count(DeepPotential) != 1 or set(kinds) - {DeepPotential, ReferenceEnergies}:
        raise TypeError(
            f"deepmd holds a DeepPotential, or one with ReferenceEnergies, not a {type(potential).__name__}"
        )
    if path.suffix not in YAML + HDF5:
        raise ValueError(f"{path}: the name of a serialized model must end in {', '.join(YAML + HDF5)}")
    dp: DeepPotential = parts[kinds.index(DeepPotential)]
    energies = dp.energies.detach().clone()
    for p in parts:
        if isinstance(p, ReferenceEnergies):
            energies += torch.stack([p.energies.detach()[p.elements.index(e)] for e in dp.elements])
    E, mixed, first = len(dp.elements), dp.descriptor.mixed, dp.networks[0]
    networks = [network_table(n, "FittingNetwork") for n in dp.networks]
    fitting = {
        **{"@class": "Fitting", "@version": 2, "type": "ener", "var_name": "energy", "ntypes": E, "dim_out": 1},
        **{"dim_descrpt": dp.descriptor.n_features, "mixed_types": mixed, "type_map": list(dp.elements)},
        **{"neuron": list(first.sizes[1:]), "resnet_dt": first.timestep, "rcond": None},
        **{"numb_fparam": 0, "numb_aparam": 0, "activation_function": name_of(first.activation)},
        **{"precision": "float64", "exclude_types": [], "atom_ener": [], "tot_ener_zero": False, "spin": None},
        **{"trainable": [True] * (first.n_hidden + 1), "layer_name": None, "use_aparam_as_mask": False},
        "nets": collection("fitting_network", 0 if mixed else 1, E, networks),
        "@variables": {
            "bias_atom_e": np.zeros((E, 1)),
            **dict.fromkeys(("fparam_avg", "fparam_inv_std", "aparam_avg", "aparam_inv_std")),
        },
    }
    model = {
        **{"@class": "Model", "@version": 2, "type": "standard", "type_map": list(dp.elements)},
        **{"atom_exclude_types": [], "pair_exclude_types": [], "preset_out_bias": None, "rcond": None},
        **{"descriptor": _describe(dp.descriptor), "fitting": fitting},
        "@variables": {"out_bias": energies.numpy().reshape(1, E, 1), "out_std": np.ones((1, E, 1))},
    }
    save(path, {"backend": "DPModel", "software": "adlayer", "model": model, "model_def_script": {}})


def _describe(descriptor: Descriptor) -> dict:
    if isinstance(descriptor, Hybrid):
        parts = [_describe(p) for p in descriptor.parts]
        return {"@class": "Descriptor", "type": "hybrid", "@version": 1, "list": parts}
    kind = next((k for k, cls in {**DESCRIPTORS, "dpa1": DPA1}.items() if cls is type(descriptor)), None)
    if kind is None:
        known = ", ".join((*DESCRIPTORS, *KINDS))
        raise TypeError(f"deepmd has no descriptor like {type(descriptor).__name__}; it has {known}")
    env, embedding, E = descriptor.environment, descriptor.embedding, len(descriptor.elements)
    network = embedding.network if kind == "dpa1" else embedding.networks[0]
    sel = [int(n) for n in env.sel.tolist()]
    columns = 1 if kind == "se_e2_r" else 4
    mean, std = np.zeros((E, sum(sel), columns)), np.ones((E, sum(sel), columns))
    mean[:, :, 0], std[:, :, 0] = env.mean[:, None], env.width[:, :1]
    std[:, :, 1:] = env.width[:, 1:, None]
    kinds = {"type": {"se_e2_r": "se_r"}.get(kind, kind), "type_map": list(descriptor.elements)}
    data = {
        **{"@class": "Descriptor", "@version": 2, **kinds},
        **{"rcut": env.cutoff, "rcut_smth": env.inner, "sel": sel, "neuron": list(network.sizes[1:])},
        **{"resnet_dt": network.timestep, "trainable": True, "exclude_types": [], "env_protection": 0.0},
        **{"set_davg_zero": not env.centered, "activation_function": name_of(network.activation)},
        **{"precision": "float64", "spin": None, "env_mat": {"rcut": env.cutoff, "rcut_smth": env.inner}},
        "@variables": {"davg": mean, "dstd": std},
    }
    if kind == "dpa1":
        return data | dpa1_table(descriptor)
    networks = [network_table(n, "EmbeddingNetwork") for n in embedding.networks]
    if not embedding.one_side:
        networks = [networks[first * E + second] for second in range(E) for first in range(E)]
    data["embeddings"] = collection("embedding_network", 1 if embedding.one_side else 2, E, networks)
    if kind == "se_e3":
        del data["spin"]
    else:
        data["type_one_side"] = embedding.one_side
    if kind == "se_e2_a":
        data["axis_neuron"] = descriptor.axis
    return data
