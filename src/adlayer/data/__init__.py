"""Data sets: reading, checking, splitting, reference energies, selection."""

from .dataset import Dataset
from .reading import read, write

__all__ = ["Dataset", "read", "write"]
