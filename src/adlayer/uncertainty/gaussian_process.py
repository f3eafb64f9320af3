"""Doubt of a Gaussian process about itself: no more than its posterior."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from ..potential import Potential
from .calibration import calibrate
from .ensemble import LinearEnsemble
from .uncertainty import Uncertainty

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting import Fit


class GaussianProcess(Uncertainty):
    """The exact posterior of one fit: of energies per atom and in total, and of forces.

    ``var E = k(E, E) - k(E, s) K⁻¹ k(s, E) + phi S Sᵀ phiᵀ``: what the sparse points cannot express and what the data
    leave open in their coefficients (Quiñonero-Candela and Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005), Eq. 20b).
    The first is that of environments; pairs and triangles have points for all there could be. A prediction costs about
    as much as the rows of a design matrix, and with forces as the products of all neighbors of an atom.

    Args:
        calibrated: scale the standard deviations so that held-out errors are most likely under them.
    """

    def __init__(self, calibrated: bool = True):
        self.calibrated = calibrated

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
    ) -> LinearEnsemble:
        from ..fitting import fit

        fitted = fit(potential, train, valid, method, folder=folder, progress=progress, seed=seed)
        if fitted.posterior is None:
            raise ValueError(
                f"{type(fitted.potential).__name__} was fitted without a posterior; GaussianProcess needs SparseGP or "
                f"LeastSquares"
            )
        ensemble = LinearEnsemble.of(fitted.potential, fitted.posterior.factor)
        ensemble.noise.fill_(fitted.history[-1].get("sigma_forces", nan))
        if self.calibrated and valid is not None and len(valid):
            calibrate(ensemble, valid)
        return ensemble
