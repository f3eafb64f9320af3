"""How the learning rate changes: pure functions of where the fit is and of what it has reached."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import Part


class Schedule(Part, ABC):
    """The factor on the learning rate. It keeps nothing, so that a fit which goes on repeats an uninterrupted one."""

    @abstractmethod
    def __call__(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:
        """The factor at ``epoch`` of ``epochs`` (with fractions), after epochs of these validation losses."""


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """Always one."""

    def __call__(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:
        return 1.0


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """From 1 to ``final``, by the same ratio in each epoch.

    Args:
        final: the factor at the end.
    """

    final: float = 0.01

    def __call__(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:
        return self.final ** min(epoch / epochs, 1.0)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """From 1 to ``final`` along half a cosine: I. Loshchilov and F. Hutter, ICLR 2017, Eq. 5, without restarts.

    Args:
        final: the factor at the end.
    """

    final: float = 0.0

    def __call__(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))


@dataclass(frozen=True)
class Plateau(Schedule):
    """Times ``factor`` whenever the loss has not fallen for more than ``patience`` epochs.

    Args:
        factor: of each reduction.
        patience: epochs without a new lowest loss that are tolerated.
        threshold: relative: a new lowest loss is one below ``(1 - threshold)`` of the old.
        smallest: where it ends.
    """

    factor: float = 0.5
    patience: int = 20
    threshold: float = 1e-3
    smallest: float = 1e-3

    def __call__(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:
        best, waited, now = math.inf, 0, 1.0
        for loss in losses:
            waited += 1
            if loss < best * (1 - self.threshold):
                best, waited = loss, 0
            elif waited > self.patience:
                now, waited = now * self.factor, 0
        return max(now, self.smallest)
