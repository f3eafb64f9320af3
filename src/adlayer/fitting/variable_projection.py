"""Variable projection: least squares for potentials that are linear in some parameters and not in others.

G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10, 413 (1973); L. Kaufman, BIT 15, 49 (1975).
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..config import check_arguments
from ..potential import Potential
from .checkpoint import Checkpoint, fingerprint
from .fit import Fit, Fitted, Progress
from .least_squares import LeastSquares, Parts, Rows, graphs_of
from .metrics import errors, predict
from .parts import is_trainable, leaves, together
from .regression import Reduced, reduced, regress, triangle_by_qr
from .tangent import Tangent

if TYPE_CHECKING:
    from ..data import Dataset

_MOST = 3000  # columns
_LEAST_DAMPING, _SAVE_EVERY = 1e-12, 60.0  # seconds
_STATE = ("start", "iteration", "waited", "damping", "ridge", "least", "best", "first", "history", "stopped")


class VariableProjection(Fit):
    r"""Minimizes ``L(c, w)`` over ``w``, where the coefficients ``c`` are always those of ``LeastSquares``.

    Each iteration makes one design matrix, with the derivatives by the coefficients and by the other parameters ``w``,
    ``[A(w) | J(c, w) | y]``, and its triangle is all that is needed: ``A`` and ``y`` give the loss at ``w``, whatever
    ``c``, and ridge regression on the whole gives the next step ``d`` of ``w``,

        min over c, d of  |A c + J d - y|² + ridge Σ penalty (s c)² + damping Σ (s d)²

    with ``s`` the norms of columns: a step of Levenberg and Marquardt. A step that lowers the loss is taken, and the
    damping falls; after one that does not, it rises. The radial functions of an ``MTP`` are found like this in some ten
    to thirty iterations. Of a potential without coefficients all parameters are ``w``: this fits those of
    ``StillingerWeber`` or ``Morse`` as well, for which derivatives are found by differences. Up to about 3000
    parameters.

    Args:
        iterations: at most.
        starts: how often is begun, each time but the first from parameters that are drawn around those given; the one
            that fits best is kept.
        spread: standard deviation of what is drawn, in units of the rms of a parameter's tensor.
        damping: to begin with.
        tolerance: the end is where a step promises to lower the loss by less than this part of it.
        patience: or, where there are validation frames, where so many steps did not fit these better; 0 for never.
        least_squares: arguments of ``LeastSquares``, such as ``ridge`` and ``weights``. The ridge that it finds at the
            start is kept on the way.
    """

    refits_energies = True

    def __init__(
        self,
        iterations: int = 50,
        starts: int = 1,
        spread: float = 0.5,
        damping: float = 1e-2,
        tolerance: float = 1e-3,
        patience: int = 10,
        least_squares: dict | None = None,
    ):
        if min(iterations, starts) < 1 or min(spread, damping, tolerance, patience) < 0:
            raise ValueError(
                "iterations and starts must be at least 1, spread, damping, tolerance and patience not below 0; got "
                f"{iterations}, {starts}, {spread:g}, {damping:g}, {tolerance:g} and {patience}"
            )
        check_arguments(LeastSquares, least_squares or {})
        self.iterations, self.starts, self.spread, self.damping = iterations, starts, spread, damping
        self.tolerance, self.patience = tolerance, patience
        self.least_squares = LeastSquares(**(least_squares or {}))
        self.weights, self.energies = self.least_squares.weights, self.least_squares.energies

    def check(self, potential: Potential) -> None:
        trainable = [p for p in leaves(potential) if is_trainable(p)]
        if not any(p.nonlinear() for p in trainable):
            raise TypeError(
                f"VariableProjection needs parameters in which a potential is not linear, and "
                f"{type(potential).__name__} has none; fit it by LeastSquares"
            )
        if (n := sum(p.numel() for part in trainable for p in part.parameters())) > _MOST:
            raise TypeError(f"VariableProjection is for up to {_MOST} parameters, not {n}; take GradientDescent")

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
        checkpoint = Checkpoint(folder, fingerprint(self, potential, train, valid, seed))
        for part in leaves(potential):
            if is_trainable(part):
                part.prepare(graph for _, graph in graphs_of(train.structures, part.cutoff))
        search = Search(self, potential, train, valid, checkpoint, progress, seed)
        search.run()
        last = Fitted(potential)
        if potential.linear:
            last = self.least_squares.solve(potential, train, valid, folder=None, progress=progress, seed=seed)
        checkpoint.write_best(potential)
        return replace(last, history=[*search.history, *last.history], stopped=search.stopped)


Parameters = dict[str, Tensor]


class Point(NamedTuple):
    """What is known where the parameters are."""

    data: Reduced
    loss: float  # with the best coefficients
    best: Float[Tensor, "K"]  # these, and steps of zero
    parameters: Parameters  # with the coefficients that the tangent was taken at


class Search:
    """A search on its way: everything that decides what comes next is in its checkpoint."""

    def __init__(
        self,
        method: VariableProjection,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None,
        checkpoint: Checkpoint,
        progress: Progress,
        seed: int,
    ):
        self.method, self.potential, self.train, self.valid = method, potential, train, valid
        self.checkpoint, self.progress = checkpoint, progress
        terms: list[Potential] = []
        for p in leaves(potential):
            moves = is_trainable(p) and p.nonlinear()
            terms += [Tangent(p), *([] if p.linear else [p])] if moves else [p]
        self.parts = Parts(together(terms))
        self.prior = self.parts.penalty(method.least_squares.smooth)
        self.is_step = torch.cat(
            [p.is_step if isinstance(p, Tangent) else p.coefficients > inf for p in self.parts.free]
        )
        ridge = method.least_squares.ridge
        self.ridge = None if isinstance(ridge, str) else float(ridge)
        self.first, self.generator = self.parameters(), torch.Generator().manual_seed(seed)
        self.start = self.iteration = self.waited = 0
        self.damping, self.least, self.best = method.damping, inf, self.first
        self.history: list[dict[str, Any]] = []
        self.stopped = ""
        if state := checkpoint.read(potential.device):
            self.load(state)

    def run(self) -> None:
        """Leave the best parameters in the potential."""
        while self.start < self.method.starts:
            here = self.look()
            if not self.iteration:
                self.parts.set(self.parts.start + here.best)
                here = self.look()  # the tangent depends on the coefficients
                self.judge(here)
            while not self.ends(here):
                here = self.step(here)
            self.start, self.iteration, self.waited, self.damping = self.start + 1, 0, 0, self.method.damping
            self.draw()
            self.save()
        self.move(self.best)

    def ends(self, here: Point) -> bool:
        """Whether to stop, and why."""
        method, promise = self.method, 0.0
        if here.loss:
            promise = 1 - misfit(here.data, self.propose(here)) / here.loss
        if promise < method.tolerance:
            self.stopped = f"a step would lower the loss by {max(promise, 0.0):.1g} of it"
        elif self.iteration >= method.iterations:
            self.stopped = f"all {method.iterations} iterations are done"
        elif method.patience and self.waited >= method.patience:
            self.stopped = f"no better on validation frames for {self.waited} steps"
        else:
            return False
        return True

    def look(self) -> Point:
        """The triangle, and the loss that it gives."""
        rows = Rows(self.parts, self.train, self.method.weights, lambda *_: None)
        data = reduced(triangle_by_qr(rows), rows.n)
        linear = (~self.is_step).nonzero().flatten()
        prior = self.prior[linear] if self.prior.ndim == 1 else self.prior[linear][:, linear]
        strength = "evidence" if self.ridge is None else self.ridge
        found = regress(data._replace(R=data.R[:, linear]), prior, strength)
        self.ridge = found.ridge
        best = torch.zeros_like(self.parts.start).index_copy(0, linear, found.mean)
        return Point(data, misfit(data, best), best, self.parameters())

    def propose(self, here: Point) -> Float[Tensor, "K"]:
        """Coefficients and a step."""
        if self.prior.ndim == 1:
            prior = torch.where(self.is_step, self.damping, self.ridge * self.prior)
        else:
            damping = torch.where(self.is_step, self.damping, 0.0).diag()
            prior = damping + self.ridge * self.prior.masked_fill(self.is_step, 0.0)
        return regress(here.data, prior, 1.0).mean

    def step(self, here: Point) -> Point:
        """Where the search is after an iteration."""
        self.iteration += 1
        self.parts.set(self.parts.start + self.propose(here))
        new = self.look()
        row = {"start": self.start, "iteration": self.iteration, "loss": new.loss, "damping": self.damping}
        if better := new.loss < here.loss:
            self.damping = max(self.damping / 4, _LEAST_DAMPING)
            row |= self.judge(new)
        else:
            self.damping *= 5
            self.move(here.parameters)
        self.history.append(row)
        self.checkpoint.log(row)
        done, total = (
            self.start * self.method.iterations + self.iteration,
            self.method.starts * self.method.iterations,
        )
        self.progress(done, total, f"loss {min(new.loss, here.loss):.4g}, damping {self.damping:.0e}")
        if self.checkpoint.due(_SAVE_EVERY):
            self.save()
        return new if better else here

    def judge(self, here: Point) -> dict[str, float]:
        """Keep what is best, by validation frames where there are any."""
        self.parts.set(self.parts.start + here.best)
        loss, row = here.loss, {}
        if self.valid is not None:
            s = self.valid.structures
            said = predict(self.potential, s, stress=self.valid.labels.stress is not None)
            loss = self.method.weights.loss(errors(said, self.valid))
            row["valid_loss"] = loss
        self.waited += 1
        if loss < self.least:
            self.least, self.best, self.waited = loss, self.parameters(), 0
        self.move(here.parameters)
        return row

    def draw(self) -> None:
        """Begin somewhere else."""
        self.move(self.first)
        for tangent in self.parts.free:
            for p in tangent.potential.nonlinear() if isinstance(tangent, Tangent) else []:
                noise = torch.randn(p.shape, generator=self.generator, dtype=torch.float64).to(p)
                p.data += self.method.spread * p.detach().square().mean().sqrt() * noise

    def parameters(self) -> Parameters:
        return {k: p.detach().clone() for k, p in self.potential.named_parameters() if p.requires_grad}

    def move(self, parameters: Parameters) -> None:
        self.potential.load_state_dict(parameters, strict=False)

    def save(self) -> None:
        state = {name: getattr(self, name) for name in _STATE}
        self.checkpoint.write(state | {"now": self.parameters(), "random": self.generator.get_state()})

    def load(self, state: dict[str, Any]) -> None:
        for name in _STATE:
            setattr(self, name, state[name])
        self.move(state["now"])
        self.generator.set_state(state["random"].cpu())


def is_step(part: Potential) -> Bool[Tensor, "K"]:
    """Which coefficients of a part are steps."""
    return part.is_step if isinstance(part, Tangent) else torch.zeros(len(part.coefficients), dtype=torch.bool)


def misfit(data: Reduced, x: Float[Tensor, "K"]) -> float:
    """``|A x - y|²``."""
    return data.rest + float((data.R @ x - data.z).square().sum())
