"""The extended Kalman filter: second-order online learning of small networks.

T. B. Blank and S. D. Brown, J. Chemom. 8, 391 (1994); for neural-network potentials A. Singraber, T. Morawietz,
J. Behler and C. Dellago, J. Chem. Theory Comput. 15, 3075 (2019), and n2p2.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..potential import Potential, evaluate
from .batches import Batches
from .checkpoint import Checkpoint, fingerprint
from .fit import Fit, Fitted, Progress
from .loss import loss
from .parts import is_trainable, leaves, together
from .weights import Weights, residuals

if TYPE_CHECKING:
    from ..data import Dataset


class Kalman(Fit):
    """Takes parameters ``w`` for the state of a system that labels observe one after another.

    With residuals ``xi`` of a few labels, their derivatives ``H`` by ``w``, and the covariance ``P`` of ``w``:

        X = P H,  A = R + Hᵀ X,  w += X A⁻¹ xi,  P = (P - X A⁻¹ Xᵀ) / lambda + Q

    ``"standard"``: ``lambda = 1`` and ``R = 1 / eta``, which falls as ``eta`` grows to ``eta_max``. ``"fading"``:
    ``R = lambda``, which rises to 1 by ``lambda = nu lambda + 1 - nu``: old labels are forgotten. ``Q = q`` falls to
    ``q_min``. Energies, and strain derivatives where there are labels of stress with a weight, are seen once per epoch;
    of the forces a fraction, drawn from those with more than the root-mean-square error of their frame. Residuals are
    weighed as ``Weights`` says, and scaled so that before the fit they are ``gain`` on average. ``P`` takes 8 bytes for
    each pair of parameters: this is for a few thousand of them.

    Args:
        epochs: how often each frame is seen.
        forces: the fraction of force components that an epoch uses.
        streams: frames per update.
        kind: "standard" or "fading".
        gain: of all residuals; large values trust the labels more than the start.
        epsilon: inverse of the initial diagonal of ``P``.
        q: process noise at the start.
        q_min: process noise at the end.
        q_decay: factor by which it falls per epoch.
        eta: inverse measurement noise at the start.
        eta_max: at the end.
        eta_growth: factor by which it grows per epoch.
        fading: ``lambda`` at the start.
        nu: how slowly ``lambda`` rises, per update.
        weights: of energies, forces, stress and groups.
        energies: reference energies per element: "auto", "shift", "none" or a table of eV per atom.
        memory: for neighbor lists, GB; beyond it they are searched anew.
        save_every: seconds between checkpoints, which are written where a folder is given.
    """

    def __init__(
        self,
        epochs: int = 10,
        forces: float = 0.05,
        streams: int = 1,
        kind: Literal["standard", "fading"] = "standard",
        gain: float = 100.0,
        epsilon: float = 0.01,
        q: float = 1e-4,
        q_min: float = 1e-6,
        q_decay: float = 10.0,
        eta: float = 0.01,
        eta_max: float = 1.0,
        eta_growth: float = 10.0,
        fading: float = 0.98,
        nu: float = 0.9995,
        weights: Weights | dict | None = None,
        energies: dict | str = "auto",
        memory: float = 4.0,
        save_every: float = 30.0,
    ):
        if kind not in ("standard", "fading"):
            raise ValueError(f"kind must be 'standard' or 'fading', got {kind!r}")
        if epochs < 1 or streams < 1:
            raise ValueError(f"epochs and streams must be at least 1, got {epochs} and {streams}")
        if not 0 <= forces <= 1:
            raise ValueError(f"forces is a fraction, from 0 to 1, got {forces}")
        self.epochs, self.forces, self.streams, self.kind, self.gain = epochs, forces, streams, kind, gain
        self.epsilon, self.q, self.q_min, self.q_decay = epsilon, q, q_min, q_decay
        self.eta, self.eta_max, self.eta_growth, self.fading, self.nu = eta, eta_max, eta_growth, fading, nu
        self.weights, self.energies = Weights.of(weights), energies
        self.memory, self.save_every = memory, save_every

    def check(self, potential: Potential) -> None:
        if not is_trainable(potential):
            raise TypeError(f"{type(potential).__name__} has no parameters that could be fitted (or all are frozen)")
        n = sum(p.numel() for p in potential.parameters() if p.requires_grad)
        if n > 20000:
            raise ValueError(
                f"{type(potential).__name__} has {n} parameters, whose covariance would take {8e-9 * n * n:.0f} GB; "
                "the Kalman filter is for a few thousand: fit it by GradientDescent"
            )

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
        return Filter(self, potential, train, valid, folder, progress, seed).run()


class Filter:
    """A fit on its way; what comes next is decided by the state that ``save`` writes, to the last digit."""

    def __init__(
        self,
        method: Kalman,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None,
        folder: Path | None,
        progress: Progress,
        seed: int,
    ):
        self.method, self.potential, self.progress, self.seed = method, potential, progress, seed
        self.fitted = together([p for p in leaves(potential) if is_trainable(p)])
        fixed = together([p for p in leaves(potential) if not is_trainable(p)])
        args = (method.weights, self.fitted.cutoff, fixed, self.fitted.dtype, self.fitted.device, method.memory * 1e9)
        self.train, self.valid = Batches(train, *args), None if valid is None else Batches(valid, *args)
        self.parameters = [p for p in self.fitted.parameters() if p.requires_grad]
        self.n_updates = math.ceil(len(self.train) / method.streams)  # per epoch
        self.checkpoint = Checkpoint(folder, fingerprint(method, potential, train, valid, seed))
        if state := self.checkpoint.read(self.fitted.device):
            self.load(state)
            return
        self.fitted.prepare(self.train.graphs())
        n = sum(p.numel() for p in self.parameters)
        self.P = torch.eye(n, dtype=self.fitted.dtype, device=self.fitted.device) / method.epsilon
        self.scale = method.gain * self._typical()
        self.eta, self.q, self.fading = method.eta, method.q, method.fading
        self.epoch = self.step = 0
        self.total = self.spent = 0.0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None

    def run(self) -> Fitted:
        self.started = time.perf_counter() - self.spent
        while self.epoch < self.method.epochs:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(len(self.train), generator=generator).tolist()
            while self.step < self.n_updates:
                k = self.step * self.method.streams
                self.update(order[k : k + self.method.streams])
                self.step += 1
                if self.checkpoint.due(self.method.save_every):
                    self.save()
            self.judge()
            self.epoch, self.step, self.total = self.epoch + 1, 0, 0.0
        self.save()
        if self.best is not None:
            self.fitted.load_state_dict(self.best)
        self.checkpoint.write_best(self.potential)
        return Fitted(self.potential, history=self.history, stopped=f"all {self.method.epochs} epochs are done")

    def update(self, frames: list[int]) -> None:
        """See a few frames."""
        observed = self.observe(frames)
        xi = -torch.stack([y.detach() for y in observed])
        if not bool(xi.isfinite().all()):
            raise ValueError(
                f"residuals became {xi[~xi.isfinite()][0]:g} in epoch {self.epoch + 1}; lower gain or eta, or look for "
                "wrong labels and overlapping atoms with `adlayer check`"
            )
        self.total += float(xi.square().mean())
        H = torch.stack([self._slope(y) for y in observed], dim=1)
        m, standard = self.method, self.method.kind == "standard"
        if standard:
            self.eta = min(self.eta * m.eta_growth ** (1 / self.n_updates), m.eta_max)
        X = self.P @ H
        A = H.T @ X
        A = 0.5 * (A + A.T)
        A.diagonal().add_(1 / self.eta if standard else self.fading)
        L = torch.linalg.cholesky(A)
        gain = torch.cholesky_solve(X.T, L).T
        Y = torch.linalg.solve_triangular(L, X.T, upper=False)  # X A⁻¹ Xᵀ = Yᵀ Y
        forget = 1.0 if standard else 1 / self.fading
        self.P.addmm_(Y.T, Y, beta=forget, alpha=-forget)
        self.P.diagonal().add_(self.q)
        step, start = gain @ xi, 0
        for p in self.parameters:
            p.data += step[start : start + p.numel()].view_as(p)
            start += p.numel()
        self.q = max(self.q * m.q_decay ** (-1 / self.n_updates), m.q_min)
        self.fading = m.nu * self.fading + 1 - m.nu

    def observe(self, frames: list[int]) -> list[Tensor]:
        """Scaled residuals of these frames, differentiable by the parameters: all but the forces, and some of these."""
        graph, labels, precisions = self.train[frames]
        forces = precisions.forces is not None and self.method.forces > 0
        said = evaluate(self.fitted, graph, forces=forces, stress=precisions.virial is not None, create_graph=True)
        r, observed = residuals(said, labels, graph.structures), []
        for y, p in ((r.energy, precisions.energy), (r.virial, precisions.virial)):
            if y is not None and p is not None:
                observed += list((y * (p.to(y).sqrt() * self.scale))[p > 0])
        if forces:
            y, p = r.forces, precisions.forces
            chosen = self._choose(y.detach() * (p > 0), frames)
            w = p.to(y).sqrt() * self.scale
            observed += [y[a, c] * w[a, c] for a, c in chosen]
        return observed

    def _choose(self, residual: Float[Tensor, "atoms 3"], frames: list[int]) -> list[tuple[int, int]]:
        """Components of the force, drawn among those with more than the root-mean-square error."""
        n = round(self.method.forces * int((residual != 0).sum()) + 1e-9) or 1
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) * 1_000_003 + self.step)
        large = torch.nonzero((residual.abs() >= residual.square().mean().sqrt()) & (residual != 0)).tolist()
        return [tuple(large[k]) for k in torch.randperm(len(large), generator=generator).tolist()[:n]]

    def _slope(self, y: Tensor) -> Float[Tensor, "K"]:
        found = torch.autograd.grad(y, self.parameters, retain_graph=True, allow_unused=True)
        return torch.cat(
            [torch.zeros_like(p).flatten() if g is None else g.flatten() for p, g in zip(self.parameters, found)]
        )

    def _typical(self) -> float:
        """Inverse root-mean-square of weighed labels: what makes residuals 1 on average where nothing is predicted."""
        total, n = 0.0, 0
        for frames in self.train.in_turn(1):
            graph, labels, precisions = self.train[frames]
            zero = [None if x is None else torch.zeros_like(x) for x in labels[:3]]
            for y, p in zip(residuals(type(labels)(*zero), labels, graph.structures), precisions):
                if y is not None and p is not None:
                    total += float((p * y.nan_to_num().square()).sum())
                    n += int((p > 0).sum())
        return math.sqrt(n / total) if total > 0 else 1.0

    def judge(self) -> None:
        """End an epoch: validate, write a line of history, keep the best."""
        row = {"epoch": self.epoch + 1, "train_loss": self.total / self.n_updates / self.scale**2}
        if self.valid is not None:
            row["valid_loss"] = sum(self._loss(self.valid, k) for k in self.valid.in_turn(5))
            if row["valid_loss"] < min((h["valid_loss"] for h in self.history), default=math.inf):
                self.best = {name: x.clone() for name, x in self.fitted.state_dict().items()}
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        self.history.append(row)
        self.checkpoint.log(row)
        message = ", ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in row.items() if k.endswith("loss"))
        self.progress(self.epoch + 1, self.method.epochs, message)

    def _loss(self, batches: Batches, frames: list[int]) -> float:
        graph, labels, precisions = batches[frames]
        forces, stress = precisions.forces is not None, precisions.virial is not None
        said = evaluate(self.fitted, graph, forces=forces, stress=stress)
        return float(loss(said, labels, precisions, graph.structures))

    def save(self) -> None:
        self.checkpoint.write(
            {
                "potential": self.fitted.state_dict(),
                "covariance": self.P,
                "schedules": [self.scale, self.eta, self.q, self.fading],
                "position": [self.epoch, self.step],
                "total": self.total,
                "best": self.best,
                "history": self.history,
                "spent": time.perf_counter() - self.started,
            }
        )

    def load(self, state: dict[str, Any]) -> None:
        self.fitted.load_state_dict(state["potential"])
        self.P, (self.scale, self.eta, self.q, self.fading) = state["covariance"], state["schedules"]
        (self.epoch, self.step), self.total, self.spent = state["position"], state["total"], state["spent"]
        self.best, self.history = state["best"], state["history"]
