from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Graph, Structures, evaluate
from adlayer.data import Dataset
from adlayer.engines.ase import Calculator
from adlayer.fitting import LeastSquares
from adlayer.formats import read_potential
from adlayer.nn.maxvol import ActiveSet, exchange, pivots
from adlayer.potential import ReferenceEnergies
from adlayer.potentials.ace import ACE
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.snap import SNAP
from adlayer.saving import load, save
from adlayer.uncertainty import Extrapolating, ExtrapolationGrade, assess

GRADES = Path(__file__).parents[1] / "reference/pace/grades.yaml"


def structures_of(frames):
    return Structures.from_ase([Atoms(f["symbols"], f["positions"], cell=f["cell"], pbc=True) for f in frames])


def test_exchange_finds_large_volumes(rng):
    """No single exchange makes it larger, and all sets but few are smaller."""
    rows = rng.normal(size=(14, 4))
    found = exchange(pivots(rows), rows, 1.0 + 1e-9)
    assert np.abs(np.linalg.solve(found.T, rows.T)).max() <= 1 + 1e-8
    volumes = [abs(np.linalg.det(rows[list(k)])) for k in combinations(range(14), 4)]
    assert np.mean(np.array(volumes) > abs(np.linalg.det(found)) * (1 + 1e-9)) < 0.01


def test_what_nobody_knows_counts_up_to_a_limit(rng):
    """A direction and a component that no known row has; both are known once they have been learned."""
    known = np.zeros((20, 3))
    known[:, 0] = rng.uniform(-1, 1, 20)
    known[:, 1] = 2 * known[:, 0]
    active = ActiveSet.empty(np.full(3, 1e-3))
    active.learn(known)
    assert active.grades(known).max() <= 1.001
    for new, grade in (([0.0, 0.01, 0.0], 5.0), ([0.0, 0.0, 0.05], 50.0)):
        row = np.array([new])
        assert active.grades(row)[0] == pytest.approx(grade, rel=1e-6)
        active.learn(row)
        assert active.grades(row)[0] <= 1.001


def test_grades_of_python_ace(reference):
    """From the same active set the same grades, and no exchange that it needs; our own set is about as large."""
    table, potential = reference("pace.json")["active"], read_potential(GRADES)
    known, asked = structures_of(table["known"]), structures_of(table["asked"])
    mine, theirs = ExtrapolationGrade().active(potential, known), {}
    B, z = potential.projections(Graph.of(known, potential.cutoff)).numpy(), potential.species(known.numbers).numpy()
    for e, rows in enumerate(table["rows"]):
        A = B[z == e][rows]
        columns = np.flatnonzero(np.any(A != 0, 0))
        theirs[e] = ActiveSet(np.ones(B.shape[1]), columns, A[:, columns])
        assert set(mine[e].columns) == set(columns)
        here = mine[e].A * mine[e].limit[mine[e].columns]
        order = np.argsort(mine[e].columns)
        # Both are maxima that no single exchange leaves; of 32 rows a volume 0.6 times the other is as good.
        assert np.linalg.slogdet(here[:, order])[1] > np.linalg.slogdet(theirs[e].A)[1] - 1.0
        np.testing.assert_array_equal(exchange(A[:, columns], B[z == e][:, columns]), A[:, columns])
    graded = Extrapolating.of(potential, theirs)
    assert float(graded.grades(known).max()) == pytest.approx(max(table["largest"]), abs=1e-8)
    gamma, z = graded.grades(asked), potential.species(asked.numbers)
    for e, expected in enumerate(table["grades"]):
        np.testing.assert_allclose(gamma[z == e].numpy(), expected, rtol=1e-8)
    ours = Extrapolating.of(potential, mine)
    assert float(ours.grades(known).max()) <= 1.001 + 1e-9
    ratio = ours.grades(asked) / gamma
    assert float(ratio.min()) > 0.4
    assert float(ratio.max()) < 2


def crystals(rng, n, rattle, element="Cu"):
    frames = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.numbers[:] = Atoms(element).numbers[0]
        atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
        frames.append(atoms)
    return Structures.from_ase(frames)


@pytest.fixture
def graded(rng):
    truth = LennardJones(epsilon=0.4, sigma=2.3, cutoff=4.5)
    train, valid = (crystals(rng, n, 0.1) for n in (14, 4))
    train, valid = (Dataset(s, evaluate(truth, s)) for s in (train, valid))
    potential = ACE(["Cu", "O"], 4.5, order=2, degree=5.0, pair=4)
    return ExtrapolationGrade().fit(potential, train, valid, LeastSquares()), train, valid


def test_fitted_graded_saved(graded, rng, tmp_path):
    potential, train, valid = graded
    assert isinstance(potential.potential.parts[0], ReferenceEnergies)
    assert float(potential.grades(train.structures).max()) <= 1.001 + 1e-6
    far, other = crystals(rng, 3, 0.5), crystals(rng, 1, 0.1, "O")
    assert float(potential.grades(far).max()) > 3
    assert float(potential.grades(other).min()) > 1e3  # an element that was never seen
    save(tmp_path / "graded.adl", potential)
    again = load(tmp_path / "graded.adl")
    torch.testing.assert_close(again.grades(far), potential.grades(far), rtol=0, atol=0)
    assert "forces" in assess(evaluate(potential, valid.structures), valid).as_dict()
    atoms = far.to_ase()[0]
    atoms.calc = Calculator(again)
    atoms.get_forces()
    expected = potential.grades(far)[:4] * potential.scales[0]
    np.testing.assert_allclose(atoms.calc.results["energies_std"], expected, rtol=1e-10)
    torch.testing.assert_close(potential.float().grades(far), again.grades(far), rtol=1e-3, atol=0)


def test_chooses_what_is_new_once(graded, rng):
    potential, train, _ = graded
    far = crystals(rng, 3, 0.4)
    candidates = Structures.cat([train.structures[[0, 1]], far[[0]], far[[0]], far[[1]]])
    chosen = potential.choose(candidates, 4)
    assert set(chosen) in ({2, 4}, {3, 4})
    worst = potential.grades(candidates).reshape(5, -1).amax(1)
    assert float(worst[chosen[0]]) == float(worst.max())
    assert potential.choose(train.structures, 4) == []


def test_any_linear_family(rng):
    s = crystals(rng, 10, 0.1)
    potential = SNAP(["Cu"], 4.0, 4)
    grade = ExtrapolationGrade(floor=1e-8, passes=5)
    graded = Extrapolating.of(potential, grade.active(potential, s))
    streamed = Extrapolating.of(potential, grade.active(potential, s, memory=8 * 15 * 8))
    for g in (graded, streamed):
        assert float(g.grades(s).max()) <= 1.01
        assert float(g.grades(crystals(rng, 2, 0.5)).max()) > 3
    with pytest.raises(ValueError, match="FeatureDistance is for any"):
        Extrapolating(LennardJones(epsilon=0.4, sigma=2.3, cutoff=4.5) + ReferenceEnergies({"Cu": 0.0}), 2)
