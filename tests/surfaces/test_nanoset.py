"""A set to begin with: all parts, their periodicity, no atoms on each other, the same again from the same seed."""

from collections import Counter

import numpy as np
import pytest
from ase.data import covalent_radii

from adlayer.config import build
from adlayer.surfaces import Generator, Nanoset
from adlayer.surfaces.contacts import pairs

PERIODIC = {
    "bulk": {3},
    "strained": {3},
    "slabs": {2},
    "defects": {2, 3},
    "adsorbates": {2},
    "particles": {0},
    "liquids": {2, 3},
}


def test_all_parts_of_a_chemistry():
    settings = {"n": 2, "facets": [[1, 1, 1], [1, 0, 0]], "adsorbates": {"O": "O", "CO": "C"}, "liquid": "H2O"}
    frames = Nanoset("Cu", **settings)({}, np.random.default_rng(0))
    groups = Counter(f.info["group"] for f in frames)
    assert set(groups) == set(PERIODIC)
    assert groups["slabs"] == 4
    assert groups["adsorbates"] == 8
    for frame in frames:
        assert frame.pbc.sum() in PERIODIC[frame.info["group"]]
        assert not frame.constraints
        i, j, D = pairs(frame, 3.0)
        radii = covalent_radii[frame.numbers]
        assert np.all(np.linalg.norm(D, axis=1) > 0.6 * (radii[i] + radii[j]))
    again = Nanoset("Cu", **settings)({}, np.random.default_rng(0))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(frames, again))


def test_several_elements_are_mixed():
    of = {"of": ["Pt", "Ni"], "n": 3, "parts": ["bulk", "particles"], "particles": [38]}
    frames = build({"Nanoset": of}, Generator)({}, np.random.default_rng(1))
    shares = [f.symbols.formula.count().get("Pt", 0) / len(f) for f in frames if f.info["group"] == "particles"]
    assert {0.0, 1.0} < set(shares)
    assert sum(0 < x < 1 for x in shares) >= len(shares) / 2
    assert {"random", "core-shell", "janus"} <= {f.info.get("pattern") for f in frames}
    apart = Nanoset(["Pt", "Ni"], n=2, parts=["particles"], particles=[38], mix=False)({}, np.random.default_rng(1))
    assert all(len(set(f.numbers)) == 1 for f in apart)


def test_a_compound_keeps_its_composition():
    frames = Nanoset("MgO", 1, ["strained", "slabs", "liquids"], [[1, 0, 0]], structure="rocksalt", a=4.21)(
        {}, np.random.default_rng(2)
    )
    assert all(np.sum(f.symbols == "Mg") == np.sum(f.symbols == "O") for f in frames)


def test_unknown_parts():
    with pytest.raises(ValueError, match="did you mean 'slabs'"):
        Nanoset("Cu", parts=["slab"])
