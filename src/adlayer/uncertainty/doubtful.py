"""Potentials that know their own doubt."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import build
from ..graph import Graph
from ..potential import PerAtom, Potential, Prediction, evaluate
from ..structures import Structures, sum_systems


class Doubtful(Potential):
    """A potential whose predictions carry ``std``: of energies, forces (per component) and energies per atom.

    Give it a graph and it is a potential like any other; give it structures and it is an ``Evaluate``. Standard
    deviations are multiplied by ``scales``, which are set by calibration on held-out data.
    """

    potential: Potential  # what it predicts, or one of what it averages

    def _take(self, potential: Potential | Mapping | str) -> Potential:
        """Make room for the scales, and give back a copy of the potential."""
        potential = copy.deepcopy(build(potential, Potential))
        self.cutoff, self.elements = potential.cutoff, potential.elements
        self.register_buffer("scales", torch.ones(2, dtype=torch.float64, device=potential.device))  # energy, forces
        return potential

    @property
    def local(self) -> bool:
        return self.potential.local

    @property
    def continuity(self) -> int:
        return self.potential.continuity

    @property
    def dtype(self) -> torch.dtype:
        return self.potential.dtype

    def __call__(self, where: Graph | Structures) -> PerAtom | Prediction:
        return evaluate(self, where) if isinstance(where, Structures) else super().__call__(where)

    def rescale(self, energy: float, forces: float) -> None:
        """Multiply the standard deviations by these factors from now on, beside what they are multiplied by already."""
        self.scales *= self.scales.new_tensor([energy, forces])

    def _scaled(self, std: Prediction) -> Prediction:
        energy, forces = self.scales

        def times(x: Tensor | None, scale: Tensor) -> Tensor | None:
            return None if x is None else x * scale.to(x)

        return Prediction(times(std.energy, energy), times(std.forces, forces), energies=times(std.energies, energy))

    def choose(self, structures: Structures, n: int) -> list[int] | None:
        """At most ``n`` structures that it would learn most from; None: it cannot tell."""
        return None

    def prepare(self, graphs: Iterable[Graph]) -> None:
        self.potential.prepare(graphs)

    def forward(self, graph: Graph) -> PerAtom:
        return self.potential(graph.within(self.potential.cutoff))

    @abstractmethod
    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction:
        """Mean and standard deviations."""


class DoubtsAtoms(Doubtful):
    """Doubt about each environment, whatever the potential says of it.

    It is the standard deviation of each force component and of the atom's energy, in units that calibration sets; those
    of a structure's atoms add in squares.
    """

    @abstractmethod
    def doubt(self, graph: Graph) -> Float[Tensor, "atoms"]:
        """How much, not yet calibrated."""

    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction:
        mean = evaluate(self.potential, graph.within(self.potential.cutoff), forces=forces, stress=stress)
        doubt = self.doubt(graph).to(mean.energies)
        energy = sum_systems(doubt.square(), graph.structures).double().sqrt()
        std = Prediction(energy, doubt[:, None].expand(-1, 3) if forces else None, energies=doubt)
        return mean._replace(std=self._scaled(std))
