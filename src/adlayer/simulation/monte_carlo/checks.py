"""The law of moves: detailed balance, tried on independent particles in a field, whose ensemble can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import torch
from ase.data import atomic_numbers
from jaxtyping import Float
from torch import Tensor

from ...potential import Prediction
from ...structures import Structures, sum_systems
from ...units import BOLTZMANN
from .engine import MonteCarlo
from .gas import Gas
from .geometry import in_rows, rotations
from .move import Move
from .reservoir import Reservoir
from .state import Sampling

TEMPERATURE = 300.0  # K
EDGE = 9.0  # Å


class BrokenMove(AssertionError):
    """A move does not leave its ensemble; the message says which observables show it."""


class Field:
    """An external field, periodic in the cell: ``u_e(s) = a_e (cos 2πs_x + sin 2πs_y - cos 2πs_z) / 3``.

    The strength ``a_e`` of an element is about ``k_B T``. Fractional coordinates ``s`` make the field stretch with the
    cell. Isolated particles feel nothing.
    """

    depth = 1.5 * BOLTZMANN * TEMPERATURE  # eV

    def __call__(self, structures: Structures) -> Prediction:
        on = structures.pbc.all(1)
        inverse = torch.linalg.inv(torch.where(on[:, None, None], structures.cell, torch.eye(3).to(structures.cell)))
        system = structures.system
        s = 2 * pi * (structures.positions[:, None, :] @ inverse[system])[:, 0, :]
        a = self.strength(structures.numbers) * on[system] / 3
        energies = a * (s[:, 0].cos() + s[:, 1].sin() - s[:, 2].cos())
        slope = 2 * pi * a[:, None] * torch.stack([s[:, 0].sin(), -s[:, 1].cos(), -s[:, 2].sin()], 1)  # -du/ds
        forces = (inverse[system] @ slope[:, :, None])[:, :, 0]
        return Prediction(sum_systems(energies, structures), forces, energies=energies)

    def strength(self, numbers: Tensor) -> Tensor:
        """``a_e``, eV: it differs between elements."""
        return self.depth * (0.4 + 0.6 * torch.sin(numbers.double()).abs())


def check_move(
    move: Move,
    gases: Sequence[Gas] = (),
    reservoirs: Sequence[Reservoir] = (),
    elements: Sequence[str] = ("Ar", "Kr"),
    n_atoms: int = 4,
    n: int = 10000,
    seed: int = 0,
    limit: float = 4.5,
) -> float:
    """Try whether a move obeys detailed balance, and say by which observables it does not.

    ``n`` systems are drawn exactly from the ensemble of independent particles in a field, and make one step. Under
    detailed balance what goes from ``x`` to ``x'`` comes back as often: ``<f(x) g(x') - g(x) f(x')> = 0`` for any
    ``f`` and ``g``. Returned is the largest deviation in units of its standard deviation.

    Args:
        move: any move.
        gases: with which the move exchanges particles.
        reservoirs: of volume or of identities.
        elements: of the atoms that are not exchanged; half of each of two, or as a reservoir of identities has them.
        n_atoms: how many of those.
        n: number of systems.
        seed: of all random numbers.
        limit: standard deviations from which ``BrokenMove`` is raised.
    """
    generator = torch.Generator().manual_seed(seed)
    engine = MonteCarlo(
        TEMPERATURE, [move], gases=list(gases), reservoirs=list(reservoirs), steps=1, equilibration=0, closest=0.0
    )
    field = Field()
    begun = engine.init(field, _drawn(engine, field, elements, n_atoms, n, generator), generator)
    ended = engine.step(field, begun, generator)
    before, after = _observables(begun), _observables(ended)
    if torch.equal(before, after):
        raise BrokenMove(f"{type(move).__name__} changed nothing in {n} systems")
    names = list(NAMES)
    worst, guilty = 0.0, ""
    for i in range(len(names)):
        for j in range(i):
            a = before[:, i] * after[:, j] - before[:, j] * after[:, i]
            score = float(a.mean().abs() / (a.std() / n**0.5).clamp_min(1e-12))
            if score > worst:
                worst, guilty = score, f"{names[j]} and {names[i]}"
    if worst > limit:
        raise BrokenMove(
            f"{type(move).__name__} breaks detailed balance: the flow of {guilty} is off by {worst:.1f} standard "
            "deviations; look at its log_ratio, ln q(old | new) / q(new | old)"
        )
    return worst


NAMES = (
    "unity",
    "number",
    "atoms of the second element",
    "cos x",
    "sin x",
    "sin y",
    "volume",
    "pairs",
    "place and identity",
    "shape",
)


def _observables(state: Sampling) -> Float[Tensor, "systems observables"]:
    """Functions of a configuration that tell apart all that a move may change."""
    s = state.structures
    angle = 2 * pi * (s.positions[:, None, :] @ torch.linalg.inv(s.cell)[s.system])[:, 0, :]
    second = (s.numbers == s.numbers.max()).to(angle) if s.n_atoms else s.numbers.to(angle)
    rows = in_rows(angle, s.system, len(s))
    d = (rows[:, :, None] - rows[:, None]).cos().sum(-1)  # 3 for two at one place
    pairs = torch.exp(d - 3).nan_to_num().sum((1, 2)) - s.counts
    arms = (s.positions - state.centers[state.molecule])[:, 2].abs() if s.n_atoms else angle[:, 0]
    x, y, z = angle.unbind(1)
    of_atoms = torch.stack([x.cos(), x.sin(), y.sin(), second, second * z.cos(), arms], 1)
    x, x2, y, n, mixed, arm = sum_systems(of_atoms, s).unbind(1)
    return torch.stack([torch.ones_like(n), s.counts.to(n), n, x, x2, y, s.measure / EDGE**3, pairs, mixed, arm], 1)


def _drawn(engine, field, elements, n_atoms, n, generator) -> Structures:
    """Systems drawn exactly: places by rejection, numbers of gas particles by thinning a Poisson process."""
    from .reservoir import ChemicalDifference, Pressure

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    beta = 1 / (BOLTZMANN * TEMPERATURE)
    like = Structures.from_ase([_box()] * n)
    T = like.positions.new_full((n,), TEMPERATURE)
    z = torch.tensor([atomic_numbers[e] for e in elements])
    identity = torch.arange(n_atoms).expand(n, n_atoms) % len(z)
    mu = torch.zeros(len(z), dtype=torch.float64)
    cell = like.cell
    for reservoir in engine.reservoirs:
        f = reservoir.fields(like, T)
        if isinstance(reservoir, ChemicalDifference):
            mu = torch.stack([f[0, list(reservoir.mu).index(e)] for e in elements])
        elif isinstance(reservoir, Pressure):  # V has a Gamma distribution
            V = -uniform(n, n_atoms + 1).log().sum(1) / -f[:, 0]
            cell = cell * (V ** (1 / 3) / EDGE)[:, None, None]
        else:
            raise ValueError(f"check_move cannot draw the ensemble of {type(reservoir).__name__}")
    # Candidates in plenty, of which each atom takes the first that passes.
    s = uniform(n, n_atoms, 64, 3)
    e = identity[:, :, None].expand(n, n_atoms, 64)
    free = any(isinstance(r, ChemicalDifference) for r in engine.reservoirs)
    e = (uniform(n, n_atoms, 64) * len(z)).long() if free else e
    weight = (mu - mu.max())[e] * free - beta * (_energy(field, s, z[e]) + field.depth)
    passed = uniform(n, n_atoms, 64).log() < weight
    first = passed.long().argmax(-1, keepdim=True)
    places = s.gather(2, first[..., None].expand(-1, -1, -1, 3))[:, :, 0]
    numbers = z[e.gather(2, first)[..., 0]]
    system = torch.arange(n).repeat_interleave(n_atoms)
    columns = [(numbers.reshape(-1), (places @ cell).reshape(-1, 3), system)]
    for gas in engine.gases:
        shapes, _, zero = gas.prepare(field, T[:1], generator)
        m = shapes.shape[2]
        most = torch.exp(gas.log_activity(field, zero, like, T)[0] + beta * m * field.depth) * EDGE**3
        count = torch.poisson(most.expand(n), generator=generator).long()
        owner = torch.arange(n).repeat_interleave(count)
        turned = shapes[0, 0] @ rotations(torch.randn(len(owner), 4, generator=generator, dtype=torch.float64))
        r = turned + EDGE * uniform(len(owner), 1, 3)
        u = _energy(field, r / EDGE, gas.numbers.expand(len(owner), m)).sum(1)
        keep = uniform(len(owner)).log() < -beta * (u + m * field.depth)
        r, owner = r[keep], owner[keep]
        columns.append((gas.numbers.repeat(len(r)), r.reshape(-1, 3), owner.repeat_interleave(m)))
    numbers, positions, system = (torch.cat(x) for x in zip(*columns))
    order = torch.argsort(system, stable=True)
    return Structures(numbers[order], positions[order], cell, like.pbc, system[order], like.charge, like.spin)


def _energy(field: Field, s: Tensor, numbers: Tensor) -> Tensor:
    a, angle = field.strength(numbers) / 3, 2 * pi * s
    return a * (angle[..., 0].cos() + angle[..., 1].sin() - angle[..., 2].cos())


def _box():
    from ase import Atoms

    return Atoms(cell=[EDGE] * 3, pbc=True)
