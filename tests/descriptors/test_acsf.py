"""Symmetry functions: their definition by hand, the fused kernel against it, and derivatives of every order."""

from itertools import combinations
from math import cos, exp, pi

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, kernels
from adlayer.config import build, describe
from adlayer.descriptors.acsf import ACSF
from adlayer.descriptors.symmetry_functions import (
    CUTOFF_FUNCTIONS,
    AngularCompact,
    AngularGaussian,
    RadialCompact,
    RadialGaussian,
)
from adlayer.graph import Graph


def of_every_kind():
    """Functions of every form, for every choice of neighbors, several in each group."""
    functions = []
    for c in ("Si", "H"):
        for one in ("Si", "H", None):
            functions += [RadialGaussian(c, one, 0.3, 1.0, 4.5), RadialGaussian(c, one, 0.1, 0.0, 4.0)]
            functions += [RadialCompact(c, one, 0.5, 4.5, "poly2", True), RadialCompact(c, one, -4.2, 4.2, "exp")]
        for pair in (("Si", "Si"), ("H", "Si"), ("H", "H"), None):
            for narrow in (True, False):
                grid = [(e, z, s, rc) for e in (0.05, 0.2) for z in (1, 4, 2.5) for s in (1, -1) for rc in (4.0, 4.5)]
                functions += [AngularGaussian(c, pair, e, z, s, 0.2, rc, narrow) for e, z, s, rc in grid[::2]]
                functions += [functions[-1]]  # the same once more
                angles = ((10, 100), (-90, 90), (120, 240))
                functions += [AngularCompact(c, pair, 0.5, 4.5, *a, "poly3", a[0] > 0, narrow) for a in angles]
    return functions


@pytest.fixture(scope="module")
def structures():
    rng = np.random.default_rng(0)
    atoms = Atoms("Si3H2", positions=rng.uniform(0, 5, (5, 3)), cell=np.eye(3) * 5.3, pbc=[1, 1, 0])
    lone = Atoms("H", positions=[[0, 0, 0]])
    return Structures.from_ase([atoms, lone])


def test_by_hand():
    """Each pair of neighbors counts once; the factor of the neighbors' distance is there for narrow functions."""
    x = np.array([[0, 0, 0], [1.9, 0, 0], [0.3, 2.0, 0], [-1.0, -0.9, 1.2]])
    rc, eta, zeta, shift = 4.0, 0.2, 4, 0.3

    def R(r):
        return exp(-eta * (r - shift) ** 2) * 0.5 * (cos(pi * r / rc) + 1) if r < rc else 0.0

    def pairs(narrow):
        total = 0.0
        for j, k in combinations(range(1, 4), 2):
            rj, rk, rjk = (np.linalg.norm(d) for d in (x[j], x[k], x[j] - x[k]))
            angle = 2 ** (1 - zeta) * (1 - x[j] @ x[k] / (rj * rk)) ** zeta
            total += R(rj) * R(rk) * (R(rjk) if narrow else 1) * angle
        return total

    functions = [RadialGaussian("H", "H", eta, shift, rc)]
    functions += [AngularGaussian("H", ("H", "H"), eta, zeta, -1, shift, rc, narrow) for narrow in (True, False)]
    functions += [RadialGaussian("H", None, eta, shift, rc)]
    G = ACSF(["H"], functions=functions, cutoff_function="cos")(Graph.of(Structures.from_ase(Atoms("H4", x)), rc))
    radial = sum(R(np.linalg.norm(y)) for y in x[1:])
    np.testing.assert_allclose(G[0], [radial, pairs(True), pairs(False), radial], rtol=1e-14)


def test_weights_are_atomic_numbers():
    atoms = Structures.from_ase(Atoms("HSi", [[0, 0, 0], [1.5, 0, 0]]))
    functions = [RadialGaussian("H", None, 0.1, 0.0, 4.0), RadialGaussian("H", "Si", 0.1, 0.0, 4.0)]
    G = ACSF(["H", "Si"], functions=functions)(Graph.of(atoms, 4.0))
    assert float(G[0, 0]) == pytest.approx(14 * float(G[0, 1]), rel=1e-15)
    assert torch.equal(G[1], torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("kind", CUTOFF_FUNCTIONS)
def test_fused_is_plain(structures, kind):
    """Values, VJP, JVP, the second and a third derivative."""
    d = ACSF(["Si", "H"], functions=of_every_kind()[:: 1 if kind == "cos" else 4], cutoff_function=kind, inner=0.2)
    graph = Graph.of(structures, d.cutoff)
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(graph.n_atoms, d.n_features, generator=generator, dtype=torch.float64).requires_grad_()
    t = torch.randn(graph.n_edges, 3, generator=generator, dtype=torch.float64)

    def derivatives():
        v = graph.vectors.clone().requires_grad_()
        G = d(graph.with_vectors(v))
        (vjp,) = torch.autograd.grad(G, v, g, create_graph=True)
        jvp, bend = torch.autograd.grad(vjp, [g, v], t, create_graph=True)
        (third,) = torch.autograd.grad(jvp.square().sum() + bend.square().sum(), v)
        return G, vjp, jvp, bend, third

    fused = derivatives()
    with kernels.plain():
        plain = derivatives()
    for name, a, b in zip(("G", "VJP", "JVP", "bend", "third"), fused, plain):
        torch.testing.assert_close(
            a, b, rtol=0, atol=3e-13 * float(b.detach().abs().max()), msg=lambda m, n=name: f"{n}: {m}"
        )


def test_single_precision(structures):
    d = ACSF(["Si", "H"], functions=of_every_kind(), cutoff_function="cos")
    graph = Graph.of(structures, d.cutoff)
    double, single = d(graph), d(graph.to(torch.float32))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=2e-5, atol=2e-5)


def test_straight_angles_have_curvature():
    """In a perfect crystal 1 + cos θ is zero to rounding, of either sign; its second derivative is not."""
    function = [AngularGaussian("H", ("H", "H"), 0.0, 1.0, 1.0, 0.0, 4.0, False)]
    d = ACSF(["H"], functions=function)
    graph = Graph.of(Structures.from_ase(Atoms("H3", [[0, 0, 0], [1, 0, 0], [-1, 0, 0]])), 4.0)
    v = graph.vectors.clone().requires_grad_()
    (slope,) = torch.autograd.grad(d(graph.with_vectors(v))[0, 0], v, create_graph=True)
    (bend,) = torch.autograd.grad(slope[0, 1], v)
    assert float(bend[0, 1]) > 0.1


def test_functions_are_written_in_recipes(structures):
    d = ACSF(["Si", "H"], functions=[describe(f) for f in of_every_kind()[::5]])
    again = build(describe(d))
    assert again.functions == d.functions
    graph = Graph.of(structures, d.cutoff)
    assert torch.equal(again(graph), d(graph))


@pytest.mark.parametrize("style", ["imbalzano", "gastegger"])
def test_grids(style):
    few = ACSF(["Si", "H"], 5.0, n_radial=4, n_angular=2, zetas=[1, 4], style=style)
    assert few.n_features == 2 * 4 + 3 * 2 * 2 * 2
    weighted = ACSF(["Si", "H"], 5.0, n_radial=4, n_angular=2, zetas=[1, 4], style=style, weighted=True)
    assert weighted.n_features == 4 + 2 * 2 * 2
    shifts = [f.shift for f in few.of_element["Si"][:4]]
    assert len({s for s in shifts if 0 < s <= 5.0}) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cutoff_function": "cosine"}, "no cutoff function 'cosine'; did you mean 'cos'"),
        ({"style": "imbalsano"}, "did you mean 'imbalzano'"),
        ({"inner": 1.0}, "inner is a fraction"),
        ({"functions": [RadialGaussian("Si", "O")]}, "names O, which is not among"),
        ({"functions": [{"RadialGauss": {"center": "Si"}}]}, "did you mean 'RadialGaussian'"),
        ({"functions": [{"RadialGaussian": {"center": "Si", "etta": 1.0}}]}, "did you mean 'eta'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ACSF(["Si", "H"], **arguments)
