import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Structures, evaluate
from adlayer.checks import check_descriptor, check_potential
from adlayer.data import Dataset
from adlayer.descriptors.aev import AEV
from adlayer.fitting import GradientDescent
from adlayer.formats import read_potential, write_potential
from adlayer.graph import Graph
from adlayer.potential import Evaluator
from adlayer.potentials.ani import ANI
from adlayer.potentials.emt import EMT


def test_constants_of_the_programs():
    """Two neighbors at right angles: 0.25, 2 and 0.95 by hand."""
    aev = AEV(["Si"], 6.0, 5.0, 1.1, 0.7, 3.5, [2.0], [1.5], [0.4])
    a, b = 2.1, 2.6
    G = aev(Graph.of(Structures.from_ase(Atoms("Si3", [[0, 0, 0], [a, 0, 0], [0, b, 0]])), 6.0))[0].numpy()

    def f_c(r, cutoff):
        return 0.5 + 0.5 * np.cos(np.pi * r / cutoff)

    radial = 0.25 * sum(np.exp(-1.1 * (r - 2.0) ** 2) * f_c(r, 6.0) for r in (a, b))
    # The angle is 90 degrees, whatever its cosine is multiplied by.
    angular = 2 * ((1 + np.cos(np.pi / 2 - 0.4)) / 2) ** 3.5 * np.exp(-0.7 * ((a + b) / 2 - 1.5) ** 2)
    np.testing.assert_allclose(G, [radial, angular * f_c(a, 5.0) * f_c(b, 5.0)], rtol=1e-12)


def test_whole_exponents_and_other_cutoff_functions():
    aev = AEV(**{**AEV.small, "zeta": 32.0, "sections": 3, "cutoff_function": "exp"})
    check_descriptor(aev, ["fused_equals_plain", "second_derivatives", "stress_is_derivative"])


def test_celu():
    made = ANI(**{**ANI.small, "activation": "celu"})
    check_potential(made, ["forces_are_derivatives", "second_derivatives", "fused_equals_plain"])


def test_ensemble(silicon_structures):
    """Mean and spread are those of single potentials with the members' networks."""
    made = ANI(**{**ANI.small, "members": 3})
    singles = [ANI(**{**ANI.small, "members": 1}) for _ in made.members]
    for single, member in zip(singles, made.members):
        single.members[0].load_state_dict(member.state_dict())
    said, each = evaluate(made, silicon_structures), [evaluate(p, silicon_structures) for p in singles]
    assert each[0].std is None
    for name in ("energy", "forces", "energies"):
        values = torch.stack([getattr(p, name) for p in each])
        torch.testing.assert_close(getattr(said, name), values.mean(0))
        torch.testing.assert_close(getattr(said.std, name), values.std(0))
    torch.testing.assert_close(said.stress, torch.stack([p.stress for p in each]).mean(0), equal_nan=True)
    D = made.deviations(Graph.of(silicon_structures, made.cutoff))
    torch.testing.assert_close(torch.linalg.vector_norm(D, dim=-1), said.std.energy)
    assert evaluate(made, silicon_structures, std=False).std is None
    assert evaluate(made, silicon_structures, forces=False, stress=False).std.forces is None


def test_learns(rng):
    """EMT of strained copper-gold from 12 frames: forces of other frames to an eighth of their size."""
    frames = []
    for k in range(16):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[k % 4] = "Au"
        atoms.set_cell(atoms.cell.array * (1.03 + 0.02 * rng.normal()), scale_atoms=True)
        atoms.rattle(0.1, seed=k)
        frames.append(atoms)
    s = Structures.from_ase(frames)
    data = Dataset(s, Evaluator(EMT(["Cu", "Au"]))(s))
    descriptor = AEV(["Cu", "Au"], 5.0, 4.0, 8.0, 4.0, 8.0, 8, 3, 4, 1.8)
    made = ANI(["Cu", "Au"], descriptor=descriptor, hidden=[16, 8])
    fitted = GradientDescent(epochs=60, learning_rate=0.01)(made, data[:12], data[12:]).potential
    test = data[12:]
    error = (evaluate(fitted, test.structures).forces - test.labels.forces).abs().mean()
    assert error < 0.125 * test.labels.forces.abs().mean()


def test_standardized(silicon_structures, tmp_path):
    """Networks see features of mean 0 and spread 1 at most, once and for all; TorchANI's know nothing of that."""
    made = ANI(**{**ANI.small, "activation": "celu", "members": 1, "standardize": True})
    graph = Graph.of(silicon_structures, made.cutoff)
    made.prepare([graph])
    G, of = made.descriptor(graph), made.species(graph.numbers) == 0
    x = (G[of] - made.mean[0]) / made.spread[0]
    torch.testing.assert_close(x.mean(0), torch.zeros_like(x[0]), rtol=0, atol=1e-10)
    assert 0.99 < float(x.std(0).max()) < 1
    write_potential(tmp_path / "model.pt", made, "torchani")
    torch.testing.assert_close(read_potential(tmp_path / "model.pt")(graph).energy, made(graph).energy)
    before = made.spread.clone()
    made.prepare([Graph.of(silicon_structures[0], made.cutoff)])
    assert torch.equal(made.spread, before)


def test_messages():
    with pytest.raises(ValueError, match="did you mean 'cos'"):
        AEV(["Si"], cutoff_function="coss")
    with pytest.raises(ValueError, match="angular_cutoff is from 0 to the cutoff of 4"):
        AEV(["Si"], 4.0, 5.0)
    with pytest.raises(ValueError, match="those of the descriptor Cu"):
        ANI(["Si"], descriptor=AEV(["Cu"]))
    with pytest.raises(ValueError, match="members is at least 1"):
        ANI(["Si"], members=0)
