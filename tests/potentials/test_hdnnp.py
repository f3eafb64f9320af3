"""HDNNP: networks on scaled symmetry functions. Its laws are tried with those of all potentials."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from adlayer import Structures, evaluate
from adlayer.config import build
from adlayer.descriptors.acsf import ACSF
from adlayer.graph import Graph
from adlayer.nn.networks import ACTIVATIONS, MLP
from adlayer.potential import Potential
from adlayer.potentials.hdnnp import HDNNP


@pytest.fixture
def silicon():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.symbols[:3] = "H"
    return Structures.from_ase(atoms)


def test_a_recipe_needs_elements_and_cutoff_only(silicon):
    made = build({"HDNNP": {"elements": ["Si", "H"], "cutoff": 6.0}}, Potential)
    assert made.cutoff == 6.0
    assert isinstance(made.descriptor, ACSF)
    assert evaluate(made, silicon).forces.abs().max() > 0


@pytest.mark.parametrize(
    ("scaling", "low", "high", "mean", "std"),
    [
        ("scale", -1.0, 2.0, None, None),
        ("scale_center", None, None, -1.0, None),
        ("center", None, None, 0.0, None),
        ("sigma", None, None, -1.0, 3.0),
        ("none", None, None, None, None),
    ],
)
def test_scaling(silicon, scaling, low, high, mean, std):
    """What the networks see of the training set has the range, mean or width that was asked for."""
    made = HDNNP(**{**HDNNP.small, "scaling": scaling, "scaled_to": [-1.0, 2.0]})
    graph = Graph.of(silicon, made.cutoff)
    made.prepare([graph])
    seen = []
    made.networks.networks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    made(graph)
    G = made.descriptor(graph)[silicon.numbers == 14]
    x = seen[0].detach()
    assert x.shape == G.shape
    for expected, found in ((low, x.amin(0)), (high, x.amax(0)), (mean, x.mean(0)), (std, x.std(0))):
        if expected is not None:
            torch.testing.assert_close(found, torch.full_like(found, expected), rtol=0, atol=1e-9)
    if scaling == "scale_center":
        width = (x.amax(0) - x.amin(0)).numpy()
        np.testing.assert_allclose(width, 3.0)
    if scaling == "none":
        assert torch.equal(x, G)


def test_constant_features_are_left_out():
    made = HDNNP(["Si"], cutoff=4.0)
    perfect = Structures.from_ase(bulk("Si"))
    made.prepare([Graph.of(perfect, 4.0)])
    energy = evaluate(made, perfect).energy
    assert bool(energy.isfinite().all())


def test_elements_may_differ_in_functions_and_networks(silicon):
    from adlayer.descriptors.symmetry_functions import RadialGaussian

    functions = [RadialGaussian("Si", "Si", 0.2, x, 5.0) for x in (1.0, 2.0, 3.0)] + [
        RadialGaussian("H", "Si", 0.3, 1.0, 5.0)
    ]
    made = HDNNP(
        ["Si", "H"],
        descriptor=ACSF(["Si", "H"], functions=functions),
        hidden={"Si": [4, 3], "H": [2]},
        activation={"Si": ["tanh", "silu", "identity"], "H": "softplus"},
    )
    assert [n.sizes for n in made.networks.networks] == [(3, 4, 3, 1), (1, 2, 1)]
    assert bool(evaluate(made, silicon).forces.isfinite().all())


def test_activations():
    """ln 2 is taken off the shifted softplus; n2p2's exp is of minus x."""
    x = torch.tensor([[0.7]], dtype=torch.float64)
    expected = {"exp": np.exp(-0.7), "gaussian": np.exp(-0.245), "harmonic": 0.49, "shifted_softplus": 0.41002}
    for name, value in expected.items():
        assert float(ACTIVATIONS[name](x)) == pytest.approx(value, rel=1e-4)
    with pytest.raises(ValueError, match="no activation 'tahn'"):
        MLP([1, 1], ["tahn"])
    with pytest.raises(ValueError, match="2 layers need as many activations"):
        MLP([1, 2, 1], ["tanh"])


def test_bad_arguments():
    with pytest.raises(ValueError, match="did you mean 'sigma'"):
        HDNNP(["Si"], scaling="sigmas")
    with pytest.raises(ValueError, match="those of the descriptor Cu"):
        HDNNP(["Si"], descriptor=ACSF(["Cu"]))
