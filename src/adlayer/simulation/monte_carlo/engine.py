"""Metropolis Monte Carlo of many systems at once, in any ensemble; the one place where proposals are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import build
from ...potential import Evaluate, Prediction
from ...structures import Structures
from ..engine import Engine, free_atoms
from ..motion import spread
from .displacements import Displacement, Rotation
from .energies import RelaxedEnergy, energies, is_local, proposed, too_close
from .exchange import Exchange, confined
from .gas import Gas
from .move import Chance, Move, Proposal
from .particles import assign, whole
from .reservoir import Reservoir
from .state import Sampling, merged, rearranged


@dataclass(frozen=True)
class MonteCarlo(Engine):
    """Markov chain that samples ``exp(-E / k_B T + sum of what gases and reservoirs add)``: Metropolis et al. (1953).

    A proposal is accepted with probability ``min(1, a)``: W. K. Hastings, Biometrika 57, 97 (1970),

        ln a = ln w(new) - ln w(old) + ln q(old | new) / q(new | old)

    Without gases and reservoirs the ensemble is canonical. ``Gas`` makes it grand canonical, ``Pressure`` isobaric,
    ``ChemicalDifference`` semi-grand canonical, ``Composition`` variance-constrained; they combine. The systems of a
    batch are independent chains, of different conditions where lists are given, or, with ``exchange_every``, replicas
    that change places with the next.

    Args:
        temperature: K; a list is spread evenly over the systems.
        moves: what is tried; default: what the ensemble needs.
        gases: with which atoms or molecules are exchanged.
        reservoirs: of volume or of identities.
        steps: trials for each system.
        equilibration: how many of them come first, in which step sizes adapt; nothing of these should be averaged.
            Default: a fifth.
        exchange_every: steps between the times at which neighbors in the batch try to change places; 0: never.
        closest: two atoms nearer than this have infinite energy, so that a potential need not know better, Å.
    """

    temperature: float | list[float] = 300.0
    moves: list = field(default_factory=list)
    gases: list = field(default_factory=list)
    reservoirs: list = field(default_factory=list)
    steps: int = 10000
    equilibration: int | None = None
    exchange_every: int = 0
    closest: float = 0.5

    state = Sampling

    def __post_init__(self):
        for name, kind in (("moves", Move), ("gases", Gas), ("reservoirs", Reservoir)):
            given = getattr(self, name)
            object.__setattr__(self, name, [build(x, kind) for x in (given if isinstance(given, list) else [given])])
            for x in getattr(self, name):
                if not isinstance(x, kind):
                    raise TypeError(f"{name} must be {kind.__name__}s, got {type(x).__name__}")
        of = [gas.of for gas in self.gases]
        if len(set(of)) < len(of):
            raise ValueError(f"every gas must be of another particle, got {', '.join(of)}")
        if not self.moves:
            object.__setattr__(self, "moves", self._default_moves())

    def _default_moves(self) -> list[Move]:
        moves: list[Move] = [] if self.gases else [Displacement()]
        for gas in self.gases:
            moves += [Exchange(gas.of), Displacement(of=gas.of)]
            if len(gas.numbers) > 1:
                moves += [Rotation(of=gas.of)] + [Displacement(0.05, gas.of, whole=False)] * gas.flexible
        return moves + [move for reservoir in self.reservoirs for move in reservoir.moves()]

    def init(
        self,
        evaluate: Evaluate,
        structures: Structures,
        generator: torch.Generator,
        fixed: Bool[Tensor, "atoms"] | None = None,
        molecules: Int[Tensor, "atoms"] | None = None,
    ) -> Sampling:
        """The state before the first step.

        Args:
            evaluate: what gives energies.
            structures: the batch.
            generator: of all random numbers.
            fixed: atoms that stay where and what they are.
            molecules: atoms in a row with the same number are one molecule; those of gases are found without.
        """
        free, n = free_atoms(structures, fixed), len(structures)
        T = spread(self.temperature, structures)
        if bool((T <= 0).any()):
            raise ValueError(f"Monte Carlo needs temperatures above 0 K, got {self.temperature}")
        plain = evaluate.evaluate if isinstance(evaluate, RelaxedEnergy) else evaluate
        made = [gas.prepare(plain, T, generator) for gas in self.gases]
        head, kind = assign(structures, free, self.gases, [shapes for shapes, _, _ in made], molecules)
        structures = whole(structures, head)
        log_z = [gas.log_activity(plain, zero, structures, T) for gas, (_, _, zero) in zip(self.gases, made)]
        one = T.new_ones(n, len(self.moves))
        state = Sampling(
            structures=structures,
            prediction=Prediction(T.new_zeros(n)),
            free=free,
            step=0,
            head=head,
            kind=kind,
            replica=torch.arange(n),
            screened=T.new_zeros(n),
            temperature=T,
            activity=torch.stack(log_z, 1) if log_z else T.new_zeros(n, 0),
            fields=torch.cat([T.new_zeros(n, 0), *(r.fields(structures, T) for r in self.reservoirs)], 1),
            bath=torch.unique(T, return_inverse=True)[1],
            scale=one,
            tried=0 * one,
            accepted=0 * one,
            exchanged=T.new_zeros(n),
            adapting=self._n_equilibration > 0,
            local=False,
            library=[[shapes, energy] for shapes, energy, _ in made],
            zero=[zero for _, _, zero in made],
        )
        for move in self.moves:
            move.check(state, self.gases)
        self._check_replicas(state)
        within = confined(state, self.moves, self.gases)
        if within is not None and not bool(within.all()):
            raise ValueError("particles of a gas are outside of its region: make it larger, or give confine = false")
        if isinstance(evaluate, RelaxedEnergy) and evaluate.screen:
            state = replace(state, screened=energies(evaluate.evaluate, state).energy)
        state = replace(state, prediction=energies(evaluate, state))
        return replace(state, local=is_local(evaluate, state))

    def step(self, evaluate: Evaluate, state: Sampling, generator: torch.Generator) -> Sampling:
        weights = torch.tensor([move.weight for move in self.moves], dtype=torch.float64)
        k = int(torch.multinomial(weights, 1, generator=generator))
        chance = Chance(generator, evaluate, self.gases, state.scale[:, k])
        proposal = self.moves[k].propose(state, chance)
        new, accept = self._accept(evaluate, state, proposal, chance)
        state = merged(state, new, accept)
        state = self._counted(state, k, accept)
        state = replace(state, step=state.step + 1)
        if self.exchange_every and state.step % self.exchange_every == 0:
            state = self._change_places(state, chance)
        return state

    def _accept(
        self, evaluate: Evaluate, old: Sampling, proposal: Proposal, chance: Chance
    ) -> tuple[Sampling, Bool[Tensor, "systems"]]:
        """The proposals with their energies, and which of them are accepted."""
        u = chance.uniform(len(old.temperature)).log()
        alive = (proposal.log_ratio > -torch.inf) & ~too_close(proposal, self.closest)
        within = confined(proposal.state, self.moves, self.gases)
        alive = alive if within is None else alive & within
        new, log_ratio = proposal.state, proposal.log_ratio
        if isinstance(evaluate, RelaxedEnergy) and evaluate.screen:
            unrelaxed = energies(evaluate.evaluate, new, alive).energy
            new = replace(new, screened=unrelaxed)
            first = log_ratio - old.beta * (unrelaxed - old.screened) + self._contacts(new) - self._contacts(old)
            alive = alive & (chance.uniform(len(u)).log() < first)
            log_ratio = old.beta * (unrelaxed - old.screened) - self._contacts(new) + self._contacts(old)
        new = replace(new, prediction=proposed(evaluate, old, proposal, alive))
        return new, alive & (u < self.log_weight(new) - self.log_weight(old) + log_ratio)

    def log_weight(self, state: Sampling) -> Float[Tensor, "systems"]:
        """``-E / k_B T + sum of what gases and reservoirs add``."""
        return self._contacts(state) - state.beta * state.prediction.energy

    def _contacts(self, state: Sampling) -> Float[Tensor, "systems"]:
        total, start = torch.zeros_like(state.temperature), 0
        for k in range(len(self.gases)):
            total = total + state.count_molecules(k) * (state.activity[:, k] + state.beta * state.zero[k])
        for reservoir in self.reservoirs:
            total = total + reservoir.log_weight(state, state.fields[:, start : start + reservoir.n_fields])
            start += reservoir.n_fields
        return total

    @property
    def _n_equilibration(self) -> int:
        return self.steps // 5 if self.equilibration is None else self.equilibration

    def _counted(self, state: Sampling, k: int, accept: Bool[Tensor, "systems"]) -> Sampling:
        """Trials counted; in equilibration, with steps nearer to the wanted acceptance (Robbins and Monro)."""
        tried, accepted, scale = state.tried.clone(), state.accepted.clone(), state.scale
        if state.adapting and state.step == self._n_equilibration:
            state = replace(state, adapting=False)
            tried, accepted = 0 * tried, 0 * accepted
        tried[:, k] += 1
        accepted[:, k] += accept
        wanted = self.moves[k].acceptance
        if state.adapting and wanted is not None:
            scale = scale.clone()
            gain = 2 / tried[:, k].sqrt()
            scale[:, k] = (scale[:, k] * torch.exp(gain * (accept.to(gain) - wanted))).clamp(0.01, 20.0)
        return replace(state, tried=tried, accepted=accepted, scale=scale)

    def _change_places(self, state: Sampling, chance: Chance) -> Sampling:
        """Neighbors take each other's configuration: Hukushima and Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996)."""
        n = len(state.temperature)
        first = torch.arange(int(torch.randint(2, (), generator=chance.generator)), n - 1, 2)
        partner = torch.arange(n)
        partner[first], partner[first + 1] = first + 1, first.clone()
        there = rearranged(state, partner)
        gain = self.log_weight(there) - self.log_weight(state)
        swap = chance.uniform(len(first)).log() < gain[first] + gain[first + 1]
        chosen = torch.arange(n)
        chosen[first[swap]], chosen[first[swap] + 1] = first[swap] + 1, first[swap]
        if not bool(swap.any()):
            return state
        moved = (chosen != torch.arange(n)).to(state.exchanged)
        return replace(rearranged(state, chosen), exchanged=state.exchanged + moved)

    def _check_replicas(self, state: Sampling) -> None:
        if not self.exchange_every:
            return
        if len(state.temperature) < 2:
            raise ValueError("exchange of replicas needs two systems or more; give copies of the structure")
        if any(gas.flexible for gas in self.gases) and len(state.temperature.unique()) > 1:
            raise ValueError("replicas that exchange flexible molecules with a gas must have one temperature")

    @property
    def n_steps(self) -> int:
        return self.steps

    def observe(self, state: Sampling) -> dict[str, Float[Tensor, "systems"]]:
        seen = {"potential energy (eV)": state.prediction.energy}
        for k, gas in enumerate(self.gases):
            seen[f"number of {gas.of}"] = state.count_molecules(k)
        for reservoir in self.reservoirs:
            seen |= reservoir.observe(state)
        if self.exchange_every:
            seen["replica"] = state.replica.to(state.temperature)
        for k, move in enumerate(self.moves):
            of = getattr(move, "of", None)
            name = f"acceptance of {type(move).__name__}" + (f" of {of}" if of else "")
            seen[name] = state.accepted[:, k] / state.tried[:, k].clamp_min(1)
        return seen
