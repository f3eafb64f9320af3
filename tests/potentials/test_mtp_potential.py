"""Moment tensor potentials: fits of the linear part and of all."""

import pytest
import torch
from ase.build import bulk

from adlayer import Dataset, Graph, Structures, evaluate
from adlayer.fitting import GradientDescent, LeastSquares
from adlayer.potentials.mtp import MTP
from adlayer.potentials.stillinger_weber import StillingerWeber


@pytest.fixture(scope="module")
def data() -> Dataset:
    frames = [bulk("Si", cubic=True) for _ in range(8)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=k)
    structures = Structures.from_ase(frames)
    return Dataset(structures, evaluate(StillingerWeber.silicon(), structures)._replace(energies=None))


def test_more_levels_fit_better_and_gradient_descent_better_still(data):
    def error(potential):
        return float((evaluate(potential, data.structures).forces - data.labels.forces).square().mean().sqrt())

    fitted = {level: LeastSquares()(MTP(["Si"], 4.0, level, 6), data).potential for level in (6, 10)}
    assert error(fitted[10]) < 0.5 * error(fitted[6])
    start = fitted[6]
    better = GradientDescent(epochs=15, batch=8, optimizer="lbfgs", energies="none")(start, data).potential
    assert error(better) < 0.9 * error(fitted[6])


def test_design_is_that_of_the_plain_definition(data):
    potential = MTP(["Si"], 4.0, 10, 5)
    graph = Graph.of(data.structures[:1], 4.0)
    B = potential.invariants(graph, potential.species(graph.numbers), potential.w)
    torch.testing.assert_close(
        potential.design(graph, False, False).energy[0], B.sum(0).detach(), rtol=1e-11, atol=1e-11
    )


def test_bad_arguments():
    for arguments, match in (({"level": 7}, "even number"), ({"min_dist": 6.0}, "min_dist must be below")):
        with pytest.raises(ValueError, match=match):
            MTP(["Si"], **arguments)
