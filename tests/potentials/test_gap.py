"""The Gaussian processes of a GAP by hand, and what is special about them."""

from itertools import permutations
from math import cos, exp, pi, sqrt

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Graph, Structures, evaluate
from adlayer.checks import check_potential
from adlayer.potentials.environment_gp import EnvironmentGP
from adlayer.potentials.gap import GAP, PairGP, TripletGP

X = np.array([[0, 0, 0], [1.9, 0, 0], [0.3, 2.0, 0], [-1.0, -0.9, 1.2], [3.2, 1.1, 0.4]])
CUTOFF, WIDTH = 3.0, 0.8


def fade(r):
    x = (r - CUTOFF) / WIDTH + 1
    return 0.0 if x >= 1 else 1.0 if x <= 0 else 0.5 * (cos(pi * x) + 1)


def said(potential, symbols="SiHSiHH"):
    return evaluate(potential, Structures.from_ase(Atoms(symbols, X))).energies.tolist()


def test_pairs_count_from_both_ends():
    p = PairGP(["H", "Si"], CUTOFF, 3, delta=0.7, theta=0.9, transition=WIDTH)
    p.theta[1] = 0.5
    group = {("H", "H"): 0, ("H", "Si"): 1, ("Si", "Si"): 2}
    symbols = ["Si", "H", "Si", "H", "H"]
    for i, e in enumerate(said(p)):
        expected = 0.0
        for j in set(range(5)) - {i}:
            r, g = np.linalg.norm(X[i] - X[j]), group[tuple(sorted((symbols[i], symbols[j])))]
            for s in range(3 * g, 3 * g + 3):
                r_s, alpha = float(p.points[s, 0]), float(p.alpha[s].detach())
                expected += fade(r) * fade(r_s) * alpha * 0.49 * exp(-0.5 * ((r - r_s) / float(p.theta[g, 0])) ** 2)
        assert e == pytest.approx(expected, abs=1e-13)


def test_neighbors_count_in_both_orders():
    p = TripletGP(["H"], CUTOFF, 4, delta=0.3, transition=WIDTH)
    p.theta[0] = torch.tensor([1.3, 0.8, 1.1])
    for i, e in enumerate(said(p, "H5")):
        expected = 0.0
        for j, k in permutations(set(range(5)) - {i}, 2):
            a, b, c = (np.linalg.norm(d) for d in (X[j] - X[i], X[k] - X[i], X[k] - X[j]))
            x = np.array([a + b, (a - b) ** 2, c])
            for s in range(4):
                y = p.points[s].numpy()
                near, far = ((y[0] + sign * sqrt(y[1])) / 2 for sign in (-1, 1))
                k_s = 0.09 * exp(-0.5 * float((((x - y) / p.theta[0].numpy()) ** 2).sum()))
                expected += fade(a) * fade(b) * fade(near) * fade(far) * float(p.alpha[s].detach()) * k_s
        assert e == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("zeta", [1, 2, 3.5])
def test_environments(zeta):
    """Only points of the own element count; features are normalized."""
    p = EnvironmentGP(**{**EnvironmentGP.small, "zeta": zeta, "delta": 0.4})
    graph = Graph.of(Structures.from_ase(Atoms("SiHSiHH", X)), p.cutoff)
    features = p.descriptor(graph).numpy()
    for e, x, symbol in zip(p(graph).energy.tolist(), features, ["Si", "H", "Si", "H", "H"]):
        own = slice(0, 4) if symbol == "Si" else slice(4, 8)
        k = np.maximum(p.points[own].numpy() @ x / np.linalg.norm(x), 0 if zeta == 3.5 else -np.inf)
        assert e == pytest.approx(0.16 * float(p.alpha[own].detach().numpy() @ k**zeta), abs=1e-13)


@pytest.mark.parametrize("zeta", [1, 3.5])
def test_other_powers_obey_the_laws(zeta):
    """Forces, design and their derivatives, also where the power is not a whole number or the slope is constant."""
    laws = ["forces_are_derivatives", "second_derivatives", "linearity", "fused_equals_plain"]
    check_potential(EnvironmentGP(**{**EnvironmentGP.small, "zeta": zeta}), laws)


def test_variance_is_prior_where_nothing_is_near_and_zero_at_points():
    p = EnvironmentGP(
        ["Si", "H"], descriptor={"SOAP": EnvironmentGP.small["descriptor"]["SOAP"]}, n_sparse=9, delta=0.4
    )
    structures = Structures.from_ase(Atoms("SiHSiHH", X))
    graph = Graph.of(structures, p.cutoff)
    far = p.unexplained(graph).energies
    assert float(far.max()) <= 0.16 + 1e-12
    assert float(far.min()) > 0.02
    p.prepare([graph])
    near, total, _ = p.unexplained(graph)
    assert float(near.max()) < 1e-7
    assert float(total) < 1e-6


def test_sum_of_covariances():
    """SOAP, ACE, triplets and pairs."""
    gap = GAP(["Si", "H"], 4.0, 2, 2, n_sparse=3, pairs=3, triplets=2, clusters=3, order=2, degree=5)
    graph = Graph.of(Structures.from_ase(Atoms("SiHSiHH", X)), gap.cutoff)
    parts = sum(p(graph.within(p.cutoff)).energy for p in gap.sum.parts)
    torch.testing.assert_close(gap(graph).energy, parts)
    assert gap.covariances().unique().tolist() == [0, 1, 2, 3]
    before = gap.coefficients.clone()
    gap.rescale(torch.tensor([2.0, 3.0, 0.5, 1.5]))
    torch.testing.assert_close(gap.coefficients, before)  # what they stand for has grown


def test_a_gap_of_clusters_alone_obeys_the_laws():
    gap = GAP(["Si", "H"], 4.0, n_sparse=0, pairs=0, clusters=3, order=3, degree=5)
    check_potential(gap, ["forces_are_derivatives", "stress_is_derivative", "linearity", "rotation", "saving"])
    with pytest.raises(ValueError, match="are all 0"):
        GAP(["Si"], n_sparse=0, pairs=0)


def test_points_that_are_alike_need_jitter():
    p = PairGP(["H"], 3.0, 4, jitter=0.0)
    p.place([torch.tensor([[1.0], [1.0], [2.0]], dtype=torch.float64)])
    with pytest.raises(ValueError, match=r"3 points are too much alike for a jitter of 0; .* a jitter of 1e-10"):
        p.factor()
