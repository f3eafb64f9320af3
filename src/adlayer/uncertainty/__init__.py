"""What a potential does not know, and how far that can be believed."""

from .calibration import Calibration, assess, calibrate, force_deviation
from .committee import Committee
from .distance import DistanceAware, FeatureDistance
from .ensemble import Doubtful, Ensemble, LinearEnsemble
from .extrapolation import Extrapolating, ExtrapolationGrade
from .gaussian_process import GaussianProcess
from .scores import Quality, conformal_quantile
from .uncertainty import Uncertainty

__all__ = [
    "Calibration",
    "Committee",
    "DistanceAware",
    "Doubtful",
    "Ensemble",
    "Extrapolating",
    "ExtrapolationGrade",
    "FeatureDistance",
    "GaussianProcess",
    "LinearEnsemble",
    "Quality",
    "Uncertainty",
    "assess",
    "calibrate",
    "conformal_quantile",
    "force_deviation",
]
