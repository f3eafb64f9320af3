"""Simulations: batched, resumable, and driven by anything that evaluates structures."""

from .dynamics import Langevin, Motion, VelocityVerlet
from .engine import Engine, Evaluate
from .relaxation import FIRE, LBFGS
from .run import Run, relax, run
from .state import State, fixed_atoms
from .trajectory import Trajectory
from .watch import MaxTemperature, MaxUncertainty, MinDistance, Watch

__all__ = [
    "FIRE",
    "LBFGS",
    "Engine",
    "Evaluate",
    "Langevin",
    "MaxTemperature",
    "MaxUncertainty",
    "MinDistance",
    "Motion",
    "Run",
    "State",
    "Trajectory",
    "VelocityVerlet",
    "Watch",
    "fixed_atoms",
    "relax",
    "run",
]
