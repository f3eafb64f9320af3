"""Every example runs as its reader would run it; the recipes are read, and the short one is followed to its report."""

import runpy
import tomllib
from pathlib import Path

import pytest

from adlayer.active.recipe import job_of
from adlayer.cli import main
from adlayer.fitting.comparison import checked
from adlayer.potential import make_potential

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9]*.py"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """In an empty folder, with the examples' own helpers in reach, as for ``python examples/name.py``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    return tmp_path


def test_there_are_scripts():
    assert len(SCRIPTS) >= 5


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_script(script, capsys):
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_a_recipe_that_starts_from_a_data_set(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["make_copper.py"])
    runpy.run_path(str(EXAMPLES / "make_copper.py"), run_name="__main__")
    with pytest.raises(SystemExit) as end:
        main(["fit", str(EXAMPLES / "fit_extxyz.toml")])
    assert end.value.code == 0, capsys.readouterr().err
    folder = elsewhere / "runs" / "fit_extxyz"
    assert {"potential.adl", "results.json", "report.html"} <= {p.name for p in folder.iterdir()}


def test_the_recipe_of_a_comparison_is_one():
    recipe = tomllib.loads((EXAMPLES / "compare.toml").read_text())
    families = checked(recipe["families"], ["Cu"])
    assert len(families) == 7
    assert all(make_potential(family["potential"], ["Cu"]).cutoff > 0 for family in families.values())


def whole_jobs():
    recipes = {p.stem: tomllib.loads(p.read_text()) for p in sorted(EXAMPLES.glob("*.toml"))}
    return [pytest.param(r, id=name) for name, r in recipes.items() if "structures" in r]


@pytest.mark.parametrize("recipe", whole_jobs())
def test_the_recipe_of_a_whole_job_is_one(recipe):
    job = job_of(recipe)
    assert job.title
    assert set(job.train) <= set(job.structures)
