"""Energies of proposals: of whole systems, or only where atoms have changed."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...neighbors import find_pairs
from ...potential import Evaluate, Evaluator, Potential, Prediction
from ...structures import Structures, sum_systems
from ..relaxation import LBFGS
from ..run import Run, run
from .geometry import in_rows, lattice, nearest_image, reached
from .move import Proposal
from .state import Sampling, only_atoms, only_systems, with_positions


class LocalEnergy:
    """A potential as an ``Evaluate`` that evaluates what a move changes, not what stays as it was.

    Energies per atom depend on what is within ``reach``. So of a proposal only atoms within twice the reach of any that
    has changed are evaluated, and those within the reach get their new energies; these are exact to rounding. Only
    bookkeeping grows with the system. ``MonteCarlo`` does this by itself for an ``Evaluator`` of a local potential.

    Args:
        potential: one whose energies per atom depend on surroundings of finite range.
        reach: that range, Å; default: what the potential says, or its cutoff.
    """

    def __init__(self, potential: Potential, reach: float | None = None):
        if not potential.local:
            raise ValueError(f"{type(potential).__name__} is not local: its energies have no finite range")
        self.potential = potential
        self.reach = reach_of(potential) if reach is None else float(reach)
        self.whole = Evaluator(potential, forces=False, stress=False, std=False)
        self.part = Evaluator(potential, skin=0.0, forces=False, stress=False, std=False)
        self.full = Evaluator(potential)  # where forces are asked for

    def __call__(self, structures: Structures) -> Prediction:
        return self.full(structures)

    def update(self, old: Sampling, proposal: Proposal, alive: Bool[Tensor, "systems"]) -> Prediction | None:
        """Energies of a proposal; None where it changes so much that all must be evaluated."""
        if proposal.changed is None or proposal.gone is None or old.prediction.energies is None:
            return None
        new = proposal.state.structures
        gone, changed = (proposal.gone & alive[old.structures.system], proposal.changed & alive[new.system])
        sites = _padded([(old.structures, gone), (new, changed)])
        if sites.shape[1] > 64:
            return None
        near, wide = reached(new, sites, [self.reach, 2 * self.reach])
        if int(wide.sum()) > 0.5 * new.n_atoms:
            return None
        each = old.prediction.energies.new_zeros(new.n_atoms)
        each[~proposal.changed] = old.prediction.energies[~proposal.gone]
        if bool(wide.any()):
            said = self.part(_apart(only_atoms(new, wide), sites[:, 0], sites, 2 * self.reach)).energies
            each[near] = said.to(each)[near[wide]]
        return Prediction(sum_systems(each, new), energies=each)


def _apart(part: Structures, center: Tensor, sites: Tensor, radius: float) -> Structures:
    """The part as a cluster about its center, wherever it does not meet its own images: to search that costs less."""
    n = len(part)
    away, _ = nearest_image(sites - center[:, None], part, torch.arange(n))
    spread = torch.linalg.vector_norm(away, dim=-1).nan_to_num().amax(1)
    across = torch.where(part.pbc, lattice(part).heights, torch.inf).amin(1)
    meets = ~(spread + radius < 0.5 * across)
    around = center[part.system] + nearest_image(part.positions - center[part.system], part, part.system)[0]
    positions = torch.where(meets[part.system][:, None], part.positions, around)
    return replace(part, positions=positions, pbc=part.pbc & meets[:, None])


def reach_of(potential: Potential) -> float:
    """How far an atom's energy depends on others, Å: the cutoff, or what a potential with messages says itself."""
    parts = getattr(potential, "parts", [potential])
    return max(float(getattr(p, "reach", p.cutoff)) for p in parts)


def _padded(chosen: list[tuple[Structures, Bool[Tensor, "_"]]]) -> Float[Tensor, "systems sites 3"]:
    """Positions of the chosen atoms of each system, in rows of equal length filled up with NaN."""
    system = torch.cat([s.system[mask] for s, mask in chosen])
    return in_rows(torch.cat([s.positions[mask] for s, mask in chosen]), system, len(chosen[0][0]))


class RelaxedEnergy:
    """The energy of the nearest minimum: for Monte Carlo of what occupies the sites of a lattice whose atoms relax.

    The positions that Monte Carlo sees stay on the lattice, and every proposal relaxes from there with frozen atoms
    held, so the energy is a function of the occupation alone. Sampled are occupations, with the weight
    ``exp(-E_relaxed / k_B T)``: without vibrations. With ``screen``, only proposals that would be accepted with their
    unrelaxed energy are relaxed, and a second decision makes up for the first, so that the ensemble is the same: J. A.
    Christen and C. Fox, J. Comput. Graph. Stat. 14, 795 (2005).

    Args:
        evaluate: with forces.
        fmax: force at which a system counts as relaxed, eV/Å.
        max_steps: at most.
        screen: whether the unrelaxed energy is asked first.
    """

    def __init__(self, evaluate: Evaluate, fmax: float = 0.02, max_steps: int = 200, screen: bool = True):
        self.evaluate, self.fmax, self.max_steps, self.screen = evaluate, fmax, max_steps, screen

    def relaxed(self, structures: Structures, fixed: Bool[Tensor, "atoms"] | None = None) -> Run:
        """The structures with their atoms relaxed, and what is said of them."""
        return run(LBFGS(fmax=self.fmax, max_steps=self.max_steps), self.evaluate, structures, fixed=fixed)

    def __call__(self, structures: Structures, fixed: Bool[Tensor, "atoms"] | None = None) -> Prediction:
        return Prediction(self.relaxed(structures, fixed).prediction.energy)


def local_energy(evaluate: Evaluate) -> LocalEnergy | None:
    """The local energy of an ``Evaluator``, where its potential is local."""
    if isinstance(evaluate, LocalEnergy):
        return evaluate
    return _local(evaluate) if isinstance(evaluate, Evaluator) and evaluate.potential.local else None


@functools.lru_cache(maxsize=8)
def _local(evaluator: Evaluator) -> LocalEnergy:
    return LocalEnergy(evaluator.potential)


@functools.lru_cache(maxsize=8)
def _without_forces(evaluator: Evaluator) -> Evaluator:
    return Evaluator(evaluator.potential, forces=False, stress=False, std=False)


def energies(evaluate: Evaluate, state: Sampling, alive: Bool[Tensor, "systems"] | None = None) -> Prediction:
    """Energies of whole systems, of those that are ``alive`` and have atoms; 0 for the others."""
    s = state.structures
    wanted = s.counts > 0 if alive is None else alive & (s.counts > 0)
    if not bool(wanted.any()):
        return Prediction(torch.zeros(len(s), dtype=torch.float64))
    some = s if bool(wanted.all()) else only_systems(s, wanted)
    local = local_energy(evaluate)
    if isinstance(evaluate, RelaxedEnergy):
        said = evaluate(some, ~state.free[wanted[s.system]])
    else:
        quick = local.whole if local else _without_forces(evaluate) if isinstance(evaluate, Evaluator) else evaluate
        said = quick(some)
    energy = torch.zeros(len(s), dtype=said.energy.dtype).index_put((wanted.nonzero()[:, 0],), said.energy)
    each = said.energies
    if each is not None and some is not s:
        each = each.new_zeros(s.n_atoms).index_put((wanted[s.system].nonzero()[:, 0],), each)
    return Prediction(energy, energies=None if each is None else each.double())


def proposed(evaluate: Evaluate, old: Sampling, proposal: Proposal, alive: Bool[Tensor, "systems"]) -> Prediction:
    """Energies of the proposals that are alive."""
    said = None
    if proposal.prediction is not None:
        each = proposal.prediction.energies
        return Prediction(proposal.prediction.energy.double(), energies=None if each is None else each.double())
    if old.local:
        said = local_energy(evaluate).update(old, proposal, alive)
    return energies(evaluate, proposal.state, alive) if said is None else said


def too_close(proposal: Proposal, closest: float) -> Bool[Tensor, "systems"]:
    """Systems in which two atoms, of which one has changed, are nearer than this (Å)."""
    s, changed = proposal.state.structures, proposal.changed
    clash = torch.zeros(len(s), dtype=torch.bool)
    if closest <= 0 or not s.n_atoms:
        return clash
    if changed is None:
        pairs = find_pairs(s, max(closest, 2.0))  # a search within less has too many cells
        clash[s.system[pairs.i[pairs.vectors.square().sum(1) < closest**2]]] = True
        return clash
    who = changed.nonzero()[:, 0]
    sites, names = (in_rows(x[who], s.system[who], len(s)) for x in (s.positions, torch.arange(s.n_atoms).double()))
    r, _ = nearest_image(s.positions[:, None] - sites[s.system], s, s.system)
    other = names[s.system] != torch.arange(s.n_atoms)[:, None]
    clash[s.system[((r.square().sum(-1) < closest**2) & other).any(1)]] = True
    return clash


def is_local(evaluate: Evaluate, state: Sampling) -> bool:
    """Whether local updates give the energies of whole systems, tried on a small displacement of one atom.

    What is asked for by name must pass; else, systems too small to tell are evaluated whole.
    """
    local, asked = local_energy(evaluate), isinstance(evaluate, LocalEnergy)
    if local is None or not state.structures.n_atoms:
        return asked
    first = torch.zeros_like(state.free)
    first[state.structures.offsets[:-1][state.structures.counts > 0]] = True
    moved = with_positions(state, state.structures.positions + 0.01 * first[:, None])
    every = torch.ones(len(state.temperature), dtype=torch.bool)
    proposal = Proposal(moved, torch.zeros(len(every)), first, first)
    said, expected = local.update(state, proposal, every), energies(evaluate, moved)
    if said is None:
        return asked
    eps = torch.finfo(local.potential.dtype).eps
    right = bool(((said.energy - expected.energy).abs() <= 1e3 * eps * (1 + expected.energy.abs())).all())
    if asked and not right:
        raise ValueError(
            f"energies of {type(local.potential).__name__} depend on more than {local.reach:g} Å: give LocalEnergy a "
            "larger reach"
        )
    return right
