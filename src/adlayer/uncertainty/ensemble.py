"""Ensembles: the mean and the spread of several potentials, as one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..graph import Graph
from ..potential import PerAtom, Potential, Prediction, evaluate
from ..structures import sum_systems
from .doubtful import Doubtful


class Ensemble(Doubtful):
    """Several potentials of one form: their mean, and their spread as the standard deviation.

    ``E = (1/M) sum_m E_m``, ``std² = sum_m (E_m - E)² / (M - 1)``, likewise for each force component and each atom's
    energy. All members see one neighbor list.

    Args:
        potential: what a member is made of.
        members: how many there are.
    """

    small = {"potential": {"LennardJones": {"epsilon": 0.01, "sigma": 2.2, "cutoff": 5.0}}, "members": 2}

    def __init__(self, potential: Potential | Mapping | str, members: int = 8):
        super().__init__()
        if members < 2:
            raise ValueError(f"an ensemble needs at least 2 members to differ, got {members}")
        first = self._take(potential)
        self.members = nn.ModuleList([first, *(copy.deepcopy(first) for _ in range(members - 1))])

    @staticmethod
    def of(members: Iterable[Potential]) -> Ensemble:
        """An ensemble of potentials that exist already and differ in nothing but what they have learned."""
        members = list(members)
        ensemble = Ensemble(members[0], len(members))
        for mine, given in zip(ensemble.members, members):
            mine.load_state_dict(given.state_dict())
        return ensemble

    @property
    def potential(self) -> Potential:
        return self.members[0]

    def prepare(self, graphs: Iterable[Graph]) -> None:
        graphs = list(graphs)
        for m in self.members:
            m.prepare(graphs)

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(*(_mean(xs) for xs in zip(*(m(graph) for m in self.members))))

    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction:
        said = [evaluate(m, graph, forces=forces, stress=stress) for m in self.members]
        mean = Prediction(*(_mean(xs) for xs in zip(*(p[:-1] for p in said))))
        std = Prediction(_std([p.energy for p in said]), _std([p.forces for p in said]))
        return mean._replace(std=self._scaled(std._replace(energies=_std([p.energies for p in said]))))

    def deviations(self, graph: Graph) -> Float[Tensor, "systems M"]:
        said = [evaluate(m, graph, forces=False, stress=False).energy for m in self.members]
        E = torch.stack(said, dim=-1)
        return self.scales[0].to(E) * (E - E.mean(-1, keepdim=True)) / (len(said) - 1) ** 0.5


class LinearEnsemble(Doubtful):
    """A linear potential whose coefficients are uncertain: ``c ~ N(mean, S Sᵀ)``.

    Any linear quantity ``y = phi · c`` (an energy, a force component) then has ``std² = |Sᵀ phi|²``, so that all
    members are had at the price of one mean and one set of features. The columns of ``S`` are the deviations of members
    from their mean over ``sqrt(M - 1)``, or draws from a posterior over ``sqrt(M)``. A Gaussian process
    also has the variance that its sparse points leave open (the deterministic training conditional).

    Args:
        potential: a potential that is linear in its coefficients, whose values are the mean.
        rank: number of columns of ``S``.
    """

    small = {
        "potential": {"ReferenceEnergies": {"energies": {"Si": -1.5, "H": -0.25, "Cu": -3.5, "O": -2.0}}},
        "rank": 2,
    }

    def __init__(self, potential: Potential | Mapping | str, rank: int = 32):
        super().__init__()
        self.potential = self._take(potential)
        if not self.potential.linear:
            raise ValueError(f"{type(self.potential).__name__} is not linear in its parameters; use Ensemble")
        c = self.potential.coefficients
        self.register_buffer("spread", torch.zeros(len(c), rank, dtype=c.dtype, device=c.device))
        self.register_buffer("noise", torch.tensor(torch.nan, dtype=torch.float64))  # of forces, eV/Å; nan: not known

    @staticmethod
    def of(potential: Potential, spread: Float[Tensor, "K M"]) -> LinearEnsemble:
        """From a fitted potential and the columns ``S``."""
        ensemble = LinearEnsemble(potential, spread.shape[1])
        ensemble.spread.copy_(spread)
        return ensemble

    @staticmethod
    def of_members(members: Iterable[Potential]) -> LinearEnsemble:
        """From potentials that differ in nothing but their coefficients: their mean and their spread."""
        members = list(members)
        C = torch.stack([m.coefficients for m in members])
        mean = copy.deepcopy(members[0])
        mean.coefficients = C.mean(0)
        return LinearEnsemble.of(mean, ((C - C.mean(0)) / (len(C) - 1) ** 0.5).T)

    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction:
        mean = evaluate(self.potential, graph, forces=forces, stress=stress)
        S = self.spread
        features = self.potential.projections(graph)
        each = features @ S.to(features)  # [atoms, M]
        energy, energies = (torch.linalg.vector_norm(x, dim=-1) for x in (sum_systems(each, graph.structures), each))
        F = None
        if forces:
            rows = self.potential.design(graph, virial=False).forces
            F = torch.linalg.vector_norm(rows @ S.to(rows), dim=-1)
        if (more := self.potential.unexplained(graph, forces)) is not None:
            energy, energies = (energy.square() + more.energy).sqrt(), (energies.square() + more.energies).sqrt()
            F = F if more.forces is None else (F.square() + more.forces.to(F)).sqrt()
        std = Prediction(energy.double(), F, energies=energies)
        return mean._replace(std=self._scaled(std))

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        """There are as many coefficients as were saved."""
        if (saved := state_dict.get(f"{prefix}spread")) is not None:
            self.spread = self.spread.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def deviations(self, graph: Graph) -> Float[Tensor, "systems M"]:
        energy = self.potential.design(graph, forces=False, virial=False).energy @ self.spread
        return self.scales[0].to(energy) * energy


def _mean(values: Iterable[Tensor | None]) -> Tensor | None:
    values = list(values)
    return None if values[0] is None else torch.stack(values).mean(0)


def _std(values: list[Tensor | None]) -> Tensor | None:
    return None if values[0] is None else torch.stack(values).std(0)
