"""Degenerate environments are degenerate by counting, not by any descriptor; who sees them is as in the literature."""

from itertools import combinations

import numpy as np
import pytest

from adlayer.descriptors import ACSF, AEV, SOAP, Bispectrum, SeE2A, SeE2R, SeE3
from adlayer.descriptors.completeness import KINDS, completeness, degenerate_pair
from adlayer.potentials.ace import ACE
from adlayer.potentials.lennard_jones import LennardJones


def distances(x: np.ndarray, n: int) -> np.ndarray:
    """Of the center and every ``n`` neighbors, what no order of them and no rotation or mirror changes, sorted."""
    found = []
    for some in combinations(range(len(x)), n):
        G = x[list(some)] @ x[list(some)].T  # products: what is equal in all powers of it, is equal
        r = np.diag(G)
        found.append(
            [r.sum(), (r**2).sum(), G.sum(), (G**2).sum(), np.linalg.det(G), r @ G @ r, (r**3).sum(), (G**3).sum()]
        )
    return np.array(sorted(np.round(found, 9).tolist()))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n, kind", list(enumerate(KINDS, 1)))
def test_they_are_equal_in_few_and_differ_in_one_more(n, kind, seed):
    one, other = degenerate_pair(kind, np.random.default_rng(seed))
    for k in range(1, n + 1):
        np.testing.assert_allclose(distances(one, k), distances(other, k), atol=1e-8)
    assert np.abs(distances(one, n + 1) - distances(other, n + 1)).max() > 1e-3
    everybody = np.linalg.norm(np.vstack([one, [[0, 0, 0]]])[:, None] - np.vstack([one, [[0, 0, 0]]]), axis=-1)
    assert everybody[np.triu_indices(len(one) + 1, 1)].min() > 0.25  # no atoms on top of each other


C = ["C"]
LITERATURE = [
    (LennardJones(), 2),
    (SeE2R(C), 2),
    (SOAP(C, n_max=4, l_max=4), 3),
    (ACSF(C), 3),
    (AEV(C), 3),
    (SeE2A(C, embedding=[4, 8], axis=4), 3),
    (SeE3(C, embedding=[4]), 3),
    (Bispectrum(C, twojmax=6), 4),
    (Bispectrum(C, twojmax=6, components="gap"), 4),
    *((ACE(C, order=k, degree=10, weight_l=1.0), k + 1) for k in (1, 2, 3, 4)),
]


@pytest.mark.parametrize(
    "thing, order", LITERATURE, ids=lambda x: type(x).__name__ if not isinstance(x, int) else str(x)
)
def test_body_orders_are_those_of_the_literature(thing, order):
    found = completeness(thing)
    assert found.body_order == order
    assert found.fails == KINDS[order - 2 :]
    for kind, contrast in found.contrast.items():
        assert contrast < 1e-12 if kind in found.fails else contrast > 1e-7


def test_it_leaves_what_it_judges_as_it_was():
    potential = ACE(C, order=2, degree=6)
    before = potential.coefficients.clone()
    completeness(potential, members=1)
    assert (potential.coefficients == before).all()


def test_kinds_are_known():
    with pytest.raises(ValueError, match="one of pairs, triplets, quadruplets, got 'quintuplets'"):
        degenerate_pair("quintuplets", np.random.default_rng(0))
