"""What one asks of a potential, or of the reference by the same code: properties of matter, each with its plot."""

from .adsorption import AdsorptionEnergy
from .barriers import Barrier
from .chemical_ordering import ChemicalOrdering
from .coverage import Coverage, coverage
from .coverage_curve import CoverageCurve
from .dimers import DimerLength, DimerTilt, Reconstructions, find_dimers, tilts
from .elasticity import BirchMurnaghan, ElasticConstants, EquationOfState, birch_murnaghan
from .ensembles import boltzmann_weights, grand_potential, harmonic_free_energy
from .ladder import StructureSearch
from .melting import Melting
from .metadynamics_sampling import MetadynamicsSampling
from .mobility import lindemann
from .quantity import Analysis, Findings, Observable, Quantity
from .rates import arrhenius, quantum_rate, vineyard
from .relaxed import Relaxed
from .segregation import Segregation
from .steered_pulling import SteeredPulling
from .surface_energy import SurfaceEnergy, surface_energy
from .thermodynamics import SurfaceThermodynamics
from .thickness import SurfaceConvergence
from .umbrella_sampling import UmbrellaSampling
from .vibrations import Vibrations, frequencies, hessian

__all__ = [
    "AdsorptionEnergy",
    "Analysis",
    "Barrier",
    "BirchMurnaghan",
    "ChemicalOrdering",
    "Coverage",
    "CoverageCurve",
    "DimerLength",
    "DimerTilt",
    "ElasticConstants",
    "EquationOfState",
    "Findings",
    "Melting",
    "MetadynamicsSampling",
    "Observable",
    "Quantity",
    "Reconstructions",
    "Relaxed",
    "Segregation",
    "SteeredPulling",
    "StructureSearch",
    "SurfaceConvergence",
    "SurfaceEnergy",
    "SurfaceThermodynamics",
    "UmbrellaSampling",
    "Vibrations",
    "arrhenius",
    "birch_murnaghan",
    "boltzmann_weights",
    "coverage",
    "find_dimers",
    "frequencies",
    "grand_potential",
    "harmonic_free_energy",
    "hessian",
    "lindemann",
    "quantum_rate",
    "surface_energy",
    "tilts",
    "vineyard",
]
