"""Monte Carlo: moves of a few lines, ensembles by what a system is in contact with, one place that accepts."""

from .checks import BrokenMove, check_move
from .displacements import Cluster, Displacement, Rotation
from .energies import LocalEnergy, RelaxedEnergy
from .engine import MonteCarlo
from .exchange import Exchange
from .gas import Gas
from .hybrid import HybridMD, MDSegment
from .ideal_gas import ideal_gas, wavelength
from .identities import Flip, Swap
from .move import Chance, Move, Proposal
from .regions import Above, Between, Box, Region, Sphere, WholeCell
from .reservoir import ChemicalDifference, Composition, Pressure, Reservoir
from .state import Sampling
from .volume import Volume

__all__ = [
    "Above",
    "Between",
    "Box",
    "BrokenMove",
    "Chance",
    "ChemicalDifference",
    "Cluster",
    "Composition",
    "Displacement",
    "Exchange",
    "Flip",
    "Gas",
    "HybridMD",
    "LocalEnergy",
    "MDSegment",
    "MonteCarlo",
    "Move",
    "Pressure",
    "Proposal",
    "Region",
    "RelaxedEnergy",
    "Reservoir",
    "Rotation",
    "Sampling",
    "Sphere",
    "Swap",
    "Volume",
    "WholeCell",
    "check_move",
    "ideal_gas",
    "wavelength",
]
