"""The potential-energy surface as a search sees it: whatever is put on it rolls down to a minimum, which has a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...potential import Evaluate, Prediction
from ...structures import Structures
from ..relaxation import LBFGS
from ..run import run
from .fingerprint import Fingerprint
from .geometry import are_whole, push_apart, radii


class Quenched(NamedTuple):
    """A batch that was relaxed."""

    structures: Structures
    prediction: Prediction
    features: Float[Tensor, "systems features"]  # fingerprints
    good: Bool[Tensor, "systems"]  # which have come to rest, in one piece
    evaluations: int  # structures that were evaluated for it

    @property
    def energy(self) -> Float[Tensor, "systems"]:
        """Of the minima, eV; infinite for what is none."""
        return torch.where(self.good, self.prediction.energy, torch.full_like(self.prediction.energy, torch.inf))


@dataclass(frozen=True)
class Landscape:
    """What relaxes structures, all of a batch at once, and tells minima apart.

    Args:
        evaluate: any.
        elements: atomic numbers, ascending, of all structures that will be met.
        fmax: force at which a minimum is reached, eV/Å.
        max_steps: of a relaxation; what needs more is no minimum.
        fingerprint: says which minima are the same.
        keep: so many of the lowest minima are remembered.
        connected: whether structures that have come apart are refused.
        closest: atoms of a trial structure nearer than this fraction of a bond are pushed apart first.
    """

    evaluate: Evaluate
    elements: Int[Tensor, "elements"]
    fmax: float = 0.01
    max_steps: int = 1000
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    keep: int = 1000
    connected: bool = True
    closest: float = 0.7

    def quench(
        self, structures: Structures, free: Bool[Tensor, "atoms"], size: Float[Tensor, "atoms"] | None = None
    ) -> Quenched:
        """The minima below these structures.

        Args:
            structures: where to begin.
            free: atoms that may move.
            size: radii by which atoms that are too close are told; default: nothing is pushed.
        """
        if size is not None:
            structures = push_apart(structures, size, free, self.closest)
        relaxation = LBFGS(fmax=self.fmax, max_steps=self.max_steps)
        done = run(relaxation, self.evaluate, structures, fixed=~free, every=10**9)
        good = torch.as_tensor(done.finished)
        sane = torch.where(good[structures.system, None], done.structures.positions, structures.positions)
        ended = done.structures.with_positions(sane)  # fingerprints of what ran away would never end
        if self.connected:
            good = good & are_whole(ended, radii(ended))
        features = self.fingerprint(ended, self.elements, free)
        return Quenched(ended, done.prediction, features, good, int(done.steps.sum()) + len(structures))
