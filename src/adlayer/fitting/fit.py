"""From a potential and a dataset to a fitted potential: the interface of all methods."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import Part, build
from ..potential import Potential, ReferenceEnergies, Sum, check_elements, make_potential
from .metrics import errors_of, predict
from .parts import leaves
from .weights import Weights

if TYPE_CHECKING:
    from ..data import Dataset

Progress = Callable[[int, int, str], None]


class Posterior(NamedTuple):
    """What the data leave open in a linear potential: ``coefficients ~ N(mean, factor factorᵀ)``."""

    mean: Float[Tensor, "K"]
    factor: Float[Tensor, "K M"]
    noise: float  # standard deviation of a residual times the root of its weight in the objective

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n K"]:
        """Draw coefficients."""
        z = torch.randn(n, self.factor.shape[1], dtype=self.mean.dtype, generator=generator)
        return self.mean + z @ self.factor.T


@dataclass(frozen=True)
class Fitted:
    """What a fit gives back.

    Args:
        potential: the fitted potential; the one that was passed in is left as it was.
        metrics: ``errors`` of ``"train"`` and, where there is one, ``"valid"``.
        history: what was written down on the way, one row per epoch or iteration.
        seconds: wall time.
        stopped: why it ended.
        posterior: of the potential's ``coefficients``, where the method knows it.
    """

    potential: Potential
    metrics: dict[str, dict] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = ""
    posterior: Posterior | None = None

    @property
    def energies(self) -> dict[str, float]:
        """Reference energies of the elements (eV per atom), where the potential has any."""
        parts = self.potential.parts if isinstance(self.potential, Sum) else [self.potential]
        refs = [p for p in parts if isinstance(p, ReferenceEnergies)]
        return {e: x for p in refs for e, x in zip(p.elements, p.energies.tolist())}


class Fit(Part, ABC):
    """A method that fits: it sets ``weights`` and ``energies`` and implements ``solve``.

    ``energies`` says what the potential counts from: ``"auto"`` (isolated atoms in the training set, else least squares
    over its compositions, unless the potential already holds ``ReferenceEnergies``), ``"shift"`` (those by which a
    potential that has learned elsewhere is off, such as another zero of energy), a table of eV per atom, or ``"none"``.
    They are added as a part, ``ReferenceEnergies(...) + potential``, whose parameter is frozen
    (``requires_grad`` is False) while ``solve`` runs, unless the method says ``refits_energies`` and they are only the
    guess of least squares. Frozen parameters are not to be fitted.
    """

    weights: Weights
    energies: Mapping[str, float] | str
    refits_energies: ClassVar[bool] = False

    def check(self, potential: Potential) -> None:
        """Raise ``TypeError`` where the method cannot fit this potential; by default it fits any."""

    @abstractmethod
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
        """Fit ``potential`` in place; ``__call__`` has checked the data and adds metrics and wall time."""

    def __call__(
        self,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None = None,
        *,
        folder: Path | str | None = None,
        progress: Progress | None = None,
        seed: int = 0,
    ) -> Fitted:
        """Fit a copy of ``potential``.

        Args:
            potential: where the fit starts from.
            train: what it is fitted to.
            valid: what decides when to stop and which parameters are best, where the method asks.
            folder: where checkpoints and metrics are written, and found again when the fit is resumed.
            progress: called as ``progress(done, total, message)``.
            seed: of all random numbers.
        """
        start = time.perf_counter()
        self.check(potential)
        self.weights.check(train, valid)
        potential, known = with_energies(copy.deepcopy(potential), train, self.energies)
        for data in (train, valid):
            if data is not None:
                check_elements(potential, data.structures)
        energies = _energies_of(potential)
        was = [x.requires_grad for x in energies]
        for x in energies:
            x.requires_grad_(self.refits_energies and not known)
        folder = None if folder is None else Path(folder)
        fitted = self.solve(
            potential, train, valid, folder=folder, progress=progress or (lambda *_: None), seed=int(seed)
        )
        for x, trainable in zip(energies, was):
            x.requires_grad_(trainable)
        sets = {"train": train} if valid is None else {"train": train, "valid": valid}
        metrics = {name: errors_of(fitted.potential, data) for name, data in sets.items()}
        return replace(fitted, metrics={**metrics, **fitted.metrics}, seconds=time.perf_counter() - start)


def fit(
    potential: Potential | Mapping | str,
    train: Dataset,
    valid: Dataset | None = None,
    method: Fit | Mapping | str | None = None,
    *,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Fitted:
    """Fit a potential by ``default_method``, or by the method that is named.

    Args:
        potential: a potential, or ``{ClassName: {arguments}}``.
        train: what it is fitted to.
        valid: held-out data.
        method: a method, or ``{ClassName: {arguments}}``.
        folder: where checkpoints and metrics are written.
        progress: called as ``progress(done, total, message)``.
        seed: of all random numbers.
    """
    potential = make_potential(potential, train.elements)
    method = default_method(potential) if method is None else build(method, Fit)
    method.weights.check_groups(train)
    return method(potential, train, valid, folder=folder, progress=progress, seed=seed)


def default_method(potential: Potential) -> Fit:
    """What the potential asks for; else a sparse Gaussian process as such, least squares where linear, or descent.

    Where a linear potential has other parameters that can be fitted, by variable projection.
    """
    from .gradient_descent import GradientDescent
    from .least_squares import LeastSquares
    from .sparse_gp import SparseGP
    from .variable_projection import VariableProjection

    for part in leaves(potential):
        if part.fitted_by is not None:
            return build(part.fitted_by, Fit)
        if part.covariances() is not None:
            return SparseGP()
        if part.linear and part.nonlinear():
            return VariableProjection()
    return LeastSquares() if potential.linear else GradientDescent()


def with_energies(potential: Potential, train: Dataset, energies: Mapping[str, float] | str) -> tuple[Potential, bool]:
    """``ReferenceEnergies(...) + potential``, and whether the energies are known or only the best guess so far."""
    if isinstance(energies, Mapping):
        present = train.elements
        if missing := [e for e in present if e not in energies]:
            raise ValueError(f"energies has no value for {', '.join(missing)}; it has {', '.join(energies) or 'none'}")
        return ReferenceEnergies({e: float(x) for e, x in energies.items()}) + potential, True
    if energies not in ("auto", "shift", "none"):
        raise ValueError(f"energies must be 'auto', 'shift', 'none' or a table of eV per atom, got {energies!r}")
    has = bool(_energies_of(potential)) and energies == "auto"
    if energies == "none" or has or not bool(train.has("energy").any()):
        return potential, False
    from ..data.energies import reference_energies

    if energies == "auto":
        found = reference_energies(train)
        return found.potential() + potential, "isolated atom" in found.source.values()
    check_elements(potential, train.structures)
    said = predict(potential, train.structures, stress=False).energy
    left = replace(train, labels=train.labels._replace(energy=train.labels.energy - said.to(train.labels.energy)))
    off = reference_energies(left, method="least squares").energies
    for part in leaves(potential):
        if isinstance(part, ReferenceEnergies):
            part.energies.data += part.energies.new_tensor([off.pop(e, 0.0) for e in part.elements])
    return ReferenceEnergies(off) + potential if off else potential, False


def _energies_of(potential: Potential) -> list[Tensor]:
    parts = potential.parts if isinstance(potential, Sum) else [potential]
    return [p.energies for p in parts if isinstance(p, ReferenceEnergies)]
