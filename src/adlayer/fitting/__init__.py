"""Fitting: from a potential and a dataset to a fitted potential."""

from .fit import Fit, Fitted, Posterior, fit
from .metrics import errors, predict
from .weights import Weights

__all__ = ["Fit", "Fitted", "Posterior", "Weights", "errors", "fit", "predict"]
