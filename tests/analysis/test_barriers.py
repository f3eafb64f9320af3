"""Barriers and rates of an adatom on copper, with the doubt of a committee; what is wrong is said."""

import copy

import numpy as np
import pytest
import torch
from hops import hop

from adlayer import Evaluator, Prediction, Structures
from adlayer.analysis import Barrier, arrhenius, quantum_rate, vineyard
from adlayer.config import build, describe
from adlayer.potentials.emt import EMT
from adlayer.simulation import NEB, StringMethod
from adlayer.uncertainty import Ensemble


class Counted:
    def __init__(self, evaluate):
        self.evaluate, self.calls = evaluate, 0

    def __call__(self, structures):
        self.calls += len(structures)
        return self.evaluate(structures)


@pytest.fixture(scope="module")
def made():
    start, end = hop("100")
    return {"start": [start], "end": [end]}


@pytest.fixture(scope="module")
def found(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("barrier")
    evaluate = Counted(Evaluator(EMT(["Cu"]), stress=False))
    analysis = Barrier("start", "end", n_images=5, temperature=[300.0, 600.0])
    return analysis, analysis(evaluate, made, folder=folder), folder, evaluate.calls


def test_hop(found):
    """Forth and back are alike; one negative curvature; the attempt frequency of an adatom is some THz."""
    _, findings, _, _ = found
    value = {q.name: q.value for q in findings.quantities}
    assert value["barrier of path 1"] == pytest.approx(0.42, abs=0.02)
    assert value["barrier of path 1, backwards"] == pytest.approx(value["barrier of path 1"], abs=1e-5)
    assert value["negative curvatures of the saddle of path 1 (1 is right)"] == 1
    assert 1 < value["imaginary frequency of the saddle of path 1"] < 5
    assert 1 < value["prefactor of path 1"] < 100
    assert value["prefactor of path 1, backwards"] == pytest.approx(value["prefactor of path 1"], rel=0.02)
    assert value["rate of path 1 at 600 K"] > 1e3 * value["rate of path 1 at 300 K"]
    path = findings.data["path 1"]
    assert path["top"] == 2
    assert path["minima between"] == []
    assert path["slope"][0] == pytest.approx(0, abs=0.02)
    assert path["slope"][1] > 0.1 > abs(path["slope"][2])
    assert len(findings.frames) == 5
    assert findings.frames["path 1, image 3"].get_potential_energy() == pytest.approx(
        findings.frames["path 1, image 1"].get_potential_energy() + value["barrier of path 1"]
    )


def test_taken_up_again(found, made):
    """A second call on the same folder reads what the first wrote."""
    analysis, findings, folder, calls = found
    evaluate = Counted(Evaluator(EMT(["Cu"]), stress=False))
    again = analysis(evaluate, made, folder=folder)
    assert evaluate.calls == 0 < calls
    assert again.data == findings.data
    assert again.quantities == findings.quantities


def test_plot(found):
    analysis, findings, _, _ = found
    axes = analysis.plot({"potential": findings, "reference": findings}).axes[0]
    assert "Å" in axes.get_xlabel()
    assert max(line.get_ydata().max() for line in axes.lines) == pytest.approx(
        findings.data["path 1"]["energy"][2], 1e-3
    )


def committee():
    members = [EMT(["Cu"]) for _ in range(3)]
    for k, member in enumerate(members):
        member.constants.data[0, 4] *= 1 + 0.002 * (k - 1)
    return Ensemble.of(members)


def test_doubt_is_that_of_the_difference(made):
    ensemble = committee()
    ensemble.rescale(1.5, 1.0)
    analysis = Barrier("start", "end", n_images=5, prefactor=False)
    findings = analysis(Evaluator(ensemble, std=False), made)
    barrier = next(q for q in findings.quantities if q.name == "barrier of path 1")
    images = Structures.from_ase([findings.frames[f"path 1, image {k}"] for k in (1, 3)])
    of_each = torch.stack([Evaluator(m)(images).energy for m in ensemble.members])
    assert barrier.std == pytest.approx(1.5 * float((of_each[:, 1] - of_each[:, 0]).std()), rel=1e-6)
    alone = 1.5 * of_each.std(0)
    assert barrier.std < 0.5 * float(alone.norm())
    assert findings.data["path 1"]["negative"] == 1
    assert len(findings.data["path 1"]["curvatures"]) == 2

    def says_only_std(structures):
        said = Evaluator(ensemble.members[0], stress=False)(structures)
        return said._replace(std=Prediction(energy=torch.full_like(said.energy, 0.03)))

    generic = analysis(says_only_std, made)
    assert generic.quantities[0].std == pytest.approx(0.03 * 2**0.5)


def test_linear_members_deviate_as_they_are(made):
    from adlayer.potential import ReferenceEnergies
    from adlayer.uncertainty import LinearEnsemble

    members = [ReferenceEnergies({"Cu": -3.0 + 0.1 * k}) for k in range(4)]
    s = Structures.from_ase([made["start"][0], made["start"][0][:3]])
    E = torch.stack([Evaluator(m)(s).energy for m in members])
    for ensemble in (LinearEnsemble.of_members(members), Ensemble.of(members)):
        D = Evaluator(ensemble).deviations(s)
        assert torch.allclose(D.norm(dim=1), E.std(0))
        assert torch.allclose((D[0] - D[1]).norm(), (E[:, 0] - E[:, 1]).std())
    assert Evaluator(members[0]).deviations(s) is None


def test_one_start_serves_many_ends(made):
    """Two ways that symmetry makes alike, in one batch of images; the second is named."""
    start, end = made["start"][0], made["end"][0]
    other = start.copy()
    other.positions[-1] += start.cell[1] / 2
    other.info["path"] = "aside"
    found = Barrier("start", ["end", "other"], n_images=5, prefactor=False, engine=StringMethod())(
        Evaluator(EMT(["Cu"]), stress=False), {"start": [start], "end": [end], "other": [other]}
    )
    assert list(found.data) == ["path 1", "aside"]
    tops = [max(path["energy"]) for path in found.data.values()]
    assert tops[0] == pytest.approx(tops[1], abs=1e-4)
    assert [path["negative"] for path in found.data.values()] == [1, 1]


def test_rates():
    low, high = [3.0, 4.0, 5.0], [-2.0, 4.0, 6.0]
    assert vineyard(low, high) == pytest.approx(60 / 24)
    classical = arrhenius(0.5, 2.5, 1000.0)
    assert classical == pytest.approx(2.5e12 * np.exp(-0.5 / (8.617333262e-5 * 1000)))
    assert quantum_rate(0.5, low, high, 1e5) == pytest.approx(arrhenius(0.5, 2.5, 1e5), rel=1e-4)
    zero_point = 0.5 * 4.135667696e-3 * (12 - 10)  # eV, minimum less saddle
    cold = 40.0
    expected = 8.617333262e-5 * cold / 4.135667696e-15 * np.exp(-(0.05 - zero_point) / (8.617333262e-5 * cold))
    assert quantum_rate(0.05, low, high, cold) == pytest.approx(expected, rel=0.05)
    for wrong, sentence in (([-1.0, 4.0, 6.0], "1 imaginary or vanishing"), ([3.0, 4.0], "equally many")):
        with pytest.raises(ValueError, match=sentence):
            vineyard(wrong, high)
    with pytest.raises(ValueError, match="exactly one imaginary frequency, got 2"):
        vineyard(low, [-1.0, -2.0, 3.0])


def test_a_recipe():
    spec = {"Barrier": {"start": "a", "end": ["b", "c"], "engine": {"StringMethod": {"fmax": 0.05}}}}
    analysis = build(spec, "analysis")
    assert analysis.engine == StringMethod(fmax=0.05)
    assert Barrier("a", "b").engine == NEB()
    assert describe(build(describe(analysis))) == describe(analysis)


def test_messages(made):
    evaluate = Evaluator(EMT(["Cu"]), stress=False)
    start = made["start"][0]
    near = start.copy()
    near.positions[-1] += 0.1
    with pytest.raises(ValueError, match="the same minimum"):
        Barrier("start", "near")(evaluate, {**made, "near": [near]})
    with pytest.raises(ValueError, match=r"the start of path 1 is not relaxed to 0\.01"):
        Barrier("start", "end", max_steps=0)(evaluate, made)
    with pytest.raises(ValueError, match="13 and 12 atoms"):
        Barrier("start", "short")(evaluate, {**made, "short": [start[1:]]})
    with pytest.raises(ValueError, match="2 structures to start from and 3 to end at"):
        Barrier("two", "three")(evaluate, {"two": [start] * 2, "three": [copy.deepcopy(start)] * 3})
