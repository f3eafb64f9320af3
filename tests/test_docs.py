"""What the documentation shows is true: its Python and its commands run, its recipes are read.

Blocks of a page run in order, in one namespace and one empty folder. A block that begins with a file name
(``# fit.toml``) is also that file, for those after it. What needs another program, or minutes, follows a comment
``<!-- not run: why -->``; it must still be Python, or name commands and options that exist.
"""

import re
import shlex
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import torch

from adlayer.active.recipe import job_of
from adlayer.cli import commands, main
from adlayer.cli.fit_job import KNOWN
from adlayer.config import build, check_arguments
from adlayer.data import read
from adlayer.fitting import Fit
from adlayer.fitting.comparison import checked
from adlayer.potential import make_potential
from adlayer.reference import Reference
from adlayer.uncertainty import Uncertainty

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs").glob("[ht]*/*.md"))
FENCE = re.compile(r"(<!-- not run: .*? -->\n)?^```(\w+)\n((?:# (\w+\.\w+)\n)?.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    runs: bool
    language: str
    text: str
    file: str | None


def blocks(page: Path, *languages: str) -> list[Block]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    every = [Block(not why, language, text, file or None) for why, language, text, file in found]
    return [block for block in every if block.language in languages]


def pages(*languages: str) -> list:
    return [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES if blocks(p, *languages)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("page", pages("python"))
def test_what_is_shown_runs(page, monkeypatch, capsys):
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where classes that a page defines are looked for
    for block in blocks(page, "python", "sh", "toml"):
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            code = compile(block.text, str(page), "exec")
            if block.runs:
                exec(code, vars(module))
        elif block.language == "sh" and block.runs:
            for program, *arguments in lines(block.text):
                if program == "adlayer":
                    with pytest.raises(SystemExit) as end:
                        main(arguments)
                    assert end.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", pages("sh"))
def test_commands_exist(page):
    for block in blocks(page, "sh"):
        for program, *arguments in lines(block.text):
            if program == "adlayer":
                commands.commands[arguments[0]].make_context(arguments[0], arguments[1:])
            if program == "make":
                assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text()


def lines(text: str) -> list[list[str]]:
    """The words of each line, without comments and redirection."""
    parts = (shlex.split(line.partition(" >")[0], comments=True) for line in text.splitlines())
    return [words for words in parts if words]


@pytest.mark.parametrize("page", pages("toml"))
def test_recipes_are_read(page):
    for block in blocks(page, "python"):
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
    recipes = [tomllib.loads(block.text) for block in blocks(page, "toml")]
    whole = {name: table for recipe in recipes for name, table in recipe.items()}
    if "structures" in whole:  # the tables of one job, shown one by one
        assert job_of(whole).title
        return
    for recipe in recipes:
        check_recipe(recipe)


def check_recipe(recipe: dict) -> None:
    """Of a fit, or some of its tables."""
    kinds = {"reference": Reference, "fit": Fit, "uncertainty": Uncertainty}
    assert recipe.keys() <= {*KNOWN[""], "reference", "families", "compare"}
    if "families" in recipe:
        assert checked(recipe["families"], ["H", "Si"])
    for name in kinds.keys() & recipe.keys():
        assert isinstance(build(recipe[name], kinds[name]), kinds[name])
    if "file" not in recipe.get("potential", ["file"]):
        with torch.random.fork_rng():
            assert make_potential(recipe["potential"], ["H", "Si"]).cutoff > 0
    if "data" in recipe:
        options = {name: value for name, value in recipe["data"].items() if name not in ("file", "valid", "test")}
        check_arguments(read, {"path": recipe["data"]["file"], **options})
    assert recipe.get("split", {}).keys() <= set(KNOWN["split"])
