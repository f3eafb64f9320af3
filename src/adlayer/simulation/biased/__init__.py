"""Dynamics under a bias along collective variables."""

from .bias import Bias, Biased
from .metadynamics import Metadynamics
from .restraints import Restrained, Spring
from .variables import (
    Angle,
    CollectiveVariable,
    Combination,
    Coordinate,
    Coordination,
    Dihedral,
    Distance,
    Function,
    Height,
    Steinhardt,
)

__all__ = [
    "Angle",
    "Bias",
    "Biased",
    "CollectiveVariable",
    "Combination",
    "Coordinate",
    "Coordination",
    "Dihedral",
    "Distance",
    "Function",
    "Height",
    "Metadynamics",
    "Restrained",
    "Spring",
    "Steinhardt",
]
