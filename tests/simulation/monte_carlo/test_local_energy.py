"""Energies of proposals are those of the systems they propose: whole, updated locally, or relaxed."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111

from adlayer import Evaluator, Prediction, Structures
from adlayer.potential import ReferenceEnergies, Sum
from adlayer.potentials.ace import ACE
from adlayer.potentials.emt import EMT
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.painn import PaiNN
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.simulation import relax, run
from adlayer.simulation.monte_carlo import (
    Above,
    ChemicalDifference,
    Displacement,
    Exchange,
    Flip,
    Gas,
    LocalEnergy,
    MonteCarlo,
    RelaxedEnergy,
    Swap,
)
from adlayer.simulation.monte_carlo.energies import energies, is_local, proposed
from adlayer.simulation.monte_carlo.move import Chance


def learned():
    """A potential as a fit leaves it: total energies far from zero, and attractive."""
    torch.manual_seed(1)
    ace = ACE(["Cu", "H"], cutoff=4.0, order=2, degree=5, pair=3).double()
    ace.coefficients = 0.05 * torch.randn(len(ace.coefficients), dtype=torch.float64)
    return Sum([ace, ReferenceEnergies({"Cu": -1834.2, "H": -13.1})])


def copper_with_hydrogen():
    slab = fcc111("Cu", (10, 10, 3), vacuum=8.0)
    slab.pbc = (True, True, False)
    slab += Atoms("H3", [[2.0, 2.0, 13.5], [9.0, 6.0, 13.6], [5.0, 9.0, 13.4]])
    slab.rattle(0.05, seed=1)
    return slab


def begun(evaluate, atoms, moves, copies=3, **settings):
    engine = MonteCarlo(800.0, moves, steps=10, closest=0.3, **settings)
    generator = torch.Generator().manual_seed(2)
    return engine, engine.init(evaluate, Structures.from_ase([atoms] * copies), generator), generator


@pytest.mark.parametrize("potential", [learned(), LennardJones({"Cu": 0.05, "H": 0.01}, {"Cu": 2.3, "H": 1.5}, 4.0)])
def test_insertion_and_deletion_have_the_energies_of_what_comes_out(potential):
    """One atom more or less of a learned potential has the energy calculated anew, and alone that of a free one."""
    evaluate = Evaluator(potential)
    gas, region = Gas("H", pressure=1e-4), Above(3.0, 1.0)
    engine, state, generator = begun(evaluate, copper_with_hydrogen(), [Exchange("H", region)], 8, gases=[gas])
    assert state.local
    alone = evaluate(Structures.from_ase(Atoms("H"))).energy.item()
    assert state.zero == [alone]
    chance = Chance(generator, evaluate, [gas], state.scale[:, 0])
    proposal = engine.moves[0].propose(state, chance)
    change = proposal.state.structures.counts - state.structures.counts
    assert set(change.tolist()) == {1, -1}
    said = proposed(evaluate, state, proposal, torch.ones(8, dtype=torch.bool))
    fresh = Evaluator(potential)(Structures.from_ase(proposal.state.structures.to_ase()))
    assert torch.allclose(said.energy, fresh.energy, atol=1e-9, rtol=1e-13)
    before = Evaluator(potential)(Structures.from_ase([copper_with_hydrogen()])).energy.item()
    far = copper_with_hydrogen() + Atoms("H", [[1.0, 1.0, 19.0]])
    assert evaluate(Structures.from_ase(far)).energy.item() - before == pytest.approx(alone, abs=1e-9)


@pytest.mark.parametrize(
    ("potential", "atoms", "moves"),
    [
        (StillingerWeber(), bulk("Si", cubic=True) * (5, 5, 4), [Displacement(0.3)]),
        (EMT(), bulk("Cu", cubic=True) * (8, 8, 7), [Displacement(0.3)]),
        (learned(), copper_with_hydrogen(), [Displacement(0.3), Swap(["Cu", "H"])]),
        (learned(), copper_with_hydrogen(), [Displacement(0.3), Flip(["Cu", "H"])]),
    ],
)
def test_local_updates_are_exact(potential, atoms, moves):
    atoms.rattle(0.1, seed=3)
    reservoirs = [ChemicalDifference({"Cu": 0.0, "H": 1820.0})] if isinstance(moves[-1], Flip) else []
    engine, state, generator = begun(Evaluator(potential), atoms, moves, reservoirs=reservoirs)
    assert state.local
    local, counted = engine, []
    for _ in range(12):
        state = local.step(Evaluator(potential), state, generator)
        counted.append(state.accepted.sum().item())
    assert counted[-1] > 0
    fresh = Evaluator(potential)(Structures.from_ase(state.structures.to_ase()))
    assert torch.allclose(state.prediction.energy, fresh.energy, rtol=1e-12, atol=1e-10)
    assert torch.allclose(state.prediction.energies, fresh.energies, rtol=1e-12, atol=1e-10)


def test_local_updates_cost_what_one_neighborhood_costs():
    seen = {}
    for n in (6, 9):
        atoms = bulk("Cu", cubic=True) * (n, n, n)
        potential = LennardJones(0.05, 2.3, 4.0)
        evaluate = LocalEnergy(potential)
        engine, state, generator = begun(evaluate, atoms, [Displacement(0.05)], copies=1)
        inner, sizes = evaluate.part, []
        evaluate.part = lambda s: sizes.append(s.n_atoms) or inner(s)
        for _ in range(5):
            state = engine.step(evaluate, state, generator)
        seen[n] = max(sizes)
    assert seen[9] == pytest.approx(seen[6], abs=15)
    assert seen[9] < 0.1 * 4 * 9**3


def test_reach_of_messages_is_noticed():
    """A message-passing potential sees farther than its cutoff: it says so, or the local update is not used."""
    torch.manual_seed(0)
    painn = PaiNN(["Cu"], cutoff=2.8, features=4, n_radial=4, blocks=2).double()
    atoms = bulk("Cu", cubic=True) * (7, 7, 7)
    atoms.rattle(0.1, seed=0)
    _, state, _ = begun(Evaluator(painn), atoms, [Displacement()], copies=1)
    assert state.local
    assert LocalEnergy(painn).reach == 5.6
    painn.reach = 2.8
    assert not begun(Evaluator(painn), atoms, [Displacement()], copies=1)[1].local
    with pytest.raises(ValueError, match="larger reach"):
        begun(LocalEnergy(painn, reach=2.8), atoms, [Displacement()], copies=1)


def test_small_cells_are_evaluated_whole():
    _, state, _ = begun(Evaluator(StillingerWeber()), bulk("Si", cubic=True), [Displacement()])
    assert not is_local(Evaluator(StillingerWeber()), state)


def test_relaxed_energies_on_a_lattice():
    """What is sampled has the energy of the relaxed structure; the lattice stays, frozen atoms are held."""
    alloy = bulk("Cu", cubic=True) * (2, 2, 1)
    alloy.numbers[[0, 5, 9]] = 79
    fixed = torch.zeros(32, dtype=torch.bool)
    fixed[[1, 17]] = True
    evaluate = RelaxedEnergy(Evaluator(EMT()), fmax=0.05)
    engine = MonteCarlo(3000.0, [Swap()], steps=6)
    done = run(engine, evaluate, Structures.from_ase([alloy] * 2), 3, fixed=fixed)
    assert torch.equal(done.structures.positions[:16], torch.tensor(alloy.positions))
    assert not torch.equal(done.structures.numbers[:16], torch.tensor(alloy.numbers))
    expected = relax(Evaluator(EMT()), done.structures, fmax=0.05, fixed=fixed).prediction.energy
    assert torch.allclose(done.prediction.energy, expected, atol=1e-6)


def test_two_decisions_sample_what_one_does():
    """Screened by unrelaxed energies, the mean relaxed energy of an alloy of two states is the exact one."""

    def wells(structures):  # one atom: A or B; relaxation lowers A by 0.04 eV
        b = structures.numbers == 47
        x = structures.positions[:, 0] - torch.tensor([0.2, 0.0]).double()[b.long()]
        return Prediction(0.02 * b + x.square() - 0.04 * ~b, torch.stack([-2 * x, 0 * x, 0 * x], 1))

    kT = 0.0258519998
    start = Structures.from_ase([Atoms("Pd", cell=[5, 5, 5], pbc=True)] * 120)
    expected = 1 / (1 + np.exp((0.02 + 0.04 - 0.05) / kT))
    for screen in (True, False):
        engine = MonteCarlo(
            300.0, [Flip(["Pd", "Ag"])], reservoirs=[ChemicalDifference({"Pd": 0.0, "Ag": 0.05})], steps=25
        )
        done = run(engine, RelaxedEnergy(wells, fmax=1e-4, screen=screen), start, 1)
        share = (done.structures.numbers == 47).double().mean().item()
        assert share == pytest.approx(expected, abs=0.14)


def test_empty_systems_are_not_asked():
    def evaluate(structures):
        assert bool((structures.counts > 0).all())
        return Prediction(structures.positions.new_ones(len(structures)))

    frames = [Atoms(cell=[9, 9, 9], pbc=True), Atoms("Ar", cell=[9, 9, 9], pbc=True)]
    engine = MonteCarlo(300.0, gases=[Gas("Ar", pressure=1.0)], steps=1)
    state = engine.init(evaluate, Structures.from_ase(frames), torch.Generator())
    assert energies(evaluate, state).energy.tolist() == [0.0, 1.0]
