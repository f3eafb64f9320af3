"""A gas with which atoms or molecules are exchanged: chemical potential, zero of energy, conformations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from ase.data import atomic_numbers
from jaxtyping import Float, Int
from torch import Tensor

from ...config import Part, nearest
from ...potential import Evaluate
from ...structures import Structures
from ...units import BOLTZMANN
from ..motion import spread
from ..run import relax
from .ideal_gas import BAR, ideal_gas, wavelength

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Gas(Part):
    """Grand canonical: particles come from and go to a gas at given pressure or chemical potential.

    Adds ``N (ln z + E_0 / k_B T)`` to the logarithm of the weight of a configuration, with ``E_0`` the energy of the
    isolated atom or molecule as the potential itself gives it. The activity ``z`` (1/Å³) is the density of the ideal
    gas, ``z = p / k_B T``, where the particles are the gas. Where its molecules come apart (``source``), or ``mu`` is
    given, ``ln z = (mu - E_0) / k_B T - 3 ln Λ``, with ``mu = (E_source + mu_ideal(T, p)) / n`` for a source of ``n``
    atoms. What moves is classical; of rigid molecules places and orientations are sampled.

    Args:
        of: what is exchanged: an element, a molecule that ASE knows by name, or a file with one.
        pressure: bar, ideal (the fugacity of a real gas); a list is spread evenly over the systems.
        mu: chemical potential, eV, from ``reference``; instead of a pressure.
        reference: energy from which ``mu`` counts: ``"isolated"`` (the particle at rest), ``"source"`` (its share of a
            molecule of the source), ``"absolute"`` (energies as the potential gives them) or a number, eV. With a
            ``source`` and ``pressure``, a number stands for the share of the source's energy where the potential does
            not know the molecule.
        source: molecule of the gas whose atoms are exchanged, such as ``"H2"`` for ``of = "H"``.
        zero_point: whether the zero-point energy of the source counts. It has no counterpart in what is classical.
        flexible: whether molecules bend and stretch; otherwise each is as it is relaxed alone.
        conformations: of a flexible molecule, how many are sampled alone, from which insertions draw; what is taken up
            has an error of about ``1 / sqrt(conformations)`` times how much the surface changes them.
    """

    of: str
    pressure: float | list[float] | None = None
    mu: float | list[float] | None = None
    reference: float | str | None = None
    source: str | None = None
    zero_point: bool = False
    flexible: bool = False
    conformations: int = 1000

    def __post_init__(self):
        if (self.pressure is None) == (self.mu is None):
            raise ValueError(f"Gas {self.of!r} needs either a pressure (bar) or a chemical potential mu (eV)")
        if self.mu is not None and self.reference is None:
            raise ValueError(
                f"mu = {self.mu} eV of {self.of!r} means nothing without its zero: give reference = 'isolated', "
                "'source', 'absolute' or a number in eV"
            )
        if isinstance(self.reference, str) and self.reference not in ("isolated", "source", "absolute"):
            near = nearest(self.reference, ("isolated", "source", "absolute"))
            raise ValueError(
                f"reference must be 'isolated', 'source', 'absolute' or a number in eV, got {self.reference!r}{near}"
            )
        if self.pressure is not None and min(torch.as_tensor(self.pressure).reshape(-1).tolist()) <= 0:
            raise ValueError(f"a pressure must be above 0 bar, got {self.pressure}")
        if self.reference == "source" and self.source is None:
            raise ValueError("reference = 'source' needs a source, such as source = 'H2'")
        if self.source is not None:
            symbols = _molecule(self.source).symbols
            if self.of not in atomic_numbers or set(symbols) != {self.of}:
                raise ValueError(
                    f"a source gives its atoms one by one: {self.source!r} is not made of {self.of!r} alone"
                )
        if len(self.atoms) == 1 and self.flexible:
            raise ValueError(f"{self.of!r} is a single atom and cannot be flexible")

    @cached_property
    def atoms(self) -> Atoms:
        """The particle, with its center at the origin."""
        atoms = _molecule(self.of)
        atoms.positions -= atoms.positions.mean(0)
        return atoms

    @cached_property
    def numbers(self) -> Int[Tensor, "particle"]:
        return torch.as_tensor(self.atoms.numbers).long()

    @property
    def mass(self) -> float:
        """In amu."""
        return float(self.atoms.get_masses().sum())

    def size(self, conformations: Float[Tensor, "*many particle 3"]) -> float:
        """The longest distance between two of its atoms, Å."""
        return float(torch.cdist(conformations, conformations).max())

    def prepare(
        self, evaluate: Evaluate, temperature: Float[Tensor, "systems"], generator: torch.Generator
    ) -> tuple[Tensor, Tensor, float]:
        """Conformations [baths, conformations, atoms, 3] (Å) with their energies, and ``E_0`` (eV).

        There is one bath for each temperature.
        """
        baths = temperature.unique()
        alone = Structures.from_ase(self.atoms)
        if self.flexible:
            alone, zero = _relaxed(self.of, evaluate, alone)
            return *_conformations(evaluate, alone, baths, self.conformations, generator), zero
        if len(self.atoms) == 1:
            zero = float(evaluate(alone).energy)
        else:
            alone, zero = _relaxed(self.of, evaluate, alone)
        energies = torch.full((len(baths), 1), zero, dtype=torch.float64)
        return alone.positions.expand(len(baths), 1, -1, 3).clone(), energies, zero

    def log_activity(
        self, evaluate: Evaluate, zero: float, structures: Structures, temperature: Float[Tensor, "systems"]
    ) -> Float[Tensor, "systems"]:
        """``ln z`` of each system."""
        beta = 1 / (BOLTZMANN * temperature)
        share = self.rest_energy(evaluate, zero)
        if self.pressure is not None and self.source is None:
            return (spread(self.pressure, structures) * BAR * beta).log() + beta * (share - zero)
        if self.mu is not None:
            mu = spread(self.mu, structures)
        else:
            n, p = len(_molecule(self.source)), spread(self.pressure, structures)
            each = zip(temperature.tolist(), p.tolist())
            mu = temperature.new_tensor([ideal_gas(self.source, T, p, self.zero_point) / n for T, p in each])
        wave = temperature.new_tensor([log(wavelength(self.mass, T)) for T in temperature.tolist()])
        return beta * (mu + share - zero) - 3 * wave

    def rest_energy(self, evaluate: Evaluate, zero: float) -> float:
        """The energy from which the chemical potential counts, eV; ``zero`` is that of the isolated particle."""
        if isinstance(self.reference, int | float):
            return float(self.reference)
        if self.reference == "absolute":
            return 0.0
        if self.source is None or self.reference == "isolated":
            return zero
        molecule = _molecule(self.source)
        return _relaxed(self.source, evaluate, Structures.from_ase(molecule))[1] / len(molecule)

    def enthalpy(self, temperature: float) -> float:
        """Enthalpy of a particle in the gas less its energy at rest and less its kinetic energy, ``3/2 k_B T``, eV.

        ``k_B T`` where the particles are the gas; of a source its share, ``d(mu / k_B T) / d(1 / k_B T) / n``.
        """
        kT = BOLTZMANN * temperature
        if self.source is None:
            return kT
        n, d = len(_molecule(self.source)), 0.01 * temperature
        low, high = (ideal_gas(self.source, T, 1.0, self.zero_point) / T for T in (temperature - d, temperature + d))
        return -(temperature**2) * (high - low) / (2 * d) / n - 1.5 * kT


def _molecule(of: str) -> Atoms:
    """An atom, a molecule that ASE knows, or the one in a file; without a cell."""
    from ase import Atoms
    from ase.build import molecule
    from ase.collections import g2
    from ase.io import read

    if of in atomic_numbers:
        return Atoms(of)
    if of in g2.names:
        return molecule(of)
    if Path(of).is_file():
        atoms = read(of)
        atoms.cell, atoms.pbc = None, False
        return atoms
    raise ValueError(f"{of!r} is no element, no molecule that ASE knows and no file{nearest(of, g2.names)}")


def _relaxed(of: str, evaluate: Evaluate, alone: Structures) -> tuple[Structures, float]:
    """The isolated molecule relaxed, with its center at the origin, and its energy."""
    done = relax(evaluate, alone, fmax=1e-4, max_steps=300)
    if not done.finished.all():
        raise ValueError(
            f"the potential does not hold the isolated molecule {of} together (it did not relax); give its energy as "
            "reference, or mu"
        )
    x = done.structures.positions
    return done.structures.with_positions(x - x.mean(0)), float(done.prediction.energy)


def _conformations(
    evaluate: Evaluate, alone: Structures, baths: Float[Tensor, "baths"], n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Conformations of the isolated molecule at each temperature, by hybrid Monte Carlo, 16 of each walker."""
    from .engine import MonteCarlo
    from .hybrid import HybridMD

    walkers, snapshots, apart = -(-n // 16), 16, 5
    start = Structures.cat([alone] * (walkers * len(baths)))
    temperature = baths.repeat_interleave(walkers).tolist()
    engine = MonteCarlo(temperature, [HybridMD()], steps=40 + snapshots * apart, equilibration=40)
    state, positions, energies = engine.init(evaluate, start, generator), [], []
    for step in range(1, engine.steps + 1):
        state = engine.step(evaluate, state, generator)
        if step > 40 and step % apart == 0:
            x = state.structures.positions.reshape(len(baths), walkers, -1, 3)
            positions.append(x - x.mean(2, keepdim=True))
            energies.append(state.prediction.energy.reshape(len(baths), walkers))
    return torch.cat(positions, 1), torch.cat(energies, 1)
