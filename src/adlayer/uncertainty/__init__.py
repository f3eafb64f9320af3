"""What a potential does not know, and how far that can be believed."""

from .calibration import Calibration, assess, calibrate, force_deviation
from .committee import Committee
from .distance import DistanceAware, FeatureDistance
from .doubtful import Doubtful
from .ensemble import Ensemble, LinearEnsemble
from .extrapolation import Extrapolating, ExtrapolationGrade
from .gaussian_process import GaussianProcess
from .on_the_fly import OnTheFly, Replay, replay
from .quadratic import QuadraticDoubt
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
    "OnTheFly",
    "QuadraticDoubt",
    "Quality",
    "Replay",
    "Uncertainty",
    "assess",
    "calibrate",
    "conformal_quantile",
    "force_deviation",
    "replay",
]
