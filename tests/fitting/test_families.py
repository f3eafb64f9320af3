"""Every family is fitted through the same recipe."""

import pytest
import torch
from pair_basis import copper, labeled

from adlayer import build
from adlayer.fitting import fit
from adlayer.potentials.morse import Morse

FAMILIES = {
    "ACE": {"elements": ["Cu"], "cutoff": 4.5, "order": 2, "degree": 6.0, "pair": 5},
    "HDNNP": {"elements": ["Cu"], "cutoff": 4.5, "hidden": [8, 8]},
    "PaiNN": {"elements": ["Cu"], "cutoff": 4.5, "features": 8, "blocks": 2, "n_radial": 8},
    "EmbeddedACE": {"elements": ["Cu"], "cutoff": 4.5, "order": 2, "degree": 4.0, "embedding": "finnis-sinclair"},
}
DESCENT = {"epochs": 6, "batch": 4, "learning_rate": 0.005, "average": 0.0, "schedule": "ConstantRate"}


@pytest.fixture(scope="module")
def sets():
    by = Morse(cutoff=4.5)
    return labeled(copper(12), by), labeled(copper(3, 1), by)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_learns(name, sets, tmp_path):
    recipe = {name.removeprefix("Embedded"): FAMILIES[name]}
    if name == "ACE":
        fitted = fit(recipe, *sets)
        assert fitted.history[0]["solver"] == "QR"
        assert fitted.metrics["valid"]["forces_rmse"] < 0.02
        return
    torch.manual_seed(0)
    potential = build(recipe)
    begun = fit(potential, *sets, {"GradientDescent": {**DESCENT, "epochs": 4}}, folder=tmp_path)
    resumed = fit(potential, *sets, {"GradientDescent": DESCENT}, folder=tmp_path)
    whole = fit(potential, *sets, {"GradientDescent": DESCENT})
    losses = [row["valid_loss"] for row in whole.history]
    assert losses[-1] < 0.9 * losses[0]
    assert [row["valid_loss"] for row in begun.history] == losses[:4]
    assert [row["valid_loss"] for row in resumed.history] == losses
