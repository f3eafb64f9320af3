"""Deep Potential: statistics and fits. Its numbers are compared with the original's in tests/formats/test_deepmd.py."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Graph, Structures, evaluate
from adlayer.checks import check_potential
from adlayer.config import build
from adlayer.descriptors.deep_potential import SeE2A, SeE2R, SeE3
from adlayer.kernels import plain
from adlayer.nn.residual import ResidualNetwork
from adlayer.potential import Potential
from adlayer.potentials.deep_potential import DeepPotential


def rattled(n: int = 1) -> list[Atoms]:
    frames = [bulk("Cu", cubic=True) for _ in range(n)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=k)
    return frames


def test_statistics_are_those_of_places_for_neighbors():
    """Over all places of all atoms, empty ones included, the rows seen by the networks have mean 0 and width 1."""
    descriptor = SeE2A(["Cu"], cutoff=4.5, embedding=[4], axis=2, sel=[60])
    graph = Graph.of(Structures.from_ase(rattled(2)), 4.5)
    descriptor.prepare([graph])
    env = descriptor.environment
    R = env(graph)[1]
    n_places = 60 * graph.n_atoms
    n_empty = n_places - graph.n_edges
    assert n_empty > 0
    assert float(R[:, 0].sum() + n_empty * env.empty) == pytest.approx(0, abs=1e-9)
    assert float((R[:, 0] ** 2).sum() + n_empty * env.empty**2) == pytest.approx(n_places)
    assert float((R[:, 1:] ** 2).sum()) == pytest.approx(3 * n_places)


def test_places_are_counted_where_they_are_not_given():
    descriptor = SeE2R(["Cu", "O"], cutoff=3.0, embedding=[4])
    descriptor.prepare([Graph.of(Structures.from_ase(bulk("Cu")), 3.0)])
    assert descriptor.environment.sel.tolist() == [16, 4]  # 12 neighbors and a tenth more, in steps of 4
    given = SeE3(["Cu", "O"], cutoff=3.0, sel={"O": 7, "Cu": 20})
    given.prepare([Graph.of(Structures.from_ase(bulk("Cu")), 3.0)])
    assert given.environment.sel.tolist() == [20, 7]


def test_more_neighbors_than_places_are_no_step():
    descriptor = SeE2A(["Cu"], cutoff=3.0, embedding=[4], axis=2, sel=[12])
    descriptor.prepare([Graph.of(Structures.from_ase(rattled(2)), 3.0)])
    atoms = Atoms("Cu14", positions=[[0, 0, 0], *bulk("Cu").repeat(3).positions[1:13] + 0.4, [2.99999, 0, 0]])
    D = []
    for _ in range(2):
        D.append(descriptor(Graph.of(Structures.from_ase(atoms), 3.0))[0])
        atoms.positions[-1, 0] += 2e-5
    torch.testing.assert_close(D[0], D[1], rtol=0, atol=1e-9)


def test_residual_layers():
    network = ResidualNetwork([2, 4, 4, 3], timestep=True, n_outputs=1)
    assert [network.copies(l) for l in range(4)] == [2, 1, 0, 0]
    assert set(network.timesteps) == {"0", "1"}
    for b in [*network.weights, *network.biases][:-4]:
        b.data.zero_()
    x = torch.rand(5, 2, dtype=torch.float64)
    W = [w.detach() for w in network.weights]
    for b in network.biases:
        b.data.zero_()
    y = x @ W[0].T
    y = torch.cat([x, x], 1) + network.timesteps["0"] * torch.tanh(y)
    y = y + network.timesteps["1"] * torch.tanh(y @ W[1].T)
    y = torch.tanh(y @ W[2].T) @ W[3].T
    torch.testing.assert_close(network(x), y)


def test_it_learns():
    """A fit through the recipe's own method, on energies and forces of EMT copper."""
    from ase.calculators.emt import EMT

    from adlayer.data import Dataset
    from adlayer.fitting import GradientDescent

    frames = rattled(8)
    for atoms in frames:
        atoms.calc = EMT()
        atoms.get_forces()
    potential = DeepPotential(["Cu"], descriptor=SeE2A(["Cu"], cutoff=4.0, embedding=[6, 12], axis=4), hidden=[16, 16])
    fit = GradientDescent(epochs=40, batch=6, learning_rate=5e-3)
    fitted = fit(potential, Dataset.from_ase(frames[:6]), Dataset.from_ase(frames[6:]))
    errors = [row["valid_forces_mae"] for row in fitted.history]
    assert errors[-1] < 0.4 * errors[0]
    (learned,) = (m for m in fitted.potential.modules() if isinstance(m, DeepPotential))
    assert float(learned.descriptor.environment.mean) > 0


@pytest.fixture(params=[True, False], ids=["one-side", "pairs"])
def evaluated(request):
    """A potential that nobody trains, which takes the kernel; with statistics, so that empty places count."""
    seen = {"SeE2A": {**SeE2A.small, "embedding": [5, 10], "axis": 3, "one_side": request.param}}
    potential = DeepPotential(["Si", "H"], descriptor=seen, hidden=[6, 6])
    atoms = bulk("Si", cubic=True)
    atoms.symbols[::3] = "H"
    atoms.rattle(0.1, seed=1)
    potential.prepare([Graph.of(Structures.from_ase(atoms), potential.cutoff)])
    return potential


LAWS = ("forces_are_derivatives", "stress_is_derivative", "second_derivatives", "longer_list", "separation", "saving")


def test_tables_obey_the_laws(evaluated):
    assert evaluated.compress() < 1e-11
    check_potential(evaluated, LAWS)


def test_the_kernel_is_the_definition(evaluated):
    atoms = bulk("Si", cubic=True)
    atoms.symbols[1::2] = "H"
    atoms.rattle(0.3, seed=2)
    graph = Graph.of(Structures.from_ase(atoms), evaluated.cutoff + 0.5)
    for kind, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        evaluated.to(kind)
        fast = evaluate(evaluated, graph)
        with plain():
            slow = evaluate(evaluated, graph)
        assert not torch.equal(fast.forces, slow.forces)  # else the kernel was not asked
        torch.testing.assert_close(fast.energies, slow.energies, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(fast.forces, slow.forces, rtol=tolerance, atol=10 * tolerance)


def test_tables_follow_the_parameters(evaluated):
    structures = Structures.from_ase(bulk("Si"))
    before = evaluate(evaluated, structures).energy
    with torch.no_grad():
        evaluated.descriptor.embedding.networks[0].weights[1] *= 1.5
    after = evaluate(evaluated, structures).energy
    with plain():
        torch.testing.assert_close(after, evaluate(evaluated, structures).energy, rtol=1e-13, atol=1e-13)
    assert float((after - before).abs()) > 1e-6


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="axis must be 1 to 6"):
        SeE2A(["Cu"], embedding=[3, 6], axis=7)
    with pytest.raises(ValueError, match="inner must be from 0 to below the cutoff"):
        SeE2R(["Cu"], cutoff=4.0, inner=4.0)
    with pytest.raises(ValueError, match="sel has no number for O"):
        SeE3(["Cu", "O"], sel={"Cu": 20})
    with pytest.raises(ValueError, match="elements are Cu but those of the descriptor Si, H"):
        build({"DeepPotential": {"elements": ["Cu"], "descriptor": {"SeE2A": SeE2A.small}}}, Potential)
