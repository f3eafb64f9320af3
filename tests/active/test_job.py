"""The whole job on effective-medium copper: its stages, killed and gone on with, and what it says of bad recipes."""

import copy
import json
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from adlayer import Structures, evaluate, load, read
from adlayer.active.recipe import job_of, report, run

HERE = Path(__file__).parent
RECIPE = HERE / "copper.toml"


class Counter:
    """An observer that remembers which stages were worked on."""

    def __init__(self):
        self.stages, self.notes = [], []

    @contextmanager
    def stage(self, title):
        self.stages.append(title)
        yield lambda done, total, message: None

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def recipe():
    return tomllib.loads(RECIPE.read_text())


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    return folder, run(recipe, folder, Counter(), RECIPE.read_text())


def numbers(results):
    """All that must not depend on whether a job was interrupted."""
    kept = {k: results[k] for k in ("rounds", "failures", "validation", "simulation")}
    return json.loads(json.dumps(kept))


def test_the_potential_is_good_and_knows_its_doubt(finished):
    folder, results = finished
    potential = load(folder / "potential.adl")
    data = read(folder / "round-0" / "labels" / "labels.extxyz")
    said = evaluate(potential, data.structures)
    assert (said.forces - data.labels.forces).abs().mean() < 0.05
    assert (said.std.forces > 0).all()
    assert results["rounds"][0]["labels"] == len(data) == 25
    assert {i["split"] for i in data.info} == {"train", "valid", "test"}


def test_learning_adds_labels_where_there_was_doubt(finished):
    _, results = finished
    first, second = results["rounds"]
    assert second["labels"] == first["labels"] + 6
    assert second["exploration"]["doubtful"] > 0
    assert second["errors"]["forces_mae"] < 1.2 * first["errors"]["forces_mae"]


def test_potential_and_reference_side_by_side(finished):
    both = finished[1]["validation"]["bulk"]
    values = {who: {q["name"]: q["value"] for q in both[who]["quantities"]} for who in both}
    assert values["reference"]["lattice constant"] == pytest.approx(3.59, abs=0.02)
    assert values["potential"]["lattice constant"] == pytest.approx(values["reference"]["lattice constant"], abs=0.02)


def test_frozen_atoms_stay(finished):
    folder, _ = finished
    from ase.io import read as read_frames

    frames = read_frames(folder / "simulation" / "hot" / "trajectory.extxyz", ":")
    fixed = frames[0].constraints[0].get_indices()
    assert len(fixed) == 4
    assert np.array_equal(frames[0].positions[fixed], frames[-1].positions[fixed])
    assert not np.allclose(frames[0].positions, frames[-1].positions, atol=1e-3)


def test_the_report_is_one_page(finished):
    folder, _ = finished
    page = (folder / "report.html").read_text()
    for words in ("Cu(111) learns itself", "Physics, side by side", "lattice constant", "Rounds of learning", "seed 3"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    again = report(folder)
    assert again == folder / "report.html"


def test_a_finished_job_is_not_done_again(finished, recipe):
    folder, results = finished
    counter = Counter()
    again = run(recipe, folder, counter)
    assert counter.stages == []
    assert numbers(again) == numbers(results)


def test_only_what_depends_on_a_change_is_done_again(finished, recipe):
    folder, _ = finished
    changed = copy.deepcopy(recipe)
    changed["simulation"]["hot"]["engine"]["Langevin"]["temperature"] = 300
    counter = Counter()
    run(changed, folder, counter)
    assert [s for s in counter.stages if "Simulate" in s]
    assert not [s for s in counter.stages if "Label" in s or "Fit" in s or "Check" in s]
    run(recipe, folder)


def test_killed_and_gone_on_with_it_is_the_same(finished, recipe, tmp_path):
    _, results = finished
    for words in ("Label 25", "Explore", "Simulate"):
        died = subprocess.run([sys.executable, HERE / "run_and_die.py", RECIPE, tmp_path, words], capture_output=True)
        assert died.returncode == -9, died.stderr.decode()
    counter = Counter()
    again = run(recipe, tmp_path, counter)
    assert numbers(again) == numbers(results)
    assert not [s for s in counter.stages if "Label" in s or "Explore" in s]
    a, b = (load(f / "potential.adl") for f in (finished[0], tmp_path))
    for x, y in zip(a.state_dict().values(), b.state_dict().values()):
        torch.testing.assert_close(x, y, rtol=0, atol=0, equal_nan=True)


def test_a_report_before_the_end_says_so(recipe, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not the folder of a job"):
        report(tmp_path)
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": recipe, "text": ""}))
    with pytest.raises(ValueError, match="has not finished structures; go on with adlayer run"):
        report(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.pop("reference"), "[validate] holds a potential against a reference method"),
        (lambda r: [r.pop(k) for k in ("reference", "potential")], "Job needs a [reference], a [potential], or both"),
        (lambda r: r.pop("structures"), "Job needs the argument 'structures'"),
        (lambda r: r.update(potental={}), "Job has no argument 'potental'; did you mean 'potential'?"),
        (lambda r: r.update(structures={}, train=[]), "[structures] is empty"),
        (lambda r: r.update(train=["slap"]), "train names 'slap', which is not in [structures]; did you mean 'slab'?"),
        (lambda r: r["active"].update(rouns=2), "Active has no argument 'rouns'; did you mean 'rounds'?"),
        (lambda r: r["active"].update(start=["bulc"]), "active.start names 'bulc'"),
        (lambda r: r["active"].update(rounds="two"), "Active: rounds must be an integer, got 'two'"),
        (lambda r: r.update(reference={"TBlite": {}}), "there is no Reference named 'TBlite'; did you mean 'TBLite'?"),
        (lambda r: r.update(reference={"TBLite": {}, "ASE": {}}), "[reference] takes one class name"),
        (
            lambda r: r.update(reference={"Slab": {"of": "Cu", "miller": [1, 1, 1]}}),
            "there is no Reference named 'Slab'",
        ),
        (lambda r: r["simulation"]["hot"].update(of="nothing"), "simulation.hot.of names 'nothing'"),
        (lambda r: r["simulation"]["hot"].pop("engine"), "Simulation needs the argument 'engine'"),
        (lambda r: r.update(split={"valid": 0.7, "test": 0.6}), "valid and test must be positive and leave something"),
        (lambda r: r["structures"].update(x={"Slab": {"of": "Cu", "milller": []}}), "did you mean 'miller'?"),
        (lambda r: r.update(seed="one"), "Job: seed must be an integer, got 'one'"),
        (lambda r: r["validate"].update(x={"EquationOfStat": {}}), "did you mean 'EquationOfState'?"),
    ],
)
def test_bad_recipes_in_one_sentence(recipe, change, sentence):
    bad = copy.deepcopy(recipe)
    change(bad)
    with pytest.raises(ValueError) as error:
        job_of(bad)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_reference_that_always_fails_is_one_sentence(recipe, tmp_path):
    bad = copy.deepcopy(recipe)
    bad["reference"] = {"ASE": {"calculator": "ase.calculators.emt.EMT"}}
    bad["structures"] = {"slab": {"Slab": {"of": "Si", "miller": [1, 0, 0], "layers": 2}}}
    bad |= {"train": ["slab"], "validate": {}, "simulation": {}}
    bad["active"] = {"rounds": 0}
    with pytest.raises(ValueError, match="could be labeled"):
        run(bad, tmp_path)


STUDY = {
    "structures": {"cu": {"Bulk": {"of": "Cu"}}, "slab": {"Slab": {"of": "Cu", "miller": [1, 1, 1], "layers": 4}}},
    "study": {"bulk": {"EquationOfState": {"of": "cu"}}},
}


def test_a_study_needs_no_learning(tmp_path):
    method = {"reference": {"ASE": {"calculator": "ase.calculators.emt.EMT"}}, "workers": 0}
    results = run(STUDY | method, tmp_path, text="as it was")
    (a,) = (q["value"] for q in results["study"]["bulk"]["quantities"] if q["name"] == "lattice constant")
    assert a == pytest.approx(3.59, abs=0.01)  # of copper in effective-medium theory
    assert "lattice constant" in (tmp_path / "report.html").read_text()
    counter = Counter()
    change = {"study": {**STUDY["study"], "surface": {"SurfaceEnergy": {"slab": "slab", "bulk": "cu"}}}}
    again = run(STUDY | method | change, tmp_path, counter)
    assert again["study"]["bulk"] == results["study"]["bulk"]
    assert counter.stages == ["Study: Surface energy"]


def test_a_study_of_a_potential_from_a_file(finished, tmp_path):
    recipe = STUDY | {"potential": str(finished[0] / "potential.adl")}
    recipe["simulation"] = {
        "hot": {"of": "slab", "engine": {"Langevin": {"picoseconds": 0.01}}},
        "sampled": {"of": "slab", "engine": {"MonteCarlo": {"steps": 40}}},
        "relaxed": {"of": "slab", "engine": {"FIRE": {"max_steps": 40, "fmax": 0.05}}},
    }
    results = run(recipe, tmp_path)
    (a,) = (q["value"] for q in results["study"]["bulk"]["quantities"] if q["name"] == "lattice constant")
    assert a == pytest.approx(3.59, abs=0.03)
    assert [run["reasons"] for run in results["simulation"].values()] == [["finished"]] * 3


MELTING = """
[structures]
particle.Icosahedron = { of = "Cu", shells = 1 }
[potential.EMT]
[study.melting.Melting]
of = "particle"
temperatures = [200, 500]
replicas = 3
picoseconds = 4
blocks = 2
"""


def test_a_killed_study_goes_on_to_the_same_digits(tmp_path):
    path = tmp_path / "melting.toml"
    path.write_text(MELTING)
    whole = run(tomllib.loads(MELTING), tmp_path / "whole")
    command = [sys.executable, HERE / "run_and_die.py", path, tmp_path / "killed", "Melting"]
    died = subprocess.run(command, capture_output=True)
    assert died.returncode == -9, died.stderr.decode()
    assert not (tmp_path / "killed" / "results.json").exists()
    again = run(tomllib.loads(MELTING), tmp_path / "killed")
    assert json.dumps(again["study"]) == json.dumps(whole["study"])


@pytest.mark.parametrize(
    ("potential", "sentence"),
    [
        ({"ACE": {"cutoff": 4.0}}, "ACE has to learn first"),
        ("no_such.adl", "there is no file or folder no_such.adl"),
    ],
)
def test_potentials_that_cannot_be_studied(potential, sentence, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        run(STUDY | {"potential": potential}, tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_structures_of_the_data_and_the_potential_agree(finished):
    folder, _ = finished
    potential = load(folder / "potential.adl")
    assert potential.elements == ("Cu",)
    with pytest.raises(ValueError, match="also hold Si"):
        evaluate(potential, Structures.from_ase(bulk("Si")))
