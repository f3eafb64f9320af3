"""PACE potentials of python-ace and LAMMPS: ``.yace`` (the C-tilde basis) and ``.yaml`` (the B-basis), in and out.

A ``.yace`` holds the coefficients of products of complex harmonics, and reference energies; the other those of
invariants, from which python-ace makes the former.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_numbers

from ..nn.cluster_expansion import Channel
from ..nn.pace_bonds import Bond
from ..nn.pace_couplings import coupled, from_complex, paths, to_complex
from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.ace import ACE
from ..potentials.pace import PACE, Embedding

CTILDE, BBASIS = ".yace", (".yaml", ".yml")
POWERS = {"FinnisSinclairShiftedScaled": True, "FinnisSinclair": False}


def recognizes(path: Path) -> bool:
    """Whether it is a ``.yace``, or YAML with blocks of species."""
    if not path.is_file() or path.suffix not in (CTILDE, *BBASIS):
        return False
    with path.open(errors="replace") as file:
        return path.suffix == CTILDE or any("speciesblock" in line for line, _ in zip(file, range(99)))


def read(path: Path) -> Potential:
    """Read ``PACE``, with ``ReferenceEnergies`` where there are any."""
    path = Path(path)
    tree = _load(path)
    try:
        return _from_ctilde(tree) if path.suffix == CTILDE else _from_bbasis(tree)
    except KeyError as missing:
        raise ValueError(f"{path} does not give {missing}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _load(path: Path) -> dict:
    """All scalars as text, and keys such as ``[0, 1]`` as ``0 1``."""
    try:
        import yaml
    except ImportError:
        raise ImportError(f"{path} needs PyYAML: pip install pyyaml") from None
    text = re.sub(r"^(\s*)\[(\d+), *(\d+)\] *:", r"\1\2 \3:", path.read_text(), flags=re.MULTILINE)
    try:
        tree = yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds no potential of PACE")
    return tree


def _from_ctilde(tree: dict) -> Potential:
    elements = tree["elements"]
    bonds = {}
    for key, b in tree["bonds"].items():
        center, neighbor = (elements[int(k)] for k in key.split())
        bonds[f"{center}-{neighbor}"] = _bond(
            *(b[k] for k in ("radbasename", "rcut", "radparameters", "dcut")),
            *(b.get(k, "0") for k in ("rcut_in", "dcut_in", "prehc", "lambdahc")),
            b["radcoefficients"],
        )
    embeddings = {
        elements[int(key)]: _embedding(e["npoti"], e["FS_parameters"], e["rho_core_cutoff"], e["drho_core_cutoff"])
        for key, e in tree["embeddings"].items()
    }
    terms = []
    for element, functions in tree["functions"].items():
        for f in functions or ():
            ls, ns, mus, ms = (_whole(f[k]) for k in ("ls", "ns", "mus", "ms_combs"))
            channels = [Channel(l, mu, n - 1) for l, mu, n in zip(ls, mus, ns)]
            ms = tuple(tuple(ms[k : k + len(ls)]) for k in range(0, len(ms), len(ls)))
            terms.append((int(element), channels, ms, np.array(f["ctildes"], float).reshape(len(ms), -1)))
    cores = {b.get("inner_cutoff_type", "density") for b in tree["bonds"].values()}
    potential = _potential(elements, bonds, embeddings, cores, tree, terms)
    energies = dict(zip(elements, map(float, tree.get("E0", ()))))
    return ReferenceEnergies(energies) + potential if any(energies.values()) else potential


def _from_bbasis(tree: dict) -> Potential:
    names = [block["speciesblock"].split() for block in tree["species"]]
    elements = sorted(names[0] for names in names if len(names) == 1)
    bonds, embeddings, terms, cores = {}, {}, [], set()
    for name, b in zip(names, tree["species"]):
        if len(name) == 1:
            cut = b.get("rho_core_cut", "100000"), b.get("drho_core_cut", "250")
            embeddings[name[0]] = _embedding(b["npoti"], b["parameters"], *cut)
        if len(name) <= 2:
            bonds[f"{name[0]}-{name[-1]}"] = _bond(
                *(b[k] for k in ("radbase", "rcutij", "radparameters", "dcutij")),
                *(b.get(k, "0") for k in ("r_in", "delta_in")),
                *b.get("core-repulsion", ("0", "0")),
                b["radcoefficients"],
            )
            cores.add(b.get("inner_cutoff_type", "density"))
        for f in b.get("nbody") or ():
            center, *others = (elements.index(e) for e in f["type"].split())
            channels = [Channel(l, mu, n - 1) for l, mu, n in zip(_whole(f["nl"]), others, _whole(f["nr"]))]
            terms.append((center, channels, tuple(_whole(f.get("lint", ()))), np.array(f["c"], float)))
    return _potential(elements, bonds, embeddings, cores, tree.get("global", tree), terms)


def _bond(radial, cutoff, parameters, width, end, length, prefactor, exponent, coefficients) -> dict:
    C = np.array(coefficients, float)
    known = C.ndim == 3 and not np.array_equal(C, np.broadcast_to(np.eye(*C.shape[::2])[:, None], C.shape))
    return {
        **{"radial": radial, "cutoff": float(cutoff), "steepness": float(parameters[0]), "width": float(width)},
        **{"inner": [float(end), float(length)], "repulsion": [float(prefactor), float(exponent)]},
        **({"coefficients": C.tolist()} if known else {}),
    }


def _embedding(kind: str, parameters: list, end: str, length: str) -> dict:
    if kind not in POWERS:
        raise ValueError(f"embeddings are {' or '.join(POWERS)}, not {kind!r}")
    terms = np.array(parameters, float).reshape(-1, 2).tolist()
    return {"terms": terms, "shifted": POWERS[kind], "core": [float(end), float(length)]}


def _potential(elements: list, bonds: dict, embeddings: dict, cores: set, tree: dict, terms: list) -> PACE:
    """The potential, and its coefficients from terms ``(center, channels, what, coefficients)``.

    What is the products of complex harmonics, or the intermediate degrees of one invariant.
    """
    if unknown := [e for e in elements if e not in atomic_numbers]:
        raise ValueError(f"{unknown[0]!r} is not a chemical symbol")
    if len(cores) > 1:
        raise ValueError(f"inner_cutoff_type must be the same for all bonds, not {' and '.join(sorted(cores))}")
    functions = list(dict.fromkeys(tuple(sorted(channels)) for _, channels, *_ in terms))
    spacing = float(tree.get("deltaSplineBins", tree.get("DeltaSplineBins", "0.001")))
    potential = PACE(
        elements,
        core=cores.pop(),
        bonds=bonds,
        embeddings=embeddings,
        functions=[[list(c) for c in f] for f in functions],
        spacing=spacing,
    )
    place: dict[tuple, list[int]] = {}
    for k, f in enumerate(potential.functions):
        place.setdefault(f, []).append(k)
    c = np.zeros(tuple(potential.c.shape))
    for center, channels, what, coefficients in terms:
        f, order = potential.arrange(channels)
        ls, same = tuple(channel.l for channel in f), tuple(f.index(channel) for channel in f)
        if what and isinstance(what[0], tuple):
            mine = tuple(tuple(m[k] for k in order) for m in what)
            X = from_complex(ls, same, mine) @ coefficients
        else:
            X = np.outer(coupled(tuple(channel.l for channel in channels), order, same, what), coefficients)
        c[center, : X.shape[1], place.get(f, [])] += X.reshape(-1, X.shape[1])
    potential.c.data = torch.from_numpy(c)
    return potential


def _whole(values: list) -> list[int]:
    return [int(v) for v in values]
