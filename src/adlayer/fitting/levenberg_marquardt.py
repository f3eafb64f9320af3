"""A search for the parameters in which a potential is not linear: everything that decides what comes next.

K. Levenberg, Q. Appl. Math. 2, 164 (1944); D. W. Marquardt, J. Soc. Ind. Appl. Math. 11, 431 (1963).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..potential import Potential
from .checkpoint import Checkpoint
from .fit import Progress
from .least_squares import Parts, Rows
from .metrics import errors_of
from .parts import is_trainable, leaves, together
from .regression import Reduced, reduced, regress, triangle_by_qr
from .tangent import steps_of, tangent

if TYPE_CHECKING:
    from ..data import Dataset
    from .variable_projection import VariableProjection

_LEAST_DAMPING, _SAVE_EVERY = 1e-12, 60.0  # seconds
_STATE = ("start", "iteration", "waited", "damping", "ridge", "least", "best", "first", "history", "stopped")

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
            terms += [tangent(p), *([] if p.linear else [p])] if moves else [p]
        self.parts = Parts(together(terms))
        self.prior = self.parts.penalty(method.least_squares.smooth)
        self.is_step = torch.cat([steps_of(p) for p in self.parts.free])
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
        each = self.method.iterations
        done, total = self.start * each + self.iteration, self.method.starts * each
        self.progress(done, total, f"loss {min(new.loss, here.loss):.4g}, damping {self.damping:.0e}")
        if self.checkpoint.due(_SAVE_EVERY):
            self.save()
        return new if better else here

    def judge(self, here: Point) -> dict[str, float]:
        """Keep what is best, by validation frames where there are any."""
        self.parts.set(self.parts.start + here.best)
        loss, row = here.loss, {}
        if self.valid is not None:
            loss = self.method.weights.loss(errors_of(self.potential, self.valid))
            row["valid_loss"] = loss
        self.waited += 1
        if loss < self.least:
            self.least, self.best, self.waited = loss, self.parameters(), 0
        self.move(here.parameters)
        return row

    def draw(self) -> None:
        """Begin somewhere else."""
        self.move(self.first)
        for p in (p for part in leaves(self.potential) if is_trainable(part) for p in part.nonlinear()):
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


def misfit(data: Reduced, x: Float[Tensor, "K"]) -> float:
    """``|A x - y|²``."""
    return data.rest + float((data.R @ x - data.z).square().sum())
