import pytest
from pair_basis import PairBasis, copper, labeled

from adlayer.fitting.search import search

TRUE = [0.9, -0.4, 0.3, 0.25, -0.6, 0.1]
POTENTIAL = {"pair_basis.PairBasis": {"n": 6}}  # dotted: a user's own class


@pytest.fixture(scope="module")
def sets():
    true = PairBasis(6, 4.5, TRUE)
    return labeled(copper(6), true, noise=0.01), labeled(copper(4, 1), true)


@pytest.fixture
def recipe():
    return {"potential": {"LennardJones": {"epsilon": 0.1, "sigma": 2.3}}, "fit": {"LeastSquares": {"ridge": 1e-6}}}


def test_it_finds_the_better_argument(sets, tmp_path):
    recipe = {"potential": POTENTIAL, "fit": {"LeastSquares": {}}}
    space = {"fit.LeastSquares.ridge": {"low": 1e-10, "high": 10.0, "log": True}}
    said, arguments = [], {"storage": tmp_path / "trials.log", "minimize": "forces_rmse"}
    found = search(recipe, space, *sets, trials=12, **arguments)
    assert found.values["fit.LeastSquares.ridge"] < 0.1
    assert found.score[0] == min(t["score"][0] for t in found.trials)
    assert found.recipe["fit"]["LeastSquares"]["ridge"] == found.values["fit.LeastSquares.ridge"]
    assert recipe["fit"]["LeastSquares"] == {}
    more = search(recipe, space, *sets, trials=14, **arguments, progress=lambda *a: said.append(a))
    assert [t["score"] for t in more.trials[:12]] == [t["score"] for t in found.trials]
    assert [s[0] for s in said] == [13, 14]


@pytest.mark.parametrize("sampler", ["random", "genetic"])
def test_samplers_and_choices(sets, sampler):
    recipe = {"potential": {"pair_basis.PairBasis": {"n": 6}}, "fit": {"LeastSquares": {}}}
    space = {"fit.LeastSquares.ridge": ["evidence", "ard", 1e3]}
    found = search(recipe, space, *sets, trials=8, sampler=sampler, seed=1)
    assert found.values["fit.LeastSquares.ridge"] in ("evidence", "ard")
    assert {t["values"]["fit.LeastSquares.ridge"] for t in found.trials} <= {"evidence", "ard", 1e3}


def test_several_aims_give_a_front(sets):
    recipe = {"potential": POTENTIAL, "fit": {"LeastSquares": {"ridge": 1.0, "weights": {"energy": 1.0}}}}
    space = {"fit.LeastSquares.weights.energy": {"low": 1e-3, "high": 1e3, "log": True}}
    found = search(recipe, space, *sets, trials=10, sampler="genetic", minimize=["energy_rmse", "forces_rmse"])
    assert len(found.front) >= 1
    assert len(found.score) == 2


def test_fits_that_fail_are_listed_and_not_fatal(sets):
    recipe = {"potential": POTENTIAL, "fit": {"LeastSquares": {}}}
    found = search(recipe, {"fit.LeastSquares.ridge": [-1.0, "evidence", "ard"]}, *sets, trials=10, sampler="random")
    failed = [t for t in found.trials if t["error"]]
    assert failed
    assert "ridge must be a number from 0 upwards" in failed[0]["error"]
    with pytest.raises(ValueError, match=r"none of 2 fits succeeded; the last: .*ridge must be"):
        search(recipe, {"fit.LeastSquares.ridge": [-1.0, -2.0, -3.0]}, *sets, trials=2)


@pytest.mark.parametrize(
    "space, message",
    [
        ({}, "the search space is empty"),
        ({"potential.LenardJones.epsilon": [1, 2]}, "potential has no 'LenardJones'; did you mean 'LennardJones'"),
        ({"potential.LennardJones.epsilom": [1, 2]}, "has no argument 'epsilom'; did you mean 'epsilon'"),
        ({"potential.LennardJones.epsilon": [2, 1]}, "the range must rise, got 2 to 1"),
        ({"potential.LennardJones.epsilon": {"low": 0, "high": 1, "log": True}}, "must rise from above 0"),
        ({"potential.LennardJones.epsilon": {"lo": 0}}, "expected low and high"),
        ({"potential.LennardJones.epsilon": 3}, r"expected \[low, high\], a list of choices, or a table, got 3"),
        ({"fitting.LeastSquares.ridge": [0, 1]}, "the recipe has no 'fitting'; did you mean 'fit'"),
    ],
)
def test_bad_spaces_are_said(sets, recipe, space, message):
    with pytest.raises(ValueError, match=message):
        search(recipe, space, *sets, trials=1)


def test_bad_aims_and_samplers_are_said(sets):
    recipe = {"potential": POTENTIAL, "fit": {"LeastSquares": {}}}
    space = {"fit.LeastSquares.ridge": [0.0, 1.0]}
    with pytest.raises(TypeError, match="cannot minimize 'force_rmse'; did you mean 'forces_rmse'"):
        search(recipe, space, *sets, trials=1, minimize="force_rmse")
    with pytest.raises(ValueError, match="no sampler 'genetics'; did you mean 'genetic'"):
        search(recipe, space, *sets, trials=1, sampler="genetics")


@pytest.mark.parametrize("sampler, by", [("genetic", "linear"), ("gp", "linear"), ("tpe", "kernel")])
def test_a_descriptor_is_judged_by_a_quick_regression(sets, sampler, by, tmp_path):
    recipe = {"descriptor": {"ACSF": {"n_radial": 5, "n_angular": 1, "zetas": [1]}}}
    space = {"descriptor.ACSF.cutoff": [2.6, 6.0]}  # nearest neighbors alone, or what the labels depend on as well
    found = search(
        recipe, space, *sets, trials=6, sampler=sampler, by=by, storage=tmp_path / "t", minimize="forces_mae"
    )
    scores = sorted((t["values"]["descriptor.ACSF.cutoff"], t["score"][0]) for t in found.trials)
    assert found.recipe["descriptor"]["ACSF"]["cutoff"] == found.values["descriptor.ACSF.cutoff"]
    assert found.score[0] == min(s for _, s in scores)
    assert found.values["descriptor.ACSF.cutoff"] > scores[0][0]
    with pytest.raises(ValueError, match="judged by one of linear, kernel, got 'linar'; did you mean 'linear'"):
        search(recipe, space, *sets, trials=1, by="linar")
