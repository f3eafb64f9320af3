"""Who is within a cutoff of whom, for any cell and any combination of periodic axes.

Pairs are found by ``vesin``; what is added here is a canonical order (by ``i``, then ``j``, then shift), so that the
list is a function of the positions alone and a resumed run repeats the digits of an uninterrupted one; the position of
every pair's reverse; and a skin, so that the search is repeated only when an atom has moved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numba import njit, prange
from torch import Tensor
from vesin import NeighborList as VesinList

from .structures import Structures
from .threads import use_threads


class Pairs(NamedTuple):
    """Pairs of atoms, each twice, in canonical order."""

    i: Int[Tensor, "edges"]
    j: Int[Tensor, "edges"]
    shifts: Int[Tensor, "edges 3"]  # in lattice vectors: r_ij = r_j - r_i + shifts @ cell
    vectors: Float[Tensor, "edges 3"]  # Å
    first: Int[Tensor, "atoms+1"]  # edges of atom a are first[a]:first[a + 1]
    reverse: Int[Tensor, "edges"]  # where the edge j -> i is


def find_pairs(structures: Structures, cutoff: float) -> Pairs:
    """Search for all pairs closer than ``cutoff`` (Å), images included, cells smaller than the cutoff included.

    At the very edge rounding may find one of a pair and not its reverse, whose place is then -1; ``NeighborList`` takes
    a margin and returns complete pairs.
    """
    pairs = _search(structures, cutoff)
    return pairs._replace(vectors=pair_vectors(structures, pairs.i, pairs.j, pairs.shifts))


def _search(structures: Structures, cutoff: float) -> Pairs:
    """The pairs without their vectors."""
    search = VesinList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    positions, cell = (x.detach().cpu().double().numpy() for x in (structures.positions, structures.cell))
    pbc, offsets = structures.pbc.cpu().numpy(), structures.offsets.tolist()
    ij, S = [np.zeros((0, 2), np.int64)], [np.zeros((0, 3), np.int32)]
    for s in range(structures.n_systems):
        points = positions[offsets[s] : offsets[s + 1]]
        if not len(points) or cutoff <= 0:
            continue
        box = _complete(cell[s], pbc[s])
        P, shift = search.compute(points, box, pbc[s], "PS")
        ij.append(P.astype(np.int64) + offsets[s])
        S.append(shift.astype(np.int32))
    ij, S = np.concatenate(ij), np.ascontiguousarray(np.concatenate(S))
    i, j = np.ascontiguousarray(ij[:, 0]), np.ascontiguousarray(ij[:, 1])
    first = np.searchsorted(i, np.arange(structures.n_atoms + 1)).astype(np.int64)
    order = _canonical_order(j, S, first)
    j, S = j[order], S[order]
    reverse = _find_reverse(i, j, S, first)
    pairs = Pairs(*(torch.from_numpy(x) for x in (i, j, S)), None, torch.from_numpy(first), torch.from_numpy(reverse))
    return Pairs(*(x if x is None else x.to(structures.device) for x in pairs))


def pair_vectors(structures: Structures, i: Tensor, j: Tensor, shifts: Tensor) -> Float[Tensor, "edges 3"]:
    """``r_j - r_i + shifts @ cell`` (Å), differentiable in positions and cell."""
    r = structures.positions.index_select(0, j) - structures.positions.index_select(0, i)
    if not bool(structures.pbc.any()):
        return r
    cell = structures.cell.index_select(0, structures.system.index_select(0, i))
    return r + (shifts.to(cell.dtype)[:, None, :] @ cell)[:, 0, :]


class NeighborList:
    """A neighbor list with a skin: searched anew only where an atom may have come in from beyond it.

    Atoms that move along with a strained cell have not moved in this sense; the strain itself takes from the skin. Each
    system of a batch is searched by itself when it must be, and keeps its list when others leave the batch. What is
    returned is always exactly the pairs within ``cutoff``, in canonical order, whatever the skin.

    Args:
        cutoff: Å.
        skin: Å; 0 searches at every call.
    """

    def __init__(self, cutoff: float, skin: float = 0.5):
        self.cutoff, self.skin = float(cutoff), float(skin)
        self.n_searches = 0
        self._at: Structures | None = None
        self._inverse: Tensor | None = None  # of the cells there, along their periodic rows
        self._wide: Pairs | None = None

    def __call__(self, structures: Structures) -> Pairs:
        use_threads(structures.n_atoms)
        source = self._sources(structures)
        if source is not None:
            self._update(structures, source)
        prune = _prune_fused if structures.device.type == "cpu" and structures.dtype == torch.float64 else _prune
        return prune(structures, self._wide, self.cutoff)

    def _sources(self, now: Structures) -> Int[Tensor, "systems"] | None:
        """For each system, the one of the last batch whose list serves it, or -1; None where each serves itself."""
        at = self._at
        source = torch.full_like(now.counts, -1)
        if at is None or now.device != at.device:
            return source
        if torch.equal(now.system, at.system):
            fits = self._fits(now, at)
            return None if bool(fits.all()) else torch.where(fits, torch.arange(len(fits), device=now.device), source)
        for left in range(max(0, len(at) - len(now)) + 1):  # as many as have left may be missing before it
            here = (source < 0).nonzero()[:, 0]
            there = here + left
            here, there = here[there < len(at)], there[there < len(at)]
            same = now.counts[here] == at.counts[there]
            here, there = here[same], there[same]
            fits = self._fits(now[here.tolist()], at[there.tolist()])
            source[here[fits]] = there[fits]
        return source

    def _fits(self, now: Structures, at: Structures) -> Bool[Tensor, "systems"]:
        """Whether the lists found at one place hold all pairs at another."""
        moved = now.positions.detach() - at.positions.detach()
        shrunk = moved.new_ones(len(now))
        if not torch.equal(now.cell, at.cell):
            inverse = self._inverse if at is self._at else None
            if inverse is None:
                inverse = torch.linalg.pinv(_periodic_rows(at))
            if at is self._at:
                self._inverse = inverse
            strain = inverse @ (_periodic_rows(now) - _periodic_rows(at))  # cell = old cell @ (1 + strain)
            moved = moved - (at.positions.detach()[:, None, :] @ strain[at.system])[:, 0, :]
            shrunk = 1 - torch.linalg.matrix_norm(strain)
        farthest = moved.new_zeros(len(now)).scatter_reduce(0, now.system, moved.square().sum(-1), "amax").sqrt()
        within = self.cutoff + 2 * farthest <= (self.cutoff + self.skin) * shrunk
        return within & (now.pbc == at.pbc).all(1)

    def _update(self, now: Structures, source: Int[Tensor, "systems"]) -> None:
        """Search where no list serves, and keep the others."""
        # The margin keeps pairs at the very edge of the search, where rounding may find only one of the two, out.
        reach = self.cutoff and self.cutoff + self.skin + 1e-6
        missing = (source < 0).nonzero()[:, 0].tolist()
        self._inverse, self.n_searches = None, self.n_searches + bool(missing)
        if len(missing) == len(now):
            self._wide, self._at = _search(now, reach), now.to(now.device)
            return
        part = now[missing]
        both = Structures.cat([self._at.to(now.dtype), part])
        place = source.clone()
        place[missing] = len(self._at) + torch.arange(len(missing), device=now.device)
        self._wide = _arranged(self._wide, _search(part, reach), both, place)
        self._at = both[place.tolist()]


def _arranged(a: Pairs, b: Pairs, both: Structures, place: Int[Tensor, "systems"]) -> Pairs:
    """The pairs of some systems of two batches, in a new order."""
    n_atoms, n_edges = len(a.first) - 1, len(a.i)
    first = torch.cat([a.first[:-1], b.first + n_edges])
    i, j = (torch.cat([x, y + n_atoms]) for x, y in ((a.i, b.i), (a.j, b.j)))
    reverse = torch.cat([a.reverse, torch.where(b.reverse < 0, b.reverse, b.reverse + n_edges)])

    def moved(begin: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Which rows are taken, and by how much each moves down."""
        down = torch.repeat_interleave(size.cumsum(0) - size - begin, size)
        return torch.arange(len(down), device=down.device) - down, down

    begin, size = both.offsets[place], both.counts[place]
    atoms, _ = moved(begin, size)
    count = first[begin + size] - first[begin]
    edges, down = moved(first[begin], count)
    by_atom = torch.repeat_interleave(size.cumsum(0) - size - begin, count)
    back = reverse[edges]
    new_first = torch.cat([first.new_zeros(1), first.diff()[atoms].cumsum(0)])
    shifts = torch.cat([a.shifts, b.shifts])[edges]
    return Pairs(
        i[edges] + by_atom, j[edges] + by_atom, shifts, None, new_first, torch.where(back < 0, back, back + down)
    )


def _periodic_rows(structures: Structures) -> Float[Tensor, "systems 3 3"]:
    """The lattice vectors that repeat; zero for those that do not."""
    return structures.cell.detach() * structures.pbc[:, :, None]


def _complete(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Replace the rows of non-periodic axes by unit vectors normal to the periodic ones."""
    if pbc.all():
        return cell
    rows = cell[pbc]
    box = np.array(cell)
    normal = np.linalg.svd(rows)[2][len(rows) :] if len(rows) else np.eye(3)
    box[~pbc] = normal
    return box


@njit(cache=True)
def _canonical_order(j, S, first):
    order = np.empty(len(j), np.int64)
    for a in range(len(first) - 1):
        lo, hi = first[a], first[a + 1]
        for e in range(lo, hi):
            k = e
            while k > lo:
                o = order[k - 1]
                if j[o] != j[e]:
                    later = j[o] > j[e]
                elif S[o, 0] != S[e, 0]:
                    later = S[o, 0] > S[e, 0]
                elif S[o, 1] != S[e, 1]:
                    later = S[o, 1] > S[e, 1]
                else:
                    later = S[o, 2] > S[e, 2]
                if not later:
                    break
                order[k] = o
                k -= 1
            order[k] = e
    return order


@njit(cache=True)
def _find_reverse(i, j, S, first):
    reverse = np.full(len(i), -1, np.int64)
    for e in range(len(i)):
        if reverse[e] >= 0:
            continue
        for f in range(first[j[e]], first[j[e] + 1]):
            if j[f] == i[e] and S[f, 0] == -S[e, 0] and S[f, 1] == -S[e, 1] and S[f, 2] == -S[e, 2]:
                reverse[e] = f
                reverse[f] = e
                break
    return reverse


def _prune(structures: Structures, wide: Pairs, cutoff: float) -> Pairs:
    """Keep the pairs that are within the cutoff now. This is the meaning; ``_prune_fused`` is the same in one pass."""
    vectors = pair_vectors(structures, wide.i, wide.j, wide.shifts)
    keep = (vectors.detach().square().sum(-1) < cutoff**2) & (wide.reverse >= 0)
    keep = keep & keep[wide.reverse]
    place = keep.long().cumsum(0) - 1
    first = torch.cat([place.new_zeros(1), keep.long().cumsum(0)])[wide.first]
    return Pairs(wide.i[keep], wide.j[keep], wide.shifts[keep], vectors[keep], first, place[wide.reverse[keep]])


def _prune_fused(structures: Structures, wide: Pairs, cutoff: float) -> Pairs:
    shift_vectors = (
        structures.system.numpy(),
        structures.cell.detach().contiguous().numpy(),
        structures.positions.detach().contiguous().numpy(),
    )
    i, j, S, _, first, reverse = (None if x is None else x.numpy() for x in wide)
    kept = _count_kept(*shift_vectors, i, j, S, first, float(cutoff))
    new_first = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    out = _fill_kept(*shift_vectors, i, j, S, first, reverse, float(cutoff), new_first)
    i, j, S, vectors, reverse = (torch.from_numpy(x) for x in out)
    return Pairs(i, j, S, vectors, torch.from_numpy(new_first), reverse)


@njit(inline="always")
def _vector(system, cell, x, a, b, S0, S1, S2):
    s = system[a]
    dx = x[b, 0] - x[a, 0] + (S0 * cell[s, 0, 0] + S1 * cell[s, 1, 0] + S2 * cell[s, 2, 0])
    dy = x[b, 1] - x[a, 1] + (S0 * cell[s, 0, 1] + S1 * cell[s, 1, 1] + S2 * cell[s, 2, 1])
    dz = x[b, 2] - x[a, 2] + (S0 * cell[s, 0, 2] + S1 * cell[s, 1, 2] + S2 * cell[s, 2, 2])
    return dx, dy, dz


@njit(cache=True, parallel=True)
def _count_kept(system, cell, x, i, j, S, first, cutoff):
    n = len(first) - 1
    kept = np.zeros(n, np.int64)
    for a in prange(n):
        count = 0
        for e in range(first[a], first[a + 1]):
            dx, dy, dz = _vector(system, cell, x, a, j[e], S[e, 0], S[e, 1], S[e, 2])
            count += dx * dx + dy * dy + dz * dz < cutoff * cutoff
        kept[a] = count
    return kept


@njit(cache=True, parallel=True)
def _fill_kept(system, cell, x, i, j, S, first, reverse, cutoff, new_first):
    n = len(first) - 1
    total = new_first[n]
    place = np.full(len(i), -1, np.int64)
    new_i, new_j = np.empty(total, np.int64), np.empty(total, np.int64)
    new_S, vectors = np.empty((total, 3), np.int32), np.empty((total, 3))
    old = np.empty(total, np.int64)
    for a in prange(n):
        k = new_first[a]
        for e in range(first[a], first[a + 1]):
            dx, dy, dz = _vector(system, cell, x, a, j[e], S[e, 0], S[e, 1], S[e, 2])
            if dx * dx + dy * dy + dz * dz < cutoff * cutoff:
                place[e] = k
                old[k] = e
                new_i[k] = a
                new_j[k] = j[e]
                for c in range(3):
                    new_S[k, c] = S[e, c]
                vectors[k, 0], vectors[k, 1], vectors[k, 2] = dx, dy, dz
                k += 1
    new_reverse = np.empty(total, np.int64)
    for k in prange(total):
        new_reverse[k] = place[reverse[old[k]]]
    return new_i, new_j, new_S, vectors, new_reverse
