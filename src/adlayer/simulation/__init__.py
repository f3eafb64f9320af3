"""Simulations: batched, resumable, and driven by anything that evaluates structures."""

from .barostats import MTK, Barostat, CellRescaling
from .biased import Metadynamics, Restrained, Spring
from .curvature import Modes, lowest_modes
from .dimer import Dimer
from .dynamics import Langevin, VelocityVerlet
from .engine import Engine, Evaluate
from .interpolation import IDPP, interpolate
from .monte_carlo import Gas, LocalEnergy, MonteCarlo
from .motion import Dynamics, Motion
from .paths import NEB, StringMethod
from .relaxation import FIRE, LBFGS
from .run import Run, relax, run
from .search import (
    BasinHopping,
    Fingerprint,
    GeneticAlgorithm,
    MinimaHopping,
    RandomSearch,
    Search,
    SimulatedAnnealing,
    SymmetryConstrainedGA,
    find_minima,
)
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
    "BasinHopping",
    "Bussi",
    "CellRescaling",
    "Dimer",
    "Dynamics",
    "Engine",
    "Evaluate",
    "Fingerprint",
    "Gas",
    "GeneticAlgorithm",
    "Langevin",
    "LocalEnergy",
    "MaxDrift",
    "MaxStrain",
    "MaxTemperature",
    "MaxUncertainty",
    "Metadynamics",
    "MinDistance",
    "MinimaHopping",
    "Modes",
    "MonteCarlo",
    "Motion",
    "NoseHoover",
    "RandomSearch",
    "Restrained",
    "Run",
    "Search",
    "SimulatedAnnealing",
    "Spring",
    "State",
    "StringMethod",
    "SymmetryConstrainedGA",
    "Tempering",
    "Trajectory",
    "VelocityVerlet",
    "Watch",
    "find_minima",
    "fixed_atoms",
    "interpolate",
    "lowest_modes",
    "open_trajectory",
    "read_hdf5",
    "relax",
    "run",
]
