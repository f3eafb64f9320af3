"""Committees: many fits that agree where the data decide, and nowhere else."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ..config import build, describe, find_class
from ..potential import Potential
from .calibration import calibrate
from .doubtful import Doubtful
from .ensemble import Ensemble, LinearEnsemble
from .uncertainty import Uncertainty

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting import Fit, Fitted


class Committee(Uncertainty):
    """Several potentials fitted to resampled data, or drawn from the posterior of one fit.

    ``"bagged"``: each member is fitted to as many frames as there are, drawn with replacement (Breiman, Mach. Learn.
    24, 123 (1996)); a potential that is not linear also starts from other random parameters. ``"posterior"``: a linear
    potential is fitted once by Bayesian least squares and its members are draws of the coefficients,
    ``c_m = c + L z_m`` with ``L Lᵀ`` the posterior covariance, at the price of a single fit.

    Args:
        members: how many; by default 8 that are fitted, 32 that are drawn.
        how: ``"bagged"``, ``"posterior"``, or ``"auto"``: the posterior where the fit gives one.
        calibrated: scale the standard deviations so that held-out errors are most likely under them.
    """

    def __init__(
        self,
        members: int | None = None,
        how: Literal["auto", "bagged", "posterior"] = "auto",
        calibrated: bool = True,
    ):
        if how not in ("auto", "bagged", "posterior"):
            raise ValueError(f"how must be 'auto', 'bagged' or 'posterior', got {how!r}")
        if members is not None and members < 2:
            raise ValueError(f"a committee needs at least 2 members, got {members}")
        self.members, self.how, self.calibrated = members, how, calibrated

    def fit(
        self,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None = None,
        method: Fit | None = None,
        *,
        folder: Path | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        seed: int = 0,
    ) -> Doubtful:
        progress = progress or (lambda *_: None)

        def once(potential: Potential, train: Dataset, name: str, seed: int, progress=progress) -> Fitted:
            from ..fitting import fit

            where = None if folder is None else Path(folder) / name
            return fit(potential, train, valid, method, folder=where, progress=progress, seed=seed)

        ensemble = None
        if self.how != "bagged" and potential.linear:
            fitted = once(potential, train, "fit", seed)
            if fitted.posterior is not None:
                ensemble = drawn(fitted, self.members or 32, seed)
        if ensemble is None and self.how == "posterior":
            raise ValueError(
                "how = 'posterior' needs a linear potential and a fit that gives its posterior (LeastSquares)"
            )
        if ensemble is None:
            ensemble = self._bagged(once, potential, train, progress, seed)
        if self.calibrated and valid is not None and len(valid):
            calibrate(ensemble, valid)
        return ensemble

    def _bagged(self, once: Callable, potential: Potential, train: Dataset, progress: Callable, seed: int) -> Doubtful:
        n, fitted = self.members or 8, []
        for m in range(n):
            progress(m, n, f"member {m + 1} of {n}")
            rng = np.random.default_rng([seed, m])
            sample = train[_resample(train, rng)]
            start = potential if potential.linear else _afresh(potential, int(rng.integers(2**31)))
            fitted.append(once(start, sample, f"member-{m:02d}", seed + m, progress=None).potential)
        progress(n, n, "committee")
        return LinearEnsemble.of_members(fitted) if _one_design(fitted) else Ensemble.of(fitted)


def drawn(fitted: Fitted, members: int, seed: int = 0) -> LinearEnsemble:
    """Members drawn from the posterior of a linear fit, in directions as different as they can be.

    ``S = L Z sqrt(R / M)`` with ``M`` random orthonormal columns ``Z`` of ``R`` entries, so that the variance of
    anything is right on average, and exact when ``M = R``.
    """
    L = fitted.posterior.factor
    R = L.shape[1]
    M = min(members, R)
    Z, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((R, M)))
    return LinearEnsemble.of(fitted.potential, L @ torch.from_numpy(Z).to(L) * (R / M) ** 0.5)


def _afresh(potential: Potential, seed: int) -> Potential:
    """The same potential with other random parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(_reseeded(describe(potential), seed), Potential)


def _reseeded(spec: Any, seed: int) -> Any:
    """A description in which every class that takes a ``seed`` is given this one."""
    if isinstance(spec, list):
        return [_reseeded(s, seed) for s in spec]
    if not isinstance(spec, dict):
        return spec
    spec = {key: _reseeded(value, seed) for key, value in spec.items()}
    name = next(iter(spec), "")
    names_a_class = len(spec) == 1 and isinstance(spec[name], dict) and name.rpartition(".")[2][:1].isupper()
    if names_a_class and "seed" in inspect.signature(find_class(name)).parameters:
        spec[name]["seed"] = seed
    return spec


def _resample(train: Dataset, rng: np.random.Generator) -> list[int]:
    """As many frames as there are, with replacement, until every element is among them."""
    elements, systems = train.structures.numbers, train.structures.system
    while True:
        chosen = np.sort(rng.integers(len(train), size=len(train)))
        if len(elements[torch.isin(systems, torch.from_numpy(chosen))].unique()) == len(elements.unique()):
            return chosen.tolist()


def _one_design(members: list[Potential]) -> bool:
    """Whether linear members differ in nothing but their coefficients, so that their features can be shared."""
    if not members[0].linear:
        return False
    bare = [copy.deepcopy(m) for m in members]
    for m in bare:
        m.coefficients = torch.zeros_like(m.coefficients)
    states = [m.state_dict() for m in bare]
    return all(s.keys() == states[0].keys() and all(torch.equal(s[k], states[0][k]) for k in s) for s in states[1:])
