"""Simulations: batched, resumable, and driven by anything that evaluates structures."""

from .barostats import MTK, Barostat, CellRescaling
from .biased import Metadynamics, Restrained, Spring
from .curvature import Modes, lowest_modes
from .dimer import Dimer
from .dynamics import Langevin, VelocityVerlet
from .engine import Engine, Evaluate
from .interpolation import IDPP, interpolate
from .motion import Dynamics, Motion
from .paths import NEB, StringMethod
from .relaxation import FIRE, LBFGS
from .run import Run, relax, run
from .state import State, fixed_atoms
from .tempering import Tempering
from .thermostats import Bussi, NoseHoover
from .trajectory import Trajectory, open_trajectory
from .trajectory_formats import read_hdf5
from .watch import MaxDrift, MaxStrain, MaxTemperature, MaxUncertainty, MinDistance, Watch

__all__ = [
    "FIRE",
    "IDPP",
    "LBFGS",
    "MTK",
    "NEB",
    "Barostat",
    "Bussi",
    "CellRescaling",
    "Dimer",
    "Dynamics",
    "Engine",
    "Evaluate",
    "Langevin",
    "MaxDrift",
    "MaxStrain",
    "MaxTemperature",
    "MaxUncertainty",
    "Metadynamics",
    "MinDistance",
    "Modes",
    "Motion",
    "NoseHoover",
    "Restrained",
    "Run",
    "Spring",
    "State",
    "StringMethod",
    "Tempering",
    "Trajectory",
    "VelocityVerlet",
    "Watch",
    "fixed_atoms",
    "interpolate",
    "lowest_modes",
    "open_trajectory",
    "read_hdf5",
    "relax",
    "run",
]
