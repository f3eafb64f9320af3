import pytest
import torch
from ase.build import bulk

from adlayer import Graph, Structures
from adlayer.kernels.ace import densities
from adlayer.kernels.ace_products import blocks
from adlayer.kernels.simd import WIDTH
from adlayer.potentials.ace import ACE


def potential(radial="agnesi", embedding="linear", order=3):
    return ACE(["Cu", "O"], cutoff=4.5, order=order, degree=6.0, pair=3, radial=radial, embedding=embedding)


@pytest.fixture(scope="module")
def graph():
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.symbols[[1, 5, 6]] = "O"
    atoms.rattle(0.1, seed=1)
    return Graph.of(Structures.from_ase(atoms), 5.0)  # longer edges than the cutoff count for nothing


def both(p, graph, dtype=torch.float64):
    """Densities by the kernel and by their definition, with leaves to differentiate by."""
    p, species = p.to(dtype), p.species(graph.numbers)
    for fused in (True, False):
        v = graph.vectors.to(dtype).clone().requires_grad_()
        w = p.weights().detach().requires_grad_()
        if fused:
            yield densities(v, w, graph, species, p.expansion), v, w
        else:
            yield p.expansion.densities(v, w, graph.i, graph.j, species), v, w


def close(a, b, tolerance=1e-12):
    a, b = a.detach(), b.detach()
    assert float((a - b).abs().max()) <= tolerance * float(b.abs().max())


@pytest.mark.parametrize("embedding", ["linear", "finnis-sinclair"])
@pytest.mark.parametrize("radial", ["agnesi", "morse", "inverse", "chebyshev", "bessel"])
def test_equal_to_the_definition(radial, embedding, graph):
    (rho, v, w), (known, v0, w0) = both(potential(radial, embedding), graph)
    close(rho, known)
    u = torch.randn(rho.shape, generator=torch.Generator().manual_seed(0), dtype=rho.dtype)
    for x, y in zip(torch.autograd.grad(rho, [v, w], u), torch.autograd.grad(known, [v0, w0], u)):
        close(x, y)


@pytest.mark.parametrize("embedding", ["linear", "finnis-sinclair"])
def test_second_derivatives(embedding, graph):
    """Of a function of forces by coefficients (training) and by positions (Hessians)."""
    results = []
    for rho, v, w in both(potential(embedding=embedding), graph):
        E = (rho + 0.1 * rho * rho).sum()
        (g,) = torch.autograd.grad(E, v, create_graph=True)
        results.append(torch.autograd.grad(g.sin().sum(), [v, w]))
    for x, y in zip(*results):
        close(x, y, 1e-11)


def test_single_precision(graph):
    (rho, v, _), (known, v0, _) = both(potential(), graph, torch.float32)
    assert rho.dtype == torch.float32
    close(rho, known, 1e-4)
    close(torch.autograd.grad(rho.sum(), v)[0], torch.autograd.grad(known.sum(), v0)[0], 1e-4)


@pytest.mark.parametrize("order", [4, 6])
def test_higher_orders(order, graph):
    p = ACE(["Cu", "O"], cutoff=4.0, order=order, degree=order + 2.0, weight_l=1.0, pair=2)
    (rho, v, _), (known, v0, _) = both(p, graph)
    close(rho, known)
    close(torch.autograd.grad(rho.sum(), v)[0], torch.autograd.grad(known.sum(), v0)[0])


def test_every_atom_is_in_one_block():
    species = torch.tensor([0] * 5 + [2] * (WIDTH + 1) + [0] * WIDTH).numpy()
    atoms, elements = blocks(species)
    inside = atoms[atoms >= 0]
    assert sorted(inside.tolist()) == list(range(len(species)))
    assert all((species[row[row >= 0]] == e).all() for row, e in zip(atoms, elements))


def test_no_edges_and_no_atoms():
    p = potential()
    for n in (0, 1):
        lone = Structures.from_ase(bulk("Cu")[:n])
        lone = Graph.of(Structures(**{**vars(lone), "pbc": lone.pbc & False}), 4.5)
        v = lone.vectors.requires_grad_()
        rho = densities(v, p.weights(), lone, p.species(lone.numbers), p.expansion)
        assert rho.tolist() == [[0.0]] * n
        assert torch.autograd.grad(rho.sum(), v)[0].shape == (0, 3)


def test_compiled(graph):
    p = potential()
    compiled = torch.compile(p, fullgraph=True)
    v = graph.vectors.clone().requires_grad_()
    E, E0 = (f(graph.with_vectors(v)).energy for f in (compiled, p))
    close(E, E0)
    close(torch.autograd.grad(E.sum(), v)[0], torch.autograd.grad(E0.sum(), v)[0])


def test_what_is_not_there_says_so(graph):
    (rho, _, w), _ = both(potential(), graph)
    with pytest.raises(NotImplementedError, match="coefficients last"):
        torch.autograd.grad(rho.sum(), w, create_graph=True)
