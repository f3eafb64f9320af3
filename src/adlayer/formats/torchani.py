"""TorchANI's potentials: the state of a ``torchani`` model as ``torch.save`` writes it, of version 1 or 2.

A state holds no cutoffs, which follow from the evenly spaced shifts, and names no functions: networks with biases have
ANI's CELU and the cosine cutoff, those without, as ``simple_ani`` makes them, GELU and the smooth cutoff. Where that is
not so, say it: ``ani_of_state(torch.load(path), activation=..., cutoff_function=...)``.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers, chemical_symbols
from torch import Tensor

from ..descriptors.aev import AEV
from ..potential import Potential
from ..potentials.ani import ANI
from ..units import HARTREE

SUFFIXES = (".pt", ".pth")
CONSTANTS = {
    "radial.eta": ("EtaR", "radial_eta"),
    "radial.shifts": ("ShfR", "radial_shifts"),
    "angular.eta": ("EtaA", "angular_eta"),
    "angular.zeta": ("Zeta", "zeta"),
    "angular.shifts": ("ShfA", "angular_shifts"),
    "angular.sections": ("ShfZ", "sections"),
}
LAYER = re.compile(
    r"(?:.*neural_networks\.)?(?:members\.)?(?:(\d+)\.)?(?:atomics\.)?([A-Z][a-z]?)\.(?:layers\.)?(\d+|final_layer)"
    r"\.(weight|bias)"
)


def recognizes(path: Path) -> bool:
    """Whether it is a file of PyTorch whose entries are those of a TorchANI model."""
    if path.suffix not in SUFFIXES or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.endswith("data.pkl")]
        return bool(names) and b"aev_computer." in archive.read(names[0])


def read(path: Path) -> ANI:
    """Read the state of a model with random or trained networks; its energies in hartree become eV."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is not a state: save model.state_dict(), not the model ({error})") from error
    return ani_of_state(state)


def ani_of_state(state: Mapping[str, Tensor], **arguments: Any) -> ANI:
    """From ``model.state_dict()``.

    Args:
        state: of a TorchANI model.
        arguments: activation, and any of ``AEV``, where they are not what the state suggests.
    """
    others = {m[1] for k in state if (m := re.match(r"potentials\.(\w+)\.", k))} - {"nnp"}
    others |= {m[0] for k in state if (m := re.search(r"\w*charge\w*", k))}
    if others:
        raise ValueError(f"this model also holds {', '.join(sorted(others))}, which ANI does not")
    layers: dict[tuple[int, str], dict[int, dict[str, Tensor]]] = {}
    for name, x in state.items():
        if m := LAYER.fullmatch(name):
            place = 10**6 if m[3] == "final_layer" else int(m[3])
            layers.setdefault((int(m[1] or 0), m[2]), {}).setdefault(place, {})[m[4]] = x.double()
    if not layers:
        raise ValueError("this is not the state of a TorchANI model: it has no networks")
    members = 1 + max(m for m, _ in layers)
    elements = list(dict.fromkeys(e for _, e in layers))
    if (order := _ends_with(state, "atomic_numbers")) is not None:
        elements = [chemical_symbols[z] for z in order.tolist()]
    stacks = {key: [stack[k] for k in sorted(stack)] for key, stack in layers.items()}
    biased = any("bias" in layer for stack in stacks.values() for layer in stack)
    constants = {
        "cutoff_function": "cos" if biased else "exp",
        **{ours: _constant(state, new, old) for new, (old, ours) in CONSTANTS.items()},
    }
    for name, of in (("cutoff", "radial_shifts"), ("angular_cutoff", "angular_shifts")):
        constants[name] = arguments.pop(name) if name in arguments else _end(constants[of], name)
    activation = arguments.pop("activation", "celu" if biased else "gelu")
    hidden = {e: [len(layer["weight"]) for layer in stacks[0, e][:-1]] for e in elements}
    ani = ANI(elements, None, AEV(elements, **{**constants, **arguments}), hidden, activation, members)
    with torch.no_grad():
        for m, e in stacks:
            network = ani.members[m].networks[elements.index(e)]
            for layer, W, b in zip(stacks[m, e], network.weights, network.biases, strict=True):
                if layer["weight"].shape != W.shape:
                    raise ValueError(f"a layer of {e} is {tuple(layer['weight'].shape)}, not {tuple(W.shape)}")
                unit = HARTREE if W is network.weights[-1] else 1.0
                W.copy_(unit * layer["weight"])
                b.copy_(unit * layer["bias"] if "bias" in layer else torch.zeros_like(b))
        if (own := _ends_with(state, "self_energies")) is not None:
            ani.energies.copy_(HARTREE * own.double())
    return ani


def _ends_with(state: Mapping[str, Tensor], name: str) -> Tensor | None:
    return next((x for k, x in state.items() if k == name or k.endswith("." + name)), None)


def _constant(state: Mapping[str, Tensor], *names: str) -> float | list[float]:
    """One of the numbers of the environment vectors, with the digits of its type."""
    for name in names:
        if (x := _ends_with(state, f"aev_computer.{name}")) is not None or (x := state.get(name)) is not None:
            values = x.double().flatten().tolist()
            return values if name.split(".")[-1].startswith(("sh", "Sh", "se")) else values[0]
    raise ValueError(f"this is not the state of a TorchANI model: it has no {names[0]}")


def _end(shifts: list[float], name: str) -> float:
    """The cutoff of evenly spaced shifts, which would come next."""
    step = (shifts[-1] - shifts[0]) / max(len(shifts) - 1, 1)
    if len(shifts) < 2 or any(abs(shifts[0] + k * step - x) > 1e-5 for k, x in enumerate(shifts)):
        raise ValueError(f"the shifts are not evenly spaced, so that {name} must be given")
    return round(shifts[-1] + step, 4)


def write(path: Path, potential: Potential) -> None:
    """Write the state for ``model.load_state_dict`` of a TorchANI 2 model of the same form."""
    if not isinstance(potential, ANI):
        raise TypeError(f"torchani holds an ANI, not a {type(potential).__name__}")
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{path}: the name of a state must end in {' or '.join(SUFFIXES)}")
    elements, constants = potential.elements, potential.descriptor.constants
    numbers = torch.tensor([atomic_numbers[e] for e in elements])
    place = torch.full((120,), -1)
    place[numbers] = torch.arange(len(elements))
    n = len(elements)
    pair = torch.zeros(n, n, dtype=torch.long)
    a, b = torch.triu_indices(n, n)
    pair[a, b] = pair[b, a] = torch.arange(len(a))
    state = {
        "atomic_numbers": numbers,
        "energy_shifter.self_energies": potential.energies / HARTREE,
        "species_converter.conv_tensor": place,
        "potentials.nnp.aev_computer.triu_index": pair,
    }
    for theirs, (_, ours) in CONSTANTS.items():
        state[f"potentials.nnp.aev_computer.{theirs}"] = torch.tensor(constants[ours], dtype=torch.float64).view(-1)
    for m in range(len(potential.members)):
        prefix = f"members.{m}." if len(potential.members) > 1 else ""
        for e in elements:
            network = potential.network(e, m)
            for k, (W, b) in enumerate(zip(network.weights, network.biases)):
                last = W is network.weights[-1]
                where = f"potentials.nnp.neural_networks.{prefix}atomics.{e}.{'final_layer' if last else f'layers.{k}'}"
                for part, x in (("weight", W), ("bias", b)):
                    state[f"{where}.{part}"] = x.detach() / (HARTREE if last else 1.0)
    torch.save(state, path)
