"""The site: `make docs` builds it into build/site."""

from __future__ import annotations

import re
from typing import Any

import onecycle

project = "onecycle"
author = "the authors of onecycle"
release = version = onecycle.__version__
html_title = "onecycle"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest", "sphinx_copybutton"]
exclude_patterns = ["README.md"]
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

# Pages with code cells are executed as they are built; saved notebooks, which `make test-notebooks` executes, are not.
nb_execution_mode = "off"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"  # docstrings mark code with single backticks, as Markdown does
napoleon_custom_sections = [("Source", "notes_style"), ("Sources", "notes_style")]


def point_to_measurements(_: Any, __: str, source: list[str]) -> None:
    """The measurements are beside their scripts, and a page of the site as well."""
    source[0] = source[0].replace("](../bench/README.md", "](measurements.md")


def name_functions(_: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> Any:
    """Show a default that is a function by its name: as `<function adamw>`, a signature is no Python."""
    return (re.sub(r"<function (\w+)[^>]*>", r"\1", signature), returns) if signature else None


def setup(app: Any) -> None:
    app.connect("autodoc-process-signature", name_functions)
    app.connect("source-read", point_to_measurements)
