"""How a potential comes to know its own doubt: the interface of all methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Part
from ..potential import Potential
from .doubtful import Doubtful

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting import Fit


class Uncertainty(Part, ABC):
    """A method that fits a potential and what it does not know."""

    @abstractmethod
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
        """A fitted potential whose predictions carry ``std``; calibrated where there are held-out data.

        Args:
            potential: what is fitted; it is left as it was.
            train: what it is fitted to.
            valid: held-out data, for the method of fitting and for calibration.
            method: how it is fitted; by default least squares where it is linear, gradient descent otherwise.
            folder: where checkpoints are written.
            progress: called as ``progress(done, total, message)``.
            seed: of all random numbers.
        """
