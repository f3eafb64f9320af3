"""Variable projection: least squares for potentials that are linear in some parameters and not in others.

G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10, 413 (1973); L. Kaufman, BIT 15, 49 (1975).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import check_arguments
from ..potential import Potential
from .checkpoint import Checkpoint, fingerprint
from .fit import Fit, Fitted, Progress
from .least_squares import LeastSquares, graphs_of
from .levenberg_marquardt import Search
from .parts import is_trainable, leaves

if TYPE_CHECKING:
    from ..data import Dataset

_MOST = 3000  # columns


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
        if isinstance(self.least_squares.ridge, list) or self.least_squares.ridge == "ard":
            raise ValueError(f"ridge is one number here or 'evidence', got {self.least_squares.ridge!r}")
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
