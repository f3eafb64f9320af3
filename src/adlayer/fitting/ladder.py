"""Ladder fitting: a basis that grows, after A. Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import build
from ..potential import Potential, Sum
from .fit import Fit, Fitted, Progress, default_method
from .metrics import errors_of
from .parts import leaves
from .weights import Weights

if TYPE_CHECKING:
    from ..data import Dataset


class Ladder(Fit):
    """Fits a cluster expansion in steps, each with more functions, those of lowest degree first.

    A step starts from the coefficients of the one before it, and from zero for what is new: rough functions find a
    smooth potential there already, which the shape of an embedding needs and a linear fit does not. Where there is a
    validation set, the step that fits it best is kept, so that the size of the basis need not be guessed.

    Args:
        method: of each step; by default least squares where the potential is linear, else gradient descent.
        first: functions of each element in the first step.
        growth: factor from step to step.
        step: number from step to step, in place of the factor.
        patience: ends after so many steps that do not fit the validation set better; 0 for never.
    """

    def __init__(
        self,
        method: Fit | Mapping | str | None = None,
        first: int = 20,
        growth: float = 2.0,
        step: int | None = None,
        patience: int = 2,
    ):
        if first < 1 or (step is None and not growth > 1) or (step is not None and step < 1):
            raise ValueError(f"first and step must be at least 1 and growth above 1, got {first}, {step} and {growth}")
        self.method = None if method is None else build(method, Fit)
        self.first, self.growth, self.step, self.patience = first, growth, step, patience
        self.weights, self.energies = Weights(energy=30.0), "auto"
        if self.method is not None:
            self.weights, self.energies = self.method.weights, self.method.energies
            self.refits_energies = self.method.refits_energies

    def __call__(self, potential: Potential, train: Dataset, valid: Dataset | None = None, **arguments) -> Fitted:
        if self.method is not None:
            return super().__call__(potential, train, valid, **arguments)
        usual = Ladder(default_method(potential), self.first, self.growth, self.step, self.patience)
        return usual(potential, train, valid, **arguments)

    def check(self, potential: Potential) -> None:
        if not any(_grows(p) for p in leaves(potential)):
            raise TypeError(
                f"Ladder needs a basis that can grow, that of an ACE or a PACE, not {type(potential).__name__}"
            )
        self.method.check(potential)

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
        model = next(p for p in leaves(potential) if _grows(p))
        others = [p for p in leaves(potential) if p is not model]
        history, best, kept, last, since = [], float("inf"), None, None, 0
        for n in self.sizes(model.n_functions):
            grown = model.truncated(n)
            if last is not None:
                grown.c.data.zero_()
                grown.c.data[:, :, : last.c.shape[2]] = last.c.detach()
            place = None if folder is None else folder / f"functions-{n}"
            whole = Sum([*others, grown]) if others else grown
            fitted = self.method.solve(whole, train, valid, folder=place, progress=progress, seed=seed)
            last, judged = grown, valid or train
            found = errors_of(whole, judged)
            loss = self.weights.loss(found)
            history.append({"functions": n, "loss": loss, **{k: x for k, x in found.items() if k != "groups"}})
            progress(n, model.n_functions, f"{n} functions, loss {loss:.4g}")
            if loss < best or valid is None:
                best, since, kept = loss, 0, (fitted, copy.deepcopy(whole.state_dict()))
            elif (since := since + 1) == self.patience:
                break
        fitted, state = kept
        fitted.potential.load_state_dict(state)  # parts that are no cluster expansion are the same in all steps
        size = next(p.n_functions for p in leaves(fitted.potential) if _grows(p))
        stopped = f"{size} of {model.n_functions} functions after {len(history)} steps"
        return replace(fitted, history=history, stopped=stopped)

    def sizes(self, most: int) -> Iterator[int]:
        """Numbers of functions, the last of which are all."""
        n = self.first
        while n < most:
            yield n
            n = n + self.step if self.step is not None else max(n + 1, round(n * self.growth))
        yield most


def _grows(potential: Potential) -> bool:
    """Whether it can be had with fewer functions."""
    return hasattr(potential, "truncated") and potential.fitted_by is None
