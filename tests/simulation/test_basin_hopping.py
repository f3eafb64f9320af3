"""Basin hopping finds the known minima, obeys what is fixed, and goes on after a kill to the same last digit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, fcc100
from ase.cluster import Icosahedron
from ase.constraints import FixAtoms
from ase.io import read
from clusters import KELVIN, LJ13, LJ38, REDUCED, lennard_jones, random_clusters

from adlayer import Evaluator, Structures
from adlayer.config import build, describe
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.morse import Morse
from adlayer.simulation.search import (
    BasinHopping,
    Mirror,
    Permutation,
    Relocate,
    Search,
    Shake,
    Twist,
    find_minima,
)
from adlayer.simulation.search.geometry import are_whole, push_apart, radii
from adlayer.simulation.search.perturbations import Here


def test_lj13():
    for seed in range(2):
        search = BasinHopping(hops=40, walkers=4, temperature=0.8 * KELVIN)
        found = find_minima(search, lennard_jones(), random_clusters(13, 4, seed), seed, target=LJ13 + 1e-4, **REDUCED)
        assert found.minima.lowest == pytest.approx(LJ13, abs=1e-5)
        assert found.relaxed < 164


@pytest.mark.slow
def test_lj38():
    """The truncated octahedron, at the bottom of the narrower of two funnels; of 5 runs 4 or more find it."""
    hits = []
    for seed in range(5):
        search = BasinHopping(hops=150, walkers=16, temperature=0.8 * KELVIN)
        seeds = random_clusters(38, 16, seed)
        found = find_minima(search, lennard_jones(), seeds, seed, target=LJ38 + 1e-3, **REDUCED)
        hits.append(found.minima.lowest == pytest.approx(LJ38, abs=1e-3))
    assert sum(hits) >= 3


def here(frame, free=None):
    s = Structures.from_ase(frame)
    return Here(s, torch.ones(len(frame), dtype=torch.bool) if free is None else free, radii(s))


def alloy():
    atoms = Icosahedron("Cu", 3)
    atoms.symbols[::3] = "Au"
    return atoms


@pytest.mark.parametrize("move", [Shake(), Twist(), Permutation(pairs=3), Relocate(), Mirror()])
def test_perturbations_keep_the_list_of_atoms(move):
    cluster, generator = here(alloy()), torch.Generator().manual_seed(1)
    for _ in range(5):
        x = move(cluster, 1.0, generator)
        moved = torch.linalg.vector_norm(x - cluster.x, dim=1) > 1e-9
        assert int(moved.sum()) >= 2 or (isinstance(move, Relocate) and moved.any())
        if isinstance(move, Permutation):
            assert torch.equal(x.sort(0).values, cluster.x.sort(0).values)
            assert int(moved.sum()) <= 6
        if isinstance(move, Relocate):
            assert int(moved.sum()) <= 2
            distances = torch.cdist(x, x) + 99 * torch.eye(len(x))
            assert (distances.min(1).values[moved] > 0.9 * 2 * cluster.size.min()).all()
        if isinstance(move, Twist):
            kept = torch.cdist(x[moved], x[moved]) - torch.cdist(cluster.x[moved], cluster.x[moved])
            assert kept.abs().max() < 1e-6
        if isinstance(move, Mirror):
            assert int(moved.sum()) <= len(x) // 2


@pytest.mark.parametrize("left_handed", [False, True])
def test_relocation_on_a_slab_lands_on_top(left_handed):
    slab = fcc100("Cu", (3, 3, 3), vacuum=6.0)
    slab.pbc = (True, True, False)
    free = torch.as_tensor(slab.get_tags() == 1)
    if left_handed:
        slab.cell[[0, 1]] = slab.cell[[1, 0]]
    slab.positions += slab.cell[0] * np.arange(len(slab))[:, None]  # as after a long way through the cell
    x = Relocate(atoms=1)(here(slab, free), 1.0, torch.Generator().manual_seed(3))
    moved = torch.linalg.vector_norm(x - torch.as_tensor(slab.positions), dim=1) > 1e-9
    assert int(moved.sum()) == 1
    assert free[moved].all()
    assert 0.8 < float(x[moved, 2]) - slab.positions[:, 2].max() < 2.6


def test_relocation_on_a_wire_and_a_slab_touches():
    for pbc in ((False, False, True), (True, True, False)):
        atoms = fcc100("Cu", (2, 2, 6), vacuum=6.0)
        atoms.pbc = pbc
        wire, generator = here(atoms), torch.Generator().manual_seed(3)
        for _ in range(10):
            x = Relocate(atoms=1, weakest=1)(wire, 1.0, generator)
            moved = atoms.copy()
            moved.positions = x.numpy()
            a = int(torch.linalg.vector_norm(x - wire.x, dim=1).argmax())
            distances = moved.get_distances(a, [b for b in range(len(atoms)) if b != a], mic=True)
            assert distances.min() == pytest.approx(2 * float(wire.size[0]), abs=1e-6)


def test_the_weakest_of_each_element_are_moved():
    cluster = here(alloy())
    weak = [int((cluster.structures.numbers == z).nonzero()[3]) for z in (29, 79)]
    energies = torch.where(cluster.structures.numbers == 79, -3.8, -3.5).double()
    energies[weak] += 0.5
    known, generator = Here(cluster.structures, cluster.free, cluster.size, energies), torch.Generator().manual_seed(1)
    moved = set()
    for _ in range(12):
        x = Relocate(atoms=1, weakest=2)(known, 1.0, generator)
        moved |= set((x - cluster.x).norm(dim=1).nonzero()[:, 0].tolist())
    assert moved == set(weak)


def test_atoms_too_close_are_pushed_apart():
    s = Structures.from_ase(alloy())
    size, free = radii(s), torch.ones(55, dtype=torch.bool)
    free[:5] = False
    squeezed = s.with_positions(0.6 * s.positions)
    pushed = push_apart(squeezed, size, free)
    distances = torch.cdist(pushed.positions, pushed.positions) + 99 * torch.eye(55)
    touching = (distances / (size[:, None] + size[None])).min(1).values
    assert touching[5:].min() > 0.65
    assert torch.equal(pushed.positions[:5], squeezed.positions[:5])


def test_parts_are_counted():
    cluster = alloy()
    apart = cluster.copy()
    apart.positions[7] += 30.0
    s = Structures.from_ase([cluster, apart])
    assert are_whole(s, radii(s)).tolist() == [True, False]


def islands():
    """Four atoms on a frozen slab of two layers."""
    slab = fcc100("Cu", (4, 4, 3), vacuum=8.0)
    slab.pbc = (True, True, False)
    top = np.flatnonzero(slab.get_tags() == 1)
    del slab[top[[1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]]]
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
    return slab


def copper():
    return Evaluator(Morse(cutoff=6.0), stress=False)


def test_a_surface_with_frozen_layers():
    start = islands()
    found = find_minima(BasinHopping(hops=6, walkers=4, temperature=2000), copper(), start, 1, fmax=0.02)
    before = find_minima(BasinHopping(hops=0, walkers=1), copper(), start, 1, fmax=0.02)
    best = found.frames[0]
    assert found.minima.lowest < before.minima.lowest - 0.5  # the four have met
    frozen = start.get_tags() > 1
    assert np.array_equal(best.positions[frozen], start.positions[frozen])
    assert np.array_equal(best.cell, start.cell)
    assert best.constraints[0].index.tolist() == start.constraints[0].index.tolist()
    assert [f.get_potential_energy() for f in found.frames] == sorted(f.get_potential_energy() for f in found.frames)


SCRIPT = """
import sys
sys.path[:0] = [{here!r}]
from test_basin_hopping import long_search
long_search({folder!r}, slow=True)
"""


def long_search(folder, slow=False, seed=5, **changes):
    inner = lennard_jones()

    def evaluate(structures):
        if slow:
            time.sleep(0.002)
        return inner(structures)

    search = BasinHopping(hops=4, walkers=3, temperature=[0.4 * KELVIN, 1.2 * KELVIN], exchange=2)
    return find_minima(search, evaluate, random_clusters(7, 2, 1), seed, folder=folder, every=0, **REDUCED, **changes)


def test_killed_and_resumed_to_the_last_digit(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = long_search(whole)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(here=str(Path(__file__).parent), folder=str(killed))]
    )
    deadline = time.time() + 60
    while not (killed / "minima.extxyz").exists():
        assert process.poll() is None
        assert time.time() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    found = long_search(killed)
    assert found.relaxed == expected.relaxed == 3 * 5
    assert found.evaluations == expected.evaluations
    assert torch.equal(found.minima.structures.positions, expected.minima.structures.positions)
    assert found.minima.found.tolist() == expected.minima.found.tolist()
    assert found.history == expected.history
    assert (killed / "minima.extxyz").read_bytes() == (whole / "minima.extxyz").read_bytes()
    frames = read(killed / "minima.extxyz", ":")
    assert frames[0].get_potential_energy() == found.minima.lowest
    assert sum(f.info["found"] for f in frames) <= found.relaxed
    with pytest.raises(ValueError, match="seeds changed"):
        long_search(killed, seed=6)
    with pytest.raises(ValueError, match="settings changed"):
        long_search(killed, fmax=0.02)


def test_recipe():
    spec = {"BasinHopping": {"hops": 20, "moves": [{"Shake": {"amplitude": 0.3}}, {"Twist": {}}]}}
    search = build(spec, Search)
    assert search.moves == [Shake(0.3), Twist()]
    assert build(describe(search)) == search


def test_messages():
    evaluate, cluster = Evaluator(LennardJones(1.0, 1.0, 10.0)), random_clusters(6, 1, 0)[0]
    with pytest.raises(ValueError, match="Permutation needs two elements among the atoms that move"):
        find_minima(BasinHopping(moves=[Permutation()]), evaluate, cluster)
    with pytest.raises(ValueError, match="Twist needs a free cluster"):
        find_minima(BasinHopping(moves=[Twist()]), copper(), islands())
    with pytest.raises(ValueError, match="Relocate needs a surface"):
        find_minima(BasinHopping(moves=[Relocate()]), copper(), bulk("Cu", cubic=True))
    with pytest.raises(ValueError, match="seed 2 is Ar5, the first is Ar6"):
        find_minima(BasinHopping(), evaluate, [cluster, cluster[:5]])
    with pytest.raises(ValueError, match="none of the 8 seeds came to rest in one piece within 2 steps"):
        find_minima(BasinHopping(), evaluate, cluster, max_steps=2)
    frozen = cluster.copy()
    frozen.set_constraint(FixAtoms(range(6)))
    with pytest.raises(ValueError, match="every atom is fixed"):
        find_minima(BasinHopping(), evaluate, frozen)
    with pytest.raises(ValueError, match="one seed or more"):
        find_minima(BasinHopping(), evaluate, [])
