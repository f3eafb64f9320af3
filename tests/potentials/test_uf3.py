"""Pairs and triplets on B-splines."""

from itertools import product

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Dataset, Graph, Structures, evaluate, kernels
from adlayer.fitting import LeastSquares
from adlayer.nn.splines import b_spline_weights
from adlayer.potential import ReferenceEnergies, Sum
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.potentials.uf3 import UF3


def frames(n, seed):
    found = []
    for k in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.set_cell(atoms.cell * (0.97 + 0.06 * k / n), scale_atoms=True)
        atoms.rattle(0.12, seed=seed + k)
        found.append(atoms)
    return Structures.from_ase(found)


@pytest.fixture(scope="module")
def data() -> Dataset:
    train = frames(8, 0)
    return Dataset(train, evaluate(StillingerWeber.silicon(), train)._replace(energies=None))


def test_learns_pairs_and_triplets(data):
    """Stillinger-Weber is a sum of those; where there are no data the prior keeps splines quiet."""
    new = frames(3, 100)
    expected = evaluate(StillingerWeber.silicon(), new)
    error = {}
    for smooth in (True, False):
        fitted = LeastSquares(smooth=smooth)(UF3(["Si"], 4.5, 4.0, 1.8, 16, 8), data).potential
        error[smooth] = float((evaluate(fitted, new).forces - expected.forces).square().mean().sqrt())
    assert error[True] < 0.08 * float(expected.forces.square().mean().sqrt())
    assert error[True] < 0.9 * error[False]


def test_nothing_is_left_out_that_a_triangle_reaches():
    """The products of B-splines that many triangles reach, shorter ones than ``begin`` among them, are all there."""
    n = 10
    p = UF3(["Si"], 4.0, 3.0, 0.6, 8, n)
    dropped = ~p._active()[:-3, :-3, :-3]
    assert float(dropped.double().mean()) > 0.15
    generator = torch.Generator().manual_seed(0)
    r, s = (0.3 + 2.7 * torch.rand(20_000, generator=generator, dtype=torch.float64) for _ in range(2))
    angle = torch.pi * torch.rand(20_000, generator=generator, dtype=torch.float64)
    t = (r * r + s * s - 2 * r * s * angle.cos()).sqrt()
    _, h, h_q = p.steps
    reached = torch.zeros(n + 3, n + 3, 2 * n + 3, dtype=torch.bool)
    (a, _), (b, _), (c, _) = (b_spline_weights((x - 0.6) / d, m) for x, d, m in ((r, h, n), (s, h, n), (t, h_q, 2 * n)))
    for x, y, z in product(range(4), repeat=3):
        reached[a + x, b + y, c + z] = True
    assert not bool((reached[:-3, :-3, :-3] & dropped).any())


def test_prior_is_zero_for_straight_lines_but_for_the_ridge():
    p = UF3(["Si"], 4.0, 0.0, 1.0, 8, ridge=0.0)
    P = p.penalty()
    line = (8.0 - torch.arange(8.0)).double()  # to zero at the first that is trimmed
    assert float(line @ P @ line) == pytest.approx(1.0)  # the kink at the end
    assert float(torch.linalg.eigvalsh(P)[0]) > 0


def test_prior_of_a_sum(data):
    """A matrix beside numbers; reference energies stay free."""
    whole = Sum([ReferenceEnergies({"Si": 0.0}), UF3(["Si"], 4.0, 0.0, 1.8, 8)])
    assert whole.penalty().shape == (9, 9)
    moved = data.labels._replace(energy=data.labels.energy + 100.0 * data.structures.counts)
    one, other = (
        LeastSquares(ridge=1e-3)(UF3(["Si"], 4.0, 0.0, 1.8, 8), Dataset(data.structures, y)).potential
        for y in (data.labels, moved)
    )
    a, b = evaluate(one, data.structures), evaluate(other, data.structures)
    torch.testing.assert_close(a.forces, b.forces, rtol=0, atol=1e-6)
    torch.testing.assert_close(a.energy + 100.0 * data.structures.counts, b.energy, rtol=0, atol=1e-6)


def test_lone_pair_and_straight_triplet():
    """Beyond ``cutoff_3`` of each other two neighbors still count, up to twice as far."""
    p = UF3(["Si"], 4.0, 3.0, 1.0, 8, 4)
    line = Structures.from_ase(Atoms("Si3", [[0, 0, 0], [2.5, 0, 0], [-2.5, 0, 0]]))
    pairs = UF3(["Si"], 4.0, 0.0, 1.0, 8, 4)
    pairs.coefficients = p.coefficients[: pairs.n_coefficients]
    assert abs(float(evaluate(p, line).energy - evaluate(pairs, line).energy)) > 1e-5


def test_single_precision_and_threads(data):
    graph = Graph.of(data.structures[:2], 4.5)
    p = UF3(["Si"], 4.5, 3.5, 1.5, 10, 5)
    exact = evaluate(p, graph)
    single = p.float()
    with kernels.plain():
        plain = evaluate(single, graph)
    torch.testing.assert_close(evaluate(single, graph).forces, plain.forces, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(exact.forces.float(), plain.forces, rtol=1e-3, atol=1e-4)


def test_bad_arguments():
    for arguments, match in (
        ({"begin": 5.0, "cutoff": 4.0}, "begin must be below both cutoffs"),
        ({"cutoff": 4.0, "cutoff_3": 5.0}, "at most the cutoff"),
        ({"pairs": 2}, "at least 4 intervals"),
    ):
        with pytest.raises(ValueError, match=match):
            UF3(["Si"], **arguments)
