"""Searches for minima: batched, resumable, with one archive of what is distinct."""

from .annealing import SimulatedAnnealing
from .basin_hopping import BasinHopping
from .find import Found, find_minima
from .fingerprint import Fingerprint
from .genetic import GeneticAlgorithm
from .landscape import Landscape
from .minima import Minima
from .minima_hopping import MinimaHopping
from .orderings import SymmetryConstrainedGA
from .perturbations import Mirror, Permutation, Perturbation, Relocate, Shake, Twist
from .random_search import RandomSearch
from .search import Population, Search

__all__ = [
    "BasinHopping",
    "Fingerprint",
    "Found",
    "GeneticAlgorithm",
    "Landscape",
    "Minima",
    "MinimaHopping",
    "Mirror",
    "Permutation",
    "Perturbation",
    "Population",
    "RandomSearch",
    "Relocate",
    "Search",
    "Shake",
    "SimulatedAnnealing",
    "SymmetryConstrainedGA",
    "Twist",
    "find_minima",
]
