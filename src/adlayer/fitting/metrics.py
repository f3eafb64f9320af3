"""How far a potential is from its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..graph import Graph
from ..potential import Potential, Prediction, evaluate
from ..structures import Structures, chunks
from .weights import residuals

if TYPE_CHECKING:
    from ..data import Dataset


def predict(potential: Potential, structures: Structures, *, stress: bool = True, atoms: int = 2000) -> Prediction:
    """Predict many structures in batches, so that memory stays bounded.

    Args:
        potential: any potential.
        structures: any number.
        stress: whether to give stress.
        atoms: at most so many atoms at a time.
    """
    parts = []
    for chunk in chunks(structures, atoms):
        batch = structures[list(chunk)]
        said = evaluate(potential, Graph.of(batch.to(potential.device), potential.cutoff), stress=stress)
        parts.append((batch, said.map(lambda x: x.cpu(), lambda x: x.cpu())))
    return Prediction.cat(parts)


def errors_of(potential: Potential, dataset: Dataset) -> dict:
    """``errors`` of what a potential says of a dataset, of stress where there are labels."""
    return errors(predict(potential, dataset.structures, stress=dataset.labels.stress is not None), dataset)


def errors(predicted: Prediction, dataset: Dataset) -> dict:
    """Mean absolute and root-mean-square errors over what is known, of all frames and of each group.

    ``energy`` is per atom (eV), ``forces`` per component (eV/Å), ``virial`` the strain derivative per atom (eV), and
    ``stress`` in the unit of the labels where all frames repeat along equally many axes.

    Returns:
        ``{"energy_mae": ..., "energy_rmse": ..., "forces_mae": ..., ..., "groups": {name: {...}}}``
    """
    found = _errors(predicted, dataset)
    groups: dict[str, list[int]] = {}
    for k, info in enumerate(dataset.info):
        groups.setdefault(info["group"], []).append(k)
    if len(groups) > 1:
        found["groups"] = {
            name: _errors(predicted.select(dataset.structures, ks), dataset[ks]) for name, ks in sorted(groups.items())
        }
    return found


def _errors(predicted: Prediction, dataset: Dataset) -> dict[str, float]:
    table = residuals(predicted, dataset.labels, dataset.structures)._asdict()
    if table["virial"] is not None and len(dataset.structures.pbc.sum(1).unique()) == 1:
        table["stress"] = predicted.stress - dataset.labels.stress
    found = {}
    for name, r in table.items():
        if r is not None and len(r := r[~r.isnan()]):
            found[f"{name}_mae"] = float(r.abs().mean())
            found[f"{name}_rmse"] = float(torch.sqrt(r.square().mean()))
    return found
