"""Coverage: what a set has of a target, what it lacks, and where."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from adlayer.analysis import Coverage, Findings
from adlayer.config import build, describe
from adlayer.surfaces import Icosahedron, Rattle


def value(found, name):
    return next(q.value for q in found.quantities if q.name == name)


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    slab = fcc111("Cu", (2, 2, 5), vacuum=6.0)
    slab.pbc = (True, True, False)
    slab.info["group"] = "slab"
    crystal = bulk("Cu", cubic=True) * (2, 2, 1)
    crystal.info["group"] = "bulk"
    start = {"slab": [slab], "bulk": [crystal], "particle": Icosahedron("Cu", 2)({}, rng)}
    made = {name: Rattle(name, [0.05], 6)(start, rng) for name in start}
    made["more slabs"] = Rattle("slab", [0.05], 2)(start, rng)
    return made


def test_a_set_covers_what_is_in_it(made):
    found = Coverage("bulk", ["bulk", "slab"])(None, made)
    assert value(found, "atoms covered") == 100.0
    assert value(found, "largest distance of Cu") == pytest.approx(0.0, abs=1e-6)


def test_surfaces_are_not_covered_by_bulk(made):
    """The slabs' middle is known from the crystal, their surfaces are not; with slabs in the set they are."""
    found = Coverage("more slabs", "bulk", cutoff=4.0)(None, made)
    for frame in found.frames.values():
        surface = np.isin(frame.get_tags(), (1, 5))
        assert frame.arrays["distance"][surface].min() > 1.0
        assert frame.arrays["distance"][frame.get_tags() == 3].max() < frame.arrays["distance"][surface].min()
    assert value(found, "atoms covered") <= 60.0
    assert found.data["groups"] == {"slab": pytest.approx(value(found, "atoms covered") / 100)}
    known = Coverage("more slabs", ["bulk", "slab"], cutoff=4.0)(None, made)
    assert value(known, "atoms covered") > 80.0
    (first, *_) = known.frames.values()
    assert set(first.arrays["nearest"][np.isin(first.get_tags(), (1, 5))]) <= set(range(6, 12))  # slabs, after bulk


def test_particles_want_particles(made):
    shares = [value(Coverage("particle", names)(None, made), "atoms covered") for names in ("bulk", "slab", "particle")]
    assert shares[0] < shares[2]
    assert shares[1] < shares[2] == 100.0


def test_an_element_that_is_not_in_the_set(made):
    made = made | {"oxygen": [molecule("O2")], "alone": [Atoms("Cu")]}
    found = Coverage(["bulk", "oxygen"], ["bulk", "slab"])(None, made)
    assert value(found, "O atoms covered") == 0.0
    assert value(found, "Cu atoms covered") == 100.0
    assert found.data["distances"]["O"] == [None, None]
    kept = json.loads(json.dumps(describe({"quantities": [vars(q) for q in found.quantities], "data": found.data})))
    figure = Coverage("bulk", "slab").plot({"any": Findings.of(kept, {})})
    assert len(figure.axes) == 2
    assert value(Coverage("alone", "alone")(None, made), "atoms covered") == 100.0


def test_how_it_is_asked(made):
    spec = {
        "Coverage": {"target": "bulk", "known": "slab", "descriptor": {"ACSF": {"elements": ["Cu"], "cutoff": 4.0}}}
    }
    found = build(spec, "analysis")(None, made)
    assert found.data["usual"]["Cu"] == Coverage("bulk", "slab", cutoff=4.0)(None, made).data["usual"]["Cu"]
    with pytest.raises(ValueError, match="one of the two is empty"):
        Coverage("none", "slab")(None, made | {"none": []})
    with pytest.raises(ValueError, match="quantile is a share"):
        Coverage("bulk", "slab", quantile=2.0)
