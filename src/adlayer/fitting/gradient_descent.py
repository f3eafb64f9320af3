"""Gradient descent: any potential, in batches, resumed to the last digit after an interruption at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from ..config import build
from ..potential import Potential
from .fit import Fit, Fitted, Progress
from .loss import Shape
from .parts import is_trainable
from .schedules import Plateau, Schedule
from .training import OPTIMIZERS, Training
from .weights import Weights

if TYPE_CHECKING:
    from ..data import Dataset


class GradientDescent(Fit):
    """Minimizes the objective of ``Weights`` over all parameters that are not frozen.

    Reference energies are subtracted from the labels before and stay as they are; a potential with a zero of its own,
    such as Lennard-Jones, wants ``energies = "none"``. With a validation set, the best parameters of all epochs are
    kept, otherwise the last.

    Args:
        epochs: how often each frame is seen, at most.
        batch: frames per step (for ``"lbfgs"``: per piece of the whole).
        optimizer: ``"adam"``, ``"adamw"``, ``"amsgrad"``, or ``"lbfgs"`` with one step over all frames per epoch.
        learning_rate: where it starts; by default 0.001, and 1 for ``"lbfgs"``.
        schedule: how it goes on: ``Plateau``, ``CosineDecay``, ``ExponentialDecay`` or ``ConstantRate``.
        warmup: epochs in which the rate rises from zero.
        weight_decay: of the optimizer.
        clip: the greatest norm of a gradient; 0 for any.
        average: decay of the moving average of the parameters, which is what is judged and kept; 0 for none.
        patience: ends after so many epochs without a better validation loss; 0 for never.
        seconds: ends when so much wall time is spent; 0 for never.
        loss: ``"l2"``, ``"l1"`` or ``"huber"``.
        delta: where Huber's loss becomes linear, eV/atom and eV/Å.
        precision: ``"float32"`` or ``"float64"``; by default the potential's own.
        weights: of energies (30 by default: 1 meV/atom counts like 5 meV/Å), forces (1), stress (0.1) and groups.
        energies: reference energies per element: ``"auto"``, ``"shift"``, ``"none"`` or a table of eV per atom.
        memory: for neighbor lists, GB; beyond it they are searched anew.
        save_every: seconds between checkpoints, which are written where a folder is given.
    """

    def __init__(
        self,
        epochs: int = 500,
        batch: int = 5,
        optimizer: Literal["adam", "adamw", "amsgrad", "lbfgs"] = "adam",
        learning_rate: float | None = None,
        schedule: Schedule | Mapping | str | None = None,
        warmup: float = 0.0,
        weight_decay: float = 0.0,
        clip: float = 10.0,
        average: float = 0.99,
        patience: int = 0,
        seconds: float = 0.0,
        loss: Shape = "l2",
        delta: float = 0.01,
        precision: Literal["float32", "float64"] | None = None,
        weights: Weights | dict | None = None,
        energies: dict | str = "auto",
        memory: float = 4.0,
        save_every: float = 10.0,
    ):
        for name, value in {"epochs": epochs, "batch": batch}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
        if loss not in ("l2", "l1", "huber"):
            raise ValueError(f"loss must be one of l2, l1, huber, got {loss!r}")
        if not 0 <= average < 1:
            raise ValueError(f"average must be at least 0 and below 1, got {average}")
        if learning_rate is not None and not learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {learning_rate}")
        self.epochs, self.batch, self.optimizer, self.weight_decay = epochs, batch, optimizer, weight_decay
        self.learning_rate = learning_rate or (1.0 if optimizer == "lbfgs" else 1e-3)
        self.schedule = Plateau() if schedule is None else build(schedule, Schedule)
        self.warmup, self.clip, self.average = warmup, clip, 0.0 if optimizer == "lbfgs" else average
        self.patience, self.seconds, self.save_every = patience, seconds, save_every
        self.loss, self.delta, self.precision, self.memory = loss, delta, precision, memory
        self.weights, self.energies = Weights.of(weights, energy=30.0), energies

    def check(self, potential: Potential) -> None:
        if not is_trainable(potential):
            raise TypeError(f"{type(potential).__name__} has no parameters that could be fitted (or all are frozen)")

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
        devices = [potential.device] if potential.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            return Training(self, potential, train, valid, folder, progress, seed).run()
