"""Data sets: reading, checking, splitting, reference energies, selection."""

from .dataset import Dataset
from .energies import ElementEnergies, reference_energies
from .reading import read, write
from .selection import choose
from .splits import split

__all__ = ["Dataset", "ElementEnergies", "choose", "read", "reference_energies", "split", "write"]
