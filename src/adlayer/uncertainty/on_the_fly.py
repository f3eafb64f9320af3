"""When to ask the reference method while a Gaussian process drives the atoms, and what would have come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..config import Part
from ..potential import Potential, Prediction, evaluate
from ..structures import Structures
from .ensemble import LinearEnsemble
from .gaussian_process import GaussianProcess

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting import Fit


@dataclass(frozen=True)
class OnTheFly(Part):
    """FLARE's rule: ask where the standard deviation of any force component exceeds ``tolerance`` times the noise.

    The noise is that of forces, with which the process was fitted (``SparseGP``) and which ``hyperparameters =
    "evidence"`` finds. J. Vandermause et al., npj Comput. Mater. 6, 20 (2020).

    Args:
        tolerance: in units of the noise.
    """

    tolerance: float = 1.0

    def __post_init__(self):
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be positive, got {self.tolerance}")

    def threshold(self, fitted: LinearEnsemble) -> float:
        """The standard deviation beyond which to ask, eV/Å."""
        noise = getattr(fitted, "noise", torch.tensor(torch.nan))
        if not bool(noise.isfinite()):
            raise ValueError(
                f"{type(fitted).__name__} does not know the noise of its labels; the rule needs a GaussianProcess "
                f"fitted to forces by SparseGP"
            )
        return self.tolerance * float(noise)

    def asks(self, said: Prediction, structures: Structures, fitted: LinearEnsemble) -> Bool[Tensor, "systems"]:
        """The structures of which a label is wanted."""
        largest = said.std.forces.abs().amax(1)
        found = largest.new_zeros(structures.n_systems).scatter_reduce(0, structures.system, largest, "amax")
        return found > self.threshold(fitted)


@dataclass(frozen=True)
class Replay:
    """What a rule would have done with frames that are all labeled.

    Args:
        asked: the frames it would have asked for.
        errors: of force components when each frame came, eV/Å, frame by frame; none before the first fit.
        stds: what was believed of them then.
        fitted: the last potential.
    """

    asked: list[int]
    errors: Float[Tensor, "frames components"]
    stds: Float[Tensor, "frames components"]
    fitted: LinearEnsemble


def replay(
    rule: OnTheFly,
    potential: Potential,
    frames: Dataset,
    method: Fit,
    first: int = 1,
    atoms: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Replay:
    """Go through frames in their order: predict each, and where the rule asks take its label and fit again.

    Args:
        rule: when to ask.
        potential: what is fitted, a Gaussian process.
        frames: all labeled, each with as many atoms.
        method: how it is fitted.
        first: how many frames are labeled to begin with.
        atoms: how many atoms of a frame are labeled where the rule asks, those in most doubt; all, if not given.
        progress: called after each frame.
    """
    process = GaussianProcess(calibrated=False)
    asked, errors, stds = list(range(first)), [], []
    fitted = process.fit(potential, frames[asked], method=method)
    for k in range(first, len(frames)):
        frame = frames[[k]]
        said = evaluate(fitted, frame.structures, stress=False)
        errors.append((said.forces - frame.labels.forces).flatten())
        stds.append(said.std.forces.flatten())
        if bool(rule.asks(said, frame.structures, fitted).any()):
            asked.append(k)
            if atoms is not None:
                known = said.std.forces.amax(1).topk(atoms).indices
                frames = _without(frames, k, known)
            fitted = process.fit(potential, frames[asked], method=method)
        if progress:
            progress(k + 1, len(frames), f"{len(asked)} labels")
    return Replay(asked, torch.stack(errors), torch.stack(stds), fitted)


def _without(frames: Dataset, k: int, known: Int[Tensor, "some"]) -> Dataset:
    """The same frames, where of the forces of one only those on some atoms are known."""
    forces, begin = frames.labels.forces.clone(), int(frames.structures.offsets[k])
    taken = forces[begin + known]
    forces[begin : int(frames.structures.offsets[k + 1])] = torch.nan
    forces[begin + known] = taken
    return replace(frames, labels=frames.labels._replace(forces=forces))
