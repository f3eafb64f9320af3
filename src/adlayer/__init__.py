"""Adlayer: machine-learned interatomic potentials for surfaces, interfaces and nanoparticles."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# Threads that spin while they wait make a busy machine ten times as slow. This is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    __version__ = version("adlayer")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

_HOME = {
    "Structures": "structures",
    "Graph": "graph",
    "NeighborList": "neighbors",
    "Potential": "potential",
    "PerAtom": "potential",
    "Prediction": "potential",
    "Design": "potential",
    "Sum": "potential",
    "ReferenceEnergies": "potential",
    "Evaluator": "potential",
    "evaluate": "potential",
    "make_potential": "potential",
    "Descriptor": "descriptor",
    "build": "config",
    "catalogue": "config",
    "describe": "config",
    "save": "saving",
    "load": "saving",
    "tabulate": "tabulation",
    "check_potential": "checks",
    "check_descriptor": "checks",
    "Dataset": "data",
    "read": "data",
    "write": "data",
    "split": "data",
    "reference_energies": "data",
    "fit": "fitting",
    "predict": "fitting",
    "errors": "fitting",
    "read_potential": "formats",
    "write_potential": "formats",
    "Calculator": "engines.ase",
    "label": "reference",
    "run": "simulation",
    "relax": "simulation",
}
__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    """Import a name from its room at first use: what is not used is not loaded."""
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
