import pytest
import torch
from ase.build import bulk

from adlayer import Graph, Structures, evaluate, kernels
from adlayer.descriptors.bispectrum import Bispectrum
from adlayer.potentials.snap import SNAP

OPTIONS = {
    "plain": {"twojmax": 6},
    "sharp": {"twojmax": 5, "switch": False, "rmin0": 0.4, "rfac0": 0.8},
    "inner": {
        "twojmax": 3,
        "inner": {"Cu": [2.4, 0.3], "O": [2.0, 0.5]},
        "radii": {"Cu": 0.5, "O": 0.4},
        "bnorm": True,
    },
    "chem": {"twojmax": 3, "chem": True, "weights": {"Cu": 1.0, "O": -0.7}},
    "wselfall": {"twojmax": 2, "chem": True, "wselfall": True, "bzero": False},
    "gap": {"twojmax": 5, "components": "gap"},
}


@pytest.fixture(scope="module")
def graph():
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.symbols[[1, 5, 6]] = "O"
    atoms.rattle(0.1, seed=1)
    return Graph.of(Structures.from_ase([atoms, bulk("Cu")]), 5.0)  # longer edges than the cutoff count for nothing


def passes(descriptor, graph, dtype):
    """Forward, VJP and JVP."""
    v = graph.vectors.to(dtype).clone().requires_grad_()
    B = descriptor(graph.with_vectors(v))
    g, t = (torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=dtype) for x in (B, v))
    (vjp,) = torch.autograd.grad(B, v, g, create_graph=True)
    u = torch.zeros_like(B, requires_grad=True)
    (of_u,) = torch.autograd.grad(B, v, u, create_graph=True)
    (jvp,) = torch.autograd.grad(of_u, u, t)
    return B.detach(), vjp.detach(), jvp


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("options", OPTIONS)
def test_equal_to_the_definition(options, dtype, tolerance, graph):
    descriptor = Bispectrum(["Cu", "O"], cutoff=4.5, **OPTIONS[options]).to(dtype)
    graph = graph.to(dtype)
    fused = passes(descriptor, graph, dtype)
    with kernels.plain():
        plain = passes(descriptor, graph, dtype)
    for x, y in zip(fused, plain):
        assert x.dtype == dtype
        assert float((x - y).abs().max()) < tolerance * float(y.abs().max())


@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
def test_energies_and_design(options, quadratic, graph):
    """The one pass of energies and forces, the descriptor with autograd and the design all say the same."""
    options = dict(OPTIONS[options])
    potential = SNAP(["Cu", "O"], 4.5, min(options.pop("twojmax"), 3), quadratic, options)
    fused, design = evaluate(potential, graph), potential.design(graph)
    with kernels.plain():
        plain = evaluate(potential, graph)
    for x, y in (
        (fused.energies, plain.energies),
        (fused.forces, plain.forces),
        (design.energy @ potential.coefficients, plain.energy),
        (design.forces @ potential.coefficients, plain.forces),
        ((design.virial @ potential.coefficients) / graph.structures.measure[:, None, None], plain.stress),
    ):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-11)


def test_no_edges_and_no_atoms():
    potential = SNAP(["Cu"], 4.5, 2)
    for n in (0, 1):
        lone = Structures.from_ase(bulk("Cu")[:n])
        said = evaluate(potential, Structures(**{**vars(lone), "pbc": lone.pbc & False}))
        assert said.forces.tolist() == [[0.0] * 3] * n
        assert bool((said.energies.abs() < 1e-15).all())  # a lone atom is the zero
