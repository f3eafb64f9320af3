import numpy as np
import pytest
from ase.build import bulk
from pair_basis import PairNetwork

from adlayer import Evaluator, Structures
from adlayer.fitting.locality import Locality, locality
from adlayer.potentials.lennard_jones import LennardJones


@pytest.fixture(scope="module")
def copper_box():
    return Structures.from_ase(bulk("Cu", cubic=True) * (4, 4, 4))


def test_a_pair_potential_is_felt_to_its_cutoff(copper_box):
    evaluate = Evaluator(LennardJones(0.1, 2.3, 4.5, truncation="energy"))
    found = locality(evaluate, copper_box, [3.0, 4.0, 5.0, 6.0], samples=3, tolerance=1e-6)
    assert (found.spread[:2] > 1e-3).all()
    np.testing.assert_array_equal(found.spread[2:], 0)
    assert found.cutoff == 5.0


def test_a_many_body_potential_is_felt_to_twice_its_cutoff(copper_box):
    found = locality(Evaluator(PairNetwork(cutoff=3.0)), copper_box, [3.2, 5.0, 6.2], samples=3, tolerance=1e-9)
    assert found.spread[0] > 1e-6
    assert found.spread[1] > 1e-9
    assert found.spread[2] == 0
    assert found.radius == 6.2


def test_the_radius_is_where_the_spread_stays_small():
    radii = np.array([3.0, 4.0, 5.0, 6.0])
    assert Locality(radii, np.array([0.3, 0.01, 0.2, 0.01]), 0.05).radius == 6.0
    assert Locality(radii, np.array([0.3, 0.04, 0.02, 0.01]), 0.05).radius == 4.0
    assert Locality(radii, np.array([0.01, 0.01, 0.0, 0.0]), 0.05).radius == 3.0
    assert Locality(radii, np.array([0.3, 0.2, 0.2, 0.1]), 0.05).radius is None


def test_bad_input_is_said(copper_box):
    evaluate = Evaluator(LennardJones(0.1, 2.3, 4.5))
    with pytest.raises(ValueError, match=r"beyond 20 Å there is no atom to displace: the farthest is at 12.51 Å"):
        locality(evaluate, copper_box, [4.0, 20.0])
    with pytest.raises(ValueError, match="there is no atom 256: the structure has 256"):
        locality(evaluate, copper_box, [4.0], centers=[256])
    with pytest.raises(ValueError, match="takes one structure, got 2"):
        locality(evaluate, Structures.cat([copper_box, copper_box]), [4.0])
