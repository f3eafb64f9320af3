"""Reference methods as ``Evaluate``: simulations and analysis run on them as on any potential."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..potential import Prediction
from ..structures import Structures
from .labeling import label
from .method import CalculationFailed, Reference, calculate
from .pool import WorkerPool
from .store import LabelStore

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def calculator_evaluate(calculator: Calculator) -> CalculatorEvaluate:
    """Any ASE calculator as an ``Evaluate``."""
    return CalculatorEvaluate(calculator)


class CalculatorEvaluate:
    """An ASE calculator, in this process, one structure after another.

    Args:
        calculator: any ASE calculator.
    """

    def __init__(self, calculator: Calculator):
        self.calculator = calculator

    def __call__(self, structures: Structures) -> Prediction:
        results = []
        for frame in structures.to_ase():
            frame.calc = self.calculator
            results.append(calculate(frame))
        return gather(structures, results)


class ReferenceEvaluate:
    """A reference method in worker processes: the structures of a batch are calculated at the same time.

    With a store, every point is kept, so that a relaxation or a run that was killed replays what it has done.

    Args:
        reference: the method.
        store: folder of labels.
        workers: how many processes.
        timeout: seconds after which a calculation is killed.
        retries: how often a failed calculation is tried with the method's other settings.
    """

    def __init__(
        self,
        reference: Reference,
        store: LabelStore | Path | str | None = None,
        workers: int = 2,
        timeout: float | None = 600.0,
        retries: int = 1,
    ):
        self.reference, self.timeout, self.retries = reference, timeout, retries
        self.store = store if store is None or isinstance(store, LabelStore) else LabelStore(store)
        self.pool = WorkerPool(workers)

    def __call__(self, structures: Structures) -> Prediction:
        frames = structures.to_ase()
        try:
            settings = {"timeout": self.timeout, "retries": self.retries}
            done = label(self.reference, frames, self.store, self.pool, **settings)
        except KeyboardInterrupt:
            self.close()
            raise
        if done.failures:
            failure = done.failures[0]
            raise CalculationFailed(f"structure {failure.index} of the batch: {failure.reason}")
        return gather(structures, [frame.calc.results for frame in done.frames])

    def close(self) -> None:
        """End the worker processes; it also happens by itself when the program ends."""
        self.pool.shutdown(wait=False)

    def __enter__(self) -> ReferenceEvaluate:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def gather(structures: Structures, results: Sequence[dict[str, Any]]) -> Prediction:
    """Put ASE results, one per structure, into a ``Prediction``; stress becomes per measure of the periodic axes."""
    like = structures.positions

    def tensor(x) -> torch.Tensor:
        return torch.as_tensor(np.asarray(x)).to(like)

    stresses = [r.get("stress") for r in results]
    charges = [r.get("charges") for r in results]
    return Prediction(
        energy=tensor([r["energy"] for r in results]),
        forces=tensor(np.concatenate([r["forces"] for r in results])) if results else like.new_zeros(0, 3),
        stress=None if all(s is None for s in stresses) else _stress(structures, stresses).to(like),
        charges=None if any(c is None for c in charges) else tensor(np.concatenate(charges)),
    )


def _stress(structures: Structures, voigt: Sequence[np.ndarray | None]) -> torch.Tensor:
    from ase.stress import voigt_6_to_full_3x3_stress

    full = np.stack([np.full((3, 3), np.nan) if s is None else voigt_6_to_full_3x3_stress(s) for s in voigt])
    volume = torch.linalg.det(structures.cell).abs()
    P = structures.periodic_projector
    stress = P @ (torch.as_tensor(full).to(P) * volume[:, None, None]) @ P / structures.measure[:, None, None]
    return torch.where(structures.pbc.any(1)[:, None, None], stress, torch.full_like(stress, torch.nan))
