"""Folders of n2p2 and RuNNer: input.nn, scaling.data and weights.NNN.data, in and out.

Facts that are not in the files: elements are ordered by atomic number; symmetry functions of an element are sorted by
type and then by their parameters; columns of a weight matrix run over the nodes of the layer; energies and lengths have
whatever units the training data had, by custom Hartree and Bohr. What is written here says so in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_numbers

from ..descriptors.acsf import ACSF
from ..descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    AngularCompact,
    AngularGaussian,
    RadialCompact,
    RadialGaussian,
    SymmetryFunction,
)
from ..nn.networks import MLP
from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.hdnnp import HDNNP
from ..units import BOHR, HARTREE

UNITS = {"ev": 1.0, "ha": HARTREE, "hartree": HARTREE, "angstrom": 1.0, "å": 1.0, "bohr": BOHR}
ACTIVATIONS = {
    "l": "identity",
    "t": "tanh",
    "s": "logistic",
    "p": "softplus",
    "r": "relu",
    "g": "gaussian",
    "c": "cos",
    "S": "reverse_logistic",
    "e": "exp",
    "h": "harmonic",
}
CUTOFF_NUMBERS = {"hard": 0, "cos": 1, "tanhu": 2, "tanh": 3, "exp": 4, "poly1": 5, "poly2": 6, "poly3": 7, "poly4": 8}
SUBTYPES = {"poly1": "p1", "poly2": "p2", "poly3": "p3", "poly4": "p4", "exp": "e"}


def recognizes(path: str | Path) -> bool:
    """Whether a folder holds an n2p2 potential."""
    path = Path(path)
    return path.is_dir() and (path / "input.nn").is_file() and any(path.glob("weights.*.data"))


def read(path: str | Path, energy: str | None = None, length: str | None = None) -> HDNNP:
    """Read a potential of the second generation (short-ranged energies).

    Args:
        path: the folder.
        energy: unit of its energies, "eV" or "Hartree"; what a comment in input.nn says, else Hartree.
        length: unit of its lengths, "Angstrom" or "Bohr"; what a comment in input.nn says, else Bohr.
    """
    path = Path(path)
    if not (path / "input.nn").is_file():
        raise FileNotFoundError(
            f"{path} has no input.nn; expected a folder with input.nn, scaling.data, weights.*.data"
        )
    text = (path / "input.nn").read_text()
    settings = _Settings(text, path / "input.nn")
    eV, Å = _unit(energy, text, "energy", "hartree"), _unit(length, text, "length", "bohr")
    if (kind := settings.get("nnp_type", "2G-HDNNP")) not in ("2G-HDNNP", "0"):
        raise ValueError(f"{path} is of nnp_type {kind}; only the short-ranged 2G-HDNNP is read here")
    elements = settings["elements"].split()
    if unknown := [e for e in elements if e not in atomic_numbers]:
        raise ValueError(f"{path}/input.nn: {unknown[0]!r} is not a chemical symbol")
    elements.sort(key=lambda e: atomic_numbers[e])
    functions = [_function(line.split(), Å, path) for line in settings.all("symfunction_short")]
    functions.sort(key=lambda f: _order(f, elements))
    kind, *alpha = settings["cutoff_type"].split()
    descriptor = ACSF(
        elements,
        functions=functions,
        cutoff_function=CUTOFF_FUNCTIONS[int(kind)],
        inner=float(alpha[0]) if alpha and kind not in ("0", "2", "3") else 0.0,
    )
    scale, center, sigma = (
        settings.has(k)
        for k in ("scale_symmetry_functions", "center_symmetry_functions", "scale_symmetry_functions_sigma")
    )
    scaling = "scale_center" if scale and center else "scale" if scale else "center" if center else "none"
    scaling = "sigma" if sigma and scaling == "none" else scaling
    numbers = {e: _numbers(path / f"weights.{atomic_numbers[e]:03d}.data") for e in elements}
    layers = {e: _architecture(settings, e, len(descriptor.of_element[e]), len(numbers[e]), path) for e in elements}
    potential = HDNNP(
        elements,
        descriptor=descriptor,
        hidden={e: nodes for e, (nodes, _) in layers.items()},
        activation={e: names for e, (_, names) in layers.items()},
        scaling=scaling,
        scaled_to=[float(settings.get("scale_min_short", 0.0)), float(settings.get("scale_max_short", 1.0))],
    )
    if scaling != "none":
        _read_scaling(path / "scaling.data", potential)
    for e, network in zip(elements, potential.networks.networks):
        _set_weights(network, numbers[e], settings.has("normalize_nodes"))
    if settings.has("conv_energy"):
        potential.energy_scale.fill_(eV / float(settings["conv_energy"]))
        potential.energies.fill_(eV * float(settings["mean_energy"]))
    else:
        potential.energy_scale.fill_(eV)
    for line in settings.all("atom_energy"):
        e, value = line.split()[:2]
        potential.energies[elements.index(e)] += eV * float(value)
    return potential


def write(path: str | Path, potential: Potential, energy: str = "eV", length: str = "Angstrom") -> None:
    """Write a potential, ``HDNNP(...)`` of symmetry functions or with ``ReferenceEnergies`` added to it, into a folder.

    Args:
        path: the folder; made if it is not there.
        potential: what is written.
        energy: unit of energies, "eV" or "Hartree".
        length: unit of lengths, "Angstrom" or "Bohr".
    """
    potential, energies = _with_energies(potential)
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    eV, Å = UNITS[energy.lower()], UNITS[length.lower()]
    d: ACSF = potential.descriptor
    elements = sorted(potential.elements, key=lambda e: atomic_numbers[e])
    lines = [
        f"# units: energy {energy}, length {length}",
        f"number_of_elements {len(elements)}",
        f"elements {' '.join(elements)}",
        *(f"atom_energy {e} {energies[e] / eV!r}" for e in elements if energies[e]),
    ]
    if (scale := float(potential.energy_scale) / eV) != 1:
        lines += ["mean_energy 0.0", f"conv_energy {1 / scale!r}", "conv_length 1.0"]
    lines += [f"cutoff_type {CUTOFF_NUMBERS[d.cutoff_function]} {d.inner!r}"]
    lines += {
        "none": [],
        "center": ["center_symmetry_functions"],
        "scale": ["scale_symmetry_functions"],
        "scale_center": ["scale_symmetry_functions", "center_symmetry_functions"],
        "sigma": ["scale_symmetry_functions_sigma"],
    }[potential.scaling]
    a, b = potential.scaled_to
    lines += [f"scale_min_short {a!r}", f"scale_max_short {b!r}"]
    networks = dict(zip(potential.elements, potential.networks.networks))
    lines += _layers({e: networks[e] for e in elements})
    order = {e: _sorted(d.of_element[e], elements) for e in elements}
    lines += [f"symfunction_short {_line(d.of_element[e][k], Å)}" for e in elements for k in order[e]]
    (path / "input.nn").write_text("\n".join(lines) + "\n")
    rows = ["# element  function  minimum  maximum  mean  sigma"]
    for n, e in enumerate(elements):
        s = potential.elements.index(e)
        for m, k in enumerate(order[e]):
            statistics = (getattr(potential, x)[s, k].item() for x in ("minimum", "maximum", "mean", "sigma"))
            rows.append(f"{n + 1} {m + 1} " + " ".join(f"{x:.17g}" for x in statistics))
        _write_weights(path / f"weights.{atomic_numbers[e]:03d}.data", networks[e], order[e])
    (path / "scaling.data").write_text("\n".join(rows) + "\n")


class _Settings:
    """Keywords of input.nn; a keyword may come several times."""

    def __init__(self, text: str, path: Path):
        self.path, self.lines = path, []
        for line in text.splitlines():
            words = line.split("#")[0].split(maxsplit=1)
            if words:
                self.lines.append((words[0], words[1].strip() if len(words) > 1 else ""))

    def all(self, key: str) -> Iterator[str]:
        return (value for k, value in self.lines if k == key)

    def has(self, key: str) -> bool:
        return any(k == key for k, _ in self.lines)

    def get(self, key: str, default=None):
        return next(self.all(key), default)

    def __getitem__(self, key: str) -> str:
        if not self.has(key):
            raise ValueError(f"{self.path} has no keyword {key}")
        return self.get(key)


def _unit(given: str | None, text: str, kind: str, default: str) -> float:
    found = re.search(rf"# units:.*{kind} (\w+)", text)
    name = (given or (found.group(1) if found else default)).lower()
    if name not in UNITS:
        raise ValueError(f"no unit {name!r} of {kind}; there are eV, Hartree, Angstrom, Bohr")
    return UNITS[name]


def _function(words: list[str], Å: float, path: Path) -> SymmetryFunction:
    """From a line of input.nn."""
    center, kind, *rest = words
    try:
        if kind in ("2", "12"):
            neighbor, (eta, shift, cutoff) = (rest[0], rest[1:4]) if kind == "2" else (None, rest[:3])
            return RadialGaussian(center, neighbor, float(eta) / Å**2, float(shift) * Å, float(cutoff) * Å)
        if kind in ("3", "9"):
            eta, sign, zeta, cutoff, shift = map(float, [*rest[2:], 0][:5])
            pair = (rest[0], rest[1])
            return AngularGaussian(center, pair, eta / Å**2, zeta, sign, shift * Å, cutoff * Å, kind == "3")
        if kind == "13":
            eta, shift, sign, zeta, cutoff = map(float, rest[:5])
            return AngularGaussian(center, None, eta / Å**2, zeta, sign, shift * Å, cutoff * Å, True)
        if kind in ("20", "21", "22", "23", "24", "25"):
            names = rest[: {"20": 1, "21": 2, "22": 2}.get(kind, 0)]
            *ends, subtype = rest[len(names) :]
            shape = next(k for k, v in SUBTYPES.items() if v[:2] == subtype[:2] or v == subtype[:1])
            inner, cutoff, *angles = map(float, ends)
            bent = subtype.endswith("a")
            if kind in ("20", "23"):
                return RadialCompact(center, *(names or [None]), inner * Å, cutoff * Å, shape, bent)
            pair = tuple(names) or None
            return AngularCompact(center, pair, inner * Å, cutoff * Å, *angles, shape, bent, kind not in ("22", "25"))
    except (ValueError, IndexError, TypeError, StopIteration):
        raise ValueError(f"{path}/input.nn: cannot read 'symfunction_short {' '.join(words)}'") from None
    raise ValueError(f"{path}/input.nn: symmetry function type {kind}; known are 2, 3, 9, 12, 13 and 20 to 25")


def _type(f: SymmetryFunction) -> int:
    all_neighbors = (f.neighbor if hasattr(f, "neighbor") else f.neighbors) is None
    if isinstance(f, RadialGaussian):
        return 12 if all_neighbors else 2
    if isinstance(f, RadialCompact):
        return 23 if all_neighbors else 20
    if isinstance(f, AngularCompact):
        return (24 if f.narrow else 25) if all_neighbors else (21 if f.narrow else 22)
    if all_neighbors and not f.narrow:
        raise ValueError("n2p2 has no weighted wide Gaussian angular function; use narrow ones")
    return 13 if all_neighbors else 3 if f.narrow else 9


def _subtype(f: RadialCompact | AngularCompact) -> str:
    return SUBTYPES[f.shape] + ("a" if f.asymmetric else "")


def _line(f: SymmetryFunction, Å: float) -> str:
    """A line of input.nn."""
    kind = _type(f)
    if isinstance(f, RadialGaussian):
        rest = [f.neighbor, f.eta * Å**2, f.shift / Å, f.cutoff / Å]
    elif isinstance(f, AngularGaussian):
        rest = [f.eta * Å**2, f.sign, f.zeta, f.cutoff / Å, f.shift / Å]
        if kind == 13:
            rest = [f.eta * Å**2, f.shift / Å, f.sign, f.zeta, f.cutoff / Å]
        rest = [*(f.neighbors or ()), *rest]
    elif isinstance(f, RadialCompact):
        rest = [f.neighbor, f.inner / Å, f.cutoff / Å, _subtype(f)]
    else:
        rest = [*(f.neighbors or ()), f.inner / Å, f.cutoff / Å, f.left, f.right, _subtype(f)]
    return " ".join(
        [f.center, str(kind), *(x if isinstance(x, str) else repr(float(x)) for x in rest if x is not None)]
    )


def _order(f: SymmetryFunction, elements: list[str]) -> tuple:
    """By what n2p2 sorts the functions of an element."""
    names = () if isinstance(f, RadialGaussian | RadialCompact) else f.neighbors or ()
    names = names or ((f.neighbor,) if getattr(f, "neighbor", None) else ())
    others = tuple(sorted(elements.index(e) for e in names))
    kind = _type(f)
    if isinstance(f, RadialGaussian):
        return kind, f.cutoff, f.eta, f.shift, others
    if isinstance(f, AngularGaussian):
        return kind, f.cutoff, f.eta, f.shift, f.zeta, f.sign, others
    ends = (f.cutoff, f.inner) if isinstance(f, RadialCompact) else (f.cutoff, f.inner, f.left, f.right)
    return kind, _subtype(f), others, *ends


def _sorted(functions: list[SymmetryFunction], elements: list[str]) -> list[int]:
    return sorted(range(len(functions)), key=lambda k: _order(functions[k], elements))


def _architecture(
    settings: _Settings, element: str, n_inputs: int, n_numbers: int, path: Path
) -> tuple[list[int], list[str]]:
    """Nodes of the hidden layers and activations of all, of the network of an element.

    n2p2 does not apply ``element_nodes_short`` to the last hidden layer, nor ``element_activation_short`` to the output
    layer, and keeps the global settings there; whichever reading fits the number of weights is taken.
    """

    def words(key: str) -> list[str]:
        own = [line.split()[1:] for line in settings.all(f"element_{key}_short") if line.split()[0] == element]
        return own[-1] if own else settings.get(f"global_{key}_short", "").split()

    n_hidden = int(words("hidden_layers")[0])
    nodes = [int(x) for x in words("nodes")][:n_hidden]
    names = words("activation")
    everywhere = settings.get("global_nodes_short", "").split()
    choices = [nodes]
    if len(everywhere) == n_hidden > 0:
        choices.append([*nodes[:-1], int(everywhere[-1])])
    if len(output := settings.get("global_activation_short", "").split()) == n_hidden + 1:
        names = [*names[:-1], output[-1]]
    for choice in choices:
        sizes = [n_inputs, *choice, 1]
        if len(choice) == n_hidden and sum((a + 1) * b for a, b in pairwise(sizes)) == n_numbers:
            if len(names) != n_hidden + 1 or any(x not in ACTIVATIONS for x in names):
                raise ValueError(
                    f"{path}/input.nn: activations {' '.join(names)} of {element} for {n_hidden + 1} layers"
                )
            return choice, [ACTIVATIONS[x] for x in names]
    sizes = "-".join(map(str, [n_inputs, *nodes, 1]))
    Z = atomic_numbers[element]
    raise ValueError(f"{path}/weights.{Z:03d}.data holds {n_numbers} numbers, which do not make a network of {sizes}")


def _layers(networks: dict[str, MLP]) -> list[str]:
    """Architectures in input.nn: those of the first element for all, and what differs."""
    letters = {name: letter for letter, name in ACTIVATIONS.items()}

    def describe(network: MLP) -> tuple[str, str]:
        if unknown := [x for x in network.activations if x not in letters]:
            raise ValueError(f"n2p2 has no activation {unknown[0]!r}; it has {', '.join(letters)}")
        return " ".join(map(str, network.sizes[1:-1])), " ".join(letters[x] for x in network.activations)

    first, *others = networks.values()
    if any(len(n.sizes) != len(first.sizes) or n.sizes[-2] != first.sizes[-2] for n in others if len(n.sizes) > 2):
        raise ValueError("n2p2 wants as many hidden layers, and an equally large last one, for every element")
    if any(n.activations[-1] != first.activations[-1] for n in others):
        raise ValueError("n2p2 wants the same activation of the output for every element")
    nodes, names = describe(first)
    lines = [f"global_hidden_layers_short {len(first.sizes) - 2}", f"global_activation_short {names}"]
    lines += [f"global_nodes_short {nodes}"] if nodes else []
    for e, network in networks.items():
        own_nodes, own_names = describe(network)
        lines += [f"element_nodes_short {e} {own_nodes}"] if own_nodes != nodes else []
        lines += [f"element_activation_short {e} {own_names}"] if own_names != names else []
    return lines


def _numbers(path: Path) -> np.ndarray:
    """The first column of a file of weights."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; there is one for each element that input.nn names")
    return np.loadtxt(path, usecols=0, ndmin=1)


def _set_weights(network: MLP, numbers: np.ndarray, normalized: bool) -> None:
    start = 0
    for W, b in zip(network.weights, network.biases):
        n_out, n_in = W.shape
        block = torch.from_numpy(numbers[start : start + (n_in + 1) * n_out]).reshape(n_in + 1, n_out)
        block = block / n_in if normalized else block
        W.data, b.data = block[:-1].T.contiguous(), block[-1].clone()
        start += (n_in + 1) * n_out


def _write_weights(path: Path, network: MLP, order: list[int]) -> None:
    rows = []
    for layer, (W, b) in enumerate(zip(network.weights, network.biases), start=1):
        W = W.detach()[:, order] if layer == 1 else W.detach()
        n = W.shape[1]
        rows += [
            f"{W[k, m].item():.17g} a {layer - 1} {m + 1} {layer} {k + 1}" for m in range(n) for k in range(len(W))
        ]
        rows += [f"{x:.17g} b {layer} {k + 1}" for k, x in enumerate(b.tolist())]
    path.write_text("# value, a (weight) or b (bias), layer and node\n" + "\n".join(rows) + "\n")


def _read_scaling(path: Path, potential: HDNNP) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}, though input.nn asks for scaled symmetry functions")
    rows = [
        [float(x) for x in line.split()] for line in path.read_text().splitlines() if line.strip()[:1] not in ("#", "")
    ]
    names = ("minimum", "maximum", "mean", "sigma")
    for e, k, *values in (row for row in rows if len(row) >= 5):
        if int(e) > len(potential.elements) or int(k) > len(
            potential.descriptor.of_element[potential.elements[int(e) - 1]]
        ):
            raise ValueError(f"{path} has a row of element {int(e)}, function {int(k)}, which input.nn does not have")
        for name, value in zip(names, values):
            getattr(potential, name)[int(e) - 1, int(k) - 1] = value
    expected = sum(map(len, potential.descriptor.of_element.values()))
    if len({tuple(row[:2]) for row in rows if len(row) >= 5}) != expected:
        raise ValueError(f"{path} has not one row for each of the {expected} symmetry functions of input.nn")


def _with_energies(potential: Potential) -> tuple[HDNNP, dict[str, float]]:
    """The one HDNNP in a potential, and energies of the elements from it and its companions."""
    parts = list(potential.parts) if isinstance(potential, Sum) else [potential]
    main = [p for p in parts if isinstance(p, HDNNP)]
    others = [p for p in parts if not isinstance(p, HDNNP)]
    if (
        len(main) != 1
        or any(not isinstance(p, ReferenceEnergies) for p in others)
        or not isinstance(main[0].descriptor, ACSF)
    ):
        names = " + ".join(type(p).__name__ for p in parts)
        raise ValueError(f"n2p2 holds one HDNNP of symmetry functions, with reference energies at most; got {names}")
    energies = dict(zip(main[0].elements, main[0].energies.tolist()))
    for p in others:
        for e, x in zip(p.elements, p.energies.tolist()):
            energies[e] = energies.get(e, 0.0) + x
    return main[0], energies
