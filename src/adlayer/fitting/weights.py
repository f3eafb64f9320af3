"""What a fit minimizes: one objective for all methods.

``L = w_E <(ΔE/N)²> + w_F <ΔF²> + w_S <(ΔW/N)²>``

where ``<>`` is the mean over all known labels of the training set, weighted by the weights of their frames, ``N``
counts atoms and ``W`` is the strain derivative (stress times volume, area or length): eV/atom, eV/Å and eV/atom, so
that bulk, slab, wire and cluster are measured alike. A frame of weight 2 counts as two equal frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import Part, check_arguments, nearest
from ..potential import Prediction
from ..structures import Structures

if TYPE_CHECKING:
    from ..data import Dataset


class Residuals(NamedTuple):
    """Differences, in the units in which they are weighed; also the weights themselves, of the same shapes."""

    energy: Float[Tensor, "systems"] | None  # eV/atom
    forces: Float[Tensor, "atoms 3"] | None  # eV/Å
    virial: Float[Tensor, "systems 3 3"] | None  # eV/atom


def in_rows(said: Prediction, structures: Structures) -> Residuals:
    """Predictions or labels in the units in which their differences are weighed."""
    N = structures.counts.clamp_min(1).double()
    per_atom = (structures.measure / N)[:, None, None]
    return Residuals(
        None if said.energy is None else said.energy / N.to(said.energy),
        said.forces,
        None if said.stress is None else said.stress * per_atom.to(said.stress),
    )


def residuals(predicted: Prediction, labels: Prediction, structures: Structures) -> Residuals:
    """What is predicted minus what is known; NaN where a label is not known, None where no frame has it."""
    pairs = zip(in_rows(predicted, structures), in_rows(labels, structures))
    return Residuals(*(None if a is None or b is None else a - b.to(a) for a, b in pairs))


@dataclass(frozen=True)
class Weights(Part):
    """How much each kind of label counts in ``w_E <(ΔE/N)²> + w_F <ΔF²> + w_S <(ΔW/N)²>``.

    Args:
        energy: of squared errors of the energy per atom.
        forces: of squared errors of force components.
        stress: of squared errors of the strain derivative per atom; where not given, 0.1 if there are any labels.
        groups: factors for the frames of a group (``info["group"]``), beside the frame's own ``info["weight"]``.
    """

    energy: float = 1.0
    forces: float = 1.0
    stress: float | None = None
    groups: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        table = {"energy": self.energy, "forces": self.forces, "stress": self.stress or 0.0, **self.groups}
        for name, w in table.items():
            if not (isinstance(w, int | float) and 0 <= w < float("inf")):
                raise ValueError(f"the weight of {name!r} is {w!r}; weights are numbers from 0 upwards")
        if not (self.energy or self.forces or self.stress or self.stress is None):
            raise ValueError("all weights are zero: nothing would be fitted")

    @staticmethod
    def of(spec: Weights | Mapping | None, **defaults: float) -> Weights:
        """Weights as such, or a table of arguments, with a method's own defaults for what it does not name."""
        if isinstance(spec, Weights):
            return spec
        check_arguments(Weights, spec or {})
        return Weights(**{**defaults, **(spec or {})})

    def loss(self, errors: Mapping[str, float]) -> float:
        """The objective, from root-mean-square errors as ``fitting.errors`` gives them."""
        stress = 0.1 if self.stress is None else self.stress
        terms = {"energy_rmse": self.energy, "forces_rmse": self.forces, "virial_rmse": stress}
        return sum(weight * errors[name] ** 2 for name, weight in terms.items() if name in errors)

    def of_frames(self, dataset: Dataset) -> Float[Tensor, "systems"]:
        """The weight of each frame: its own times that of its group."""
        w = [info["weight"] * self.groups.get(info["group"], 1.0) for info in dataset.info]
        for k, x in enumerate(w):
            if not 0 <= x < float("inf"):
                raise ValueError(f"{dataset.where(k)} has the weight {x:g}; weights are numbers from 0 upwards")
        return torch.tensor(w, dtype=torch.float64)

    def precisions(self, dataset: Dataset) -> Residuals:
        """Factors ``p`` with ``sum p residual² = L``: zero where a label is not known."""
        frames, s = self.of_frames(dataset), dataset.structures

        def spread(label: Tensor | None, w: float, of: Tensor) -> Tensor | None:
            if label is None or w == 0:
                return None
            p = of.reshape(-1, *(1,) * (label.ndim - 1)) * label.isfinite()
            return w * p / total if (total := p.sum()) > 0 else None

        stress = 0.1 if self.stress is None else self.stress
        return Residuals(
            spread(dataset.labels.energy, self.energy, frames),
            spread(dataset.labels.forces, self.forces, frames[s.system]),
            spread(dataset.labels.stress, stress, frames),
        )

    def check_groups(self, dataset: Dataset) -> None:
        """Raise ``ValueError`` for a group that no frame belongs to; parts of a dataset may well lack one."""
        groups = {info["group"] for info in dataset.info}
        for name in self.groups:
            if name not in groups:
                known = ", ".join(sorted(groups - {""})) or "none"
                raise ValueError(f"no frame is of group {name!r}{nearest(name, groups)}; the groups are: {known}")

    def check(self, train: Dataset, valid: Dataset | None = None) -> None:
        """Raise ``ValueError`` where the labels that these weights ask for are not there."""
        for data, of in ((train, "training"), (valid, "validation")):
            if data is not None:
                self._check_labels(data, of)

    def _check_labels(self, data: Dataset, of: str) -> None:
        if not len(data):
            raise ValueError(f"the {of} set is empty")
        if not bool((data.structures.counts > 0).all()):
            raise ValueError(f"{data.where(int(data.structures.counts.argmin()))} has no atoms")
        for name in ("energy", "forces", "stress"):
            label, w = getattr(data.labels, name), getattr(self, name)
            if w and (label is None or not bool(label.isfinite().any())):
                raise ValueError(
                    f"no frame of the {of} set has labels of {name}, whose weight is {w:g}; "
                    f"name the key they are stored under when reading, or set weights.{name} = 0"
                )
        p, system = self.precisions(data), data.structures.system
        n_known = torch.zeros(len(data), dtype=torch.long)
        for x, place in ((p.energy, torch.arange(len(data))), (p.forces, system), (p.virial, torch.arange(len(data)))):
            if x is not None:
                n_known.index_add_(0, place, (x.flatten(1) if x.ndim > 1 else x[:, None]).gt(0).sum(1))
        missing = ((n_known == 0) & (self.of_frames(data) > 0)).nonzero().flatten().tolist()
        if missing:
            more = f" (nor have {len(missing) - 1} others)" if len(missing) > 1 else ""
            raise ValueError(f"{data.where(missing[0])} has none of the labels to be fitted{more}; leave it out")
