"""The engine: resumed to the last digit, frozen atoms stay, steps adapt only at first, bad input is told."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc111, molecule
from ase.constraints import FixAtoms
from ase.io import read
from scipy.stats import kstest

from adlayer import Evaluator, Prediction, Structures
from adlayer.config import build, describe
from adlayer.potentials.emt import EMT
from adlayer.simulation import Engine, Langevin, MinDistance, run
from adlayer.simulation.monte_carlo import (
    Above,
    Between,
    Box,
    ChemicalDifference,
    Composition,
    Displacement,
    Exchange,
    Flip,
    Gas,
    HybridMD,
    MDSegment,
    MonteCarlo,
    Pressure,
    Rotation,
    Sphere,
    Swap,
    Volume,
    WholeCell,
)
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN


def slab():
    atoms = fcc111("Cu", (3, 3, 3), vacuum=7.0)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms([a.index for a in atoms if a.tag == 3]))
    add_adsorbate(atoms, "Ag", 2.2, "fcc")
    return atoms


SILVER = Gas("Ag", mu=[-3.0, -2.4], reference="isolated")
MOVES = [Exchange("Ag", Above(3.0, 1.0)), Displacement(0.2), HybridMD(2.0, 3, weight=0.2)]


def growing(folder, progress=None):
    folder.mkdir(exist_ok=True)
    engine = MonteCarlo(900.0, MOVES, gases=[SILVER], steps=80, closest=1.0)
    files = {"trajectory": folder / "mc.extxyz", "checkpoint": folder / "mc.checkpoint", "checkpoint_every": 7}
    return run(engine, Evaluator(EMT()), [slab()] * 2, 7, every=5, progress=progress, **files)


def test_resumed_to_the_last_digit(tmp_path):
    """Systems whose numbers of atoms change, killed within a run."""
    expected = growing(tmp_path / "whole")

    def dies(done, total, message):
        if done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        growing(tmp_path / "killed", dies)
    found = growing(tmp_path / "killed")
    assert torch.equal(found.structures.positions, expected.structures.positions)
    assert found.prediction.energy.tolist() == expected.prediction.energy.tolist()
    assert (tmp_path / "killed/mc.extxyz").read_bytes() == (tmp_path / "whole/mc.extxyz").read_bytes()
    assert all(np.array_equal(found.log[name], expected.log[name]) for name in expected.log)
    fresh = Evaluator(EMT())(Structures.from_ase(found.frames)).energy
    assert torch.allclose(found.prediction.energy, fresh, atol=1e-10)
    assert len({len(f) for f in read(tmp_path / "whole/mc.extxyz", ":")}) > 2
    for frame in found.frames:
        held = frame.constraints[0].index
        assert len(held) == 9
        assert np.array_equal(frame.positions[held], slab().positions[slab().constraints[0].index])
        assert np.count_nonzero(frame.numbers == 29) == 27


def test_hybrid_and_segments_sample_harmonic_wells():
    """Positions of normal distribution, of variance ``k_B T / k``, with frozen atoms where they were."""
    k, T = 2.0, 400.0

    def evaluate(structures):
        r = structures.positions
        return Prediction(sum_systems(0.5 * k * r.square().sum(-1), structures), -k * r)

    start = Atoms("Si2", np.zeros((2, 3)))
    start.set_constraint(FixAtoms([1]))
    for move in (HybridMD(20.0, 3), MDSegment(Langevin(picoseconds=0.3, timestep=10.0, friction=0.02))):
        engine = MonteCarlo(T, [move], steps=12, closest=0.0)
        done = run(engine, evaluate, [start] * 600, 3)
        x = done.structures.positions.reshape(600, 2, 3)
        assert not bool(x[:, 1].any())
        assert kstest(x[:, 0].reshape(-1).numpy() / (BOLTZMANN * T / k) ** 0.5, "norm").pvalue > 1e-3


def test_steps_adapt_only_in_equilibration():
    engine = MonteCarlo(300.0, [Displacement(0.001)], steps=200, equilibration=150)
    generator = torch.Generator().manual_seed(0)
    atoms = Structures.from_ase([Atoms("Ar", cell=[9, 9, 9], pbc=True)] * 3)

    def well(structures):
        return Prediction(sum_systems(structures.positions.square().sum(-1), structures))

    state = engine.init(well, atoms, generator)
    scales, adapting = [], []
    for _ in range(200):
        state = engine.step(well, state, generator)
        scales.append(state.scale.tolist())
        adapting.append(state.adapting)
    assert scales[100] != scales[149] == scales[199]
    assert adapting == [True] * 150 + [False] * 50
    assert state.tried[0, 0] == 50
    assert state.scale.min() > 2


def test_molecules_of_the_start_are_known():
    """Water that was there already, across the border of the cell, is one molecule; a gas of it may take it away."""
    atoms = fcc100("Cu", (2, 2, 2), vacuum=6.0, a=3.6)
    atoms.pbc = (True, True, False)
    water = molecule("H2O")
    water.translate([0.0, 0.0, 11.0])
    atoms += water
    atoms.wrap()
    engine = MonteCarlo(
        500.0, gases=[Gas("H2O", pressure=1e-3)], moves=[Exchange("H2O", Above(6.0)), Rotation(of="H2O")]
    )

    def apart(structures):
        return Prediction(structures.positions.new_zeros(len(structures)), torch.zeros_like(structures.positions))

    state = engine.init(apart, Structures.from_ase([atoms] * 2), torch.Generator().manual_seed(0))
    assert state.count_molecules(0).tolist() == [1, 1]
    assert state.size.tolist() == ([1] * 8 + [3]) * 2
    r = torch.cdist(state.structures.positions[8:11], state.structures.positions[8:11])
    assert torch.allclose(r, torch.cdist(*[torch.tensor(water.positions)] * 2), atol=1e-9)
    sizes = set()
    for _ in range(30):
        state = engine.step(apart, state, torch.Generator().manual_seed(len(sizes)))
        sizes |= set(state.structures.counts.tolist())
    assert all((n - 8) % 3 == 0 for n in sizes)
    free = engine.init(apart, Structures.from_ase([atoms]), torch.Generator(), fixed=torch.ones(11, dtype=torch.bool))
    assert free.count_molecules(0).tolist() == [0]


def test_pictures_of_a_recipe():
    engine = MonteCarlo(
        [300, 400], MOVES, gases=[SILVER], reservoirs=[ChemicalDifference({"Cu": 0.0, "Au": 0.1})], steps=10
    )
    again = build(describe(engine), Engine)
    assert describe(again) == describe(engine)
    assert isinstance(again.moves[0].region, Above)
    made = build({"MonteCarlo": {"gases": [{"Gas": {"of": "H2O", "pressure": 1.0, "flexible": True}}], "steps": 5}})
    assert [type(m).__name__ for m in made.moves] == ["Exchange", "Displacement", "Rotation", "Displacement"]
    made = MonteCarlo(reservoirs=[Pressure(1.0), Composition({"Cu": 0.5, "Au": 0.5})])
    assert [type(m).__name__ for m in made.moves] == ["Displacement", "Volume", "Flip", "Swap"]


def test_watched_and_stopped_systems_leave():
    engine = MonteCarlo(3000.0, [Displacement(1.0)], steps=40, equilibration=0, closest=0.0)
    done = run(
        engine,
        lambda s: Prediction(s.positions.new_zeros(len(s))),
        [bulk("Cu", cubic=True)] * 4,
        watch=[MinDistance(1.5)],
    )
    assert any("distance between two atoms" in reason for reason in done.reason)
    assert (done.steps < 40).any()


H_GAS = Gas("H", pressure=1.0)
CU = bulk("Cu", cubic=True)
BOX = Atoms(cell=[8, 8, 8], pbc=True)
FROZEN = bulk("Cu", cubic=True)
FROZEN.set_constraint(FixAtoms(range(4)))
PART = bulk("Cu", cubic=True)
PART.set_constraint(FixAtoms([0]))
BAD = {
    "mu without a reference": (lambda: Gas("H", mu=-1.0), "means nothing without its zero"),
    "no such reference": (lambda: Gas("H", mu=-1.0, reference="isolatd"), "did you mean 'isolated'"),
    "neither pressure nor mu": (lambda: Gas("H"), "either a pressure"),
    "pressure below zero": (lambda: Gas("H", pressure=-1.0), "above 0 bar"),
    "no such molecule": (lambda: Gas("H2P", pressure=1.0), "no molecule that ASE knows"),
    "source of others": (lambda: Gas("O", pressure=1.0, source="H2O"), "not made of 'O' alone"),
    "unknown source": (lambda: go(CU, gases=[Gas("Li", pressure=1.0, source="Li2")]), "partition function of 'Li2'"),
    "flexible atom": (lambda: Gas("H", pressure=1.0, flexible=True), "single atom"),
    "region outside the cell": (
        lambda: go(CU, H_GAS, [Exchange("H", Box([0, 0, 0], [2, 2, 20]))]),
        "reaches out of the cell",
    ),
    "layer outside the cell": (lambda: go(CU, H_GAS, [Exchange("H", Between(2.0, 5.0))]), "reaches out of the cell"),
    "sphere meets itself": (lambda: go(CU, H_GAS, [Exchange("H", Sphere([0, 0, 0], 3.0))]), "reaches out of the cell"),
    "empty layer": (lambda: Between(3.0, 2.0), "top must be above bottom"),
    "molecule larger than its region": (
        lambda: go(CU, Gas("H2O", pressure=1.0), [Exchange("H2O", Box([0, 0, 0], [2, 2, 1]))]),
        "the molecule is 1.5. Å long and the region Box only 1.00 Å across",
    ),
    "whole cell of a slab": (lambda: go(slab(), H_GAS, [Exchange("H", WholeCell())]), "three periodic axes"),
    "nothing to be above": (lambda: go(BOX, H_GAS, [Exchange("H", Above())]), "above which to be"),
    "no such gas": (lambda: go(CU, H_GAS, [Exchange("He")]), "no gas 'He'.*did you mean 'H'"),
    "frozen atoms moved": (lambda: go(FROZEN, None, [Displacement()]), "all are frozen"),
    "frozen atoms strained": (lambda: go(PART, None, [Volume()]), "Volume would move frozen atoms"),
    "nothing to swap": (lambda: go(CU, None, [Swap()]), "free atoms of two elements"),
    "nothing to flip": (lambda: go(CU, None, [Flip(["Ag", "Au"])]), "no free atom of Ag, Au"),
    "flip of one": (lambda: Flip(["Ag"]), "two elements or more"),
    "no such element": (lambda: ChemicalDifference({"Cu": 0.0, "Aux": 1.0}), "'Aux' is not a chemical symbol"),
    "rigid molecules by force": (lambda: go(CU, Gas("H2O", pressure=1.0), [HybridMD()]), "H2O is rigid"),
    "parts of rigid molecules": (
        lambda: go(CU, Gas("H2O", pressure=1.0), [Displacement(whole=False)]),
        "do not move one by one",
    ),
    "particles outside": (
        lambda: go(slab(), Gas("Ag", pressure=1.0), [Exchange("Ag", Above(1.0, -0.9))]),
        "outside of its region",
    ),
    "no temperature": (lambda: go(CU, None, [Displacement()], temperature=0.0), "above 0 K"),
    "one replica": (lambda: go(CU, None, [Displacement()], exchange_every=5), "two systems or more"),
    "pressure on a molecule": (lambda: go(molecule("H2O"), reservoirs=[Pressure()]), "periodic axis"),
    "two gases of one": (lambda: MonteCarlo(gases=[H_GAS, H_GAS]), "every gas must be of another particle"),
}


def go(atoms, gas=None, moves=(), gases=None, temperature=300.0, **settings):
    gases = gases if gases is not None else [gas] if gas else []
    engine = MonteCarlo(temperature, list(moves), gases=gases, steps=1, **settings)
    run(engine, lambda s: Prediction(s.positions.new_zeros(len(s)), torch.zeros_like(s.positions)), [atoms])


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_told(what):
    bad, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        bad()
