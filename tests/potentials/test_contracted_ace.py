import pytest
import torch
from ase.build import bulk, molecule

from adlayer import Graph, Structures, evaluate, load, save
from adlayer.kernels.ace import densities
from adlayer.nn.active_subspace import Channels
from adlayer.nn.cluster_expansion import Channel
from adlayer.potentials.ace import ACE
from adlayer.potentials.contracted_ace import ContractedACE

SMALL = {"elements": ["Cu", "O"], "cutoff": 4.5, "order": 3, "channels": 4, "l_max": 3, "n_radial": 3, "pair": 3}


@pytest.fixture(scope="module")
def structures():
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.symbols[[1, 5, 6]] = "O"
    atoms.rattle(0.1, seed=1)
    slab = bulk("Cu", cubic=True)
    slab.rattle(0.1, seed=2)
    slab.pbc = (True, True, False)
    return Structures.from_ase([atoms, slab, molecule("O2")])


def contracted(**arguments):
    """With channels of all sums, and means."""
    potential = ContractedACE(**{**SMALL, "n_functions": 60, **arguments})
    generator = torch.Generator().manual_seed(4)
    U, s, mean = potential.channels
    s = s * torch.rand(s.shape, generator=generator, dtype=s.dtype)
    U, mean = (torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in (U, mean))
    potential.contract(Channels(U, s, mean))
    return potential


def close(a, b, tolerance=1e-12):
    a, b = a.detach(), b.detach()
    assert float((a - b).abs().max()) <= tolerance * float(b.abs().max())


def test_fused_equals_plain(structures):
    """Densities and their first and second derivatives, by vectors and by weights."""
    p, graph = contracted(order=4, limits=[5.0, 6.5, 8.4]), Graph.of(structures, 5.0)
    assert {len(f) for f in p.functions} == {1, 2, 3, 4}
    species, results = p.species(graph.numbers), []
    for fused in (True, False):
        v = graph.vectors.clone().requires_grad_()
        w = p.weights().detach().requires_grad_()
        of = (graph, species, p.expansion) if fused else (graph.i, graph.j, species)
        rho = densities(v, w, *of) if fused else p.expansion.densities(v, w, *of)
        E = (rho + 0.1 * rho * rho).sum()
        (gw,) = torch.autograd.grad(E, w, retain_graph=True)
        (g,) = torch.autograd.grad(E, v, create_graph=True)
        results.append([rho, g, gw, *torch.autograd.grad(g.sin().sum(), [v, w])])
    for x, y in zip(*results):
        close(x, y, 1e-11)


def test_design_is_the_derivative_by_the_coefficients(structures):
    potential, graph = contracted(), Graph.of(structures, 4.5)
    design, c = potential.design(graph), torch.linspace(-1, 1, 120, dtype=torch.float64)
    potential.coefficients = c
    said = evaluate(potential, graph)
    torch.testing.assert_close(design.energy @ c, said.energy)
    torch.testing.assert_close(design.forces @ c, said.forces)
    torch.testing.assert_close((design.virial @ c)[0] / structures.measure[0], said.stress[0])
    torch.testing.assert_close(potential.projections(graph) @ c, said.energies)


def test_channels_that_are_single_sums_give_the_functions_of_ace(structures):
    """As many channels as sums, each of them one: the same products, up to the tables of the radial functions."""
    known = ACE(["Cu", "O"], cutoff=4.5, order=3, n_max=[3] * 3, l_max=[2] * 3, pair=3, radial="bessel")
    found = ContractedACE(**{**SMALL, "channels": 6, "l_max": 2, "limits": [99.0] * 2})
    found.contract(found.channels)
    codes = found.products[found.products >= 0].unique().tolist()  # l and which sum: of n = q // 2 and element q % 2

    def named(function):
        if function[0].n < 6:
            return (Channel(0, function[0].n // 3, function[0].n % 3),)
        lq = [divmod(codes[c.n - 6], 6) for c in function]
        return tuple(sorted(Channel(l, q % 2, 3 + q // 2) for l, q in lq))

    names = [named(f) for f in found.functions]
    assert sum(len(f) == 1 for f in names) == 6 + 6  # sums by themselves beside the pair potential
    assert sorted(f for f in names if len(f) > 1) == sorted(f for f in known.functions if len(f) > 1)
    graph = Graph.of(structures, 4.5)
    mine, its = (p.projections(graph).unflatten(1, (2, -1)) for p in (found, known))
    for name in set(known.functions):
        a, b = ([k for k, f in enumerate(fs) if f == name] for fs in (names, known.functions))
        if len(a) == 1:  # several invariants of one product depend on the order of its factors
            close(mine[:, :, a], its[:, :, b], 1e-5)


def test_an_atom_without_neighbors_has_no_energy():
    potential = contracted()
    lone = Structures.from_ase([molecule("O"), molecule("O2")])
    E = evaluate(potential, lone).energy
    assert abs(float(E[0])) < 1e-12 < 1e-3 < abs(float(E[1]))
    assert float(potential.design(Graph.of(lone[0], 4.5)).energy.abs().max()) < 1e-12


def test_number_of_functions_and_limits():
    few, more = ContractedACE(**SMALL, n_functions=50), ContractedACE(**SMALL, n_functions=90)
    assert (few.n_functions, more.n_functions) == (50, 90)
    assert more.functions[:6] == few.functions[:6] == [(Channel(0, 0, k),) for k in range(6)]
    limited = ContractedACE(**SMALL, limits=[6.0, 7.5])
    limited.contract(limited.channels)
    for order, limit in ((2, 6.0), (3, 7.5)):
        sums = [limited.degree[[c.n for c in f]].sum() for f in limited.functions if len(f) == order]
        assert limit - 1.0 < max(sums) <= limit + 1e-9
    assert limited.degree[6:].min() == 2.0
    penalty = limited.penalty()[: limited.n_functions]
    assert penalty[0] == pytest.approx(torch.e**2)
    assert penalty.max() == pytest.approx(torch.e**7.5, rel=0.5)


def test_saved_with_its_channels(structures, tmp_path):
    potential = contracted()
    start = ContractedACE(**SMALL, n_functions=60)
    assert not torch.equal(potential.products, start.products)
    loaded = load(save(tmp_path / "p.adl", potential))
    assert torch.equal(loaded.products, potential.products)
    a, b = (evaluate(p, structures) for p in (loaded, potential))
    torch.testing.assert_close(a.forces, b.forces, rtol=0, atol=1e-13)


def test_bad_arguments():
    for arguments, message in (
        ({"order": 1}, "order must be 2 to 6"),
        ({"limits": [9.0]}, "one value for each order from 2 to 3"),
        ({"n_functions": None}, "no end"),
        ({"channels": 0}, "at least 1"),
        ({"first": {"ordr": 3}}, "did you mean 'order'"),
        ({"first": {"n_max": [9, 9, 9]}}, "not 'n_max'"),
    ):
        with pytest.raises(ValueError, match=message):
            ContractedACE(**{**SMALL, **arguments})
