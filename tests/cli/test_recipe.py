import io

import pytest
from rich.console import Console as RichConsole

from adlayer.cli.console import Console
from adlayer.cli.recipe import override, parse

RECIPE = {"title": "t", "potential": {"LennardJones": {"cutoff": 5.0}}, "structures": {"bulk": {"n": 3}}}


@pytest.mark.parametrize(
    ("setting", "keys", "value"),
    [
        ("a.b=6.0", ["a", "b"], 6.0),
        ("a.b = [1, 2]", ["a", "b"], [1, 2]),
        ('a."b.c"="x"', ["a", "b.c"], "x"),
        ("a=word", ["a"], "word"),
        ("a=true", ["a"], True),
        ("a={x = 1}", ["a"], {"x": 1}),
        ("a=x=y", ["a"], "x=y"),
    ],
)
def test_settings_are_toml(setting, keys, value):
    assert parse(setting) == (keys, value)


def test_overrides_leave_the_recipe_alone():
    found = override(
        RECIPE, ["potential.LennardJones.cutoff=6", "potential.LennardJones.sigma=2.5", "structures.bulk.n=4"]
    )
    assert found["potential"] == {"LennardJones": {"cutoff": 6, "sigma": 2.5}}
    assert found["structures"] == {"bulk": {"n": 4}}
    assert RECIPE["potential"] == {"LennardJones": {"cutoff": 5.0}}


def test_a_table_that_is_known_may_be_new():
    assert override(RECIPE, ["seed=3", "active.rounds=1"], known={"": ("seed", "active")})["active"] == {"rounds": 1}
    with pytest.raises(ValueError, match=r"the recipe has no entry 'sede'; did you mean 'seed'\?"):
        override(RECIPE, ["sede=3"], known={"": ("seed",)})
    with pytest.raises(ValueError, match=r"\[structures.bulk\] has no entry 'm'"):
        override(RECIPE, ["structures.bulk.m=3"])
    assert override({}, ["split.by=group"], {"": ["split"], "split": ["by"]}) == {"split": {"by": "group"}}
    with pytest.raises(ValueError, match=r"\[split\] has no entry 'bye'; did you mean 'by'"):
        override({}, ["split.bye=group"], {"": ["split"], "split": ["by"]})


def test_stages_are_plain_lines_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr("adlayer.cli.console.EVERY", 0.0)
    text = io.StringIO()
    console = Console(RichConsole(file=text, width=100))
    with console.stage("Label") as progress:
        progress(3, 12, "one failed")
    console.note("two were set aside")
    with pytest.raises(RuntimeError), console.stage("Fit"):
        raise RuntimeError
    said = text.getvalue()
    assert "Label: 3/12 one failed" in said
    assert "✓ Label" in said
    assert "two were set aside" in said
    assert "✗ Fit" in said
    assert "\x1b" not in said


def test_stages_are_bars_on_a_terminal():
    text = io.StringIO()
    console = Console(RichConsole(file=text, width=120, force_terminal=True))
    with console.stage("Label") as progress:
        progress(0, 0, "")
        progress(12, 12, "all [of] them")
    assert "12/12" in text.getvalue()
