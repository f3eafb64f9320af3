"""Paths to begin with: images between two structures, on straight lines or at distances that atoms like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Literal

import torch
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..neighbors import find_pairs, pair_vectors
from ..potential import Prediction
from ..structures import Structures
from .state import fixed_atoms

if TYPE_CHECKING:
    from ase import Atoms


def minimum_image(d: Float[Tensor, "atoms 3"], structures: Structures) -> Float[Tensor, "atoms 3"]:
    """Displacements, each made as short as lattice vectors of its structure's periodic axes can make it, Å."""
    if not bool(structures.pbc.any()):
        return d
    rows = torch.where(structures.pbc[:, :, None], structures.cell, torch.zeros_like(structures.cell))
    own, inverse = structures.system, torch.linalg.pinv(rows)
    turns = (d[:, None] @ inverse[own])[:, 0].round()
    d = d - (turns[:, None] @ rows[own])[:, 0]
    shortest = d  # in a skewed cell a neighbor may be nearer
    for shift in product((-1.0, 0.0, 1.0), repeat=3):
        other = d + (d.new_tensor(shift) @ rows)[own]
        nearer = other.square().sum(-1) < shortest.square().sum(-1) - 1e-9
        shortest = torch.where(nearer[:, None], other, shortest)
    return shortest


def interpolate(
    start: Structures | Atoms | Sequence[Atoms],
    end: Structures | Atoms | Sequence[Atoms],
    n_images: int = 7,
    how: Literal["idpp", "linear"] = "idpp",
    fixed: Bool[Tensor, "atoms"] | None = None,
) -> tuple[Structures, Int[Tensor, "systems"]]:
    """Images of one or many paths, ends included, one path after another; and the path to which each image belongs.

    Atoms take the shortest way across periodic axes. ``"linear"``: on straight lines; ``"idpp"``: from there, the band
    relaxed on the image-dependent pair potential, see ``IDPP``.

    Args:
        start: where the paths begin.
        end: where they end, in the same order.
        n_images: of each path, ends included.
        how: ``"idpp"`` or ``"linear"``.
        fixed: atoms of ``start`` that stay where they are; ``FixAtoms`` of ASE atoms by themselves.
    """
    if fixed is None and not isinstance(start, Structures):
        fixed = fixed_atoms([start] if hasattr(start, "numbers") else start)
    start, end = (x if isinstance(x, Structures) else Structures.from_ase(x) for x in (start, end))
    if how not in ("idpp", "linear"):
        raise ValueError(f"paths are interpolated by 'idpp' or 'linear', got {how!r}")
    if n_images < 3:
        raise ValueError(f"a path needs at least 3 images, its two ends and one between, got {n_images}")
    if len(start) != len(end):
        raise ValueError(f"each path needs two ends: there are {len(start)} to start from and {len(end)} to end at")
    for p, (one, other) in enumerate(zip(start, end)):
        check_same_atoms(one, other, f"the ends of path {p + 1}")
    d = minimum_image(end.positions - start.positions, start)
    if fixed is not None and bool(fixed.any()) and (moved := float(d[fixed].abs().max())) > 1e-3:
        raise ValueError(f"an atom that is fixed moves by {moved:.3g} Å between the ends; free it, or give other ends")
    place = [p for p in range(len(start)) for _ in range(n_images)]
    images, way = start[place], start.with_positions(d)[place].positions
    t = torch.linspace(0, 1, n_images).to(d).repeat(len(start))
    images = images.with_positions(images.positions + t[images.system, None] * way)
    path = torch.tensor(place)
    if how == "linear":
        return images, path
    held = None if fixed is None else torch.cat([part.repeat(n_images) for part in fixed.split(start.counts.tolist())])
    return _by_distances(images, path, t, held), path


def check_same_atoms(one: Structures, other: Structures, what: str) -> None:
    """Raise ``ValueError`` where two structures cannot lie on one path."""
    if one.n_atoms != other.n_atoms:
        raise ValueError(f"{what} have {one.n_atoms} and {other.n_atoms} atoms; a path needs the same ones throughout")
    if not torch.equal(one.numbers, other.numbers):
        k = int((one.numbers != other.numbers).nonzero()[0, 0])
        names = [chemical_symbols[int(s.numbers[k])] for s in (one, other)]
        same = torch.equal(one.numbers.sort().values, other.numbers.sort().values)
        hint = "put the atoms in the same order" if same else "a path keeps its elements"
        raise ValueError(f"{what}: atom {k} is {names[0]} in one and {names[1]} in the other; {hint}")
    periodic = torch.where(one.pbc[0, :, None], one.cell[0] - other.cell[0], torch.zeros_like(one.cell[0]))
    if not torch.equal(one.pbc, other.pbc) or float(periodic.abs().max()) > 1e-6:
        raise ValueError(f"{what} have different cells or periodic axes; relax both in one fixed cell")


def continuous(images: Structures, path: Int[Tensor, "systems"]) -> Structures:
    """Images in which no atom jumps across a periodic axis, checked to be the same atoms throughout each path."""
    for p in path.unique().tolist():
        of = (path == p).nonzero()[:, 0].tolist()
        if of != list(range(of[0], of[0] + len(of))):
            raise ValueError(f"the images of path {p} must follow one another, got places {of}")
        if len(of) < 3:
            raise ValueError(f"a path needs at least 3 images, its two ends and one between, got {len(of)}")
        for a, b in pairwise(of):
            check_same_atoms(images[a], images[b], f"images {a - of[0] + 1} and {b - of[0] + 1} of path {p}")
    counts, first = images.counts, is_first(path)
    rows = (~first)[images.system].nonzero()[:, 0]
    steps = torch.zeros_like(images.positions)
    steps[rows] = images.positions[rows] - images.positions[rows - counts[images.system[rows]]]
    shortest = minimum_image(steps, images)
    moved, offsets = images.positions.clone(), images.offsets.tolist()
    for s in range(images.n_systems):
        here = slice(offsets[s], offsets[s + 1])
        length = torch.linalg.vector_norm(shortest[here])
        if not first[s]:
            if float(length) < 1e-6:
                raise ValueError(f"two images of path {int(path[s])} that follow one another are the same structure")
            moved[here] = moved[slice(offsets[s - 1], offsets[s])] + shortest[here]
    return images.with_positions(moved)


def is_first(path: Int[Tensor, "systems"]) -> Tensor:
    """Whether an image is the first of its path."""
    return torch.cat([path.new_ones(1, dtype=torch.bool), path[1:] != path[:-1]])[: len(path)]


def is_last(path: Int[Tensor, "systems"]) -> Tensor:
    """Whether an image is the last of its path."""
    return is_first(path.flip(0)).flip(0)


class IDPP:
    """Image-dependent pair potential, as an ``Evaluate`` of the images between the ends of paths.

    ``S = sum_{i<j} (d_ij - r_ij)² / d_ij⁴`` with ``d_ij`` interpolated between the ends: Smidstrup, Pedersen, Stokbro
    and Jónsson, J. Chem. Phys. 140, 214106 (2014), Eqs. 4 and 5. Pairs are those closer than the cutoff at either end,
    images across periodic axes included.

    Args:
        start: one end for each image.
        end: the other end for each image.
        t: how far along its path each image is, 0 to 1.
        cutoff: Å.
    """

    def __init__(self, start: Structures, end: Structures, t: Float[Tensor, "systems"], cutoff: float = 5.0):
        found = (find_pairs(x, cutoff) for x in (start, end))
        i, j, *shift = torch.cat([torch.cat([p.i[:, None], p.j[:, None], p.shifts], 1) for p in found]).unique(dim=0).T
        order = (10007 * shift[0] + 101 * shift[1] + shift[2]) > 0  # of an atom and its own image, one of the two
        half = (i < j) | ((i == j) & order)
        self.i, self.j, self.shifts = i[half], j[half], torch.stack(shift, 1)[half]
        ends = (pair_vectors(x, self.i, self.j, self.shifts) for x in (start, end))
        near, far = (torch.linalg.vector_norm(v, dim=-1) for v in ends)
        self.d = near + t[start.system[self.i]] * (far - near)

    def __call__(self, structures: Structures) -> Prediction:
        vectors = pair_vectors(structures, self.i, self.j, self.shifts)
        r = torch.linalg.vector_norm(vectors, dim=-1)
        off, weight = r - self.d, self.d**-4
        energy = r.new_zeros(structures.n_systems).index_add(0, structures.system[self.i], weight * off**2)
        pull = (2 * weight * off / r)[:, None] * vectors  # dS/dr_j
        forces = torch.zeros_like(structures.positions).index_add(0, self.i, pull).index_add(0, self.j, -pull)
        return Prediction(energy, forces)


def _by_distances(images: Structures, path: Tensor, t: Tensor, fixed: Tensor | None) -> Structures:
    """The band relaxed on the pair potential."""
    from .paths import NEB

    first, last = is_first(path), is_last(path)
    between = ~first & ~last
    inner = between.nonzero()[:, 0].tolist()
    start_of, end_of = (x.nonzero()[:, 0][path[inner]].tolist() for x in (first, last))
    potential = IDPP(images[start_of], images[end_of], t[inner])

    def evaluate(structures: Structures) -> Prediction:
        if len(structures) == len(inner):
            return potential(structures)
        said, none = potential(structures[inner]), torch.zeros_like(structures.positions)
        energy = none.new_zeros(len(structures)).masked_scatter(between, said.energy)
        return Prediction(energy, none.masked_scatter(between[structures.system, None], said.forces))

    engine = NEB(climb=False, fmax=0.05, max_steps=60)
    state = engine.init(evaluate, images, fixed=fixed, path=path)
    while state.step < engine.n_steps and not bool(engine.finished(state).all()):
        state = engine.step(evaluate, state)
    return state.structures
