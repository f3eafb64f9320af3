"""Embedded-atom tables: ``setfl`` (``eam.alloy``, ``eam.fs``, ``eam.he``) and ``funcfl`` (``eam``).

As LAMMPS documents them with ``pair_style eam``. Files are told apart by what they hold; ``funcfl`` is read, never
written.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_masses, atomic_numbers, chemical_symbols, reference_states

from ..potential import Potential
from ..potentials.eam import EAM

HARTREE_BOHR = 27.2 * 0.529  # eV Å, with the digits that the format has always had


def recognizes(path: Path) -> bool:
    """Whether the file begins like one of them."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = [file.readline(1000).decode(errors="replace").split() for _ in range(6)]
    return _is_funcfl(head) or _is_setfl(head)


def _is_setfl(head: list[list[str]]) -> bool:
    elements, grid = head[3], head[4]
    named = len(elements) > 1 and elements[0].isdigit() and len(elements) > int(elements[0])
    return (
        named
        and all(e in atomic_numbers for e in elements[1 : int(elements[0]) + 1])
        and len(grid) in (5, 6)
        and _are_numbers(grid, len(grid))
    )


def _is_funcfl(head: list[list[str]]) -> bool:
    element, grid = head[1], head[2]
    return len(element) >= 2 and element[0].isdigit() and _are_numbers(element[:2], 2) and _are_numbers(grid, 5)


def _are_numbers(words: list[str], n: int) -> bool:
    try:
        return len([float(w) for w in words[:n]]) == n
    except ValueError:
        return False


def read(path: Path) -> EAM:
    """Read tables of any kind."""
    lines = Path(path).read_text(errors="replace").splitlines()
    head = [line.split() for line in lines[:6]]
    if _is_setfl(head):
        return _read_setfl(path, lines)
    if _is_funcfl(head):
        return _read_funcfl(path, lines)
    raise ValueError(
        f"{path} is neither a setfl nor a funcfl file: line 4 must name the elements, or line 2 one element"
    )


def _read_setfl(path: Path, lines: list[str]) -> EAM:
    n = int(lines[3].split()[0])
    elements = lines[3].split()[1 : n + 1]
    n_rho, drho, n_r, dr, cutoff = _grid(lines[4])
    found = sum(len(line.split()) for line in lines[5:])
    alloy, fs = (n * (4 + n_rho + m * n_r) + n * (n + 1) // 2 * n_r for m in (1, n))
    if min(abs(found - alloy), abs(found - fs)) > 4 * n:  # the line before an element's tables may be longer or shorter
        raise ValueError(f"{path} has {found} numbers after line 5 where its tables need {alloy} (or {fs}, as eam.fs)")
    hosts = 1 if abs(found - alloy) <= 4 * n else n
    end = lines[4].split()[5:]  # of the densities, in eam.he: their last
    rho_min = float(end[0]) - (n_rho - 1) * drho if end else 0.0
    rest = iter(lines[5:])

    def table(*shape: int) -> np.ndarray:
        words = []
        while len(words) < np.prod(shape):
            words += next(rest).replace("D", "E").split()
        return np.array(words, float).reshape(shape)

    F, rho = [], []
    for _ in elements:
        next(rest)  # number, mass, lattice constant, lattice
        F.append(table(n_rho))
        rho.append(table(hosts, n_r))
    rphi = table(n * (n + 1) // 2, n_r)
    return _make(elements, cutoff, n_r, dr, n_rho, drho, hosts > 1, F, rho, rphi, rho_min)


def _read_funcfl(path: Path, lines: list[str]) -> EAM:
    element = chemical_symbols[int(lines[1].split()[0])]
    n_rho, drho, n_r, dr, cutoff = _grid(lines[2])
    values = np.array(" ".join(lines[3:]).replace("D", "E").split(), float)
    if len(values) < n_rho + 2 * n_r:
        raise ValueError(f"{path} has {len(values)} numbers after line 3 where its tables need {n_rho + 2 * n_r}")
    F, charge, rho = np.split(values[: n_rho + 2 * n_r], [n_rho, n_rho + n_r])
    return _make([element], cutoff, n_r, dr, n_rho, drho, False, [F], [rho[None]], [HARTREE_BOHR * charge**2])


def _grid(line: str) -> tuple[int, float, int, float, float]:
    n_rho, drho, n_r, dr, cutoff = line.split()[:5]
    return int(n_rho), float(drho), int(n_r), float(dr), float(cutoff)


def _make(elements, cutoff, n_r, dr, n_rho, drho, finnis_sinclair, F, rho, rphi, rho_min=0.0) -> EAM:
    potential = EAM(elements, cutoff, n_r, dr, n_rho, drho, finnis_sinclair, rho_min)
    tables = {"F": np.stack(F), "rho": np.stack(rho), "rphi": np.stack(rphi)}
    potential.load_state_dict({name: torch.from_numpy(x) for name, x in tables.items()})
    return potential


def write(path: Path, potential: Potential) -> None:
    """Write ``setfl``, in its Finnis-Sinclair form where densities depend on who feels them; 17 digits."""
    if not isinstance(potential, EAM):
        raise TypeError(f"setfl holds an EAM, not a {type(potential).__name__}")
    F, rho, rphi = (x.detach().cpu().numpy() for x in (potential.F, potential.rho, potential.rphi))
    form = "eam.he" if potential.rho_min else "eam.fs" if rho.shape[1] > 1 else "eam.alloy"
    if potential.rho_min and rho.shape[1] == 1:
        raise ValueError("a file whose densities begin below zero, eam.he, needs one density for each pair of elements")
    grid = f"{F.shape[1]} {potential.drho:.17g} {rho.shape[2]} {potential.dr:.17g} {potential.cutoff:.17g}"
    if potential.rho_min:
        grid += f" {potential.rho_min + (F.shape[1] - 1) * potential.drho:.17g}"
    lines = [f"{form}, written by adlayer", "", "", " ".join([str(len(F)), *potential.elements]), grid]
    for k, element in enumerate(potential.elements):
        Z = atomic_numbers[element]
        lattice = reference_states[Z] or {}
        lines.append(f"{Z} {atomic_masses[Z]:g} {lattice.get('a', 0.0):g} {lattice.get('symmetry', 'none')}")
        lines += [f"{x:.17g}" for x in (*F[k], *rho[k].ravel())]
    lines += [f"{x:.17g}" for x in rphi.ravel()]
    Path(path).write_text("\n".join(lines) + "\n")
