"""PACE potentials of python-ace and LAMMPS: ``.yace`` (the C-tilde basis) and ``.yaml`` (the B-basis), in and out.

A ``.yace`` holds the coefficients of products of complex harmonics, and reference energies; the other those of
invariants, from which python-ace makes the former.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

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
    if C.size and C.ndim != 3:
        raise ValueError(f"radial coefficients must have the shape [n][l][k], got {list(C.shape)}")
    known = C.size and not np.array_equal(C, np.broadcast_to(np.eye(*C.shape[::2])[:, None], C.shape))
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
    functions: dict[str, list] = {e: [] for e in elements}
    for center, channels, *_ in terms:
        functions[elements[center]].append([list(c) for c in sorted(channels)])
    spacing = float(tree.get("deltaSplineBins", tree.get("DeltaSplineBins", "0.001")))
    potential = PACE(
        elements,
        core=cores.pop(),
        bonds=bonds,
        embeddings=embeddings,
        functions=functions if len(elements) > 1 else functions[elements[0]],
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


def write(path: Path, potential: Potential) -> None:
    """Write ``PACE``, or an ``ACE`` of its radial functions, alone or with ``ReferenceEnergies`` (``.yace`` only)."""
    path, parts = Path(path), list(potential.parts) if isinstance(potential, Sum) else [potential]
    clusters = [p for p in parts if isinstance(p, PACE | ACE)]
    others = [p for p in parts if not isinstance(p, PACE | ACE)]
    if len(clusters) != 1 or any(not isinstance(p, ReferenceEnergies) for p in others):
        given = " + ".join(type(p).__name__ for p in parts)
        raise TypeError(f"pace holds one PACE or ACE, with ReferenceEnergies added, not {given}")
    if path.suffix not in (CTILDE, *BBASIS):
        raise ValueError(f"{path}: the name of a PACE must end in {CTILDE} or {BBASIS[0]}")
    pace = _as_pace(clusters[0]) if isinstance(clusters[0], ACE) else clusters[0]
    energies = [sum(p.energies[p.elements.index(e)].item() for p in others) for e in pace.elements]
    if path.suffix != CTILDE and any(energies):
        raise ValueError(f"{path}: the B-basis has no place for reference energies; write a {CTILDE}")
    lines = _ctilde_lines(pace, energies) if path.suffix == CTILDE else _bbasis_lines(pace)
    path.write_text("\n".join(lines) + "\n")


def _as_pace(ace: ACE) -> PACE:
    """The same potential, if its radial functions are combinations of PACE's."""
    names = {"bessel": "SBessel", "chebyshev": "ChebExpCos"}
    radial = ace.arguments.get("radial", "bessel")
    if radial not in names or ace.pair:
        raise ValueError(
            f"PACE has no radial functions of this ACE; make it with pair = 0 and radial = {' or '.join(names)}, not "
            f"pair = {ace.pair} and radial = {radial}"
        )
    sets = ace.expansion.radial
    bond = Bond(names[radial], ace.cutoff, width=1e-3)
    r = torch.linspace(0.1, 0.99, 40 + 2 * sets.n, dtype=torch.float64) * (ace.cutoff - 2 * bond.width)
    zero = torch.zeros(len(r), dtype=torch.long)
    M = torch.linalg.lstsq(bond.base(r, sets.n), sets(r, zero, zero)).solution  # R_n = sum_k g_k M_kn
    l_max = max(c.l for f in ace.functions for c in f)
    pace = PACE(
        list(ace.elements),
        bonds={
            "all": {
                **{"radial": bond.radial, "cutoff": bond.cutoff, "width": bond.width},
                "coefficients": M.T[:, None].expand(-1, l_max + 1, -1).tolist(),
            }
        },
        embedding=ace.embedding,
        functions=[[list(c) for c in f] for f in ace.functions],
    )
    functions = [tuple(sorted(f)) for f in ace.functions]
    place = {labels: pace.functions.index(f) for f, labels in pace.labels.items()}
    c = torch.zeros_like(pace.c)
    done: dict = {}
    for k, f in enumerate(functions):
        if len(f) == 1:
            for n in range(sets.n):
                other = (Channel(0, f[0].element, n),)
                if other in place:
                    c[:, :, place[other]] += ace.c.detach()[:, :, k] * M[n, f[0].n]
        else:
            done[f] = done.get(f, -1) + 1
            c[:, :, place[f] + done[f]] = ace.c.detach()[:, :, k]
    pace.c.data = c
    return pace


def _ctilde_lines(pace: PACE, energies: list[float]) -> Iterator[str]:
    yield f"elements: [{', '.join(pace.elements)}]"
    yield f"E0: {_numbers(energies)}"
    yield f"deltaSplineBins: {pace.spacing!r}"
    yield "embeddings:"
    for k, e in enumerate(pace.embeddings):
        yield (
            f"  {k}: {{ndensity: {len(e.terms)}, FS_parameters: {_numbers(sum(e.terms, ()))}, npoti: {_power(e)}, "
            f"rho_core_cutoff: {e.core[0]!r}, drho_core_cutoff: {e.core[1]!r}}}"
        )
    yield "bonds:"
    n_base, n_max, l_max = _sizes(pace)
    for i, row in enumerate(pace.bonds):
        for j, b in enumerate(row):
            yield (
                f"  [{i}, {j}]: {{nradmax: {n_max}, lmax: {l_max}, nradbasemax: {n_base}, radbasename: {b.radial}, "
                f"radparameters: [{b.steepness!r}], radcoefficients: {_combinations(b, n_base, n_max, l_max)}, "
                f"prehc: {b.repulsion[0]!r}, lambdahc: {b.repulsion[1]!r}, rcut: {b.cutoff!r}, dcut: {b.width!r}, "
                f"rcut_in: {b.inner[0]!r}, dcut_in: {b.inner[1]!r}, inner_cutoff_type: {pace.core}}}"
            )
    yield "functions:"
    for center, embedding in enumerate(pace.embeddings):
        yield f"  {center}:"
        for f in _products(pace, center):
            ms, X = to_complex(f.ls, f.same)
            ms = np.array(ms)[:, np.argsort(f.place)].reshape(-1).tolist()
            yield (
                f"    - {{mu0: {center}, rank: {len(f.ls)}, ndensity: {len(embedding.terms)}, num_ms_combs: {len(X)}, "
                f"mus: {[x.element for x in f.labels]}, ns: {[x.n + 1 for x in f.labels]}, "
                f"ls: {[x.l for x in f.labels]}, ms_combs: {ms}, ctildes: {_numbers((X @ f.c).reshape(-1))}}}"
            )


def _bbasis_lines(pace: PACE) -> Iterator[str]:
    n_base, n_max, l_max = _sizes(pace)
    blocks: dict[tuple[str, ...], list[str]] = {(e,): [] for e in pace.elements}
    blocks |= {(a, b): [] for a in pace.elements for b in pace.elements if a != b}
    for center, element in enumerate(pace.elements):
        for f in _products(pace, center):
            neighbors, ls = [pace.elements[x.element] for x in f.labels], [x.l for x in f.labels]
            block = blocks.setdefault((element, *sorted(set(neighbors) - {element})), [])
            chosen, X = _paths(tuple(ls), f.place, f.same)
            for between, c in zip(chosen, np.linalg.solve(X, f.c)):
                lint = f"lint: {list(between)}, " if len(ls) > 2 else ""
                block.append(
                    f"      - {{type: {' '.join([element, *neighbors])}, nr: {[x.n + 1 for x in f.labels]}, "
                    f"nl: {ls}, {lint}c: {_numbers(c)}}}"
                )
    yield "global:"
    yield f"  DeltaSplineBins: {pace.spacing!r}"
    yield "species:"
    for name, functions in blocks.items():
        if len(name) > 2 and not functions:
            continue
        yield f"  - speciesblock: {' '.join(name)}"
        k = [pace.elements.index(e) for e in name]
        if len(name) == 1:
            e = pace.embeddings[k[0]]
            yield f"    ndensityi: {len(e.terms)}"
            yield f"    npoti: {_power(e)}"
            yield f"    parameters: {_numbers(sum(e.terms, ()))}"
            yield f"    rho_core_cut: {e.core[0]!r}"
            yield f"    drho_core_cut: {e.core[1]!r}"
        if len(name) <= 2:
            b = pace.bonds[k[0]][k[-1]]
            yield f"    nradmaxi: {n_max}"
            yield f"    lmaxi: {l_max}"
            yield f"    rcutij: {b.cutoff!r}"
            yield f"    dcutij: {b.width!r}"
            yield "    NameOfCutoffFunctionij: cos"
            yield f"    r_in: {b.inner[0]!r}"
            yield f"    delta_in: {b.inner[1]!r}"
            yield f"    inner_cutoff_type: {pace.core}"
            yield f"    nradbaseij: {n_base}"
            yield f"    radbase: {b.radial}"
            yield f"    radparameters: [{b.steepness!r}]"
            yield f"    radcoefficients: {_combinations(b, n_base, n_max, l_max)}"
            yield f"    core-repulsion: {_numbers(b.repulsion)}"
        yield "    nbody:" if functions else "    nbody: []"
        yield from functions


class _Product(NamedTuple):
    """A product of radial functions and harmonics of an element, and the coefficients of its invariants."""

    labels: tuple[Channel, ...]  # its factors in PACE's order
    place: tuple[int, ...]  # where each of our factors is among these
    ls: tuple[int, ...]  # degrees of our factors
    same: tuple[int, ...]  # which of our factors are the same
    c: np.ndarray  # [K, density]


def _products(pace: PACE, center: int) -> Iterator[_Product]:
    """What an element has of other than zero."""
    n = len(pace.embeddings[center].terms)
    groups: dict[tuple[Channel, ...], list[int]] = {}
    for k, f in enumerate(pace.functions):
        groups.setdefault(f, []).append(k)
    for f, ks in sorted(groups.items(), key=lambda x: len(x[0])):
        c = pace.c.detach().double().cpu().numpy()[center, :n][:, ks].T
        if np.any(c):
            labels = pace.labels[f]
            order = sorted(range(len(f)), key=lambda k: (labels[k].element, labels[k].n, labels[k].l))
            place = tuple(order.index(k) for k in range(len(f)))
            same = tuple(f.index(x) for x in f)
            yield _Product(tuple(labels[k] for k in order), place, tuple(x.l for x in f), same, c)


@cache
def _paths(ls: tuple[int, ...], place: tuple[int, ...], same: tuple[int, ...]) -> tuple[list, np.ndarray]:
    """Intermediate degrees that give all invariants once, and those as vectors over ours, [K, K]."""
    chosen, X = [], np.zeros((0, 0))
    for between in paths(ls):
        x = coupled(ls, place, same, between)
        more = np.column_stack([X, x]) if chosen else x[:, None]
        if np.linalg.matrix_rank(more, tol=1e-8) == more.shape[1]:
            chosen, X = [*chosen, between], more
        if len(chosen) == len(x):
            break
    return chosen, X


def _sizes(pace: PACE) -> tuple[int, int, int]:
    """Numbers of ``g_k`` and of ``R_nl``, and the largest ``l``."""
    factors = [x for f in pace.labels.values() if len(f) > 1 for x in f]
    n_max, l_max = (max((getattr(x, y) for x in factors), default=z) for y, z in (("n", -1), ("l", 0)))
    bases = [b.n_base(x.l, x.n) for row in pace.bonds for b in row for x in factors]
    return max([f[0].n + 1 for f in pace.labels.values() if len(f) == 1] + bases), n_max + 1, l_max


def _combinations(b: Bond, n_base: int, n_max: int, l_max: int) -> list:
    return [[b.combination(l, n, n_base).tolist() for l in range(l_max + 1)] for n in range(n_max)]


def _power(e: Embedding) -> str:
    return next(name for name, shifted in POWERS.items() if shifted == e.shifted)


def _numbers(values: Iterable[float]) -> str:
    return f"[{', '.join(repr(float(x)) for x in values)}]"
