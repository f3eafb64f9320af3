"""Blended potentials and tables of pairs; numbers of DeePMD-kit's are compared in tests/formats/test_deepmd.py."""

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Graph, Structures, evaluate
from adlayer.checks import check_potential
from adlayer.nn.cutoffs import quintic_switch
from adlayer.potential import make_potential
from adlayer.potentials.blend import Blend
from adlayer.potentials.deep_potential import DeepPotential
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.pair_table import PairTable
from adlayer.potentials.zbl import ZBL


def dimer(r: float) -> Structures:
    return Structures.from_ase(Atoms("Si2", positions=[[0, 0, 0], [r, 0, 0]]))


def test_each_potential_is_alone_where_it_belongs():
    far, near = LennardJones(0.1, 1.8, 5.0), ZBL(1.5, 3.0)
    blend = Blend(far, near, inner=1.0, outer=2.0)
    for r, w in ((0.9, 1.0), (2.1, 0.0), (1.4, float(quintic_switch(torch.tensor(1.4), 1.0, 2.0)))):
        one, other, both = (evaluate(p, dimer(r)).energy for p in (near, far, blend))
        assert 0 <= w <= 1
        torch.testing.assert_close(both, w * one + (1 - w) * other, rtol=1e-6, atol=0)


def test_the_least_distance_is_an_average():
    atoms = Atoms("Si3", positions=[[0, 0, 0], [1.0, 0, 0], [-1.1, 0, 0]])
    blend = Blend(LennardJones(0.1, 1.8, 5.0), alpha=0.15)
    r, x = np.array([1.0, 1.1]), np.exp(-np.array([1.0, 1.1]) / 0.15)
    found = blend.least_distance(Graph.of(Structures.from_ase(atoms), 5.0))
    assert float(found[0]) == pytest.approx((r * x).sum() / x.sum(), abs=1e-12)
    lone = Graph.of(Structures.from_ase(Atoms("Si")), 5.0)
    assert blend.least_distance(lone).tolist() == [5.0]


def test_any_family_is_blended_in_a_recipe():
    spec = {"Blend": {"far": {"DeepPotential": {"descriptor": {"SeE2R": {"cutoff": 4.0}}}}, "outer": 1.5}}
    blend = make_potential(spec, ["Si", "H"])
    assert isinstance(blend.far, DeepPotential)
    assert isinstance(blend.near, ZBL)
    assert (blend.elements, blend.near.inner, blend.near.cutoff) == (("H", "Si"), 1.5, 3.0)
    check_potential(blend, ["smoothness", "second_derivatives", "saving"])


def test_a_table_is_its_spline(tmp_path):
    r = np.linspace(0.4, 4.0, 181)
    V = [k / r * (1 - r / 4) ** 4 for k in (8.0, 3.0, 1.0)]  # O-O, O-H, H-H
    np.savetxt(tmp_path / "table.txt", np.stack([r, *V], 1))
    table = PairTable.read(tmp_path / "table.txt", ["O", "H"])
    assert table.cutoff == pytest.approx(4.0)
    for symbols, k in (("O2", 8.0), ("OH", 3.0), ("HO", 3.0), ("H2", 1.0)):
        atoms = Atoms(symbols, positions=[[0, 0, 0], [1.234, 0, 0]])
        said = evaluate(table, Structures.from_ase(atoms))
        assert float(said.energy) == pytest.approx(k / 1.234 * (1 - 1.234 / 4) ** 4, rel=1e-6)
    close = Atoms("O2", positions=[[0, 0, 0], [0.2, 0, 0]])
    assert float(evaluate(table, Structures.from_ase(close)).energy) == pytest.approx(V[0][0])


def test_bad_arguments_are_told(tmp_path):
    far = LennardJones(0.1, 1.8, 5.0)
    with pytest.raises(ValueError, match="from inner to outer; got inner = 2"):
        Blend(far, inner=2.0, outer=1.0)
    with pytest.raises(ValueError, match=r"alpha must be from 0 to 0\.181 Å"):
        Blend(far, alpha=0.5)
    with pytest.raises(ValueError, match=r"same length, of 3 or more, got \[3, 4\]"):
        PairTable({"H-H": [1, 0.1, 0], "O-O": [3, 2, 1, 0], "O-H": [1, 0.1, 0]}, 0.5, 0.1)
    with pytest.raises(ValueError, match="energies has no value for H-O"):
        PairTable({"H-H": [1, 0.1, 0], "O-O": [1, 0.1, 0]}, 0.5, 0.1)
    np.savetxt(tmp_path / "table.txt", [[0.5, 1.0], [0.6, 0.5], [0.7, 0.0]])
    with pytest.raises(ValueError, match="has 1 columns of energies, not those of O-O, O-H, H-H"):
        PairTable.read(tmp_path / "table.txt", ["O", "H"])
    with pytest.warns(UserWarning, match="end in a step of 0.5 eV at 0.7 Å"):
        PairTable({"H-H": [1.5, 1.0, 0.5]}, 0.5, 0.1)
