"""SNAP as LAMMPS has it: ``X.snapcoeff`` and ``X.snapparam``, and the ``X.snap`` that adds ZBL to the two.

Given one of the first two the other is found beside it. A ``.snap`` is a piece of a LAMMPS script; of it are read
``pair_style hybrid/overlay zbl ... snap`` and what its ``pair_coeff`` name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations_with_replacement, permutations
from pathlib import Path

import torch
from ase.data import atomic_numbers
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.snap import SNAP
from ..potentials.zbl import ZBL

COEFFICIENTS, PARAMETERS, SCRIPT = SUFFIXES = (".snapcoeff", ".snapparam", ".snap")
DEFAULTS = {  # of pair_style snap, where it has them
    "rcutfac": None,
    "twojmax": None,
    "rfac0": 0.99363,
    "rmin0": 0.0,
    "switchflag": 1,
    "bzeroflag": 1,
    "quadraticflag": 0,
    "chemflag": 0,
    "bnormflag": 0,
    "wselfallflag": 0,
    "switchinnerflag": 0,
    "sinner": None,
    "dinner": None,
    "chunksize": 0,
    "parallelthresh": 0,
    "diagonalstyle": 3,  # in files older than 2019; the only one that is left
}


def recognizes(path: Path) -> bool:
    """Whether its name ends as one of them."""
    return path.is_file() and path.suffix in SUFFIXES


def read(path: Path) -> Potential:
    """Read ``SNAP``, or from a ``.snap`` ``SNAP + ZBL``."""
    path = Path(path)
    if path.suffix == SCRIPT:
        return _read_script(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: the name must end in {', '.join(SUFFIXES[:2])} or {SCRIPT}")
    wanted = PARAMETERS if path.suffix == COEFFICIENTS else COEFFICIENTS
    other = path.with_suffix(wanted)
    if not other.exists():
        beside = sorted(p.name for p in path.parent.glob(f"*{wanted}"))
        if len(beside) != 1:
            said = f"there are {', '.join(beside)}" if beside else "there is none"
            raise FileNotFoundError(f"{path} needs {other.name} beside it; {said}")
        other = path.parent / beside[0]
    return _read_pair(*((path, other) if wanted == PARAMETERS else (other, path)))


def _read_pair(coefficients: Path, parameters: Path) -> SNAP:
    p = _parameters(parameters)
    words = [line.split("#")[0].split() for line in coefficients.read_text(errors="replace").splitlines()]
    words = [w for w in words if w]
    n, n_coefficients = int(words[0][0]), int(words[0][1])
    if len(words) < 1 + n * (1 + n_coefficients):
        raise ValueError(
            f"{coefficients} has {len(words)} lines where {n} elements of {n_coefficients} coefficients need "
            f"{1 + n * (1 + n_coefficients)}"
        )
    blocks = [words[1 + k * (1 + n_coefficients) :][: 1 + n_coefficients] for k in range(n)]
    elements = [b[0][0] for b in blocks]
    if unknown := [e for e in elements if e not in atomic_numbers]:
        raise ValueError(f"{coefficients}: {unknown[0]!r} is not a chemical symbol")
    radii, weights = ({b[0][0]: float(b[0][k]) for b in blocks} for k in (1, 2))
    options = {
        **{"radii": radii, "weights": weights, "rfac0": p["rfac0"], "rmin0": p["rmin0"]},
        **{name: bool(p[f"{name}flag"]) for name in ("switch", "bzero", "chem", "bnorm", "wselfall")},
    }
    if p["switchinnerflag"]:
        options["inner"] = dict(zip(elements, map(list, zip(p["sinner"], p["dinner"], strict=True)), strict=True))
    cutoff = p["rcutfac"] * 2 * max(radii.values())
    snap = SNAP(elements, cutoff, int(p["twojmax"]), bool(p["quadraticflag"]), options)
    if snap.n_coefficients != n_coefficients:
        raise ValueError(
            f"{coefficients} has {n_coefficients} coefficients per element where twojmax and flags of "
            f"{parameters.name} need {snap.n_coefficients}"
        )
    snap.coefficients = torch.tensor([float(w[0]) for b in blocks for w in b[1:]], dtype=torch.float64)
    return snap


def _parameters(path: Path) -> dict:
    found = dict(DEFAULTS)
    for line in path.read_text(errors="replace").splitlines():
        if not (words := line.split("#")[0].split()):
            continue
        key, *values = words
        if key not in DEFAULTS:
            raise ValueError(f"{path}: no keyword {key!r}{nearest(key, DEFAULTS)}; known: {', '.join(DEFAULTS)}")
        numbers = [float(v) for v in values]
        found[key] = numbers if key in ("sinner", "dinner") else numbers[0]
    for key in ("rcutfac", "twojmax", *(("sinner", "dinner") if found["switchinnerflag"] else ())):
        if found[key] is None:
            raise ValueError(f"{path} does not give {key}")
    if found["diagonalstyle"] != 3:
        raise ValueError(f"{path}: diagonalstyle {found['diagonalstyle']:g} is no longer in use; only 3 is read")
    return found


def _read_script(path: Path) -> Potential:
    text = re.sub(r"#.*", "", path.read_text(errors="replace"))
    lines = [line.split() for line in re.sub(r"&\s*\n", " ", text).splitlines()]
    values = {w[1]: w[3] for w in lines if w[:1] == ["variable"]}
    lines = [[re.sub(r"\$\{(\w+)\}", lambda m: values.get(m[1], m[0]), x) for x in w] for w in lines]
    style = next((w[1:] for w in lines if w[:1] == ["pair_style"]), [])
    styles = {x for x in style if x[:1].isalpha()} - {"hybrid/overlay"}
    if not styles <= {"zbl", "snap"} or "snap" not in styles:
        given = " ".join(style) or "absent"
        raise ValueError(f"{path}: only snap, alone or with zbl, is read; its pair_style is {given}")
    named = next(w for w in lines if w[:1] == ["pair_coeff"] and any(x.endswith(COEFFICIENTS) for x in w))
    snap = _read_pair(*(path.parent / next(x for x in named if x.endswith(suffix)) for suffix in SUFFIXES[:2]))
    if "zbl" not in styles:
        return snap
    k = style.index("zbl")
    return ZBL.lammps(float(style[k + 1]), float(style[k + 2])) + snap


def write(path: Path, potential: Potential) -> None:
    """Write ``SNAP``, alone or with ``ReferenceEnergies``, into two files, and with ``ZBL`` into three; 17 digits."""
    path, parts = Path(path), list(potential.parts) if isinstance(potential, Sum) else [potential]
    kinds = [type(p) for p in parts]
    if kinds.count(SNAP) != 1 or set(kinds) - {SNAP, ReferenceEnergies, ZBL}:
        raise TypeError(f"snap holds a SNAP, with ReferenceEnergies or ZBL added, not a {type(potential).__name__}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: the name of a SNAP must end in {', '.join(SUFFIXES[:2])} or {SCRIPT}")
    snap: SNAP = parts[kinds.index(SNAP)]
    if snap.descriptor.components != "snap":
        raise ValueError("these files hold all components, not those of GAP")
    c = _symmetric(snap)
    for p in parts:
        if isinstance(p, ReferenceEnergies):
            c[:, 0] += torch.stack([p.energies.detach()[p.elements.index(e)] for e in snap.elements])
    path.with_suffix(COEFFICIENTS).write_text("\n".join(_coefficient_lines(snap, c)) + "\n")
    path.with_suffix(PARAMETERS).write_text("\n".join(_parameter_lines(snap)) + "\n")
    if zbl := [p for p in parts if isinstance(p, ZBL)]:
        path.with_suffix(SCRIPT).write_text("\n".join(_script_lines(path, snap, zbl[0])) + "\n")


def _symmetric(snap: SNAP) -> Float[Tensor, "elements K"]:
    """Coefficients that are the same for components that are the same, which the energy does not know from others.

    With a density for each element, ``B`` of ``j1 = j2`` does not change when the first two elements do, and so on.
    LAMMPS's forces are the derivatives of its energies only if the coefficients do not change either.
    """
    d, c = snap.descriptor, snap.c.detach().clone()
    n, K = d.sphere.n_densities, d.n_features
    if n == 1:
        return c
    place = torch.arange(K).reshape(n, n, n, -1)
    M = c.new_zeros(K, K)
    for k, degrees in enumerate(d.triples):
        same = [order for order in permutations(range(3)) if [degrees[x] for x in order] == list(degrees)]
        here = place[..., k]
        for order in same:
            M[here.reshape(-1), here.permute(order).reshape(-1)] += 1 / len(same)
    c[:, 1 : K + 1] = c[:, 1 : K + 1] @ M
    if snap.quadratic:
        k, l = torch.triu_indices(K, K)
        a = c.new_zeros(len(c), K, K)
        a[:, k, l] = c[:, K + 1 :]
        a = a.triu() + a.triu(1).mT
        c[:, K + 1 :] = (M @ a @ M)[:, k, l]
    return c


def _coefficient_lines(snap: SNAP, c: Tensor) -> Iterator[str]:
    d = snap.descriptor
    yield "# SNAP, written by adlayer"
    yield f"{len(snap.elements)} {snap.n_coefficients}"
    for e, R, w, row in zip(snap.elements, d.radii, d.weights, c.tolist()):
        yield f"{e} {R!r} {w!r}"
        yield from (f"{x:.17g}" for x in row)


def _parameter_lines(snap: SNAP) -> Iterator[str]:
    d, s = snap.descriptor, snap.descriptor.sphere
    yield "# SNAP, written by adlayer"
    yield f"rcutfac {d.cutoff / (2 * max(d.radii))!r}"
    yield f"twojmax {d.twojmax}"
    yield f"rfac0 {s.rfac0!r}"
    yield f"rmin0 {s.rmin0!r}"
    flags = {"switch": s.switch, "bzero": d.bzero, "quadratic": snap.quadratic, "chem": s.chem, "bnorm": d.bnorm}
    flags |= {"wselfall": s.wselfall, "switchinner": s.inner is not None}
    yield from (f"{name}flag {int(on)}" for name, on in flags.items())
    if s.inner is not None:
        for name, values in zip(("sinner", "dinner"), zip(*s.inner)):
            yield " ".join([name, *map(repr, values)])


def _script_lines(path: Path, snap: SNAP, zbl: ZBL) -> Iterator[str]:
    yield f"pair_style hybrid/overlay zbl {zbl.inner!r} {zbl.cutoff!r} snap"
    for i, j in combinations_with_replacement(range(len(snap.elements)), 2):
        yield f"pair_coeff {i + 1} {j + 1} zbl " + " ".join(str(atomic_numbers[snap.elements[k]]) for k in (i, j))
    files = " ".join(path.with_suffix(x).name for x in SUFFIXES[:2])
    yield f"pair_coeff * * snap {files} {' '.join(snap.elements)}"
