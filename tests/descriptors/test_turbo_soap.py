"""Turbo SOAP against the original's numbers, and the fused kernel against its definition."""

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, kernels
from adlayer.descriptors.turbo_soap import TurboSOAP
from adlayer.graph import Graph

ELEMENTS = ["H", "C", "O"]
PLAIN = {"cutoff": 3.5, "transition": 0.1, "n_max": 3, "l_max": 2, "sigma": 0.45, "enhancement": 0, "basis": "poly3"}
SCALED = {"growth_t": {"H": 0.05, "C": 0.0, "O": 0.1}, "amplitude": {"H": 2.0, "C": 1.0, "O": 1.5}}
SCALED |= {"growth": {"H": 0.1, "C": 0.05, "O": 0.08}, "central_weight": {"H": 0.5, "C": 1.0, "O": 0.2}}
USUAL = {"cutoff": 5.0, "transition": 0.5, "n_max": 8, "sigma": 0.5, "basis": "poly3gauss"}
VARIANTS = {
    "plain": {},
    "wide": {"transition": 0.6, "sigma": 0.8, "sigma_t": 0.45, "amplitude": 2.0},
    "gauss": {"basis": "poly3gauss"},
    "trivial": {"compression": "trivial", "enhancement": 1},
    "tangential": {"sigma_t": {"H": 0.7, "C": 0.6, "O": 0.5}, "enhancement": 2},
    "growing": {"sigma": {"H": 0.5, "C": 0.4, "O": 0.45}, "sigma_t": 0.45, **SCALED},
    "growing_gauss": {"basis": "poly3gauss", "enhancement": 2, "compression": "trivial", **SCALED},
    "usual": {**USUAL, "enhancement": 1, "compression": "trivial"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_quip(reference, name):
    """To 5e-9; with the usual settings to what the original leaves out, the tails of Gaussians beyond four widths."""
    table = reference("turbo_soap.json")
    turbo = TurboSOAP(ELEMENTS, **{**PLAIN, "compression": "none", **VARIANTS[name]})
    graph = Graph.of(Structures.from_ase(Atoms(table["symbols"], table["positions"])), turbo.cutoff)
    with kernels.plain():
        said = turbo(graph).numpy()
    tolerance = 1e-6 if name == "usual" else 5e-9
    np.testing.assert_allclose(said, np.array(table["features"][name]), rtol=0, atol=tolerance)


@pytest.mark.parametrize("basis", ["poly3", "poly3gauss"])
def test_fused_is_plain(basis):
    """Values, VJP, JVP, the second and a third derivative, with densities of their own for each element."""
    rng = np.random.default_rng(0)
    atoms = Atoms("Si3H2", positions=rng.uniform(0, 5, (5, 3)), cell=np.eye(3) * 5.3, pbc=[1, 1, 0])
    lone = Atoms("H", positions=[[0, 0, 0]])
    turbo = TurboSOAP(**{**TurboSOAP.small, "basis": basis, "normalize": False})
    graph = Graph.of(Structures.from_ase([atoms, lone]), 4.3)
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(graph.n_atoms, turbo.n_features, generator=generator, dtype=torch.float64).requires_grad_()
    t = torch.randn(graph.n_edges, 3, generator=generator, dtype=torch.float64)

    def derivatives():
        v = graph.vectors.clone().requires_grad_()
        p = turbo(graph.with_vectors(v))
        (vjp,) = torch.autograd.grad(p, v, g, create_graph=True)
        jvp, bend = torch.autograd.grad(vjp, [g, v], t, create_graph=True)
        (third,) = torch.autograd.grad(jvp.square().sum() + bend.square().sum(), v)
        return p, vjp, jvp, bend, third

    fused = derivatives()
    with kernels.plain():
        plain = derivatives()
    for name, a, b, tolerance in zip(("p", "VJP", "JVP", "bend", "third"), fused, plain, (1e-12, *[1e-11] * 4)):
        atol = tolerance * float(b.detach().abs().max())
        torch.testing.assert_close(a, b, rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
    fused = turbo.jacobian(graph)
    with kernels.plain():
        torch.testing.assert_close(fused, turbo.jacobian(graph), rtol=0, atol=1e-12 * float(fused.abs().max()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"basis": "poly4"}, "did you mean 'poly3'"),
        ({"compression": "trivia"}, "did you mean 'trivial'"),
        ({"sigma": 0.0}, "must be positive"),
        ({"growth": -0.1}, "grow with distance or not at all"),
        ({"n_max": 12}, "n_max must be 1 to 11"),
        ({"sigma": {"Si": 1.0}}, "a number for each of Si, H"),
        ({"transition": 6.0}, "transition from 0 to below it"),
        ({"enhancement": 3}, "enhancement must be 0, 1 or 2"),
        ({"amplitude": -1.0}, "amplitude must be 0 or positive"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TurboSOAP(["Si", "H"], **arguments)
