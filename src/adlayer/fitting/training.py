"""A fit by gradient descent on its way: everything that decides what comes next is in its checkpoint."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..potential import Potential, evaluate
from .batches import Batches
from .checkpoint import Checkpoint, fingerprint
from .fit import Fitted, Progress
from .loss import loss
from .parts import is_trainable, leaves, together
from .weights import residuals

if TYPE_CHECKING:
    from ..data import Dataset
    from .gradient_descent import GradientDescent

OPTIMIZERS = {
    "adam": lambda p, rate, decay: torch.optim.Adam(p, rate, weight_decay=decay),
    "adamw": lambda p, rate, decay: torch.optim.AdamW(p, rate, weight_decay=decay),
    "amsgrad": lambda p, rate, decay: torch.optim.Adam(p, rate, weight_decay=decay, amsgrad=True),
    "lbfgs": lambda p, rate, decay: torch.optim.LBFGS(
        p, rate, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    ),
}


class Training:
    """Parameters, their averages, the optimizer, and the place in the order of frames.

    The order of an epoch is a function of seed and epoch alone, the learning rate one of the losses so far, and the
    neighbor lists are canonical: a fit that goes on from a checkpoint repeats the digits of an uninterrupted one.
    """

    def __init__(
        self,
        method: GradientDescent,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None,
        folder: Path | None,
        progress: Progress,
        seed: int,
    ):
        self.method, self.potential, self.progress, self.seed = method, potential, progress, seed
        fitted = together([p for p in leaves(potential) if is_trainable(p)])
        fixed = together([p for p in leaves(potential) if not is_trainable(p)])
        if method.precision:
            fitted.to(getattr(torch, method.precision))
        self.fitted = fitted
        args = (method.weights, fitted.cutoff, fixed, fitted.dtype, fitted.device, method.memory * 1e9)
        self.train, self.valid = Batches(train, *args), None if valid is None else Batches(valid, *args)
        torch.manual_seed(seed)
        self.checkpoint = Checkpoint(folder, fingerprint(method, potential, train, valid, seed))
        resumed = self.checkpoint.read(fitted.device)
        if not resumed:
            fitted.prepare(self.train.graphs())
        self.parameters = [p for p in fitted.parameters() if p.requires_grad]
        make = OPTIMIZERS[method.optimizer]
        self.optimizer = make(self.parameters, method.learning_rate, method.weight_decay)
        self.averages = [p.detach().clone() for p in self.parameters]
        self.epoch = self.step = self.n_steps = 0
        self.total = self.spent = 0.0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None
        self.is_new = False  # best, since it was last written
        if resumed:
            self.load(resumed)
        self.started = time.perf_counter() - self.spent

    def run(self) -> Fitted:
        while not (reason := self.reason_to_stop()):
            if not self.finish_epoch():
                reason = f"the wall-clock budget of {self.method.seconds:g} s is spent"
                break
        self.save()
        if self.best is not None:
            self.fitted.load_state_dict(self.best)
        else:
            self.swap()
        self.potential.eval()
        self.checkpoint.write_best(self.potential)
        return Fitted(self.potential, history=self.history, stopped=reason)

    def reason_to_stop(self) -> str:
        if self.epoch >= self.method.epochs:
            return f"all {self.method.epochs} epochs are done"
        judged = self.judged()
        waited = len(judged) - 1 - judged.index(min(judged)) if judged else 0
        if self.method.patience and waited >= self.method.patience:
            return f"no better for {waited} epochs"
        if self.method.optimizer == "lbfgs" and len(judged) > 1 and judged[-1] == judged[-2]:
            return "converged"
        return ""

    def judged(self) -> list[float]:
        """The losses that decide: of validation where there is any."""
        return [row.get("valid_loss", row["train_loss"]) for row in self.history]

    def finish_epoch(self) -> bool:
        """Whether there was time to go through what is left of the epoch."""
        batches = self.order()
        while self.step < len(batches):
            if self.out_of_time(len(batches)):
                return False
            self.set_rate(len(batches))
            self.total += self.take_step(batches[self.step])
            self.step += 1
            if self.checkpoint.due(self.method.save_every):
                self.save()
        self.judge(self.total / len(batches))
        self.epoch, self.step, self.total = self.epoch + 1, 0, 0.0
        if self.checkpoint.due(self.method.save_every):
            self.save()
        return True

    def order(self) -> list[list[int]]:
        """The batches of this epoch: a function of seed and epoch alone."""
        if self.method.optimizer == "lbfgs":
            return [list(range(len(self.train)))]
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shuffled = torch.randperm(len(self.train), generator=generator).tolist()
        return [shuffled[k : k + self.method.batch] for k in range(0, len(shuffled), self.method.batch)]

    def set_rate(self, n_batches: int) -> None:
        method, epoch = self.method, self.epoch + self.step / n_batches
        warm = min(1.0, (self.n_steps + 1) / (method.warmup * n_batches)) if method.warmup else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = method.learning_rate * warm * method.schedule(epoch, method.epochs, self.judged())

    def take_step(self, frames: list[int]) -> float:
        pieces = [frames[k : k + self.method.batch] for k in range(0, len(frames), self.method.batch)]

        def closure() -> float:
            self.optimizer.zero_grad()
            value = 0.0
            for piece in pieces:
                here = self.loss_of(self.train, piece) * (len(self.train) / len(frames))
                here.backward(inputs=self.parameters)  # and not of positions: second derivatives by them cost most
                value += float(here.detach())
            if self.method.clip and self.method.optimizer != "lbfgs":
                torch.nn.utils.clip_grad_norm_(self.parameters, self.method.clip)
            return value

        value = float(self.optimizer.step(closure))
        if not math.isfinite(value):
            rate = self.optimizer.param_groups[0]["lr"]
            raise ValueError(
                f"the loss became {value} in epoch {self.epoch + 1} at a learning rate of {rate:g}; lower "
                "learning_rate, set clip, or look for wrong labels and overlapping atoms with `adlayer check`"
            )
        self.n_steps += 1
        decay = min(self.method.average, self.n_steps / (self.n_steps + 10))
        for mean, p in zip(self.averages, self.parameters):
            mean.lerp_(p.detach(), 1 - decay)
        return value

    def loss_of(self, batches: Batches, frames: list[int], create_graph: bool = True, judged: list | None = None):
        self.fitted.train(create_graph)
        graph, labels, precisions = batches[frames]
        forces, stress = precisions.forces is not None, precisions.virial is not None
        said = evaluate(self.fitted, graph, forces=forces, stress=stress, create_graph=create_graph)
        if judged is not None:
            judged.append(residuals(said, labels, graph.structures))
        return loss(said, labels, precisions, graph.structures, self.method.loss, self.method.delta)

    def judge(self, train_loss: float) -> None:
        """End an epoch: validate the averages, write a line of history, keep the best."""
        row = {"epoch": self.epoch + 1, "train_loss": train_loss, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        if self.valid is not None:
            self.swap()
            found: list = []
            pieces = self.valid.in_turn(self.method.batch)
            row["valid_loss"] = sum(float(self.loss_of(self.valid, k, False, found)) for k in pieces)
            for name, column in zip(("energy", "forces", "virial"), zip(*found)):
                x = torch.cat([r.flatten() for r in column if r is not None] or [torch.zeros(0)])
                if len(x := x[x.isfinite()]):
                    row[f"valid_{name}_mae"] = float(x.abs().mean())
            if row["valid_loss"] < min(self.judged(), default=math.inf):
                self.best = _copy(self.fitted)
                self.is_new = True
            self.swap()
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        self.history.append(row)
        self.checkpoint.log(row)
        self.progress(self.epoch + 1, self.method.epochs, _line(row))

    def swap(self) -> None:
        """Exchange the parameters and their averages."""
        if self.method.average:
            for p, mean in zip(self.parameters, self.averages):
                p.data, mean.data = mean.data, p.data

    def out_of_time(self, n_batches: int) -> bool:
        spent, budget = time.perf_counter() - self.started, self.method.seconds
        if not budget or spent < budget:
            return False
        if not self.epoch:
            raise ValueError(
                f"the wall-clock budget of {budget:g} s ended in the first epoch, after {self.step} of "
                f"{n_batches} steps; allow more seconds"
            )
        return True

    def save(self) -> None:
        self.checkpoint.write(
            {
                "potential": self.fitted.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "averages": self.averages,
                "best": self.best,
                "position": [self.epoch, self.step, self.n_steps],
                "total": self.total,
                "history": self.history,
                "spent": time.perf_counter() - self.started,
                "random": torch.get_rng_state(),
            }
        )
        if self.is_new:
            now = _copy(self.fitted)
            self.fitted.load_state_dict(self.best)
            self.checkpoint.write_best(self.potential)
            self.fitted.load_state_dict(now)
            self.is_new = False

    def load(self, state: dict[str, Any]) -> None:
        self.fitted.load_state_dict(state["potential"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.averages, self.best, self.history = state["averages"], state["best"], state["history"]
        self.epoch, self.step, self.n_steps = state["position"]
        self.total, self.spent = state["total"], state["spent"]
        torch.set_rng_state(state["random"].cpu())


def _copy(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: x.clone() for name, x in module.state_dict().items()}


def _line(row: dict[str, Any]) -> str:
    shown = {k: v for k, v in row.items() if k not in ("epoch", "seconds")}
    return ", ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in shown.items())
