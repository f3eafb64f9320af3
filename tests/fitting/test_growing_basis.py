import numpy as np
import pytest
import torch
from ase.build import bulk

from adlayer import Structures, evaluate
from adlayer.config import build
from adlayer.data import Dataset
from adlayer.fitting import Fit, GradientDescent, Ladder, LeastSquares, fit
from adlayer.potential import ReferenceEnergies
from adlayer.potentials.ace import ACE
from adlayer.potentials.emt import EMT
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.pace import PACE


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)

    def some(n):
        frames = []
        for _ in range(n):
            atoms = bulk("Cu", cubic=True)
            atoms.set_cell(atoms.cell[:] * rng.uniform(0.97, 1.04), scale_atoms=True)
            atoms.positions += rng.normal(0, 0.12, atoms.positions.shape)
            frames.append(atoms)
        structures = Structures.from_ase(frames)
        return Dataset(structures, evaluate(EMT(), structures))

    return some(6), some(6)


def ace(**arguments):
    return ACE(["Cu"], 4.5, **{"order": 3, "degree": 9.0, "pair": 6, **arguments})


def test_the_size_that_fits_best_is_kept(sets):
    """Without a prior 24 atoms do not determine all functions; the ladder stops before they do harm."""
    method = LeastSquares(ridge=0.0)
    whole, climbed = (m(ace(), *sets) for m in (method, Ladder(method, first=6, growth=1.6)))
    steps = climbed.history
    assert [h["functions"] for h in steps] == sorted({h["functions"] for h in steps})
    assert len(steps) > 3
    best = min(steps, key=lambda h: h["loss"])
    kept = next(p for p in climbed.potential.parts if isinstance(p, ACE))
    assert kept.n_functions == best["functions"] < ace().n_functions
    assert climbed.metrics["valid"]["forces_rmse"] == pytest.approx(best["forces_rmse"], rel=1e-9)
    assert climbed.metrics["valid"]["forces_rmse"] < whole.metrics["valid"]["forces_rmse"]
    alone = method(ace(n_functions=kept.n_functions), *sets)
    torch.testing.assert_close(kept.c, next(p for p in alone.potential.parts if isinstance(p, ACE)).c)
    energies = next(p for p in climbed.potential.parts if isinstance(p, ReferenceEnergies)).energies
    assert energies.requires_grad


def test_steps_of_an_embedding_go_on_from_each_other(sets):
    potential = PACE(["Cu"], 4.5, [4, 2], [0, 2], embedding="finnis-sinclair", spacing=0.005)
    method = build(
        {"Ladder": {"method": {"GradientDescent": {"epochs": 25, "learning_rate": 0.02}}, "step": 3, "first": 4}}, Fit
    )
    assert isinstance(method.method, GradientDescent)
    fitted = method(potential, sets[0])
    assert [h["functions"] for h in fitted.history] == [4, 7, 10, potential.n_functions]
    losses = [h["loss"] for h in fitted.history]
    assert losses[0] > losses[-1]
    once = method.method(potential, sets[0])
    assert losses[-1] < method.weights.loss(once.metrics["train"])
    assert fitted.stopped == "13 of 13 functions after 4 steps"


def test_usual_method_and_what_cannot_grow(sets):
    fitted = fit(ace(degree=5.0), *sets, {"Ladder": {"first": 5}})
    assert fitted.posterior is not None
    with pytest.raises(TypeError, match="needs a basis that can grow"):
        fit(LennardJones(epsilon=0.4, sigma=2.3, cutoff=4.5), *sets, Ladder())
    with pytest.raises(ValueError, match="growth above 1"):
        Ladder(growth=1.0)
