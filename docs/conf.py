"""The site: `make docs` builds it into build/site."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

import onecycle

project = "onecycle"
author = "the authors of onecycle"
release = version = onecycle.__version__
html_title = "onecycle"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest", "sphinx_copybutton"]
exclude_patterns = ["README.md"]
smartquotes_action = "D"  # dashes, and the quotes of code
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/icon.svg"
pygments_dark_style = "a11y-high-contrast-dark"  # the theme's own underlines names, as if they were links

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


def name_pages(_: Any, __: str, source: list[str]) -> None:
    """Name pages by their titles, not their files; the measurements, beside their scripts, are a page too."""
    source[0] = re.sub(r"\[[\w/.]+\.md\]\(", "[](", source[0].replace("](../bench/README.md", "](measurements.md"))


def name_commands(_: Any, page: str, source: list[str]) -> None:
    """Typer cuts what commands do after 45 characters: say the whole sentence, and link the command; mark options."""
    if page == "reference/command_line":
        says = dict(re.findall(r"^## `onecycle (\w+)`\n\n(.*?\.)(?:\s|$)", source[0], re.DOTALL | re.MULTILINE))
        listed = re.compile(r"^\* `(\w+)`: .*$", re.MULTILINE)
        source[0] = re.sub(r"(?<= )--[a-z-]+(?![^`\n]*`:)", r"`\g<0>`", source[0])
        source[0] = listed.sub(lambda row: f"* [`{row[1]}`](#onecycle-{row[1]}): {says[row[1]]}", source[0])


def part_sections(_: Any, __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
    """Link what is on arXiv, and end the paragraph of a source, which is no section, before the section below it."""
    text = re.sub(r"\n(?=(Source: |Example:$))", "\n\n", "\n".join(lines), flags=re.MULTILINE)
    lines[:] = re.sub(r"\barXiv:(\d{4}\.\d{5})\b", r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text).split("\n")


def shorten_signatures(_: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> Any:
    """Show a default that is a function by its name, no arguments where there are none, and those of errors once."""
    if what == "exception" and "__init__" not in vars(obj):
        return "", None
    if what == "class" and re.fullmatch(r"\(\*args\b.*, \*\*kwargs\b.*\)", signature or ""):
        return "()", None
    return (re.sub(r"<function (\w+)[^>]*>", r"\1", signature), returns) if signature else None


def describe_pictures(_: Any, tree: nodes.document) -> None:
    """Say in place of a picture that code has drawn, for those who do not see it, what it is about."""
    for image in tree.findall(nodes.image):
        section: nodes.Node | None = image
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        if "alt" not in image and section is not None:
            image["alt"] = f"{section[0].astext()}: what the code above draws"


def tell_levels(_: Any, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    """Say of which level captions are, which Sphinx calls headings: whoever listens to the page goes by it."""
    for part in ("body", "furo_navigation_tree"):
        if part in context:
            context[part] = context[part].replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", part_sections, priority=400)  # before napoleon's
    app.connect("autodoc-process-signature", shorten_signatures)
    app.connect("doctree-read", describe_pictures)
    app.connect("source-read", name_pages)
    app.connect("source-read", name_commands)
    app.connect("html-page-context", tell_levels, priority=900)
