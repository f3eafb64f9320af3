"""Every search finds what is known to be lowest, and repeats itself."""

import itertools

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import fcc100
from ase.cluster import Icosahedron
from ase.constraints import FixAtoms
from clusters import KELVIN, LJ13, LJ38, REDUCED, lennard_jones, random_clusters

from adlayer import Evaluator, Structures
from adlayer.potentials.emt import EMT
from adlayer.simulation import VelocityVerlet, relax
from adlayer.simulation.search import (
    GeneticAlgorithm,
    MinimaHopping,
    RandomSearch,
    SimulatedAnnealing,
    SymmetryConstrainedGA,
    find_minima,
)
from adlayer.simulation.search.crossover import cut_and_splice
from adlayer.simulation.search.find import alike
from adlayer.simulation.search.genetic import distinct, fitness

HOT = 0.45 * KELVIN
SEARCHES = {
    "minima hopping": MinimaHopping(hops=20, walkers=4, temperature=HOT, timestep=2.0, threshold=1.0, soften=4),
    "annealing": SimulatedAnnealing(4, 4, hot=HOT, cold=0.1 * KELVIN, picoseconds=1.0, parts=2, timestep=2.0),
    "genetic": GeneticAlgorithm(generations=12, population=4, children=4),
}


@pytest.fixture(scope="module")
def poor():
    """A minimum of 13 atoms that is not the lowest."""
    found = find_minima(RandomSearch(batch=4), lennard_jones(), random_clusters(13, 8, seed=2), **REDUCED)
    assert found.relaxed == 8
    return found.frames[-1]


@pytest.mark.parametrize("name", list(SEARCHES))
def test_lj13(name, poor, tmp_path):
    assert poor.get_potential_energy() > LJ13 + 2
    settings = {"target": LJ13 + 1e-3, **REDUCED}
    found = find_minima(SEARCHES[name], lennard_jones(), poor, 1, folder=tmp_path, every=0, **settings)
    assert found.minima.lowest == pytest.approx(LJ13, abs=1e-3)
    assert found.relaxed > 4
    calls = []
    again = find_minima(SEARCHES[name], calls.append, poor, 1, folder=tmp_path, **settings)
    assert not calls
    assert torch.equal(again.minima.structures.positions, found.minima.structures.positions)


@pytest.mark.parametrize("name", list(SEARCHES))
def test_resumed(name, tmp_path):
    """A search that dies in its middle goes on to the same last digit."""
    short = {
        "minima hopping": MinimaHopping(hops=3, walkers=2, temperature=HOT, timestep=2.0, soften=2),
        "annealing": SimulatedAnnealing(1, 2, hot=HOT, cold=0.1 * KELVIN, picoseconds=0.2, parts=3, timestep=2.0),
        "genetic": GeneticAlgorithm(generations=3, population=3, children=2),
    }[name]
    seed, inner, calls = random_clusters(7, 1, seed=2), lennard_jones(), []

    def counted(structures):
        calls.append(1)
        if len(calls) == most:
            raise KeyboardInterrupt
        return inner(structures)

    most = None
    whole = find_minima(short, counted, seed, 3, **REDUCED)
    most, calls = int(0.9 * len(calls)), []
    with pytest.raises(KeyboardInterrupt):
        find_minima(short, counted, seed, 3, folder=tmp_path, every=0, **REDUCED)
    assert torch.load(tmp_path / "search.pt", weights_only=True)["state"]["step"] > 0
    found = find_minima(short, inner, seed, 3, folder=tmp_path, every=0, **REDUCED)
    assert found.history == whole.history
    assert found.evaluations == whole.evaluations
    assert torch.equal(found.minima.structures.positions, whole.minima.structures.positions)


@pytest.mark.slow
def test_lj38_by_the_genetic_algorithm():
    """Of 4 runs 3 or more find the truncated octahedron within 2000 relaxations."""
    hits = 0
    for seed in range(4):
        search = GeneticAlgorithm(generations=124, population=20, children=16)
        seeds = random_clusters(38, 20, seed)
        found = find_minima(search, lennard_jones(), seeds, seed, target=LJ38 + 1e-3, **REDUCED)
        hits += found.minima.lowest == pytest.approx(LJ38, abs=1e-3)
    assert hits >= 3


def alloy():
    atoms = Icosahedron("Cu", 3)
    atoms.symbols[::3] = "Au"
    return atoms


def test_children_have_the_composition_of_their_parents():
    mother, father = (Structures.from_ase(a) for a in (alloy(), alloy()))
    father = father.with_positions(1.02 * father.positions.flip(1))
    free, generator = torch.ones(55, dtype=torch.bool), torch.Generator().manual_seed(0)
    for _ in range(5):
        x = cut_and_splice(mother, father, free, generator)
        r = torch.linalg.vector_norm(x - 0, dim=1)
        shells = torch.linalg.vector_norm(mother.positions - mother.positions.mean(0), dim=1)
        from_mother = (r[:, None] - shells).abs().min(1).values < 1e-6
        from_father = (r[:, None] - 1.02 * shells).abs().min(1).values < 1e-6
        assert (from_mother | from_father).all()
        assert 10 < int((from_mother & ~from_father).sum()) < 45


def test_children_on_a_slab_keep_what_is_frozen():
    slab = fcc100("Cu", (4, 4, 3), vacuum=6.0)
    slab.pbc = (True, True, False)
    other = slab.copy()
    other.positions[:, 2] += np.where(slab.get_tags() == 1, 0.3, 0.0)
    mother, father, free = *map(Structures.from_ase, (slab, other)), torch.as_tensor(slab.get_tags() == 1)
    x = cut_and_splice(mother, father, free, torch.Generator().manual_seed(1))
    assert torch.equal(x[~free], mother.positions[~free])
    rise = x[free][:, 2] - mother.positions[free][:, 2]
    assert 2 <= int((rise > 0.2).sum()) <= 14
    assert set(rise.round(decimals=6).tolist()) == {0.0, 0.3}
    pairs = torch.cdist(x[free], x[free]) + 9 * torch.eye(16)
    assert pairs.min() > 1.5  # a slice of each: no place is taken twice


def test_population():
    energy, features = torch.tensor([2.0, 1.0, 3.0, 1.5]), torch.tensor([[1.0], [2.0], [5.0], [2.02]])
    energy, features = energy.double(), features.double()
    assert distinct(energy, features, 9, 0.05) == [1, 0, 2]
    assert distinct(energy, features, 2, 0.05) == [1, 0]
    assert fitness(energy)[[1, 2]].tolist() == pytest.approx([0.8808, 0.1192], abs=1e-4)


def platinum(both_ends_alike=True):
    """An icosahedron of 55 atoms, and labels: its orbits under I_h, and finer ones under D_5d or C_5v."""
    particle = Icosahedron("Pt", 3)
    x = particle.positions - particle.positions.mean(0)
    r = np.linalg.norm(x, axis=1)
    axis = x[r.argmax()] / r.max()
    shells = np.unique(r.round(2), return_inverse=True)[1]
    heights = (np.abs(x @ axis) if both_ends_alike else x @ axis).round(2) + 0.0  # no -0
    fine = np.unique(np.stack([shells, heights], 1), axis=0, return_inverse=True)[1].reshape(-1)
    return particle, shells, fine


def test_orderings_as_by_exhaustion():
    """Pt-Ni: of the 256 orderings that keep D_5d the lowest excess energy is found after 100 of them at most."""
    particle, shells, fine = platinum()
    assert np.bincount(shells).tolist() == [1, 12, 30, 12]
    assert sorted(np.bincount(fine)) == [1, 2, 2, 10, 10, 10, 10, 10]
    evaluate = Evaluator(EMT(["Ni", "Pt"]), stress=False)
    for labels, most in ((shells, 16), (fine, 100)):
        frames = []
        for genes in itertools.product(["Pt", "Ni"], repeat=labels.max() + 1):
            frames.append(particle.copy())
            frames[-1].symbols[:] = np.array(genes)[labels]
        E = relax(evaluate, frames, fmax=0.01).prediction.energy.numpy()
        platinums = np.array([(f.symbols == "Pt").sum() for f in frames])
        excess = E - platinums / 55 * E[0] - (55 - platinums) / 55 * E[-1]
        search = SymmetryConstrainedGA(labels.tolist(), ["Pt", "Ni"], population=12, children=8)
        found = find_minima(search, evaluate, particle, 1, target=excess.min() + 1e-3)
        assert found.minima.lowest == pytest.approx(excess.min(), abs=2e-3)
        assert found.relaxed <= most
        assert found.frames[0].get_chemical_formula() == frames[excess.argmin()].get_chemical_formula()
    fixed = SymmetryConstrainedGA(fine.tolist(), ["Pt", "Ni"], {"Pt": 22, "Ni": 33}, population=8, children=8)
    found = find_minima(fixed, evaluate, particle, 1)
    assert found.minima.lowest == pytest.approx(E[platinums == 22].min(), abs=2e-3)
    assert found.relaxed == (platinums == 22).sum()  # all, and then the search ends by itself


def test_a_slab_by_the_genetic_algorithm():
    """Three atoms on a frozen slab meet."""
    slab = fcc100("Cu", (4, 4, 3), vacuum=8.0)
    slab.pbc = (True, True, False)
    top = np.flatnonzero(slab.get_tags() == 1)
    del slab[np.delete(top, [0, 5, 15])]
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
    evaluate = Evaluator(EMT(["Cu"]), stress=False)
    start = relax(evaluate, slab, fmax=0.02).prediction.energy.item()
    found = find_minima(GeneticAlgorithm(generations=3, population=6, children=6), evaluate, slab, 2, fmax=0.02)
    assert found.minima.lowest < start - 0.3
    held = slab.get_tags() > 1
    assert all(np.array_equal(f.positions[held], slab.positions[held]) for f in found.frames)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SymmetryConstrainedGA([0, 1], ["Pt"]), "two elements or more, got Pt"),
        (lambda: SymmetryConstrainedGA([0, 2], ["Pt", "Ni"]), "labels 0, 1, ... without gaps"),
        (lambda: SymmetryConstrainedGA([0, 1], ["Pt", "Nj"]), "'Nj' is not a chemical symbol"),
        (
            lambda: SymmetryConstrainedGA([0, 1], ["Pt", "Ni"], {"Pt": 3}),
            "composition has 3 atoms and the orbits have 2",
        ),
        (lambda: SymmetryConstrainedGA([0, 1], ["Pt", "Ni"], None, {"Pt": 1.0}), "Ni has none"),
    ],
)
def test_messages(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_messages_of_what_cannot_begin(poor):
    for search, said in (
        (GeneticAlgorithm(population=1), "population of 2 or more"),
        (SimulatedAnnealing(cold=0), "cold > 0 K"),
        (MinimaHopping(beta=0.9), "beta > 1"),
        (RandomSearch(batch=0), "batch must be 1 or more"),
        (SymmetryConstrainedGA([0, 1], ["Ar", "Kr"]), "those of 2 atoms; the structure has 13"),
        (SymmetryConstrainedGA([0] * 3 + [1] * 10, ["Ar", "Kr"], {"Ar": 4, "Kr": 9}), "cannot hold 4 Ar"),
    ):
        with pytest.raises(ValueError, match=said):
            find_minima(search, lennard_jones(), poor)


@pytest.mark.slow
def test_orderings_of_lower_symmetry():
    """Of the 16384 orderings that keep C_5v the genetic algorithm finds the lowest after 1000 at most."""
    particle, _, labels = platinum(both_ends_alike=False)
    assert labels.max() + 1 == 14
    evaluate, genes = Evaluator(EMT(["Ni", "Pt"]), stress=False), list(itertools.product(["Pt", "Ni"], repeat=14))
    E, platinums = [], []
    for start in range(0, len(genes), 128):
        frames = [particle.copy() for _ in range(128)]
        for frame, symbols in zip(frames, genes[start : start + 128]):
            frame.symbols[:] = np.array(symbols)[labels]
            platinums.append((frame.symbols == "Pt").sum())
        E += relax(evaluate, frames, fmax=0.01).prediction.energy.tolist()
    E, platinums = np.array(E), np.array(platinums)
    excess = E - platinums / 55 * E[0] - (55 - platinums) / 55 * E[-1]
    for seed in range(3):
        search = SymmetryConstrainedGA(labels.tolist(), ["Pt", "Ni"], population=30, children=24, generations=67)
        found = find_minima(search, evaluate, particle, seed, target=excess.min() + 2e-3)
        assert found.minima.lowest == pytest.approx(excess.min(), abs=3e-3)
        assert found.relaxed <= 1000


def test_seeds_are_put_into_one_order():
    """Of elements and of what is fixed: structures that were made in different ways can start one search."""
    first = Atoms("HSiSiSi", np.arange(12.0).reshape(4, 3), constraint=FixAtoms([0, 1]))
    other = Atoms("SiSiHSi", 100 + np.arange(12.0).reshape(4, 3), constraint=FixAtoms([1, 2]))
    _, found = alike([first, other])
    assert str(found.symbols) == str(first.symbols)
    assert sorted(found.constraints[0].index) == [0, 1]
    np.testing.assert_array_equal(found.positions, other.positions[[2, 1, 0, 3]])
    other.set_constraint(FixAtoms([0, 1]))
    with pytest.raises(ValueError, match="have the same fixed atoms; not so seed 2 and the first"):
        alike([first, other])


@pytest.mark.parametrize("search", [GeneticAlgorithm, VelocityVerlet(picoseconds=0.01)])
def test_what_is_no_search_is_named(search):
    with pytest.raises(TypeError, match="find_minima takes a search, such as BasinHopping"):
        find_minima(search, Evaluator(EMT(["Cu"])), [Icosahedron("Cu", 2)])
