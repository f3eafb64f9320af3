r"""Sparse Gaussian process regression on total energies, forces and virials.

With coefficients of prior ``N(0, 1)`` (see ``potentials.sparse_kernel``) the posterior mean minimizes

    sum_k |A_k w - y_k|² / sigma_k² + |w|²

over energies, forces and virials ``k``: what ``gap_fit`` solves by QR. Rows are streamed into one triangle for each
kind, so memory is that of a few thousand rows, and the evidence under other ``delta`` and ``sigma`` follows from the
triangles alone.

Bartók and Csányi, Int. J. Quantum Chem. 115, 1051 (2015); Foster et al., J. Mach. Learn. Res. 10, 857 (2009).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from ..config import nearest
from ..memory import require_memory
from ..potential import Potential, ReferenceEnergies
from .fit import Fit, Fitted, Posterior, Progress
from .least_squares import Parts, Rows, graphs_of
from .lengths import find_lengths
from .parts import leaves
from .regression import Triangle
from .weights import Residuals, Weights

if TYPE_CHECKING:
    from ..data import Dataset

KINDS = ("energy", "forces", "virial")
HYPERPARAMETERS = ("given", "evidence", "lengths")
_FAR = 4.6  # hyperparameters are sought within a factor of 100: huge deltas drown energies in rounding
_FREE = 1e3  # prior of reference energies beside their guess, eV: as good as none


class SparseGP(Fit):
    """The posterior of a sparse Gaussian process: ``GAP``, ``PairGP``, ``TripletGP``, ``EnvironmentGP`` and their sums.

    ``sigma`` is the standard deviation of what is not to be fitted: noise, and what lies beyond the cutoff. Energies
    and virials of ``N`` atoms have ``sigma sqrt(N)``, as in ``gap_fit``; a frame of weight ``w`` has
    ``sigma / sqrt(w)``. Reference energies are fitted with the rest, free of prior.

    Args:
        energy: sigma of energies, eV/atom; None leaves energies out.
        forces: sigma of force components, eV/Å; None leaves forces out.
        virial: sigma of strain derivatives, eV/atom; None leaves stress out.
        groups: other sigmas for the frames of a group: ``{"liquid": {"energy": 0.01, "forces": 0.2}}``.
        hyperparameters: ``"given"``, or ``"evidence"``: the ``delta`` of each covariance and the sigma of each kind
            that make the data most likely, starting from those given; or ``"lengths"``: those and the lengths of
            kernels of distances, each of which means points and a design matrix of its own.
        energies: reference energies per element: ``"auto"``, ``"shift"``, ``"none"`` or a table of eV per atom, which
            is kept.
    """

    refits_energies = True

    def __init__(
        self,
        energy: float | None = 0.001,
        forces: float | None = 0.05,
        virial: float | None = 0.05,
        groups: dict[str, dict] | None = None,
        hyperparameters: Literal["given", "evidence", "lengths"] = "given",
        energies: dict | str = "auto",
    ):
        if hyperparameters not in HYPERPARAMETERS:
            near = nearest(hyperparameters, HYPERPARAMETERS)
            raise ValueError(f"hyperparameters must be given, evidence or lengths; got {hyperparameters!r}{near}")
        self.sigmas = Sigmas({"energy": energy, "forces": forces, "virial": virial}, groups or {})
        self.hyperparameters, self.energies = hyperparameters, energies
        used = {kind: 1.0 if s else 0.0 for kind, s in self.sigmas.default.items()}
        stress = None if used["virial"] else 0.0  # only where there are labels
        self.weights = Weights(used["energy"], used["forces"], stress, dict.fromkeys(groups or {}, 1.0))

    def check(self, potential: Potential) -> None:
        free = [p for p in leaves(potential) if p.linear and not isinstance(p, ReferenceEnergies)]
        if wrong := [p for p in free or [potential] if p.covariances() is None]:
            name = type(wrong[0]).__name__
            raise TypeError(
                f"SparseGP fits Gaussian processes, and {name} is not one; use LeastSquares or GradientDescent"
            )

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
        start = time.perf_counter()
        factors_of_lengths = []
        if self.hyperparameters == "lengths":
            kernels = [kernel for p in Parts(potential).free for kernel in getattr(p, "stretched", list)()]
            factors_of_lengths = find_lengths(kernels, lambda: self._unlikeliness(potential, train)) if kernels else []
        parts = _with_points(potential, train)
        chosen = time.perf_counter()
        rows = Rows(parts, train, self.sigmas, progress)
        triangles, counts = _reduce(rows)
        middle = time.perf_counter()
        covariance = _numbered(parts.free)
        factors, sigmas = torch.ones(int(covariance.max()) + 1, dtype=torch.float64), [1.0] * len(triangles)
        if self.hyperparameters != "given":
            factors, sigmas, _ = most_evident(triangles, counts, covariance)
            _rescale(parts.free, factors)
            triangles = scaled(triangles, covariance, factors, sigmas)
        T = with_prior(triangles, covariance)
        R, n = T[:-1, :-1], sum(counts)
        solution = torch.linalg.solve_triangular(R, T[:-1, -1:], upper=True)[:, 0]
        left = torch.linalg.solve_triangular(R, torch.eye(len(R), dtype=R.dtype), upper=True)  # posterior: left leftᵀ
        parts.set(parts.start + solution)
        mean = potential.coefficients.detach().cpu().double()
        factor = mean.new_zeros(len(mean), len(R)).index_copy(0, parts.places, left)
        prior = _precision(covariance)
        misfit = max(float(T[-1, -1] ** 2 - prior @ solution.square()), 0.0)
        row = {
            "rows": n,
            "coefficients": len(solution),
            "effective": len(R) - float(prior @ left.square().sum(1)),
            "noise": (misfit / n) ** 0.5,  # of residuals over their sigma
            **{f"sigma_{kind}": (self.sigmas.default[kind] or 0.0) * x for kind, x in zip(triangles, sigmas)},
            **{f"delta_factor_{k}": x for k, x in enumerate(factors.tolist())},
            **{f"length_factor_{k}": x for k, x in enumerate(factors_of_lengths)},
            "points_seconds": chosen - start,
            "design_seconds": rows.seconds,
            "reduce_seconds": middle - chosen - rows.seconds,
            "solve_seconds": time.perf_counter() - middle,
        }
        stopped = f"solved {n} rows by QR"
        return Fitted(potential, history=[row], stopped=stopped, posterior=Posterior(mean, factor, 1.0))

    def _unlikeliness(self, potential: Potential, train: Dataset) -> float:
        """Minus the log likelihood with the lengths as they are and the best of all else, up to a constant."""
        parts = _with_points(potential, train)
        triangles, counts = _reduce(Rows(parts, train, self.sigmas, lambda *_: None))
        return most_evident(triangles, counts, _numbered(parts.free))[2]


def _with_points(potential: Potential, train: Dataset) -> Parts:
    """The parts of a potential, with points chosen among what occurs in the data."""
    for part in Parts(potential).free:
        part.prepare(graph for _, graph in graphs_of(train.structures, part.cutoff))
    parts = Parts(potential)  # there are as many coefficients as points
    check_memory(len(parts.start))
    return parts


def _reduce(rows: Rows) -> tuple[dict[str, Tensor], list[int]]:
    """A triangle for each kind of label, and how many rows it stands for."""
    triangles, counts = {k: Triangle() for k in KINDS}, dict.fromkeys(KINDS, 0)
    for blocks in rows.by_kind():
        for kind, block in zip(KINDS, blocks):
            if block is not None and len(block):
                triangles[kind].add(block.cpu())
                counts[kind] += len(block)
    found = {kind: triangle.result() for kind, triangle in triangles.items() if counts[kind]}
    return found, [counts[kind] for kind in found]


def most_evident(
    triangles: Mapping[str, Float[Tensor, "_ K1"]], counts: list[int], covariance: Int[Tensor, "K"]
) -> tuple[Float[Tensor, "covariances"], list[float], float]:
    """Factors of the deltas of covariances and of the sigmas of kinds that make the labels most likely.

    The third is minus the log of that likelihood, up to a constant.

    ``-log p(y) = 1/2 (|y - A w|² + |w|² + log|1 + Aᵀ A|) + sum_k n_k log sigma_k``, up to a constant, from the triangle
    of all rows under the prior (type-II maximum likelihood of the deterministic training conditional).

    Args:
        triangles: of each kind.
        counts: of the rows behind them.
        covariance: of each coefficient; -1: free.
    """
    n = int(covariance.max()) + 1

    def value(x: Tensor) -> Tensor:
        d = with_prior(scaled(triangles, covariance, x[:n].exp(), x[n:].exp()), covariance).diagonal()
        return 0.5 * d[-1] ** 2 + d[:-1].abs().log().sum() + (torch.tensor(counts).to(x) * x[n:]).sum()

    def with_slope(x):
        x = torch.tensor(x, requires_grad=True)
        y = value(x)
        return float(y.detach()), torch.autograd.grad(y, x)[0].numpy()

    start = torch.zeros(n + len(triangles), dtype=torch.float64).numpy()
    found = minimize(with_slope, start, jac=True, method="L-BFGS-B", bounds=[(-_FAR, _FAR)] * len(start))
    x = torch.from_numpy(found.x).exp()
    return x[:n], x[n:].tolist(), float(found.fun)


def scaled(
    triangles: Mapping[str, Tensor], covariance: Int[Tensor, "K"], factors: Tensor, sigmas: Iterable
) -> dict[str, Tensor]:
    """The triangles under other deltas (columns) and sigmas (rows)."""
    columns = torch.where(covariance < 0, 1.0, factors[covariance])
    columns = torch.cat([columns, columns.new_ones(1)])
    return {kind: T * columns / s for (kind, T), s in zip(triangles.items(), sigmas)}


def with_prior(triangles: Mapping[str, Tensor], covariance: Int[Tensor, "K"]) -> Float[Tensor, "K1 K1"]:
    """The triangle of all rows, those of the prior among them."""
    prior = _precision(covariance).sqrt().diag()
    prior = torch.cat([prior, prior.new_zeros(len(prior), 1)], 1)
    # One row more than columns, so that the last entry is there, and is positive or not without harm.
    return torch.linalg.qr(torch.cat([*triangles.values(), prior, prior.new_zeros(1, prior.shape[1])])).R


def _precision(covariance: Int[Tensor, "K"]) -> Float[Tensor, "K"]:
    return torch.where(covariance < 0, _FREE**-2, 1.0).double()


def _numbered(parts: list[Potential]) -> Int[Tensor, "K"]:
    """Which covariance each coefficient belongs to, counted through all parts; -1: none."""
    found, n = [], 0
    for part in parts:
        own = part.covariances()
        found.append(torch.full((len(part.coefficients),), -1) if own is None else own.cpu() + n)
        n = max(n, int(found[-1].max()) + 1)
    return torch.cat(found)


def _rescale(parts: list[Potential], factors: Tensor) -> None:
    for part in parts:
        if part.covariances() is not None:
            n = int(part.covariances().max()) + 1
            part.rescale(factors[:n])
            factors = factors[n:]


def check_memory(K: int) -> None:
    """Raise ``ValueError`` where the triangles of so many coefficients do not fit; rows are never held."""

    def remedy(free: float) -> str:
        return f"about {int((free / 80) ** 0.5)} would fit (n_sparse, for each element or pair)"

    require_memory(80 * K**2, f"{K} points", remedy)


class Sigmas:
    """Standard deviations by kind and group, as precisions of rows.

    Args:
        default: by kind; None leaves a kind out.
        groups: by group, then by kind.
    """

    def __init__(self, default: Mapping[str, float | None], groups: Mapping[str, Mapping[str, float]]):
        self.default, self.groups = dict(default), dict(groups)
        for of, table in {"": default, **groups}.items():
            for kind, sigma in table.items():
                if kind not in KINDS:
                    whose, known = f"group {of!r}" if of else "all frames", ", ".join(KINDS)
                    raise ValueError(f"no sigma of {kind!r} for {whose}{nearest(kind, KINDS)}; there are {known}")
                if sigma is not None and not sigma > 0:
                    raise ValueError(f"the sigma of {kind} must be positive, got {sigma}")
        if all(s is None for s in default.values()):
            raise ValueError("no sigma is given: nothing would be fitted")

    def precisions(self, dataset: Dataset) -> Residuals:
        """``1 / sigma²`` of rows of energies and virials per atom and of force components; 0 where not known."""
        s, N = dataset.structures, dataset.structures.counts.double()
        weight = torch.tensor([float(info["weight"]) for info in dataset.info], dtype=torch.float64)

        def of(kind: str, label: Tensor | None) -> Tensor | None:
            if label is None or self.default[kind] is None:
                return None
            sigma = [self.groups.get(info["group"], {}).get(kind, self.default[kind]) for info in dataset.info]
            p = weight / torch.tensor(sigma, dtype=torch.float64) ** 2
            p = p[s.system] if kind == "forces" else p * N
            known = label.isfinite()
            known = known.triu() if kind == "virial" else known  # six rows of nine: the matrix is symmetric
            return p.reshape(-1, *(1,) * (label.ndim - 1)) * known

        labels = dataset.labels
        return Residuals(of("energy", labels.energy), of("forces", labels.forces), of("virial", labels.stress))
