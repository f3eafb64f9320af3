import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from conftest import silicon

from adlayer import Graph, Structures
from adlayer.structures import sum_systems

KINDS = ("bulk", "primitive", "slab", "wire", "cluster")


def test_ase_round_trip():
    frames = [silicon(k) for k in KINDS]
    frames[0].info["charge"] = -1.0
    back = Structures.from_ase(frames).to_ase()
    for a, b in zip(frames, back):
        assert a == b
    assert back[0].info["charge"] == -1.0


def test_select_and_cat_are_inverse(silicon_structures):
    s = silicon_structures
    order = [3, 0, 4, 1, 2]
    t = Structures.cat(s[k] for k in order)
    u = s[order]
    for field in s.__dataclass_fields__:
        assert torch.equal(getattr(t, field), getattr(u, field))
    assert [x.n_atoms for x in s] == s.counts.tolist()
    assert s[1:3].n_systems == 2
    assert s[-1].n_atoms == 8


def test_no_structures():
    s = Structures.from_ase([])
    assert (s.n_systems, s.n_atoms) == (0, 0)
    assert Graph.of(s, 4.0).n_edges == 0


def test_measure_and_projector():
    a, b, c = 3.0, 4.0, 7.0
    atoms = [Atoms("Si", cell=[a, b, c], pbc=p) for p in [(1, 1, 1), (1, 1, 0), (0, 1, 0), (0, 0, 0)]]
    tilted = Atoms("Si", cell=[[a, 0, 0], [1.3, b, 0], [0.4, 0.2, c]], pbc=(1, 1, 0))
    s = Structures.from_ase([*atoms, tilted])
    assert s.measure.tolist() == pytest.approx([84.0, 12.0, 4.0, 1.0, 12.0])
    P = s.periodic_projector
    assert torch.allclose(P[1], torch.diag(torch.tensor([1.0, 1.0, 0.0]).double()))
    assert torch.allclose(P[3], torch.zeros(3, 3).double())
    assert torch.allclose(P @ P, P)


def test_vacuum_row_may_be_zero():
    full, zero = silicon("slab"), silicon("slab")
    zero.cell[2] = 0
    s = Structures.from_ase([full, zero])
    assert torch.allclose(s.measure[0], s.measure[1])
    g = [Graph.of(x, 5.0) for x in s]
    assert torch.equal(g[0].j, g[1].j)
    assert torch.allclose(g[0].vectors, g[1].vectors)


def test_sum_systems(silicon_structures):
    counts = sum_systems(torch.ones(silicon_structures.n_atoms), silicon_structures)
    assert counts.long().tolist() == silicon_structures.counts.tolist()


def test_dtype():
    s = Structures.from_ase(bulk("Si")).to(torch.float32)
    assert s.positions.dtype == s.cell.dtype == torch.float32
    assert s.numbers.dtype == torch.int64
    assert np.allclose(s.measure.item(), bulk("Si").get_volume(), rtol=1e-5)
