"""What a system is in contact with: reservoirs of volume and of identities; those of particles are gases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from ase.data import atomic_numbers
from jaxtyping import Float
from torch import Tensor

from ...config import Part, nearest
from ...structures import Structures
from ...units import BOLTZMANN, ELEMENTARY_CHARGE, GPA, N_PER_M
from ..motion import spread
from .move import Move
from .state import Sampling


class Reservoir(Part, ABC):
    """A reservoir adds ``sum_k f_k X_k`` to the logarithm of the weight of a configuration, ``-E / k_B T``.

    The ``X_k`` are what it exchanges with the system. The fields ``f_k`` conjugate to them are kept in the state, one
    row for each system of a batch. Without reservoirs and gases the ensemble is the canonical one.
    """

    @abstractmethod
    def fields(self, structures: Structures, temperature: Float[Tensor, "systems"]) -> Float[Tensor, "systems fields"]:
        """The ``f_k``, dimensionless per unit of ``X_k``."""

    @abstractmethod
    def log_weight(self, state: Sampling, fields: Float[Tensor, "systems fields"]) -> Float[Tensor, "systems"]:
        """What it adds to the logarithm of the weight of each system."""

    @property
    @abstractmethod
    def n_fields(self) -> int:
        """How many fields there are."""

    def moves(self) -> list[Move]:
        """The moves by which the system exchanges with it, where the user names none."""
        return []

    def observe(self, state: Sampling) -> dict[str, Float[Tensor, "systems"]]:
        """What is exchanged, with units."""
        return {}


NANONEWTON = 1e-19 / ELEMENTARY_CHARGE  # eV/Å
MEASURES = {3: ("volume (Å³)", GPA), 2: ("area (Å²)", N_PER_M), 1: ("length (Å)", NANONEWTON)}  # by periodic axes


@dataclass(frozen=True)
class Pressure(Reservoir):
    """Constant pressure: ``-p V / k_B T``, and ``(N + 1) ln V`` by the move that changes the volume.

    Of a slab, the area is exchanged instead, and of a wire the length.

    Args:
        pressure: GPa; of a slab N/m, minus the surface tension; of a wire nN; a list is spread evenly over the systems.
    """

    pressure: float | list[float] = 0.0
    n_fields = 1

    def fields(self, structures, temperature):
        if not bool(structures.pbc.any(1).all()):
            raise ValueError("Pressure needs a periodic axis along which the cell can change, and a system has none")
        unit = temperature.new_tensor([MEASURES[int(n)][1] for n in structures.pbc.sum(1)])
        return -(spread(self.pressure, structures) * unit / (BOLTZMANN * temperature))[:, None]

    def log_weight(self, state, fields):
        return fields[:, 0] * state.structures.measure

    def moves(self):
        from .volume import Volume

        return [Volume()]

    def observe(self, state):
        return {MEASURES[int(state.structures.pbc[0].sum())][0]: state.structures.measure}


@dataclass(frozen=True)
class ChemicalDifference(Reservoir):
    """Semi-grand canonical: atoms may become other elements, at given differences of chemical potential.

    Adds ``sum_e mu_e N_e / k_B T``; only differences of the ``mu_e`` matter. Frozen atoms stay what they are.

    Args:
        mu: eV by element, such as ``{Ag = 0.0, Pd = 0.35}``; lists are spread evenly over the systems.
    """

    mu: dict

    def __post_init__(self):
        check_elements("ChemicalDifference", self.mu)

    @property
    def n_fields(self) -> int:
        return len(self.mu)

    def fields(self, structures, temperature):
        mu = torch.stack([spread(value, structures) for value in self.mu.values()], 1)
        return mu / (BOLTZMANN * temperature)[:, None]

    def log_weight(self, state, fields):
        return (fields * count_elements(state, self.mu)).sum(1)

    def moves(self):
        from .identities import Flip, Swap

        return [Flip(list(self.mu)), Swap(list(self.mu))]

    def observe(self, state):
        return fractions(state, self.mu)


@dataclass(frozen=True)
class Composition(Reservoir):
    """Variance-constrained semi-grand canonical: Sadigh et al., Phys. Rev. B 85, 184203 (2012), Eq. 3.

    Adds ``-kappa N sum_e (c_e - target_e)²``, which holds the composition near any target, inside a miscibility gap as
    well, and gives the differences of chemical potential ``mu_e = -2 kappa k_B T (<c_e> - target_e)`` there.

    Args:
        target: fraction by element, such as ``{Ag = 0.7, Pd = 0.3}``; lists are spread evenly over the systems.
        kappa: strength; fractions vary by less than ``1 / sqrt(2 kappa N)``.
    """

    target: dict
    kappa: float = 100.0

    def __post_init__(self):
        check_elements("Composition", self.target)
        if self.kappa <= 0:
            raise ValueError(f"kappa must be positive, got {self.kappa}")

    @property
    def n_fields(self) -> int:
        return len(self.target)

    def fields(self, structures, temperature):
        return torch.stack([spread(value, structures) for value in self.target.values()], 1)

    def log_weight(self, state, fields):
        n = count_elements(state, self.target)
        total = n.sum(1, keepdim=True)
        return -self.kappa * ((n - fields * total).square() / total).sum(1)

    def moves(self):
        from .identities import Flip, Swap

        return [Flip(list(self.target)), Swap(list(self.target))]

    def observe(self, state):
        return fractions(state, self.target)


def count_elements(state: Sampling, elements: Mapping[str, object]) -> Float[Tensor, "systems elements"]:
    """How many atoms of each element a system has, those of gases left out."""
    own = state.kind < 0
    return torch.stack([state.count(own & (state.structures.numbers == atomic_numbers[e])) for e in elements], 1)


def fractions(state: Sampling, elements: Mapping[str, object]) -> dict[str, Float[Tensor, "systems"]]:
    """The fraction of each element among them, but for the first."""
    n = count_elements(state, elements)
    return {f"fraction of {e}": n[:, k] / n.sum(1) for k, e in enumerate(elements) if k}


def check_elements(who: str, elements: Mapping[str, object]) -> None:
    """Raise ``ValueError`` for fewer than two elements, or what is none."""
    if len(elements) < 2:
        raise ValueError(f"{who} needs two elements or more, got {', '.join(elements) or 'none'}")
    for e in elements:
        if e not in atomic_numbers:
            raise ValueError(f"{who}: {e!r} is not a chemical symbol{nearest(e, atomic_numbers)}")
