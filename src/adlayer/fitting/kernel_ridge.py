"""Kernel regression on energies, forces and virials with all environments of the training set: what fits ``FCHL``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import log, pi
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..graph import Graph
from ..memory import require_memory
from ..nn.environment_covariance import VOIGT, Alike, axes_of, covariance, internal_directions
from ..potential import Potential
from ..threads import use_all_threads
from .fit import Fit, Fitted, Progress
from .metrics import errors, predict
from .packed_triangle import PackedTriangle
from .parts import leaves, less, together
from .weights import Weights

if TYPE_CHECKING:
    from ..data import Dataset

_CHUNK = 64_000_000  # bytes of derivatives of features that are made at once
_CACHE = 8_000_000  # bytes of those that are worked on together


class KernelRidge(Fit):
    """Solves ``(K + ridge) a = y`` for all labels ``y`` of all frames, ``K`` their covariance: gives ``FCHL``.

    With energies alone (``forces=None``) it is kernel ridge regression, with forces Gaussian process regression. The
    ridge of a kind is the variance of what is not to be fitted over that of the energy of an atom; a frame of weight
    ``w`` has ``ridge / w``. Forces are taken along displacements that are no rigid motion: along the others there is
    nothing to fit. ``K`` holds one number for each pair of labels and is solved by Cholesky decomposition. Parts that
    are added to the ``FCHL`` are held fixed.

    Args:
        energy: ridge of energies; None leaves energies out.
        forces: ridge of force components, 1/Å²; None leaves forces out.
        virial: ridge of strain derivatives, where there are labels of stress; None leaves them out.
        sigma: length of the covariance, or several of which the one with the least error of held-out forces, or
            energies, is taken; that of the potential if not given.
        energies: reference energies per element: ``"auto"``, ``"shift"``, ``"none"`` or a table of eV per atom.
    """

    def __init__(
        self,
        energy: float | None = 1e-10,
        forces: float | None = 1e-8,
        virial: float | None = 1e-8,
        sigma: float | list[float] | None = None,
        energies: dict | str = "auto",
    ):
        self.ridges = {"energy": energy, "forces": forces, "virial": virial}
        for kind, ridge in self.ridges.items():
            if ridge is not None and not ridge > 0:
                raise ValueError(f"the ridge of {kind} must be positive, or None to leave it out; got {ridge}")
        used = [0.0 if ridge is None else 1.0 for ridge in self.ridges.values()]
        self.weights = Weights(used[0], used[1], None if used[2] else 0.0)  # stress where there are labels
        self.sigma, self.energies = sigma, energies

    def check(self, potential: Potential) -> None:
        if [p.fitted_by for p in leaves(potential)].count(type(self).__name__) != 1:
            raise TypeError(f"KernelRidge fits one FCHL, alone or with others added; not {type(potential).__name__}")

    def solve(
        self,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None,
        *,
        folder: Path | None,
        progress: Progress,
        seed: int,
    ) -> Fitted:
        model = next(p for p in leaves(potential) if p.fitted_by == type(self).__name__)
        sigmas = [float(model.theta)] if self.sigma is None else np.atleast_1d(self.sigma).tolist()
        if len(sigmas) > 1 and valid is None:
            raise ValueError("to choose among several sigma, KernelRidge needs held-out frames")
        start = time.perf_counter()
        labels = Labels(train, together([p for p in leaves(potential) if p is not model]), self.ridges)
        labels.check_memory(model.descriptor.n_features)
        environments = Environments(labels, model, progress)
        history, solutions = [], []
        for sigma in sigmas:
            begin = time.perf_counter()
            K = covariances(environments.groups, sigma, progress)
            middle = time.perf_counter()
            a, row = solved(K, labels, progress)
            del K  # before the next
            row = {"sigma": sigma, **row, "features": [u.shape[1] for u in environments.axes]}
            row |= {"features_seconds": begin - start, "covariance_seconds": middle - begin}
            row["solve_seconds"] = time.perf_counter() - middle
            environments.give(model, a, sigma)
            if len(sigmas) > 1:
                kind = "energy" if self.ridges["forces"] is None else "forces"
                row["valid_rmse"] = errors(predict(potential, valid.structures, stress=False), valid)[f"{kind}_rmse"]
            history.append(row)
            solutions.append(a)
        best = min(range(len(sigmas)), key=lambda k: history[k].get("valid_rmse", 0.0))
        environments.give(model, solutions[best], sigmas[best])
        return Fitted(potential, history=history, stopped=f"solved {labels.n_known} rows by Cholesky decomposition")


class Labels:
    """Energies, forces and virials as one vector: frames of one composition together, labels of a frame together.

    Forces of a composition are those along ``directions``, where all are known.

    Args:
        data: the frames.
        fixed: a part whose share is taken off.
        ridges: of the kinds; None where one is left out.
    """

    def __init__(self, data: Dataset, fixed: Potential | None, ridges: dict[str, float | None]):
        self.forces = ridges["forces"] is not None
        self.virial = ridges["virial"] is not None and data.labels.stress is not None
        compositions: dict[tuple, list[int]] = {}
        for k, z in enumerate(data.structures.numbers.split(data.structures.counts.tolist())):
            compositions.setdefault(tuple(sorted(z.tolist())), []).append(k)
        self.parts = [data[ks] for ks in compositions.values()]
        self.directions = [self._directions(part) for part in self.parts]
        y, ridge = zip(*(self._rows(*part, fixed, ridges) for part in zip(self.parts, self.directions)))
        y, ridge = torch.cat([x.flatten() for x in y]), torch.cat([x.flatten() for x in ridge])
        self.known = (y.isfinite() & ridge.isfinite()).numpy()
        self.y, self.ridge = np.where(self.known, y, 0.0), ridge.numpy()
        self.n_known = int(self.known.sum())

    def _directions(self, part: Dataset) -> Float[Tensor, "S C Q"] | None:
        """None where forces are labels component by component, since some are not known."""
        if self.forces and bool(part.labels.forces.isfinite().all()):
            return internal_directions(part.structures.to(torch.float64))
        return None

    def _rows(
        self, part: Dataset, directions: Tensor | None, fixed: Potential | None, ridges: dict
    ) -> tuple[Tensor, Tensor]:
        """Labels and their ridges, ``[frames, labels]``."""
        s, S = part.structures, len(part)
        labels = part.labels if fixed is None else less(part.labels, fixed, Graph.of(s, fixed.cutoff))
        used = labels.energy is not None and ridges["energy"] is not None
        columns = {"energy": labels.energy[:, None] if used else s.cell.new_full((S, 1), torch.nan)}
        if self.forces:
            F = labels.forces.double().reshape(S, 1, -1)
            columns["forces"] = (F if directions is None else F @ directions)[:, 0]
        if self.virial:
            W = labels.stress * s.measure[:, None, None]
            columns["virial"] = torch.stack([W[:, a, b] for a, b in VOIGT], 1)
        weight = torch.tensor([float(info["weight"]) for info in part.info], dtype=torch.float64)[:, None]
        strength = [(ridges[kind] or 1.0) / weight.expand(S, x.shape[1]) for kind, x in columns.items()]
        return torch.cat([x.double() for x in columns.values()], 1), torch.cat(strength, 1)

    def check_memory(self, n_features: int) -> None:
        """Raise ``ValueError`` where the covariance of the labels and their derivatives do not fit."""
        R, frames = len(self.y), sum(len(part) for part in self.parts)
        slopes = sum(p.structures.n_atoms * 3 * p.structures.n_atoms / len(p) for p in self.parts) * self.forces
        needed = PackedTriangle.bytes(R) + 8.0 * slopes * n_features

        def remedy(free: float) -> str:
            few = int(frames * (free / needed) ** 0.5)
            return f"{few} of the {frames} frames would fit, or all by SparseGP with some environments (n_sparse)"

        require_memory(needed, f"covariances of {R} labels", remedy)


class Environments:
    """All environments of some frames, in the directions of features in which they differ or change.

    Args:
        labels: what is asked about the frames.
        model: with the descriptor.
        progress: called after each block.
    """

    def __init__(self, labels: Labels, model: Potential, progress: Progress):
        # To go through the derivatives twice takes less than to hold them whole.
        self.axes = axes_of(alike for _, alike in _blocks(labels, model, progress))
        found, points = [[] for _ in labels.parts], []
        for p, alike in _blocks(labels, model, progress):
            points.append([x.flatten(0, 1) for x in alike.x])
            found[p].append(alike.onto(self.axes))
        self.groups = [Alike.cat(blocks) for blocks in found]
        self.points = [torch.cat(x) for x in zip(*points)]

    def give(self, model: Potential, a: Float[np.ndarray, "R"], sigma: float) -> None:
        """Make of the solution what the potential needs to know."""
        shapes = [(len(g), g.n_labels) for g in self.groups]
        a = [x.view(shape) for x, shape in zip(torch.from_numpy(a).split([S * P for S, P in shapes]), shapes)]
        weights, tilts = [], []
        for e, axes in enumerate(self.axes):
            parts = [(x, g.v[e]) for x, g in zip(a, self.groups)]
            weights += [x[:, :1].expand(-1, v.shape[2]).flatten() for x, v in parts]
            tilts += [torch.einsum("sp,spnd->snd", x[:, 1:], v).flatten(0, 1) @ axes.T for x, v in parts]
        model.theta.fill_(sigma)
        tilts = torch.cat(tilts) if any(P > 1 for _, P in shapes) else None
        model.place(self.points, torch.cat(weights) / model.delta.double() ** 2, tilts)


def _blocks(labels: Labels, model: Potential, progress: Progress) -> Iterator[tuple[int, Alike]]:
    """Some structures at a time, and which composition they are of."""
    for p, part in enumerate(labels.parts):
        n = part.structures.n_atoms // len(part)
        step = max(1, int(_CHUNK / (24 * n**2 * model.descriptor.n_features)))
        for begin in range(0, len(part), step):
            s = part.structures[list(range(begin, min(begin + step, len(part))))].to(torch.float64)
            z = model.species(s.numbers)
            alike = Alike.of(model.descriptor, Graph.of(s, model.cutoff), z, labels.forces, labels.virial)
            along = labels.directions[p]
            yield p, alike if along is None else alike.along(along[begin : begin + len(s)])
            progress(begin + len(s), len(part), f"environments of composition {p + 1} of {len(labels.parts)}")


def covariances(groups: list[Alike], theta: float, progress: Progress) -> PackedTriangle:
    """Of all labels with each other."""
    sizes = [len(g) * g.n_labels for g in groups]
    ends = np.cumsum(sizes)
    K = PackedTriangle(int(ends[-1]))

    def fill(g: int, f: int) -> None:
        one, row = groups[g], int(ends[g]) - sizes[g] + f * groups[g].n_labels
        rows = one.x[0].new_empty(one.n_labels, row + one.n_labels)
        for h, many in enumerate(groups[: g + 1]):
            last = f + 1 if h == g else len(many)
            each = 8 * many.n_labels * sum(x[0].numel() for x in one.x)
            step = max(1, int(_CACHE / each))
            for begin in range(0, last, step):
                block = covariance(one[f : f + 1], many[begin : min(begin + step, last)], theta)
                at = int(ends[h]) - sizes[h] + begin * many.n_labels
                rows[:, at : at + len(block) * many.n_labels] = block.flatten(0, 1).T
        K.set_rows(row, rows)

    use_all_threads()
    jobs, threads = [(g, f) for g, one in enumerate(groups) for f in range(len(one))], torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:  # products are small
            for done, _ in enumerate(pool.map(fill, *zip(*jobs)), 1):
                progress(done, len(jobs), f"covariances, sigma {theta:g}")
    finally:
        torch.set_num_threads(threads)
    return K


def solved(K: PackedTriangle, labels: Labels, progress: Progress) -> tuple[Float[np.ndarray, "R"], dict[str, float]]:
    """``a``, the most probable standard deviation of the energy of an atom before any data, and how probable it is."""
    K.leave_out(torch.from_numpy(~labels.known))
    K.add_diagonal(torch.from_numpy(np.where(labels.known, labels.ridge, 1.0)))
    log_det = K.factor(progress)
    a, n = K.solve(torch.from_numpy(labels.y)).numpy(), labels.n_known
    variance = max(float(a @ labels.y), np.finfo(float).tiny) / n
    log_evidence = -0.5 * (n * log(2 * pi * variance) + n + log_det)
    return a, {"rows": n, "delta": variance**0.5, "log_evidence": log_evidence}
