"""What one asks of a potential, or of the reference by the same code: properties of matter, each with its plot."""

from .dimers import DimerLength, DimerTilt, Reconstructions, find_dimers, tilts
from .elasticity import BirchMurnaghan, ElasticConstants, EquationOfState, birch_murnaghan
from .quantity import Analysis, Findings, Observable, Quantity
from .surface_energy import SurfaceEnergy, surface_energy
from .vibrations import Vibrations, frequencies, hessian

__all__ = [
    "Analysis",
    "BirchMurnaghan",
    "DimerLength",
    "DimerTilt",
    "ElasticConstants",
    "EquationOfState",
    "Findings",
    "Observable",
    "Quantity",
    "Reconstructions",
    "SurfaceEnergy",
    "Vibrations",
    "birch_murnaghan",
    "find_dimers",
    "frequencies",
    "hessian",
    "surface_energy",
    "tilts",
]
