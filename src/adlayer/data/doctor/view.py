"""What the checks look at: arrays of a data set, its fingerprints, and pairs of frames that lie close together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from ase.data import covalent_radii
from scipy.spatial import cKDTree

from ...neighbors import find_pairs
from ...structures import Structures
from ..dataset import Dataset
from .findings import Finding, Severity

_CUTOFF = 4.5  # Å, of the fingerprints
_CENTERS = np.linspace(0.8, _CUTOFF, 12)
_CHUNK = 5000  # atoms whose pairs are held at a time


class Near(NamedTuple):
    """Two frames of the same atoms in the same order, and how they differ."""

    a: int
    b: int
    moved: np.ndarray  # Å: displacement of each atom beyond the strain, translation (and rotation of clusters) removed
    strain: np.ndarray  # of the cell, symmetric; zero without one
    turn: np.ndarray  # rotation that takes vectors of frame b into the frame of a


class View:
    """A data set as the checks see it. Everything is computed once, when first asked for."""

    def __init__(self, dataset: Dataset):
        self.dataset, s = dataset, dataset.structures
        self.offsets = s.offsets.numpy()
        self.counts = s.counts.numpy()
        self.numbers = s.numbers.numpy()
        self.positions = s.positions.double().numpy()
        self.cells, self.pbc = s.cell.double().numpy(), s.pbc.numpy()
        labels = dataset.labels
        n = len(dataset)
        self.energy = np.full(n, np.nan) if labels.energy is None else labels.energy.double().numpy()
        self.forces = np.full((s.n_atoms, 3), np.nan) if labels.forces is None else labels.forces.double().numpy()
        self.has_forces = dataset.has("forces").numpy()
        self.stress = None if labels.stress is None else labels.stress.double().numpy()
        self.measure = s.measure.double().numpy()

    def __len__(self) -> int:
        return len(self.counts)

    def atoms(self, k: int) -> slice:
        return slice(self.offsets[k], self.offsets[k + 1])

    def of_frames(self, x: np.ndarray, reduce: np.ufunc = np.add) -> np.ndarray:
        """Reduce what belongs to atoms over each frame."""
        return reduce.reduceat(x, self.offsets[:-1], axis=0) if len(x) else np.zeros((0, *x.shape[1:]))

    @cached_property
    def force_rms(self) -> np.ndarray:
        """Root mean square force component of each frame, eV/Å; NaN where not known."""
        return np.sqrt(self.of_frames((self.forces**2).sum(1)) / (3 * self.counts))

    @cached_property
    def composition(self) -> np.ndarray:
        return self.dataset.composition().numpy().astype(float)

    @cached_property
    def kinds(self) -> np.ndarray:
        """Which frames agree in composition, periodic axes, charge and spin: one label each."""
        rows = np.concatenate([self.composition, self.states], axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].ravel()

    @cached_property
    def states(self) -> np.ndarray:
        """Periodic axes, charge and spin of each frame."""
        s = self.dataset.structures
        return np.concatenate([self.pbc, s.charge.numpy()[:, None], s.spin.numpy()[:, None]], axis=1).astype(float)

    @cached_property
    def excess(self) -> np.ndarray:
        """Energy per atom beyond a least-squares sum of one energy per element, eV; NaN where not known."""
        known = ~np.isnan(self.energy)
        out = np.full(len(self), np.nan)
        if known.any():
            n = self.composition[known] / self.counts[known, None]
            e = self.energy[known] / self.counts[known]
            out[known] = e - n @ np.linalg.lstsq(n, e, rcond=None)[0]
        return out

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        fingerprints, closest = zip(*map(_look, self.chunks())) if len(self) else ([], [])
        return np.concatenate(fingerprints), np.concatenate(closest)

    @property
    def fingerprints(self) -> np.ndarray:
        """Invariant under translation, rotation and permutation, per atom: frames x features, of order 1."""
        return self._pairs[0]

    @property
    def closest(self) -> np.ndarray:
        """Smallest distance of each frame over the sum of covalent radii; infinite if beyond the cutoff."""
        return self._pairs[1]

    def chunks(self) -> Iterator[Structures]:
        ends = np.searchsorted(self.offsets, np.arange(_CHUNK, self.offsets[-1] + _CHUNK, _CHUNK), side="right") - 1
        start = 0
        for end in [*ends.tolist(), len(self)]:
            if (end := min(max(end, start + 1), len(self))) > start:
                yield self.dataset.structures[start:end]
                start = end

    @cached_property
    def near(self) -> list[Near]:
        """Pairs of frames that differ by little: neighbors in the file, and nearest fingerprints."""
        pairs = {(k, k + 1) for k in range(len(self) - 1) if self.kinds[k] == self.kinds[k + 1]}
        for kind in range(self.kinds.max() + 1 if len(self) else 0):
            members = np.flatnonzero(self.kinds == kind)
            if len(members) > 2:
                nearest = cKDTree(self.fingerprints[members]).query(self.fingerprints[members], k=2)[1]
                pairs |= {(min(a, b), max(a, b)) for a, b in members[nearest].tolist() if a != b}
        found = (self.compare(a, b) for a, b in sorted(pairs))
        return [pair for pair in found if pair is not None]

    def compare(self, a: int, b: int) -> Near | None:
        """How frame b differs from frame a, or None where it differs by more than a linear expansion bears."""
        A, B = self.atoms(a), self.atoms(b)
        if not np.array_equal(self.numbers[A], self.numbers[B]) or self.counts[a] < 2:
            return None
        if not self.pbc[a].any():
            return _compare_clusters(a, b, self.positions[A], self.positions[B])
        if self.pbc[a].all():
            return _compare_crystals(a, b, self.positions[A], self.positions[B], self.cells[a], self.cells[b])
        if not np.allclose(self.cells[a][self.pbc[a]], self.cells[b][self.pbc[a]], atol=1e-6):
            return None
        cell = self.cells[a] * self.pbc[a][:, None]
        d = self.positions[B] - self.positions[A]
        return _near(a, b, d - np.round(d @ np.linalg.pinv(cell)) @ cell, np.zeros((3, 3)))

    def finding(self, severity: Severity, check: str, frames: Iterable[int], message: str, remedy: str) -> Finding:
        """A finding about some frames, named by file and place in the file."""
        info = [self.dataset.info[int(k)] for k in frames]
        files = list(dict.fromkeys(d["file"] for d in info))
        name = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more files" if files else self.file
        same = [d["frame"] for d in info if d["file"] == files[0]]
        return Finding(severity, check, name, tuple(same), message, remedy)

    @cached_property
    def file(self) -> str:
        files = list(dict.fromkeys(d["file"] for d in self.dataset.info))
        return files[0] if len(files) == 1 else f"{len(files)} files" if files else ""


def _near(a: int, b: int, moved: np.ndarray, strain: np.ndarray, turn: np.ndarray | None = None) -> Near | None:
    moved = moved - moved.mean(0)
    if np.sqrt((moved**2).sum(1).mean()) > 0.35 or np.abs(strain).max() > 0.06:
        return None
    return Near(a, b, moved, strain, np.eye(3) if turn is None else turn)


def _compare_clusters(a: int, b: int, A: np.ndarray, B: np.ndarray) -> Near | None:
    A, B = A - A.mean(0), B - B.mean(0)
    U, _, Vt = np.linalg.svd(B.T @ A)
    U[:, -1] *= np.sign(np.linalg.det(U @ Vt))
    turn = U @ Vt
    return _near(a, b, B @ turn - A, np.zeros((3, 3)), turn)


def _compare_crystals(
    a: int, b: int, A: np.ndarray, B: np.ndarray, cell_a: np.ndarray, cell_b: np.ndarray
) -> Near | None:
    inverse = np.linalg.inv(cell_a)
    F = inverse @ cell_b  # cell_b = cell_a @ F
    symmetric = 0.5 * (F + F.T) - np.eye(3)
    if np.abs(F - F.T).max() > 1e-3 + np.abs(symmetric).max():  # another orientation: forces do not compare
        return None
    ds = B @ np.linalg.inv(cell_b) - A @ inverse
    ds -= ds[0]
    ds -= np.round(ds)
    ds -= ds.mean(0)
    return _near(a, b, ds @ (0.5 * (cell_a + cell_b)), symmetric)


def _look(structures: Structures) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprints and closest distances of a few frames."""
    radii = torch.as_tensor(covalent_radii)
    pairs = find_pairs(structures, _CUTOFF)
    r = pairs.vectors.norm(dim=1)
    zi, zj = structures.numbers[pairs.i], structures.numbers[pairs.j]
    frame = structures.system[pairs.i]
    smooth = 0.5 * (1 + torch.cos(torch.pi * r / _CUTOFF))
    g = torch.exp(-8.0 * (r[:, None] - torch.as_tensor(_CENTERS)) ** 2) * smooth[:, None]
    weights = torch.stack([torch.ones_like(r), torch.cos(1.7 * zi) * torch.cos(1.7 * zj)], dim=1)
    features = torch.einsum("ek,ew->ekw", g, weights).flatten(1)
    total = features.new_zeros(structures.n_systems, features.shape[1]).index_add(0, frame, features)
    closest = r.new_full((structures.n_systems,), torch.inf).scatter_reduce(
        0, frame, r / (radii[zi] + radii[zj]), "amin"
    )
    return (total / structures.counts[:, None]).numpy(), closest.numpy()


def nearest_distances(structures: Structures) -> torch.Tensor:
    """Distance of each atom to its nearest neighbor over the sum of their covalent radii; infinite beyond 6 Å."""
    radii = torch.as_tensor(covalent_radii)
    pairs = find_pairs(structures, 6.0)
    ratio = pairs.vectors.norm(dim=1) / (radii[structures.numbers[pairs.i]] + radii[structures.numbers[pairs.j]])
    return ratio.new_full((structures.n_atoms,), torch.inf).scatter_reduce(0, pairs.i, ratio, "amin")
