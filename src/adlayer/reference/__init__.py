"""The methods that label: any ASE calculator, in worker processes, every label kept."""

from .ase import ASE
from .gpaw import GPAW
from .labeling import Failure, Labeled, label
from .method import CalculationFailed, Reference, compute
from .pool import WorkerPool
from .store import LabelStore
from .tblite import TBLite

__all__ = [
    "ASE",
    "GPAW",
    "CalculationFailed",
    "CalculatorEvaluate",
    "Failure",
    "LabelStore",
    "Labeled",
    "Reference",
    "ReferenceEvaluate",
    "TBLite",
    "WorkerPool",
    "calculator_evaluate",
    "compute",
    "label",
]


def __getattr__(name: str):
    """What speaks in tensors is imported at first use, so that worker processes start without torch."""
    if name in ("calculator_evaluate", "CalculatorEvaluate", "ReferenceEvaluate"):
        from . import evaluation

        return getattr(evaluation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
