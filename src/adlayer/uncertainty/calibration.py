"""Making standard deviations honest on held-out data, and turning them into the thresholds that stop a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from ..potential import Prediction
from ..structures import Structures
from .doubtful import Doubtful
from .scores import Quality, best_scale, conformal_quantile

if TYPE_CHECKING:
    from ..data import Dataset

_FLOOR = 1e-12  # eV or eV/Å: a committee that agrees exactly still doubts a little
_SMALL = (
    1e-3  # of the median: where symmetry makes a force vanish, error and doubt are rounding, and their ratio chance
)


def force_deviation(prediction: Prediction) -> Float[Tensor, "atoms"]:
    """``|sigma_i|`` (eV/Å): the norm of the standard deviations of the force on each atom, what thresholds refer to."""
    if prediction.std is None or prediction.std.forces is None:
        raise ValueError("the prediction has no standard deviations of forces; predict with an ensemble")
    return torch.linalg.vector_norm(prediction.std.forces, dim=-1)


@dataclass(frozen=True)
class Heldout:
    """Errors on held-out data and the standard deviations claimed for them; only where labels are known.

    Args:
        energy: error of each structure's energy per atom, eV.
        energy_std: its standard deviation.
        forces: errors of force components, eV/Å.
        forces_std: their standard deviations.
        system: which structure each atom with a known force belongs to.
    """

    energy: Float[ndarray, "systems"]
    energy_std: Float[ndarray, "systems"]
    forces: Float[ndarray, "atoms 3"]
    forces_std: Float[ndarray, "atoms 3"]
    system: ndarray

    @staticmethod
    def of(predicted: Prediction, labels: Prediction, structures: Structures) -> Heldout:
        N = structures.counts.double()
        nothing = torch.full_like(structures.positions, torch.nan)

        def known(name: str, per: Tensor | float, blank: Tensor) -> tuple[ndarray, ndarray]:
            label = getattr(labels, name)
            error = (getattr(predicted, name) - (blank if label is None else label)) / per
            std = getattr(predicted.std, name) / per
            std = std.clamp_min(max(_FLOOR, _SMALL * float(std.median()) if std.numel() else 0.0))
            return error.detach().double().cpu().numpy(), std.detach().double().cpu().numpy()

        e, s = known("energy", N, torch.full_like(N, torch.nan))
        F, sF = known("forces", 1.0, nothing)
        some, atoms = np.isfinite(e), np.isfinite(F).all(1)
        return Heldout(e[some], s[some], F[atoms], sF[atoms], structures.system.cpu().numpy()[atoms])

    def scaled(self, energy: float, forces: float) -> Heldout:
        return Heldout(self.energy, self.energy_std * energy, self.forces, self.forces_std * forces, self.system)

    def qualities(self) -> dict[str, Quality]:
        """Scores of energies per atom and of force components."""
        found = {}
        if len(self.energy):
            found["energy"] = Quality.of(self.energy, self.energy_std)
        if len(self.forces):
            found["forces"] = Quality.of(self.forces.ravel(), self.forces_std.ravel())
        return found


@dataclass(frozen=True)
class Calibration:
    """What held-out data say of a potential's standard deviations.

    Args:
        scales: by which those of energy and forces had to be multiplied.
        heldout: errors and standard deviations after that.
    """

    scales: tuple[float, float]
    heldout: Heldout

    @property
    def scores(self) -> Float[ndarray, "atoms"]:
        """``|Delta F_i| / |sigma_i|`` of every held-out atom."""
        h = self.heldout
        return np.linalg.norm(h.forces, axis=1) / np.linalg.norm(h.forces_std, axis=1)

    @property
    def structure_scores(self) -> Float[ndarray, "systems"]:
        """Largest force error over largest deviation, for every held-out structure."""
        h = self.heldout
        error, sigma = np.linalg.norm(h.forces, axis=1), np.linalg.norm(h.forces_std, axis=1)
        _, place = np.unique(h.system, return_inverse=True)
        largest = np.zeros((2, place.max() + 1 if len(place) else 0))
        np.maximum.at(largest[0], place, error)
        np.maximum.at(largest[1], place, sigma)
        return largest[0] / largest[1]

    def bound(self, level: float = 0.9) -> float:
        """``q`` with ``|Delta F_i| <= q |sigma_i|`` for a share ``level`` of new atoms like the held-out ones."""
        return conformal_quantile(self.scores, level)

    def threshold(self, tolerance: float, level: float = 0.9, per: str = "atom") -> float:
        """``|sigma|`` (eV/Å) beyond which a force error of ``tolerance`` can no longer be excluded: ``tolerance / q``.

        A simulation stops where ``force_deviation(prediction).max()`` exceeds it. Of new atoms (``per = "structure"``:
        of new structures, by their largest error) no more than ``1 - level`` are then both trusted and wrong, so long
        as they are exchangeable with the held-out ones, as split conformal prediction demands. Atoms of one frame and
        frames of one trajectory are alike: hold out several trajectories.

        Args:
            tolerance: the force error that is still acceptable, eV/Å.
            level: how sure one wants to be.
            per: ``"atom"`` or ``"structure"``.
        """
        if per not in ("atom", "structure"):
            raise ValueError(f"per must be 'atom' or 'structure', got {per!r}")
        scores = self.scores if per == "atom" else self.structure_scores
        return tolerance / conformal_quantile(scores, level)

    def as_dict(self) -> dict:
        """Scales, scores and bounds, for a results file."""
        return {
            "scales": {"energy": self.scales[0], "forces": self.scales[1]},
            "bound": {f"{level:g}": self.bound(level) for level in (0.5, 0.9, 0.95, 0.99)},
            **{name: q.as_dict() for name, q in self.heldout.qualities().items()},
        }


def assess(predicted: Prediction, dataset: Dataset) -> Calibration:
    """How honest the standard deviations of a prediction are, as they stand."""
    if predicted.std is None or predicted.std.forces is None or predicted.std.energy is None:
        raise ValueError("the prediction has no standard deviations; predict with an ensemble")
    return Calibration((1.0, 1.0), Heldout.of(predicted, dataset.labels, dataset.structures))


def calibrate(ensemble: Doubtful, dataset: Dataset, by: str = "likelihood") -> Calibration:
    """Scale an ensemble's standard deviations so that the errors on held-out data are as likely as can be.

    Args:
        ensemble: whose ``scales`` are set.
        dataset: held-out data, with energies or forces or both.
        by: ``"likelihood"``, or ``"crps"``, which minds outliers less.
    """
    from ..fitting import predict

    raw = assess(predict(ensemble, dataset.structures, stress=False), dataset).heldout
    scales = [
        best_scale(e.ravel(), s.ravel(), by) if len(e) else None
        for e, s in ((raw.energy, raw.energy_std), (raw.forces, raw.forces_std))
    ]
    if scales == [None, None]:
        raise ValueError("the held-out data have neither energies nor forces: nothing to calibrate on")
    energy, forces = (next(x for x in (x, *scales) if x is not None) for x in scales)  # one stands in for the other
    energy, forces = max(energy, _FLOOR), max(forces, _FLOOR)
    ensemble.rescale(energy, forces)
    return Calibration((energy, forces), raw.scaled(energy, forces))
