"""DPA-2: what is special to it. Its numbers are compared with the original's in tests/formats/test_deepmd.py."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Graph, Structures
from adlayer.checks import check_descriptor
from adlayer.descriptors.dpa2 import DPA2


@pytest.mark.parametrize("options", [{"angles": []}, {"strip": True, "one_side": True, "near_sel": 5}])
def test_options_obey_the_laws(options):
    check_descriptor(DPA2(**{**DPA2.small, **options}), ["rotation", "separation", "second_derivatives", "smoothness"])


def test_messages_carry_farther_than_the_cutoff():
    descriptor = DPA2(**DPA2.small)  # two layers within 3 Å, of features within 3.5 Å
    for step in (s for layer in descriptor.layers for s in layer.steps):
        step.data.fill_(1.0)  # they start small
    row = Atoms("Si5", positions=[[2.0 * k, 0, 0] for k in range(5)])
    before = descriptor(Graph.of(Structures.from_ase(row), 3.5))
    row.positions[3, 1] = 0.3  # seen by the second, which tells the first
    change = (descriptor(Graph.of(Structures.from_ase(row), 3.5)) - before).abs().amax(1)
    assert float(change[0]) > 1e-8
    row.positions[3, 1] = 0.0
    row.positions[4, 1] = 0.3
    again = descriptor(Graph.of(Structures.from_ase(row), 3.5))
    torch.testing.assert_close(again[0], before[0], rtol=0, atol=1e-14)


def test_statistics_of_both_ranges():
    descriptor = DPA2(["Si", "H"], cutoff=4.0, near_cutoff=3.0, near_inner=2.0, embedding=[4], axis=2, layers=1)
    descriptor.prepare([Graph.of(Structures.from_ase(bulk("Si", cubic=True)), 4.0)])
    assert descriptor.wide.environment.sel.tolist() == [20]  # 16 neighbors and a tenth more, in steps of 4
    assert descriptor.near.sel.tolist() == [8]
    assert float(descriptor.near.width[0, 0]) != 1


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="near_cutoff must not be above the cutoff"):
        DPA2(["Si"], cutoff=4.0, near_cutoff=5.0)
    with pytest.raises(ValueError, match="near_axis must be 1 to 3, got 4"):
        DPA2(["Si"], pair_width=3)
    with pytest.raises(TypeError, match="sees neighbors of neighbors"):
        DPA2(**DPA2.small).jacobian(Graph.of(Structures.from_ase(bulk("Si")), 3.5))
