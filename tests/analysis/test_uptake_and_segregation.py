"""Coverage curves and segregation of models that can be summed exactly; both go on where they were killed."""

import json

import numpy as np
import pytest
import torch
from ase.build import fcc100
from ase.constraints import FixAtoms

from adlayer import Prediction
from adlayer.analysis.coverage_curve import CoverageCurve
from adlayer.analysis.segregation import Segregation, layers
from adlayer.config import build, describe
from adlayer.simulation.monte_carlo import Above
from adlayer.simulation.monte_carlo.ideal_gas import BAR
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN


def copper():
    slab = fcc100("Cu", (2, 2, 4), vacuum=6.0)
    slab.pbc = (True, True, False)
    slab.set_constraint(FixAtoms([a.index for a in slab if a.tag == 4]))
    return slab


DEPTH, RADIUS = 0.25, 0.8
SIDE, TOP = copper().cell[0, 0], copper().get_tags() == 1
PLACES = torch.tensor(copper().positions[TOP] + [SIDE / 4, SIDE / 4, 1.0])


def hollow_sites(structures):
    """Four places above the surface, each for one atom of neon at most."""
    neon = structures.numbers == 10
    d = structures.positions[neon][:, None] - PLACES
    d[..., :2] -= SIDE * (d[..., :2] / SIDE).round()
    inside = torch.linalg.vector_norm(d, dim=-1) < RADIUS
    crowd = torch.zeros(len(structures), 4).index_add(0, structures.system[neon], inside.float())
    bound = crowd.sum(1).double() * structures.pbc[:, 0]
    return Prediction(torch.where(crowd.amax(1) > 1, torch.inf, -DEPTH * bound), torch.zeros_like(structures.positions))


CURVE = CoverageCurve(
    "slab", "Ne", [3.0, 30.0], [500.0] * 20, region=Above(3.0, 0.0), cavity=0.0, host=0.0, steps=600, exchange_every=5
)


def test_langmuirs_isotherm_and_its_heat():
    found = CURVE(hollow_sites, {"slab": [copper()]}, seed=1)
    volume, kT = SIDE**2 * 3.0 - 4 * 4 / 3 * np.pi * RADIUS**3, BOLTZMANN * 500
    coverage, heat = (np.array(found.data[name], dtype=float).mean(0) for name in ("coverage", "heat"))
    for j, p in enumerate(CURVE.pressures):
        z = p * BAR / kT
        K = z * 4 / 3 * np.pi * RADIUS**3 * np.exp(DEPTH / kT)
        theta, free = K / (1 + K), z * volume
        share = theta * (1 - theta) / (theta * (1 - theta) + free / 4)  # of the fluctuations, by the places
        assert coverage[j] == pytest.approx(theta + free / 4, abs=0.05)
        assert heat[j] == pytest.approx(DEPTH * share + kT, abs=0.03)
    names = [q.name for q in found.quantities]
    assert "coverage of Ne at 500 K, 30 bar" in names
    assert "isosteric heat of Ne at 500 K, 3 bar" in names
    json.dumps(found.data)
    assert len(CURVE.plot({"model": found}).axes) == 4


def test_goes_on_where_it_was_killed(tmp_path):
    short = CoverageCurve("slab", "Ne", [3.0, 30.0], [500.0], region=Above(3.0), host=0.0, steps=100)
    expected = short(hollow_sites, {"slab": [copper()]})

    def dies(done, total, message):
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        short(hollow_sites, {"slab": [copper()]}, dies, tmp_path)
    done = []
    found = short(hollow_sites, {"slab": [copper()]}, lambda n, *_: done.append(n), tmp_path)
    assert done[0] > 45
    assert found.data == expected.data
    assert describe(build(describe(short))) == describe(short)


def alloy():
    slab = copper()
    slab.numbers[::2] = 79
    return slab


GAIN = 0.06


def gold_likes_the_top(structures):
    gold = structures.numbers == 79
    top = torch.tensor(TOP).repeat(len(structures))
    return Prediction(-GAIN * sum_systems((gold & top).double(), structures), torch.zeros_like(structures.positions))


def test_segregation_of_an_ideal_solution():
    """Layers of independent sites: ``x / (1 - x) = exp((mu + gain) / k_B T)``; the free energy is that gain."""
    settings = {"references": {"Cu": 0.0, "Au": 0.0}, "vibrations": 0.0, "steps": 450}
    analysis = Segregation("slab", ["Cu", "Au"], [600.0, 900.0], [-0.05] * 6 + [0.03] * 6, **settings)
    found = analysis(gold_likes_the_top, {"slab": [alloy()]}, seed=2)
    profile = np.array(found.data["profile"]).reshape(2, 2, 6, 3).mean(2)
    for i, T in enumerate((600.0, 900.0)):
        for j, mu in enumerate((-0.05, 0.03)):
            top, inner = (1 / (1 + np.exp(-(mu + gain) / (BOLTZMANN * T))) for gain in (GAIN, 0.0))
            assert profile[i, j] == pytest.approx([top, inner, inner], abs=0.08)
    free_energies = [x for x in found.data["free_energy"] if x is not None]
    assert np.mean(free_energies) == pytest.approx(-GAIN, abs=0.015)
    assert len(found.data["heights"]) == 3  # the lowest is frozen
    json.dumps(found.data)
    assert len(analysis.plot({"model": found}).axes) == 2
    frozen = alloy().numbers[copper().get_tags() == 4]
    assert all(np.array_equal(f.numbers[copper().get_tags() == 4], frozen) for f in found.frames.values())


def test_segregation_at_fixed_composition():
    analysis = Segregation("slab", ["Cu", "Au"], [300.0], vibrations=0.0, steps=700)
    found = analysis(gold_likes_the_top, {"slab": [alloy()]})
    free = 12
    assert np.mean(found.data["profile"][0]) * free == pytest.approx(np.count_nonzero(alloy().numbers[4:] == 79))
    assert found.data["surface"][0] > found.data["bulk"][0] + 0.3
    assert found.data["mu"] == [None]


def test_layers_with_and_without_tags():
    slab = copper()
    by_tags, heights = layers(slab)
    slab.set_tags(0)
    by_gaps, same = layers(slab)
    assert np.array_equal(by_tags, by_gaps)
    assert np.allclose(heights, same)
    assert (np.diff(heights) < 0).all()


BAD = {
    "no tags": (lambda s: (s.set_tags(0), CURVE(hollow_sites, {"slab": [s]})), "give sites"),
    "three elements": (lambda s: Segregation("slab", ["Cu", "Au", "Ag"], [300.0]), "two elements"),
    "no pressure": (lambda s: CoverageCurve("slab", "Ne", [], [300.0]), "one pressure"),
    "references of others": (
        lambda s: Segregation("slab", ["Cu", "Au"], [300.0], [0.0], {"Cu": 0.0})(hollow_sites, {"slab": [s]}),
        "references must be of Cu and Au",
    ),
    "no such slab": (lambda s: CURVE(hollow_sites, {"slap": [s]}), "did you mean 'slap'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_told(what):
    bad, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        bad(copper())
