import json

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from adlayer import Evaluator, Graph, Structures, evaluate
from adlayer.config import build, describe
from adlayer.nn.couplings import invariants
from adlayer.potentials.ace import ACE, EMBEDDINGS, select


def copper(seed=1, rattle=0.1):
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(rattle, seed=seed)
    return Structures.from_ase(atoms)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_invariant_under_rotation_and_order_for_every_body_order(order):
    potential = ACE(["O", "H"], cutoff=3.0, order=order, degree=[order + 3.0] * 5, weight_l=1.0, pair=2)
    assert max(len(f) for f in potential.functions) == order
    assert order == 1 or any(c.l for f in potential.functions if len(f) == order for c in f)
    atoms = molecule("CH3OH")
    atoms.symbols[0] = "O"
    atoms.rattle(0.1, seed=0)
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3))
    turned = turned[np.random.default_rng(0).permutation(len(atoms))]
    mirrored = atoms.copy()
    mirrored.positions *= [1, 1, -1]
    E, E_turned, E_mirrored = evaluate(potential, Structures.from_ase([atoms, turned, mirrored]), forces=False).energy
    torch.testing.assert_close(E_turned, E, rtol=1e-12, atol=0)
    torch.testing.assert_close(E_mirrored, E, rtol=1e-12, atol=0)


def test_functions_are_linearly_independent():
    """Completeness without redundancy: random neighborhoods give a design of full rank."""
    potential = ACE(["Cu"], cutoff=6.0, order=4, degree=8.0, weight_l=1.0, pair=4)
    rng = np.random.default_rng(0)
    atoms = [molecule("CH4") for _ in range(3 * potential.n_functions // 5)]
    for a in atoms:
        a.numbers[:] = 29
        a.positions = rng.normal(size=(5, 3)) * 1.6
    s = Structures.from_ase(atoms)
    design = potential.design(Graph.of(s, 6.0), virial=False)
    X = torch.cat([design.energy, design.forces.reshape(-1, potential.n_functions)])
    X = X / X.norm(dim=0)
    S = torch.linalg.svdvals(X)
    assert float(S[-1] / S[0]) > 1e-10


def test_exponential_prior_falls_by_a_factor_for_each_step():
    """Twice the rate per step in the penalty, which is a precision: products of factors have products of penalties."""
    potential = ACE(["Cu", "O"], cutoff=4.0, order=3, degree=6.0, weight_l=1.0, pair=3, decay=[0.5, 0.25])
    penalty = dict(zip(potential.functions, potential.penalty()[: potential.n_functions].tolist()))
    assert {penalty[f] for f in penalty if f[0].n < 3} == {1.0}
    first = {tuple(potential.degrees(f)): x for f, x in penalty.items() if f[0].n >= 3}
    assert first[(1, 0), (1, 0)] == pytest.approx(np.exp(2 * 0.5 * 2))
    assert first[(1, 0), (2, 0)] / first[(1, 0), (1, 0)] == pytest.approx(np.exp(2 * 0.5))
    assert first[(1, 1), (1, 1)] / first[(1, 0), (1, 0)] == pytest.approx(np.exp(2 * 0.25 * 2))
    assert first[(1, 0), (1, 0), (1, 0)] == pytest.approx(first[(1, 0), (1, 0)] ** 1.5)
    with pytest.raises(ValueError, match="decay must be two rates"):
        ACE(["Cu"], decay=[0.5])


def test_tables_by_order():
    functions = select(1, 3, None, 1.5, [5, 3, 2], [0, 2, 1], pair=0)
    assert sum(len(f) == 1 for f in functions) == 5
    pairs = [f for f in functions if len(f) == 2]
    assert len(pairs) == 3 * 6  # n n' symmetric, for each l
    assert {max(c.l for c in f) for f in pairs} == {0, 1, 2}
    triples = [f for f in functions if len(f) == 3]
    assert max(c.n for f in triples for c in f) == 1
    assert all(len(invariants(tuple(c.l for c in f))) for f in triples)


def test_number_of_functions():
    most = ACE(["Cu"], degree=9.0, pair=5)
    few = ACE(["Cu"], degree=9.0, pair=5, n_functions=20)
    assert few.n_functions == 20 < most.n_functions
    assert few.functions == most.functions[:20]


@pytest.mark.parametrize("radial", ["agnesi", "morse", "inverse", "chebyshev", "bessel"])
@pytest.mark.parametrize("embedding", list(EMBEDDINGS))
def test_forces_are_derivatives(radial, embedding):
    potential = ACE(["Cu"], cutoff=4.0, order=3, degree=6.0, pair=3, radial=radial, embedding=embedding)
    s, h = copper(), 1e-4
    forces = evaluate(potential, s).forces
    for atom, axis in ((0, 0), (3, 2)):
        step = torch.zeros_like(s.positions)
        step[atom, axis] = h
        E = [float(evaluate(potential, s.with_positions(s.positions + k * step), forces=False).energy) for k in (-1, 1)]
        assert float(forces[atom, axis]) == pytest.approx(-(E[1] - E[0]) / (2 * h), rel=1e-6, abs=1e-8)


def test_design_is_the_derivative_by_the_coefficients():
    potential = ACE(["Cu", "O"], cutoff=4.0, order=3, degree=6.0, pair=3)
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[1] = "O"
    slab = atoms.copy()
    atoms.rattle(0.1, seed=1)
    slab.rattle(0.1, seed=2)
    slab.pbc = (True, True, False)
    graph = Graph.of(Structures.from_ase([atoms, slab, molecule("O2")]), 4.0)
    design = potential.design(graph)
    assert design.energy.shape == (3, 2 * potential.n_functions)
    for seed in (0, 1):
        potential.coefficients = torch.randn(len(potential.coefficients), dtype=torch.float64) * (seed + 0.5)
        said, c = evaluate(potential, graph), potential.coefficients
        W = design.virial @ c
        torch.testing.assert_close(design.energy @ c, said.energy)
        torch.testing.assert_close(design.forces @ c, said.forces)
        torch.testing.assert_close(W[0] / graph.structures.measure[0], said.stress[0])


def test_finnis_sinclair_embedding():
    """F(0) = 0, F(-x) = -F(x) for the second density, and sqrt for large ones."""
    rho = torch.tensor([[0.0, 0.0], [0.0, 400.0], [0.0, -400.0], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    E = EMBEDDINGS["finnis-sinclair"](rho)
    torch.testing.assert_close(E, E.new_tensor([0.0, 20.0, -20.0, 1.0]))
    (slope,) = torch.autograd.grad(E.sum(), rho)
    assert slope[0].tolist() == [1.0, 1.25]
    with pytest.raises(TypeError, match="not linear"):
        _ = ACE(["Cu"], degree=4.0, embedding="finnis-sinclair").coefficients


def test_short_distance_repels_what_the_pair_functions_say():
    """Only the pair functions are left at short distance, where they diverge as 1/r."""
    potential = ACE(["Cu"], cutoff=5.0, order=3, degree=7.0, pair=4)
    dimers = [molecule("O2") for _ in range(2)]
    for d, r in zip(dimers, (1e-3, 2e-3)):
        d.numbers[:] = 29
        d.positions = [[0, 0, 0], [0, 0, r]]
    E = evaluate(potential, Structures.from_ase(dimers), forces=False).energy
    assert float(E[0] / E[1]) == pytest.approx(2.0, rel=1e-3)


def test_written_down_and_built_again():
    potential = ACE(["Cu"], cutoff=4.0, order=2, degree=5.0, pair=3)
    again = build(json.loads(json.dumps(describe(potential))))
    again.load_state_dict(potential.state_dict())
    s = copper()
    torch.testing.assert_close(evaluate(again, s).energy, evaluate(potential, s).energy, rtol=0, atol=0)


def test_trains_by_gradient_descent():
    """Forces are differentiable by the coefficients: a Finnis-Sinclair model learns another's forces."""
    arguments = {
        "elements": ["Cu"],
        "cutoff": 4.0,
        "order": 2,
        "degree": 5.0,
        "pair": 3,
        "embedding": "finnis-sinclair",
    }
    teacher, pupil = ACE(**arguments), ACE(**arguments)
    pupil.c.data *= 0.5
    s = copper()
    target = evaluate(teacher, s).forces
    optimizer, losses = torch.optim.Adam(pupil.parameters(), lr=0.01), []
    for _ in range(30):
        said = evaluate(pupil, s, create_graph=True)
        loss = (said.forces - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_bad_arguments():
    for arguments, message in (
        ({"order": 7}, "order must be 1 to 6"),
        ({"radial": "besel"}, "did you mean 'bessel'"),
        ({"embedding": "sqrt"}, "embedding must be one of"),
        ({"order": 3, "n_max": [4, 3], "l_max": [0, 2]}, "n_max needs 3 values"),
        ({"order": 2, "n_max": [4, 3]}, "no end"),
        ({"elements": ["Xx"]}, "not a chemical symbol"),
    ):
        with pytest.raises(ValueError, match=message):
            ACE(**{"elements": ["Cu"], **arguments})


def test_evaluator_keeps_neighbors_and_says_the_same():
    potential = ACE(["Cu"], cutoff=4.0, order=2, degree=5.0, pair=3)
    keep, s = Evaluator(potential), copper()
    for step in range(3):
        s = s.with_positions(s.positions + 0.01 * step)
        torch.testing.assert_close(keep(s).forces, evaluate(potential, s).forces)
    assert keep.neighbors.n_searches == 1
