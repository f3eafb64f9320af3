"""Invariants of the atomic cluster expansion as features, and as a covariance beside the others of a GAP."""

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Graph, Structures, kernels
from adlayer.descriptors.ace_invariants import ACEInvariants
from adlayer.potentials.ace import ACE
from adlayer.potentials.environment_gp import EnvironmentGP

ATOMS = Atoms("Si2HSiH", np.random.default_rng(0).uniform(0, 4, (5, 3)), cell=np.eye(3) * 5.0, pbc=[1, 1, 0])


@pytest.fixture(scope="module")
def graph():
    return Graph.of(Structures.from_ase([ATOMS, Atoms("H", positions=[[0, 0, 0]])]), 4.3)


def test_they_are_the_functions_of_linear_ace(graph):
    """``B_k`` over the root of its roughness."""
    given = {"elements": ["Si", "H"], "cutoff": 4.0, "order": 3, "degree": 6.0}
    p, ace = ACEInvariants(**given, radial="agnesi"), ACE(**given, radial="agnesi", pair=0)
    expected = ace.projections(graph.within(4.0)).reshape(graph.n_atoms, 2, -1).sum(1)
    K = p.n_features
    torch.testing.assert_close(p(graph), expected / ace.penalty()[:K].sqrt(), rtol=1e-12, atol=1e-13)


def test_jacobian(graph):
    p = ACEInvariants(["Si", "H"], 4.0, order=3, degree=6.0)
    fused, found = p.jacobian(graph), p(graph)
    with kernels.plain():
        torch.testing.assert_close(fused, p.jacobian(graph), rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(found, p(graph), rtol=1e-12, atol=1e-13)
    assert float(fused[graph.lengths > 4.0].abs().max()) == 0


def test_a_gaussian_process_of_degree_one_is_linear_ace(graph):
    """Without normalization and with ``zeta = 1`` its covariance is that of ACE with coefficients of its own prior."""
    given = {"elements": ["Si", "H"], "cutoff": 4.0, "order": 2, "degree": 6.0}
    process = EnvironmentGP(["Si", "H"], descriptor={"ACEInvariants": given}, n_sparse=9, zeta=1, normalize=False)
    ace = ACE(**given, radial="agnesi", pair=0)
    process.prepare([graph])
    A = ace.design(graph.within(4.0)).energy / ace.penalty().sqrt()
    S = process.design(graph).energy  # all environments are points
    torch.testing.assert_close(S @ S.T, float(process.delta) ** 2 * A @ A.T, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"order": 0}, "order must be 1 to 6"), ({"degree": 0.5}, "take a larger one")]
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ACEInvariants(["Si", "H"], **arguments)
