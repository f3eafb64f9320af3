"""Simulations: batched, resumable, and driven by anything that evaluates structures."""

from .barostats import MTK, Barostat, CellRescaling
from .dynamics import Langevin, VelocityVerlet
from .engine import Engine, Evaluate
from .motion import Dynamics, Motion
from .relaxation import FIRE, LBFGS
from .run import Run, relax, run
from .state import State, fixed_atoms
from .thermostats import Bussi, NoseHoover
from .trajectory import Trajectory
from .watch import MaxTemperature, MaxUncertainty, MinDistance, Watch

__all__ = [
    "FIRE",
    "LBFGS",
    "MTK",
    "Barostat",
    "Bussi",
    "CellRescaling",
    "Dynamics",
    "Engine",
    "Evaluate",
    "Langevin",
    "MaxTemperature",
    "MaxUncertainty",
    "MinDistance",
    "Motion",
    "NoseHoover",
    "Run",
    "State",
    "Trajectory",
    "VelocityVerlet",
    "Watch",
    "fixed_atoms",
    "relax",
    "run",
]
