from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import primitive_neighbor_list
from conftest import silicon

from adlayer import Graph, Structures
from adlayer.graph import sum_edges, triplets
from adlayer.neighbors import NeighborList, _prune, _prune_fused, find_pairs

KINDS = ("bulk", "primitive", "slab", "wire", "cluster")


def as_set(g, s=None):
    return sorted(zip(g.i.tolist(), g.j.tolist(), map(tuple, g.shifts.tolist())))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cutoff", [2.6, 5.0, 9.0])
def test_equal_to_ase(kind, cutoff):
    atoms = silicon(kind)
    atoms.positions += np.random.default_rng(1).integers(-2, 3, (len(atoms), 3)) * 0.7
    g = Graph.of(Structures.from_ase(atoms), cutoff)
    i, j, S, D = primitive_neighbor_list("ijSD", atoms.pbc, atoms.cell.complete(), atoms.positions, cutoff)
    assert as_set(g) == sorted(zip(i.tolist(), j.tolist(), map(tuple, S.tolist())))
    order = np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))
    assert np.allclose(g.vectors, D[order], atol=1e-12)


def test_order_reverse_and_segments(silicon_structures):
    g = Graph.of(silicon_structures, 5.0)
    assert torch.equal(g.j[g.reverse], g.i)
    assert torch.equal(g.i[g.reverse], g.j)
    assert torch.equal(g.vectors[g.reverse], -g.vectors)
    for a in range(g.n_atoms):
        assert (g.i[g.first[a] : g.first[a + 1]] == a).all()
    keys = np.stack([g.i, g.j, *g.shifts.T.numpy()])[::-1]
    assert (np.lexsort(keys) == np.arange(g.n_edges)).all()


def test_skin_changes_nothing_but_the_number_of_searches(silicon_structures):
    s = silicon_structures
    neighbors = NeighborList(5.0, skin=0.6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        s = s.with_positions(s.positions + 0.03 * torch.randn(s.positions.shape, generator=generator).double())
        with_skin, fresh = Graph.of(s, 5.0, neighbors), Graph.of(s, 5.0)
        for field in ("i", "j", "shifts", "vectors", "first", "reverse"):
            assert torch.equal(getattr(with_skin, field), getattr(fresh, field)), field
    assert 1 < neighbors.n_searches < 15


def test_each_system_is_searched_when_it_must_be(silicon_structures, monkeypatch):
    """Systems that move, leave, come and change their cells: the same pairs as by a search of everything."""
    import adlayer.neighbors

    searched, search = [], adlayer.neighbors._search
    monkeypatch.setattr(adlayer.neighbors, "_search", lambda s, cutoff: searched.append(len(s)) or search(s, cutoff))
    kept, s = NeighborList(5.0, skin=0.6), silicon_structures

    def moved(s, k, far):
        x = s.positions.clone()
        x[s.offsets[k]] += far
        return s.with_positions(x)

    for case, expected in (
        (s, 5),
        (moved(s, 1, 0.05), 0),
        (moved(s, 1, 0.5), 1),
        (moved(s, 1, 0.5)[[0, 1, 3]], 0),  # two have left
        (s[[0, 1, 3]], 1),
        (Structures.cat([s[[0, 1, 3]], s[[3, 4]]]), 2),  # two have come
        (s[[4, 0]], 2),
        (replace(s[[4, 0]], cell=s[[4, 0]].cell * torch.tensor([[[1.0]], [[1.3]]])), 1),
    ):
        searched.clear()
        now = kept(case)
        assert sum(searched) == expected
        for a, b in zip(now, NeighborList(5.0, skin=0.0)(case)):
            assert torch.equal(a, b)


def test_a_changed_cell_is_noticed():
    atoms = bulk("Cu", cubic=True)
    neighbors = NeighborList(4.0)
    assert Graph.of(Structures.from_ase(atoms), 4.0, neighbors).n_edges == 4 * 18
    atoms.set_cell(atoms.cell * 0.8, scale_atoms=True)
    assert Graph.of(Structures.from_ase(atoms), 4.0, neighbors).n_edges == 4 * 42


@pytest.mark.parametrize("size", [1e-3, 0.03, 0.3])
def test_a_breathing_cell_keeps_its_list_while_it_may(silicon_structures, size):
    """Cells of every periodicity are strained along with their atoms: the same pairs as by a search at each step."""
    generator = torch.Generator().manual_seed(1)
    structures, kept = silicon_structures, NeighborList(4.0, skin=0.6)
    for _ in range(8):
        e = size * torch.randn(len(structures), 3, 3, generator=generator, dtype=torch.float64)
        P = structures.periodic_projector
        F = torch.linalg.matrix_exp(P @ (e + e.mT) @ P)
        x = (structures.positions[:, None, :] @ F[structures.system])[:, 0, :]
        x = x + 0.02 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        structures = replace(structures, positions=x, cell=structures.cell @ F)
        now, fresh = kept(structures), NeighborList(4.0, skin=0.0)(structures)
        for a, b in zip(now, fresh):
            assert torch.equal(a, b) if not a.is_floating_point() else torch.allclose(a, b, rtol=0, atol=1e-12)
    assert kept.n_searches < 4 if size < 0.01 else kept.n_searches == 8 if size > 0.1 else True


def test_a_breathing_batch_that_loses_a_system(silicon_structures):
    """The strain of each system is measured from its own cell, also when others have left the batch."""
    neighbors = NeighborList(4.0, skin=1.0)
    both = Structures.cat([silicon_structures[0], silicon_structures[0]])
    both = replace(both, cell=both.cell * torch.tensor([1.0, 1.3])[:, None, None])
    breathed = replace(both, cell=both.cell * 1.002, positions=both.positions * 1.002)
    for batch in (both, breathed, breathed[1], replace(breathed[1], cell=breathed.cell[1:] * 1.001)):
        found, right = neighbors(batch), Graph.of(batch, 4.0)
        assert torch.equal(found.j, right.j)
        assert torch.allclose(found.vectors, right.vectors)


def test_fused_pruning_equals_plain(silicon_structures):
    wide = find_pairs(silicon_structures, 5.5)
    for a, b in zip(_prune(silicon_structures, wide, 5.0), _prune_fused(silicon_structures, wide, 5.0)):
        assert torch.allclose(a.double(), b.double(), atol=1e-14)


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 1, 1)])
def test_lone_atoms(pbc):
    g = Graph.of(Structures.from_ase(Atoms("Si", cell=[20, 20, 20], pbc=pbc)), 5.0)
    assert g.n_edges == 0
    assert g.first.tolist() == [0, 0]


def test_self_images():
    g = Graph.of(Structures.from_ase(Atoms("Cu", cell=[2.5, 2.5, 2.5], pbc=(1, 1, 0))), 2.6)
    assert g.i.tolist() == g.j.tolist() == [0] * 4


def test_within_and_cat(silicon_structures):
    far = Graph.of(silicon_structures, 6.0)
    near, fresh = far.within(4.0), Graph.of(silicon_structures, 4.0)
    joined = Graph.cat(Graph.of(s, 4.0) for s in silicon_structures)
    for field in ("i", "j", "shifts", "vectors", "first", "reverse"):
        assert torch.equal(getattr(near, field), getattr(fresh, field))
        assert torch.equal(getattr(joined, field), getattr(fresh, field))


def test_triplets(silicon_structures):
    g = Graph.of(silicon_structures, 3.0)
    e, f = triplets(g)
    assert torch.equal(g.i[e], g.i[f])
    assert (e < f).all()
    n = sum_edges(torch.ones(g.n_edges), g)
    assert len(e) == int((n * (n - 1) / 2).sum())
    assert len(set(zip(e.tolist(), f.tolist()))) == len(e)


def test_an_atom_flung_far_does_not_hang():
    atoms = silicon("bulk")
    atoms.positions[0] += 1e4
    g = Graph.of(Structures.from_ase(atoms), 5.0)
    assert g.n_edges > 0
