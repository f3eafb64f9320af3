"""Fitting: from a potential and a dataset to a fitted potential."""

from .active_subspace import ActiveSubspace
from .fit import Fit, Fitted, Posterior, fit
from .gradient_descent import GradientDescent
from .gradient_domain import GradientDomain
from .kernel_ridge import KernelRidge
from .ladder import Ladder
from .least_squares import LeastSquares
from .metrics import errors, predict
from .sparse_gp import SparseGP
from .variable_projection import VariableProjection
from .weights import Weights

__all__ = [
    "ActiveSubspace",
    "Fit",
    "Fitted",
    "GradientDescent",
    "GradientDomain",
    "KernelRidge",
    "Ladder",
    "LeastSquares",
    "Posterior",
    "SparseGP",
    "VariableProjection",
    "Weights",
    "errors",
    "fit",
    "predict",
]
