"""Every move obeys detailed balance, and moves that do not are caught."""

import pytest
import torch

from adlayer.simulation.monte_carlo import (
    Above,
    Between,
    Box,
    BrokenMove,
    ChemicalDifference,
    Cluster,
    Displacement,
    Exchange,
    Flip,
    Gas,
    HybridMD,
    Pressure,
    Rotation,
    Sphere,
    Swap,
    Volume,
    check_move,
)
from adlayer.simulation.monte_carlo.ideal_gas import BAR
from adlayer.simulation.monte_carlo.state import with_positions
from adlayer.units import BOLTZMANN, GPA

PER_CELL = BOLTZMANN * 300 / 9**3  # the pressure at which an ideal gas has one particle in the cell, eV/Å³
ARGON = {"gases": [Gas("Ar", pressure=2 * PER_CELL / BAR)], "elements": ["Kr"]}
CO = {"gases": [Gas("CO", pressure=1.5 * PER_CELL / BAR)], "elements": ["Kr"]}
BAROSTAT = {"reservoirs": [Pressure(5 * PER_CELL / GPA)]}
THREE = {"elements": ["Ar", "Kr", "Xe"], "n_atoms": 6}

RIGHT = {
    "displacement": (Displacement(3.0), {}),
    "displacement of an element": (Displacement(3.0, of="Kr"), {}),
    "displacement of molecules": (Displacement(2.0, of="CO"), CO),
    "rotation": (Rotation(90.0), CO),
    "cluster": (Cluster("Ar", bond=4.0, step=3.0), {"n_atoms": 8}),
    "swap": (Swap(), {}),
    "swap of three": (Swap(["Ar", "Kr", "Xe"]), THREE),
    "flip": (Flip(["Ar", "Kr"]), {"reservoirs": [ChemicalDifference({"Ar": 0.0, "Kr": 0.01})]}),
    "flip of three": (
        Flip(["Ar", "Kr", "Xe"]),
        {**THREE, "reservoirs": [ChemicalDifference({"Ar": 0.0, "Kr": 0.02, "Xe": -0.01})]},
    ),
    "volume": (Volume(0.5), BAROSTAT),
    "volume along one axis": (Volume(0.5, together=False), BAROSTAT),
    "hybrid": (HybridMD(150.0, 5), {}),
    "exchange of atoms": (Exchange("Ar"), ARGON),
    "exchange of molecules": (Exchange("CO"), CO),
    "exchange in a box": (Exchange("Ar", Box([1, 1, 1], [7, 8, 5]), confine=False), ARGON),
    "exchange in a sphere": (Exchange("Ar", Sphere([1, 1, 1], 4.0), confine=False), ARGON),
    "exchange between heights": (Exchange("Ar", Between(2, 7), confine=False), ARGON),
    "exchange above others": (Exchange("CO", Above(4, 2), confine=False), CO),
    "exchange into cavities": (Exchange("Ar", cavity=3.0, trials=4), ARGON),
}


@pytest.mark.parametrize("name", RIGHT)
def test_detailed_balance(name):
    move, ensemble = RIGHT[name]
    assert 0 < check_move(move, **ensemble, n=4000) < 4.5


class CountsBefore(Exchange):
    """The usual mistake: V / N instead of V / (N + 1)."""

    def propose(self, state, chance):
        proposal = super().propose(state, chance)
        N = state.count_molecules(0)
        more = proposal.state.structures.counts > state.structures.counts
        return proposal._replace(
            log_ratio=proposal.log_ratio + torch.where(more, ((N + 1) / N.clamp_min(1)).log(), torch.zeros_like(N))
        )


class ForgetsBias(Exchange):
    """Looks for cavities and takes no account of it."""

    def propose(self, state, chance):
        proposal = super().propose(state, chance)
        V, N = self.region.volume(state).log(), state.count_molecules(0)
        change = proposal.state.structures.counts - state.structures.counts
        ratio = torch.where(change < 0, N.log() - V, proposal.log_ratio)
        return proposal._replace(log_ratio=torch.where(change > 0, V - (N + 1).log(), ratio))


class Drifts(Displacement):
    def propose(self, state, chance):
        proposal = super().propose(state, chance)
        beyond = proposal.state.structures.positions + 0.5 * proposal.changed[:, None]
        return proposal._replace(state=with_positions(proposal.state, beyond))


class ForgetsOne(Volume):
    """N ln V instead of (N + 1) ln V."""

    def propose(self, state, chance):
        proposal = super().propose(state, chance)
        n = state.count(state.head)
        return proposal._replace(log_ratio=proposal.log_ratio * n / (n + 1))


class Stays(Displacement):
    def propose(self, state, chance):
        proposal = super().propose(state, chance)
        return proposal._replace(state=state)


WRONG = [
    (CountsBefore("Ar"), ARGON, "unity and number"),
    (ForgetsBias("Ar", cavity=3.0, trials=4), ARGON, "breaks detailed balance"),
    (Drifts(3.0), {}, "cos x and sin x"),
    (ForgetsOne(0.5), BAROSTAT, "unity and volume"),
    (Stays(), {}, "changed nothing"),
]


@pytest.mark.parametrize(("move", "ensemble", "message"), WRONG)
def test_wrong_moves_are_caught(move, ensemble, message):
    with pytest.raises(BrokenMove, match=message):
        check_move(move, **ensemble)
