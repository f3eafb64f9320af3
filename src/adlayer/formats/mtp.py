"""Moment tensor potentials as MLIP-2 and MLIP-3 have them: ``X.mtp``.

The file numbers elements and does not name them; here ``potential_tag`` holds their symbols, or the reader is told. It
also says how the scalars are computed: which of them is which function here is found by asking both about random
moments.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_numbers

from ..nn.moment_contractions import Contractions, contractions
from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.mtp import MTP

BASIS = "RBChebyshev"


def recognizes(path: Path) -> bool:
    """Whether it begins as one."""
    if not path.is_file() or path.suffix != ".mtp":
        return False
    with path.open(errors="replace") as file:
        return file.readline().strip() == "MTP"


def read(path: Path, elements: list[str] | None = None) -> Potential:
    """Read ``ReferenceEnergies + MTP``.

    Args:
        path: the file.
        elements: symbols of its species 0, 1 ..; those in ``potential_tag`` if not given.
    """
    path = Path(path)
    text = path.read_text(errors="replace")
    said = {k.strip(): v.strip() for k, v in re.findall(r"^([^=\n]+)=([^\n]*)$", text, re.M)}
    if missing := [k for k in ("species_count", "alpha_moment_mapping", "moment_coeffs") if k not in said]:
        raise ValueError(f"{path} has no {', '.join(missing)}: it is no moment tensor potential that was fitted")
    if said["radial_basis_type"] != BASIS:
        raise ValueError(f"{path}: the radial basis {said['radial_basis_type']!r} is not known, only {BASIS}")
    n, n_mu, size = (int(said[k]) for k in ("species_count", "radial_funcs_count", "radial_basis_size"))
    elements = elements or [word for word in re.split(r"[\s,-]+", said.get("potential_tag", "")) if word]
    if len(elements) != n or any(e not in atomic_numbers for e in elements):
        raise ValueError(
            f"{path} has {n} species and does not name them: write their symbols after 'potential_tag =', or read it "
            "by adlayer.formats.mtp.read(path, elements=[...])"
        )
    theirs = Contractions(
        _numbers(said["alpha_index_basic"], int).reshape(-1, 4),
        _numbers(said.get("alpha_index_times", ""), int).reshape(-1, 4),
        np.zeros(int(said["alpha_moments_count"]), int),
        _numbers(said["alpha_moment_mapping"], int),
        np.zeros(0),
        (),
    )
    level, order = _same_functions(theirs, path)
    made = MTP(elements, float(said["max_dist"]), level, size, float(said["min_dist"]), float(said.get("scaling", 1.0)))
    w = np.zeros((n, n, n_mu, size))
    for i, j, block in re.findall(r"^\s*(\d+)-(\d+)\s*\n((?:\s*\{[^}]*\}\s*\n)+)", text, re.M):
        w[int(i), int(j)] = _numbers(block).reshape(n_mu, size)
    made.w.data = torch.from_numpy(w[:, :, : made.w.shape[2]].copy())
    made.coefficients = torch.from_numpy(_numbers(said["moment_coeffs"])[order])
    alone = _numbers(said["species_coeffs"]).tolist()
    return Sum([ReferenceEnergies(dict(zip(elements, alone))), made])


def write(path: Path, potential: Potential) -> None:
    """Write an ``MTP``, alone or with ``ReferenceEnergies``, for MLIP-2 and MLIP-3."""
    parts = list(potential.parts) if isinstance(potential, Sum) else [potential]
    kinds = [type(p) for p in parts]
    if kinds.count(MTP) != 1 or kinds.count(ReferenceEnergies) > 1 or len(kinds) > 1 + kinds.count(ReferenceEnergies):
        raise TypeError(f"a .mtp file holds one MTP with ReferenceEnergies; got {', '.join(k.__name__ for k in kinds)}")
    p = parts[kinds.index(MTP)]
    known, alone = contractions(p.level), dict.fromkeys(p.elements, 0.0)
    for other in parts:
        if isinstance(other, ReferenceEnergies):
            alone.update(zip(other.elements, other.coefficients.tolist()))
    w, S = p.w.detach().double(), range(len(p.elements))
    radial = [f"\t\t{i}-{j}\n" + "".join(f"\t\t\t{_braces(row)}\n" for row in w[i, j].tolist()) for i in S for j in S]
    lines = [
        "MTP",
        "version = 1.1.0",
        "potential_name = MTP1m",
        f"scaling = {p.scaling!r}",
        f"species_count = {len(p.elements)}",
        f"potential_tag = {' '.join(p.elements)}",
        f"radial_basis_type = {BASIS}",
        f"\tmin_dist = {p.min_dist!r}",
        f"\tmax_dist = {p.cutoff!r}",
        f"\tradial_basis_size = {w.shape[3]}",
        f"\tradial_funcs_count = {w.shape[2]}",
        "\tradial_coeffs",
        "".join(radial).rstrip("\n"),
        f"alpha_moments_count = {len(known.depth)}",
        f"alpha_index_basic_count = {len(known.basic)}",
        f"alpha_index_basic = {_braces(map(_braces, known.basic.tolist()))}",
        f"alpha_index_times_count = {len(known.products)}",
        f"alpha_index_times = {_braces(map(_braces, known.products.tolist()))}",
        f"alpha_scalar_moments = {len(known.scalars)}",
        f"alpha_moment_mapping = {_braces(known.scalars.tolist())}",
        f"species_coeffs = {_braces(alone[e] for e in p.elements)}",
        f"moment_coeffs = {_braces(p.coefficients.tolist())}",
    ]
    Path(path).write_text("\n".join(lines) + "\n")


def _same_functions(theirs: Contractions, path: Path) -> tuple[int, np.ndarray]:
    """The level with so many scalars, and where in the file each of ours is."""
    for level in range(2, 30, 2):
        ours = contractions(level)
        if len(ours.scalars) >= len(theirs.scalars):
            break
    rng = np.random.default_rng(0)
    of = {
        tuple(b): rng.uniform(0.5, 1.5, 3)
        for b in {*map(tuple, ours.basic.tolist()), *map(tuple, theirs.basic.tolist())}
    }
    a, b = (_values(x, of) for x in (ours, theirs))
    if len(a) == len(b):
        distance = np.abs(np.log(a[:, None]) - np.log(b)).max(-1)
        order = distance.argmin(1)
        if distance.min(1).max() < 1e-9 and len(set(order)) == len(a):
            return level, order
    raise ValueError(f"{path}: its {len(b)} scalars are not those of an MTP of any level up to {level}")


def _values(known: Contractions, of: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
    """Scalars of given basic moments, which are positive, as is then everything."""
    M = np.zeros((len(known.depth), 3))
    for k, basic in enumerate(known.basic.tolist()):
        M[k] = of[tuple(basic)]
    for x, y, times, out in known.products.tolist():
        M[out] += times * M[x] * M[y]
    return M[known.scalars]


def _numbers(text: str, kind: type = float) -> np.ndarray:
    return np.array([kind(x) for x in re.findall(r"[^\s{},]+", text)], dtype=kind)


def _braces(values) -> str:
    return "{" + ", ".join(f"{x:.15e}" if isinstance(x, float) else str(x) for x in values) + "}"
