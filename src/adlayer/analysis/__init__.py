"""What one asks of a potential, or of the reference by the same code: properties of matter, each with its plot."""

from .barriers import Barrier
from .coverage import Coverage, coverage
from .dimers import DimerLength, DimerTilt, Reconstructions, find_dimers, tilts
from .elasticity import BirchMurnaghan, ElasticConstants, EquationOfState, birch_murnaghan
from .melting import Melting
from .mobility import lindemann
from .quantity import Analysis, Findings, Observable, Quantity
from .rates import arrhenius, quantum_rate, vineyard
from .surface_energy import SurfaceEnergy, surface_energy
from .thermodynamics import SurfaceThermodynamics
from .thickness import SurfaceConvergence
from .vibrations import Vibrations, frequencies, hessian

__all__ = [
    "Analysis",
    "Barrier",
    "BirchMurnaghan",
    "Coverage",
    "DimerLength",
    "DimerTilt",
    "ElasticConstants",
    "EquationOfState",
    "Findings",
    "Melting",
    "Observable",
    "Quantity",
    "Reconstructions",
    "SurfaceConvergence",
    "SurfaceEnergy",
    "SurfaceThermodynamics",
    "Vibrations",
    "arrhenius",
    "birch_murnaghan",
    "coverage",
    "find_dimers",
    "frequencies",
    "hessian",
    "lindemann",
    "quantum_rate",
    "surface_energy",
    "tilts",
    "vineyard",
]
