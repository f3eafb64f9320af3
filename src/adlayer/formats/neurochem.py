"""NeuroChem's folders, in which ANI-1x, ANI-1ccx and ANI-2x are published (github.com/aiqm/ani-model-zoo).

An ensemble is a folder with one ``*.params`` (constants of the environment vectors), ``sae_linfit.dat`` (self energies,
hartree) and ``train0``, ``train1``, ..., each with ``networks/ANN-<element>.nnf``, a header before compressed text that
names binary files of float32 weights and biases. A folder ``train0`` alone, with the two files, is one network.
"""

from __future__ import annotations

import bz2
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_numbers

from ..config import nearest
from ..descriptors.aev import AEV
from ..nn.networks import MLP
from ..potential import Potential
from ..potentials.ani import ANI
from ..units import HARTREE

CONSTANTS = {
    "Rcr": "cutoff",
    "Rca": "angular_cutoff",
    "EtaR": "radial_eta",
    "ShfR": "radial_shifts",
    "EtaA": "angular_eta",
    "Zeta": "zeta",
    "ShfA": "angular_shifts",
    "ShfZ": "sections",
}
SINGLE = ("Rcr", "Rca", "EtaR", "EtaA", "Zeta")
ACTIVATIONS = {6: "identity", 9: "celu"}
ENERGIES = "sae_linfit.dat"


def recognizes(path: Path) -> bool:
    """Whether it is a folder with constants and self energies."""
    return path.is_dir() and any(path.glob("*.params")) and (path / ENERGIES).is_file()


def read(path: Path) -> ANI:
    """Read a folder of networks; energies in hartree become eV."""
    path = Path(path)
    if not recognizes(path):
        raise ValueError(f"{path} is not a folder of NeuroChem: it needs a .params file and {ENERGIES}")
    constants, elements = _constants(sorted(path.glob("*.params"))[0])
    energies = _energies(path / ENERGIES)
    if missing := [e for e in elements if e not in energies]:
        raise ValueError(f"{path / ENERGIES} has no energy of {missing[0]}")
    members = [path] if (path / "networks").is_dir() else sorted(path.glob("train[0-9]*"), key=_number)
    if not members:
        raise ValueError(f"{path} has neither networks nor train0, train1, ...")
    read = [{e: _network(member / "networks" / f"ANN-{e}.nnf") for e in elements} for member in members]
    descriptor = AEV(elements, **constants)
    hidden, activations = {}, set()
    for e in elements:
        first = read[0][e]
        for member, networks in zip(members, read):
            if networks[e].sizes != first.sizes or first.sizes[0] != descriptor.n_features:
                raise ValueError(
                    f"{member}: the layers of {e} have {networks[e].sizes} nodes; expected "
                    f"{(descriptor.n_features, *first.sizes[1:])} as the constants and the first member say"
                )
            activations |= set(networks[e].activations[:-1])
        hidden[e] = list(first.sizes[1:-1])
    if len(activations) != 1:
        raise ValueError(f"{path}: hidden layers of all networks have one activation here, not {sorted(activations)}")
    ani = ANI(elements, None, descriptor, hidden, activations.pop(), len(members))
    with torch.no_grad():
        for own, networks in zip(ani.members, read):
            for network, e in zip(own.networks, elements):
                for W, x in zip([*network.weights, *network.biases], [*networks[e].weights, *networks[e].biases]):
                    W.copy_(x)
        ani.energies.copy_(HARTREE * torch.tensor([energies[e] for e in elements], dtype=torch.float64))
    return ani


def write(path: Path, potential: Potential) -> None:
    """Write the folder of an ANI with cosine cutoff and CELU, weights as float32."""
    path = Path(path)
    if not isinstance(potential, ANI):
        raise TypeError(f"neurochem holds an ANI, not a {type(potential).__name__}")
    if path.suffix:
        raise ValueError(f"{path}: neurochem writes a folder, whose name has no ending")
    constants, elements = potential.descriptor.constants, potential.elements
    names = {name for network in potential.members[0].networks for name in network.activations[:-1]}
    if names != {"celu"} or constants["cutoff_function"] != "cos":
        used = f"{', '.join(sorted(names))} and {constants['cutoff_function']}"
        raise ValueError(f"neurochem has celu and the cosine cutoff, not {used}")
    path.mkdir(parents=True, exist_ok=True)
    listed = [f"{theirs} = {_written(constants[ours], theirs)}" for theirs, ours in CONSTANTS.items()]
    (path / "ani.params").write_text("\n".join(["TM = 1", *listed, f"Atyp = [{','.join(elements)}]"]) + "\n")
    energies = (potential.energies / HARTREE).tolist()
    (path / ENERGIES).write_text("".join(f"{e},{k}={x!r}\n" for k, (e, x) in enumerate(zip(elements, energies))))
    for m in range(len(potential.members)):
        folder = path / f"train{m}" / "networks"
        folder.mkdir(parents=True, exist_ok=True)
        for e in elements:
            _write_network(folder / f"ANN-{e}.nnf", potential.network(e, m))


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix("train"))


def _constants(path: Path) -> tuple[dict, list[str]]:
    """Arguments of ``AEV``, and the elements."""
    lines = (line.partition("=") for line in path.read_text().splitlines())
    found = {key.strip(): value.strip().strip("[]").split(",") for key, _, value in lines}
    if missing := [key for key in (*CONSTANTS, "Atyp") if key not in found]:
        raise ValueError(f"{path} has no {missing[0]}{nearest(missing[0], list(found))}")
    elements = [e.strip() for e in found["Atyp"]]
    if unknown := [e for e in elements if e not in atomic_numbers]:
        raise ValueError(f"{path}: {unknown[0]!r} is not a chemical symbol")
    try:
        numbers = {key: [float(x) for x in found[key]] for key in CONSTANTS}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if many := [key for key in SINGLE if len(numbers[key]) > 1]:
        raise ValueError(f"{path}: {many[0]} is one number here, got {len(numbers[many[0]])}")
    return {ours: numbers[key][0] if key in SINGLE else numbers[key] for key, ours in CONSTANTS.items()}, elements


def _energies(path: Path) -> dict[str, float]:
    found = re.findall(r"^\s*([A-Z][a-z]?)\s*,\s*\d+\s*=\s*(\S+)", path.read_text(), re.MULTILINE)
    return {e: float(x) for e, x in found}


def _network(path: Path) -> MLP:
    """A network with its weights, energies in eV."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    data = path.read_bytes()
    try:
        text = bz2.decompress(data[data.index(b"=") + 1 :].lstrip()).decode()
        n_inputs = int(re.search(r"inputsize\s*=\s*(\d+)", text)[1])
    except (ValueError, OSError, TypeError) as error:
        raise ValueError(f"{path} is not a network of NeuroChem: {error}") from None
    layers = [dict(re.findall(r"(\w+)\s*=\s*([^;]+);", layer)) for layer in re.split(r"layer\s*\[", text)[1:]]
    kinds = [int(layer["activation"]) for layer in layers]
    if unknown := [k for k in kinds if k not in ACTIVATIONS]:
        known = ", ".join(f"{k} ({name})" for k, name in ACTIVATIONS.items())
        raise ValueError(f"{path}: activation {unknown[0]} is not read here; known are {known}")
    sizes = [n_inputs, *(int(layer["nodes"]) for layer in layers)]
    network = MLP(sizes, [ACTIVATIONS[k] for k in kinds])
    with torch.no_grad():
        for k, layer in enumerate(layers):
            W, b = network.weights[k], network.biases[k]
            W.copy_(_binary(path, layer["weights"], W.numel()).view_as(W))
            b.copy_(_binary(path, layer["biases"], b.numel()))
        network.weights[-1].mul_(HARTREE)
        network.biases[-1].mul_(HARTREE)
    return network


def _binary(path: Path, name: str, n: int) -> torch.Tensor:
    """The numbers of a file that is named as ``FILE:name[n]``."""
    file = path.parent / name.split(":")[-1].split("[")[0]
    values = np.fromfile(file, "<f4") if file.is_file() else []
    if len(values) != n:
        raise ValueError(f"{file} has {len(values)} numbers; the layer that {path.name} describes needs {n}")
    return torch.from_numpy(values.astype(np.float64))


def _written(value: float | list[float], key: str) -> str:
    """Shifts and what is a list of one there in brackets."""
    numbers = [value] if isinstance(value, float | int) else value
    text = ",".join(repr(float(x)) for x in numbers)
    return text if key in ("Rcr", "Rca") else f"[{text}]"


def _write_network(path: Path, network: MLP) -> None:
    lines = [f"inputsize={network.sizes[0]};", f"atom_net {path.stem.removeprefix('ANN-')} $"]
    codes = {name: k for k, name in ACTIVATIONS.items()}
    for k, (n_in, n_out) in enumerate(pairwise(network.sizes)):
        unit = 1 / HARTREE if k == len(network.weights) - 1 else 1.0
        files = {}
        for key, x in (("weights", network.weights[k]), ("biases", network.biases[k])):
            name = f"{path.name}-l{k + 1}.{key[0]}param"
            (unit * x.detach()).cpu().numpy().astype("<f4").tofile(path.parent / name)
            files[key] = f"{key}=FILE:{name}[{math.prod(x.shape)}];"
        settings = [f"nodes={n_out};", f"activation={codes[network.activations[k]]};", "type=0;", f"blocksize={n_in};"]
        lines += ["layer [", *settings, *files.values(), "]"]
    text = bz2.compress(("\n".join(lines) + "\n\n $ ").encode())
    path.write_bytes(f"{len(text)}=\n".encode() + text)
