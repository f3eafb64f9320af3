"""Models of DeePMD-kit as it serializes them: ``.yaml`` or ``.yml``, and ``.dp`` (HDF5), in and out.

All other files of DeePMD-kit are made from these, and made into these, by ``dp convert-backend model.pth model.dp``.
What is read: ``standard`` energy models of ``se_e2_a``, ``se_e2_r``, ``se_e3`` and ``hybrid``. Units are eV and Å.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers
from torch import nn

from ..descriptor import Descriptor
from ..descriptors.deep_potential import SeE2A, SeE2R, SeE3
from ..descriptors.hybrid import Hybrid
from ..nn.residual import ResidualNetwork
from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.deep_potential import DeepPotential

YAML, HDF5 = (".yaml", ".yml"), (".dp",)
DESCRIPTORS = {"se_e2_a": SeE2A, "se_a": SeE2A, "se_e2_r": SeE2R, "se_r": SeE2R, "se_e3": SeE3, "se_t": SeE3}
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


def read(path: Path) -> DeepPotential:
    """Read a model of energies."""
    path = Path(path)
    model = _load(path)["model"]
    if (kind := model.get("type")) != "standard":
        raise ValueError(f"{path} is a model of type {kind!r}; only standard models are read")
    fitting, elements = model["fitting"], list(model["type_map"])
    if unknown := [e for e in elements if e not in atomic_numbers]:
        raise ValueError(f"{path}: {unknown[0]!r} in its type_map is not a chemical symbol")
    if fitting["type"] != "ener" or fitting["mixed_types"]:
        raise ValueError(
            f"{path} fits {fitting['type']!r}, mixed_types {fitting['mixed_types']}; only energies are read"
        )
    _refuse(path, model, {"atom_exclude_types": [], "pair_exclude_types": []})
    _refuse(path, fitting, {"numb_fparam": 0, "numb_aparam": 0, "dim_case_embd": 0, "exclude_types": []})
    potential = DeepPotential(
        elements,
        descriptor=_descriptor(path, model["descriptor"], elements),
        hidden=fitting["neuron"],
        activation=_activation(path, fitting["activation_function"]),
        timestep=fitting["resnet_dt"],
    )
    _set_networks(path, potential.networks, fitting["nets"]["networks"])
    bias = np.reshape(fitting["@variables"]["bias_atom_e"], -1) + np.reshape(model["@variables"]["out_bias"], -1)
    potential.energies.copy_(torch.from_numpy(bias))
    return potential


def _descriptor(path: Path, data: dict, elements: list[str]) -> Descriptor:
    kind = data["type"]
    if kind == "hybrid":
        return Hybrid([_descriptor(path, d, elements) for d in data["list"]])
    if kind not in DESCRIPTORS:
        raise ValueError(f"{path} has a descriptor {kind!r}; those that are read are hybrid, {', '.join(DESCRIPTORS)}")
    _refuse(path, data, {"exclude_types": [], "env_protection": 0.0, "spin": None})
    cls, options = DESCRIPTORS[kind], {}
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
        activation=_activation(path, data["activation_function"]),
        timestep=data["resnet_dt"],
        **options,
    )
    env, E = descriptor.environment, len(elements)
    mean, std = (np.asarray(data["@variables"][k], float) for k in ("davg", "dstd"))  # [element, place, column]
    uniform = (mean == mean[:, :1]) & (std == std[:, :1])
    if not uniform.all() or mean[:, :, 1:].any() or (std[:, :, 1:] != std[:, :, 1:2]).any():
        raise ValueError(f"{path}: davg and dstd that differ between places or directions are not read")
    env.mean.copy_(torch.from_numpy(mean[:, 0, 0]))
    env.width.copy_(torch.from_numpy(std[:, 0, [0, -1]]))
    networks = data["embeddings"]["networks"]
    if not descriptor.embedding.one_side:  # theirs count the first element fastest
        networks = [networks[first + E * second] for first in range(E) for second in range(E)]
    _set_networks(path, descriptor.embedding.networks, networks)
    return descriptor


def _set_networks(path: Path, networks: nn.ModuleList, given: list[dict | None]) -> None:
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


def _activation(path: Path, name: str) -> str:
    if name.lower() not in ACTIVATIONS:
        raise ValueError(f"{path}: no activation {name!r}; those that are read are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name.lower()]


def _refuse(path: Path, data: dict, expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if (found := data.get(key, value)) and found != value:
            raise ValueError(f"{path}: {key} = {found!r} is not read, only {value!r}")


def _load(path: Path) -> dict:
    if path.suffix in YAML:
        try:
            import yaml
        except ImportError:
            raise ImportError(f"{path} needs PyYAML: pip install pyyaml") from None
        with path.open() as file:
            tree = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        tree = _with_arrays(tree, lambda x: np.asarray(x["value"], x["dtype"]))
    else:
        h5py = _h5py(path)
        try:
            with h5py.File(path, "r") as file:
                tree = _with_arrays(json.loads(file.attrs["json"]), lambda x: file[x][()], True)
        except (OSError, KeyError):
            raise ValueError(f"{path} is not a model that DeePMD-kit serialized") from None
    if not isinstance(tree, dict) or "model" not in tree:
        raise ValueError(f"{path} is not a model that DeePMD-kit serialized")
    return tree


def _h5py(path: Path):
    try:
        import h5py
    except ImportError:
        raise ImportError(f"{path} needs h5py: pip install h5py") from None
    return h5py


def _with_arrays(x: Any, array: Any, named: bool = False, variable: bool = False) -> Any:
    """Puts arrays in the places of what stands for them: tables, or where ``named`` all strings in ``@variables``."""
    if isinstance(x, dict):
        if x.get("@class") == "np.ndarray":
            return array(x)
        return {k: _with_arrays(v, array, named, variable or k == "@variables") for k, v in x.items()}
    if isinstance(x, list):
        return [_with_arrays(v, array, named, variable) for v in x]
    return array(x) if named and variable and x is not None else x


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
    E = len(dp.elements)
    fitting = {
        **{"@class": "Fitting", "@version": 2, "type": "ener", "var_name": "energy", "ntypes": E, "dim_out": 1},
        **{"dim_descrpt": dp.descriptor.n_features, "mixed_types": False, "type_map": list(dp.elements)},
        **{"neuron": list(dp.networks[0].sizes[1:]), "resnet_dt": dp.networks[0].timestep, "rcond": None},
        **{"numb_fparam": 0, "numb_aparam": 0, "activation_function": _name(dp.networks[0].activation)},
        **{"precision": "float64", "exclude_types": [], "atom_ener": [], "tot_ener_zero": False, "spin": None},
        **{"trainable": [True] * (dp.networks[0].n_hidden + 1), "layer_name": None, "use_aparam_as_mask": False},
        "nets": _networks("fitting_network", 1, E, [_network(n, "FittingNetwork") for n in dp.networks]),
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
    _save(path, {"backend": "DPModel", "software": "adlayer", "model": model, "model_def_script": {}})


def _describe(descriptor: Descriptor) -> dict:
    if isinstance(descriptor, Hybrid):
        return {
            "@class": "Descriptor",
            "type": "hybrid",
            "@version": 1,
            "list": [_describe(p) for p in descriptor.parts],
        }
    kind = next((k for k, cls in DESCRIPTORS.items() if cls is type(descriptor)), None)
    if kind is None:
        raise TypeError(f"deepmd has no descriptor like {type(descriptor).__name__}; it has {', '.join(DESCRIPTORS)}")
    env, embedding, E = descriptor.environment, descriptor.embedding, len(descriptor.elements)
    sel = [int(n) for n in env.sel.tolist()]
    columns = 1 if kind == "se_e2_r" else 4
    mean, std = np.zeros((E, sum(sel), columns)), np.ones((E, sum(sel), columns))
    mean[:, :, 0], std[:, :, 0] = env.mean[:, None], env.width[:, :1]
    std[:, :, 1:] = env.width[:, 1:, None]
    networks = [_network(n, "EmbeddingNetwork") for n in embedding.networks]
    if not embedding.one_side:
        networks = [networks[first * E + second] for second in range(E) for first in range(E)]
    first = embedding.networks[0]
    data = {
        **{
            "@class": "Descriptor",
            "@version": 2,
            "type": {"se_e2_r": "se_r"}.get(kind, kind),
            "type_map": list(descriptor.elements),
        },
        **{"rcut": env.cutoff, "rcut_smth": env.inner, "sel": sel, "neuron": list(first.sizes[1:])},
        **{"resnet_dt": first.timestep, "trainable": True, "exclude_types": [], "env_protection": 0.0},
        **{
            "set_davg_zero": False,
            "activation_function": _name(first.activation),
            "precision": "float64",
            "spin": None,
        },
        "env_mat": {"rcut": env.cutoff, "rcut_smth": env.inner},
        "embeddings": _networks("embedding_network", 1 if embedding.one_side else 2, E, networks),
        "@variables": {"davg": mean, "dstd": std},
    }
    if kind == "se_e3":
        del data["spin"]
    else:
        data["type_one_side"] = embedding.one_side
    if kind == "se_e2_a":
        data["axis_neuron"] = descriptor.axis
    return data


def _networks(kind: str, ndim: int, n_elements: int, networks: list[dict]) -> dict:
    head = {"@class": "NetworkCollection", "@version": 1, "network_type": kind}
    return {**head, "ndim": ndim, "ntypes": n_elements, "networks": networks}


def _network(network: ResidualNetwork, kind: str) -> dict:
    layers = [_layer(network, l) for l in range(len(network.weights))]
    data = {"@class": kind, "in_dim": network.sizes[0], "neuron": list(network.sizes[1:]), "layers": layers}
    data |= {"activation_function": _name(network.activation), "resnet_dt": network.timestep, "precision": "float64"}
    if kind == "EmbeddingNetwork":
        return {**data, "@version": 2, "bias": True}
    return {**data, "@version": 1, "bias_out": True, "out_dim": network.n_outputs}


def _layer(network: ResidualNetwork, l: int) -> dict:
    hidden = l < network.n_hidden
    t = network.timesteps[str(l)].detach().numpy() if str(l) in network.timesteps else None
    return {
        **{"@class": "Layer", "@version": 1, "bias": True, "precision": "float64", "resnet": hidden},
        **{"activation_function": _name(network.activation) if hidden else "none", "use_timestep": t is not None},
        "@variables": {"w": network.weights[l].detach().numpy().T, "b": network.biases[l].detach().numpy(), "idt": t},
    }


def _name(activation: str) -> str:
    for theirs, ours in ACTIVATIONS.items():
        if ours == activation:
            return theirs
    raise ValueError(f"deepmd has no activation {activation!r}; it has {', '.join(ACTIVATIONS.values())}")


def _save(path: Path, tree: dict) -> None:
    if path.suffix in YAML:
        import yaml

        def table(x: np.ndarray) -> dict:
            head = {"@class": "np.ndarray", "@is_variable": True, "@version": 1}
            return {**head, "dtype": x.dtype.name, "value": x.tolist()}

        path.write_text(yaml.dump(_without_arrays(tree, table), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
        return
    h5py = _h5py(path)
    with h5py.File(path, "w") as file:
        tree = _without_arrays(tree, lambda x: file.create_dataset(f"variable_{len(file):04d}", data=x).name)
        file.attrs["json"] = json.dumps(tree, separators=(",", ":"))


def _without_arrays(x: Any, replace: Any) -> Any:
    if isinstance(x, dict):
        return {k: _without_arrays(v, replace) for k, v in x.items()}
    if isinstance(x, list):
        return [_without_arrays(v, replace) for v in x]
    return replace(x) if isinstance(x, np.ndarray) else x
